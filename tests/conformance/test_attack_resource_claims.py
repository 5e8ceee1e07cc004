"""The attack table of a protected API: JSON, claims, types and scopes."""

import math
from typing import Any

import pytest

from resource_api.guard import require
from tests.support.attack import (
    FORGE,
    GOOD,
    OTHER_KEY,
    assert_invalid_token,
)
from tests.support.protected_api import ProtectedApi
from watchword.testing.forge import DROP, ISSUER, NOW, RESOURCE, dump


@pytest.fixture
def api() -> ProtectedApi:
    """Put a fresh middleware before a fresh application."""
    return ProtectedApi(FORGE)


REPEATED_HEADER = dump(FORGE.good_header)[:-1]
REPEATED_CLAIMS = dump(FORGE.good_claims)[:-1]


@pytest.mark.attack("V14")
@pytest.mark.rfc("7515-4-1", "7519-4-1")
@pytest.mark.parametrize(
    ("header", "payload"),
    [
        (REPEATED_HEADER + b',"alg":"RS256"}', REPEATED_CLAIMS + b"}"),
        (REPEATED_HEADER + b',"k\\u0069d":"x"}', REPEATED_CLAIMS + b"}"),
        (REPEATED_HEADER + b"}", REPEATED_CLAIMS + b',"scope":"admin"}'),
        (REPEATED_HEADER + b"}", REPEATED_CLAIMS + b',"\\u0073cope":"admin"}'),
        (REPEATED_HEADER + b"}", REPEATED_CLAIMS + b',"x":{"a":1,"a":1}}'),
        (REPEATED_HEADER + b"}", REPEATED_CLAIMS + b',"x":[{"a":1,"a":1}]}'),
    ],
)
async def test_repeated_names_are_refused(api: ProtectedApi, header: bytes, payload: bytes) -> None:
    """Two members of one name mean two things to two parsers, however they are spelt."""
    await assert_invalid_token(api, FORGE.raw(header, payload))


CLAIMS = dump(FORGE.good_claims)


@pytest.mark.attack("V15")
@pytest.mark.rfc("8725-3.7-1", "9068-4-2")
@pytest.mark.parametrize(
    "payload",
    [
        CLAIMS.decode().encode("utf-16"),
        CLAIMS.decode().encode("utf-32-le"),
        b"\xef\xbb\xbf" + CLAIMS,
        CLAIMS[:-1] + b',"x":"\xff"}',
        CLAIMS[:-1] + b',"x":"\xed\xa0\x80"}',
        CLAIMS[:-1] + b',"x":"\\ud800"}',
        CLAIMS[:-1] + b',"\\udfff":1}',
        CLAIMS[:-1] + b',"x":"\\u0000"}',
        CLAIMS[:-1] + b',"x":"\x00"}',
        CLAIMS + b"x",
        CLAIMS + CLAIMS,
        CLAIMS + b"\x00",
        b"[" + CLAIMS + b"]",
        b'"x"',
        b"null",
        b"1",
        b"",
        b"{",
        CLAIMS[:-1] + b",}",
        CLAIMS.replace(b'"', b"'"),
    ],
)
async def test_json_is_strict(api: ProtectedApi, payload: bytes) -> None:
    """Claims and header are one UTF-8 JSON object each and nothing else."""
    await assert_invalid_token(api, FORGE.raw(dump(FORGE.good_header), payload))
    header = payload.replace(CLAIMS[:-1], dump(FORGE.good_header)[:-1])
    if header != dump(FORGE.good_header):
        await assert_invalid_token(api, FORGE.raw(header, CLAIMS))


@pytest.mark.attack("V16")
@pytest.mark.rfc("9068-4-2")
@pytest.mark.parametrize(
    "value",
    [
        b"[" * 100_000 + b"]" * 100_000,
        b"[" * 3000 + b"]" * 3000,
        b'{"a":' * 40 + b"1" + b"}" * 40,
        b"{" + b",".join(b'"m%d":1' % n for n in range(100_000)) + b"}",
        b"9" * 5000,
        b"-" + b"9" * 5000,
        b"1e400",
        b"-1e400",
        b"NaN",
        b"Infinity",
    ],
    ids=range(10),
)
async def test_json_is_bounded(api: ProtectedApi, value: bytes) -> None:
    """Nesting, members and numbers cost a bounded time."""
    payload = CLAIMS[:-1] + b',"x":' + value + b"}"
    await assert_invalid_token(api, FORGE.raw(dump(FORGE.good_header), payload))


@pytest.mark.attack("V17")
@pytest.mark.rfc("9068-4-1")
async def test_size_is_bounded(api: ProtectedApi) -> None:
    """A token above 8 KB is refused before anything in it is read; one just below is not."""
    room = 8192 - len(FORGE.token(x=""))
    assert (await api.ask(FORGE.token(x="x" * (room * 3 // 4 - 3)))).status == 200
    api.reached.clear()
    await assert_invalid_token(api, FORGE.token(x="x" * 8192))
    assert api.reason == "token_too_long"
    await assert_invalid_token(api, b"x" * 300_000)


NO_DATES = [
    DROP, None, "1800000300", " 123 ", "9_999", "", True, math.nan, math.inf, -math.inf, -1,
    10**30, 9e99, 2**53, [NOW + 300], {},
]  # fmt: skip


@pytest.mark.attack("V18")
@pytest.mark.rfc("7519-2-1", "9068-4-9")
@pytest.mark.parametrize("exp", NO_DATES)
async def test_exp_is_a_number(api: ProtectedApi, exp: Any) -> None:
    """`exp` is required and a finite JSON number from 0 to 2^53."""
    await assert_invalid_token(api, FORGE.token(exp=exp))


@pytest.mark.attack("V19")
@pytest.mark.rfc("7519-4.1-1", "9068-4-9", "21-5.2-1")
@pytest.mark.parametrize("remembered", [False, True])
async def test_exp_at_the_edge(api: ProtectedApi, remembered: bool) -> None:
    """A token is accepted before `exp` plus leeway and refused from then on, remembered or not."""
    if remembered:
        assert (await api.ask(GOOD)).status == 200
    api.clock.now = NOW + 300 + 10 - 1
    assert (await api.ask(GOOD)).status == 200
    api.reached.clear()
    api.clock.now = NOW + 300 + 10
    await assert_invalid_token(api, GOOD)
    assert api.reason == "expired"


@pytest.mark.attack("V20")
@pytest.mark.rfc("7519-4.1-1", "9068-4-9")
@pytest.mark.parametrize(
    "claims",
    [
        {"nbf": NOW + 11},
        *({"nbf": value} for value in NO_DATES if value is not DROP),
        {"iat": NOW + 61},
        *({"iat": value} for value in NO_DATES),
        {"iat": NOW, "exp": NOW - 5},
        {"exp": NOW + 86_400 + 11},
        {"iat": NOW - 86_400, "exp": NOW + 11},
    ],
)
async def test_times_are_plausible(api: ProtectedApi, claims: dict[str, Any]) -> None:
    """A token from the future, with times out of order, or with too long a life is refused."""
    await assert_invalid_token(api, FORGE.token(**claims))


@pytest.mark.rfc("7519-4.1-1", "7519-2-1")
@pytest.mark.parametrize(
    "claims",
    [
        {"nbf": NOW + 10},
        {"nbf": 0},
        {"iat": NOW + 60},
        {"exp": NOW + 86_410},
        {"iat": NOW - 0.5, "exp": NOW + 0.5},
    ],
)
async def test_times_within_bounds(api: ProtectedApi, claims: dict[str, Any]) -> None:
    """Clocks may differ by the leeway, and fractions of a second are legal."""
    assert (await api.ask(FORGE.token(**claims))).status == 200


@pytest.mark.attack("V21")
@pytest.mark.rfc("8725-3.9-1", "9068-4-8", "9700-2.3-1")
@pytest.mark.parametrize(
    "aud",
    [
        DROP, None, "", [], 7, {}, {RESOURCE: 1}, [RESOURCE, 7], [RESOURCE, None], [[RESOURCE]],
        RESOURCE[:-1], RESOURCE + "/", RESOURCE + "/x", RESOURCE.upper(), ["https://api"], "svc-a",
        "https://other.example", [f"{RESOURCE} https://other.example"],
    ],
)  # fmt: skip
async def test_aud_must_be_us(api: ProtectedApi, aud: Any) -> None:
    """`aud` is a string or a list of strings, and one of them is exactly this API."""
    await assert_invalid_token(api, FORGE.token(aud=aud))


@pytest.mark.attack("V22")
@pytest.mark.rfc("9068-4-8")
async def test_aud_may_be_a_list(api: ProtectedApi) -> None:
    """A token may be for several resources if we are one of them."""
    assert (await api.ask(FORGE.token(aud=["https://other.example", RESOURCE]))).status == 200
    assert api.reached[0]["access_token"].audience == ("https://other.example", RESOURCE)


@pytest.mark.attack("V23")
@pytest.mark.rfc("8725-3.8-1", "9068-4-7")
@pytest.mark.parametrize(
    "iss",
    [
        DROP, None, "", 7, [ISSUER], ISSUER + "/", ISSUER.upper(), "http://as.example",
        "https://other.example",
    ],
)  # fmt: skip
async def test_iss_is_exact(api: ProtectedApi, iss: Any) -> None:
    """`iss` is our issuer, byte for byte."""
    await assert_invalid_token(api, FORGE.token(iss=iss))


@pytest.mark.attack("V23")
@pytest.mark.rfc("8725-3.8-1", "9068-4-5")
async def test_key_of_another_issuer_does_not_count(api: ProtectedApi) -> None:
    """A token in our issuer's name, signed by an issuer that others trust, is refused."""
    await assert_invalid_token(api, OTHER_KEY.token())
    await assert_invalid_token(api, OTHER_KEY.token(header={"kid": FORGE.jwk.kid}))


@pytest.mark.attack("V24")
@pytest.mark.rfc("9068-4-10")
@pytest.mark.parametrize("name", ["sub", "client_id", "jti"])
@pytest.mark.parametrize("value", [DROP, None, "", 7, True, ["svc-a"], {}, "x" * 256])
async def test_identity_is_required(api: ProtectedApi, name: str, value: Any) -> None:
    """`sub`, `client_id` and `jti` are strings of 1 to 255 characters."""
    await assert_invalid_token(api, FORGE.token(**{name: value}))


@pytest.mark.attack("V25")
@pytest.mark.rfc("8725-3.12-1", "9068-4-3")
@pytest.mark.parametrize(
    "typ",
    [
        DROP, None, "", "JWT", "jwt", "client-authentication+jwt", "dpop+jwt", "statuslist+jwt",
        "logout+jwt", "secevent+jwt", "token-introspection+jwt", "application/jwt", "JOSE",
    ],
)  # fmt: skip
async def test_other_tokens_of_our_issuer_are_refused(api: ProtectedApi, typ: Any) -> None:
    """A JWT that is not marked as an access token is none, though our issuer signed it."""
    await assert_invalid_token(api, FORGE.token(header={"typ": typ}))
    assert api.reason == "wrong_type"


@pytest.mark.attack("V25")
@pytest.mark.rfc("8725-3.12-1")
async def test_id_token_is_refused(api: ProtectedApi) -> None:
    """An ID token, to our very audience, is not an access token."""
    token = FORGE.token(header={"typ": DROP}, nonce="n", client_id=DROP, scope=DROP, azp="svc-a")
    await assert_invalid_token(api, token)


@pytest.mark.attack("V26")
@pytest.mark.rfc("8725-3.11-1", "9068-4-3", "9068-2.1-1")
@pytest.mark.parametrize("typ", ["AT+JWT", "At+Jwt", "application/at+jwt", "APPLICATION/AT+JWT"])
async def test_typ_is_a_media_type(api: ProtectedApi, typ: str) -> None:
    """`typ` is compared as a media type: without case, `application/` understood."""
    assert (await api.ask(FORGE.token(header={"typ": typ}))).status == 200


@pytest.mark.attack("V26")
@pytest.mark.rfc("9068-4-3")
@pytest.mark.parametrize(
    "typ", ["at+jwt;x=1", "at+jwt; x", ["at+jwt"], "at+jwt ", "text/at+jwt", {}, 1]
)
async def test_typ_is_exact_otherwise(api: ProtectedApi, typ: Any) -> None:
    """Parameters, lists and other media types are refused."""
    await assert_invalid_token(api, FORGE.token(header={"typ": typ}))


@pytest.mark.attack("V27", "V29")
async def test_an_empty_scope_is_no_scope(api: ProtectedApi) -> None:
    """It grants nothing, as if the claim were not there."""
    token = FORGE.token(scope="")
    assert (await api.ask(token)).status == 200
    assert api.reached[-1]["access_token"].scopes == frozenset()


@pytest.mark.attack("V27")
@pytest.mark.parametrize(
    "scope",
    [
        ["read"], 7, {}, None, True, " ", "read  write", " read", "read ", "read\twrite",
        "read\n", 'a"b', "a\\b", "lésen", "read\x7f",
    ],
)  # fmt: skip
async def test_scope_follows_the_grammar(api: ProtectedApi, scope: Any) -> None:
    """`scope` is one string of RFC 6749 §3.3; nothing is repaired."""
    await assert_invalid_token(api, FORGE.token(scope=scope))


@pytest.mark.attack("V28")
async def test_scope_may_repeat(api: ProtectedApi) -> None:
    """The same scope twice is the same set."""
    assert (await api.ask(FORGE.token(scope="read write read"))).status == 200
    assert api.reached[0]["access_token"].scopes == {"read", "write"}


@pytest.mark.attack("V29")
@pytest.mark.parametrize("scope", ["readwrite", "read:all", "READ", "read,write", "reader", DROP])
async def test_scopes_are_compared_whole(scope: Any) -> None:
    """A scope that only resembles the one needed does not count."""
    reached: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        reached.append(scope)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    guarded = ProtectedApi(FORGE, app=require("read").app(app))
    answer = await guarded.ask(FORGE.token(scope=scope))
    assert answer.status == 403
    assert 'error="insufficient_scope"' in (answer.challenge or "")
    assert 'scope="read"' in (answer.challenge or "")
    assert (await guarded.ask(FORGE.token(scope="write read"))).status == 200
    assert len(reached) == 1
