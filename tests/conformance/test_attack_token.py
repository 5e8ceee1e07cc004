"""The attack table of the token endpoint, row by row."""

import statistics
import time

import pytest

from tests.support.issuer import (
    FORM,
    SECRET,
    Answer,
    Clients,
    TestIssuer,
    basic,
    make_client,
    make_secret,
)

FORM_HEADER = (b"content-type", FORM.encode())
GOOD = (b"authorization", basic("svc-a", SECRET))
GRANT = b"grant_type=client_credentials"


def refused(answer: Answer, status: int, code: str) -> None:
    """Check the whole shape of a refusal: status, code, no-store, JSON, nothing echoed."""
    assert (answer.status, answer.json["error"]) == (status, code)
    assert answer.header("cache-control") == "no-store"
    assert answer.header("content-type") == "application/json"
    assert set(answer.json) <= {"error", "error_description"}
    if status == 401:
        assert answer.header("www-authenticate") == 'Basic realm="token", charset="UTF-8"'


@pytest.mark.attack("T1")
@pytest.mark.rfc("6749-3.2-1")
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
async def test_other_methods_are_405_with_allow(method: str) -> None:
    """Only POST reaches the token endpoint."""
    answer = await TestIssuer().ask(method=method)
    refused(answer, 405, "invalid_request")
    assert answer.header("allow") == "POST"


@pytest.mark.attack("T2")
@pytest.mark.rfc("6749-3.2-5")
@pytest.mark.parametrize(
    "headers",
    [
        [(b"content-type", b"application/json"), GOOD],
        [(b"content-type", b"multipart/form-data; boundary=x"), GOOD],
        [(b"content-type", b"application/x-www-form-urlencoded2"), GOOD],
        [(b"content-type", b""), GOOD],
        [GOOD],
        [FORM_HEADER, FORM_HEADER, GOOD],
        [FORM_HEADER, (b"content-encoding", b"gzip"), GOOD],
    ],
)
async def test_other_media_types_are_refused(headers: list[tuple[bytes, bytes]]) -> None:
    """The body is a form, uncompressed, and says so exactly once."""
    refused(await TestIssuer().send(GRANT, headers=headers), 400, "invalid_request")


@pytest.mark.rfc("6749-3.2-5")
@pytest.mark.parametrize(
    "media_type",
    [
        b"Application/X-WWW-Form-Urlencoded",
        FORM.encode() + b";charset=UTF-8",
        FORM.encode() + b" ; x=y",
    ],
)
async def test_media_type_is_case_insensitive_and_may_have_parameters(media_type: bytes) -> None:
    """RFC 9110 spellings of the media type are all accepted."""
    answer = await TestIssuer().send(GRANT, headers=[(b"content-type", media_type), GOOD])
    assert answer.status == 200


@pytest.mark.attack("T3")
@pytest.mark.rfc("6749-3.2-5")
@pytest.mark.parametrize(
    ("body", "status"),
    [
        (GRANT + b"&x=" + b"a" * 65_536, 413),
        (b"&".join(b"a%d=1" % n for n in range(100_000)), 413),
        (b"&".join(b"a=1" for _ in range(10_000)), 400),
        (GRANT + b"&scope=\xff", 400),
        (GRANT + b"&scope=%ff", 400),
        (GRANT + b"&scope=%zz", 400),
        (GRANT + b"&scope=%a", 400),
        (GRANT + b"&scope=a%", 400),
        (GRANT + b"&scope=a%00", 400),
        (GRANT + b"&scope=a\x00", 400),
        (GRANT + b"&%zz=1", 400),
        (GRANT + b"&scope=%ed%a0%80", 400),
    ],
)
async def test_hostile_bodies_are_refused(body: bytes, status: int) -> None:
    """Too long, too many fields, bad UTF-8, bad escapes and NUL are all the client's fault."""
    refused(await TestIssuer().send(body, headers=[FORM_HEADER, GOOD]), status, "invalid_request")


@pytest.mark.attack("T4")
@pytest.mark.rfc("6749-3.2-4", "21-3.2-1")
@pytest.mark.parametrize(
    "extra",
    [
        b"&grant_type=client_credentials",
        b"&grant_type=",
        b"&scope=read&scope=read",
        b"&scope=&scope=read",
        b"&scope=read&scope=",
        b"&sc%6fpe=read&scope=read",
        b"&client_id=svc-a&client_id=svc-a",
    ],
)
async def test_repeated_parameters_are_refused(extra: bytes) -> None:
    """A known parameter appears once at the most, counted before empty ones are dropped."""
    answer = await TestIssuer().send(GRANT + extra, headers=[FORM_HEADER, GOOD])
    refused(answer, 400, "invalid_request")


@pytest.mark.attack("T5")
@pytest.mark.rfc("6749-3.2-3")
async def test_unknown_parameters_are_ignored() -> None:
    """What is not recognised is ignored, repeated or not."""
    body = GRANT + b"&foo=1&foo=2&Scope=x&audience=y&refresh_token=z"
    answer = await TestIssuer().send(body, headers=[FORM_HEADER, GOOD])
    assert answer.status == 200


@pytest.mark.attack("T6")
@pytest.mark.rfc("9700-2.4-1", "6749-4.4-1")
@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid_request"),
        (b"grant_type=", "invalid_request"),
        (b"grant_type=password&username=a&password=b", "unsupported_grant_type"),
        (b"grant_type=refresh_token&refresh_token=x", "unsupported_grant_type"),
        (b"grant_type=Client_Credentials", "unsupported_grant_type"),
        (b"grant_type=client_credentials+", "unsupported_grant_type"),
        (b"grant_type=authorization_code", "unsupported_grant_type"),
    ],
)
async def test_grant_types_are_exact(body: bytes, code: str) -> None:
    """A missing grant type is a bad request; an unknown one is unsupported."""
    refused(await TestIssuer().send(body, headers=[FORM_HEADER, GOOD]), 400, code)


@pytest.mark.attack("T7")
@pytest.mark.rfc("6749-5.2-1", "9700-2.5-1")
@pytest.mark.parametrize(
    ("extra", "authorization"),
    [
        (b"", None),
        (b"&client_id=svc-a", None),
        (b"&client_secret=x", None),
        (b"", b"Bearer abc"),
        (b"", b"Digest x"),
        (b"", b""),
    ],
)
async def test_no_credentials_are_401_with_the_challenge(
    extra: bytes, authorization: bytes | None
) -> None:
    """An unauthenticated client is told how to authenticate."""
    headers = [FORM_HEADER] + ([] if authorization is None else [(b"authorization", authorization)])
    refused(await TestIssuer().send(GRANT + extra, headers=headers), 401, "invalid_client")


@pytest.mark.attack("T8")
@pytest.mark.rfc("6749-2.3.1-2")
@pytest.mark.parametrize(
    "authorization",
    [
        b"Basic",
        b"Basic !!!!",
        b"Basic c3ZjLWE",
        b"Basic c3Zj\nLWE6eA==",
        b"Basic c3ZjLWE6eA== extra",
        basic("svc-a", "", encode=False),
        basic("", SECRET, encode=False),
        b"Basic c3ZjLWE=",
        b"Basic //79",
        basic("svc-a", "caf%C3%A9", encode=False),
        basic("svc-a", "%zz", encode=False),
        basic("svc-a", "a%00b", encode=False),
        basic("svc-a", "a\tb", encode=False),
    ],
)
async def test_unreadable_basic_is_401(authorization: bytes) -> None:
    """Broken base64, no colon, empty parts, bad UTF-8 and non-VSCHAR all fail authentication."""
    refused(await TestIssuer().ask(auth=authorization), 401, "invalid_client")


@pytest.mark.attack("T9")
@pytest.mark.rfc("6749-2.3.1-2")
@pytest.mark.parametrize("scheme", [b"basic ", b"BASIC ", b"Basic   "])
async def test_odd_characters_work_form_encoded(scheme: bytes) -> None:
    """The scheme ignores case; id and secret may hold anything VSCHAR once form-encoded."""
    secret = "a:b%c+d&e f=" + "x" * 32
    client = make_client("svc:%+&=id", secrets=(make_secret(secret),))
    value = scheme + basic("svc:%+&=id", secret).partition(b" ")[2]
    answer = await TestIssuer(clients=Clients(client)).ask(auth=value)
    assert answer.status == 200


@pytest.mark.attack("T9")
async def test_unencoded_and_over_encoded_basic_work_for_our_alphabet() -> None:
    """Clients that encode nothing, and those that encode even `-` and `_`, both get in."""
    plain = basic("svc-a", SECRET, encode=False)
    eager = basic("svc%2Da", SECRET.replace("_", "%5F").replace("-", "%2d"), encode=False)
    issuer = TestIssuer()
    assert [(await issuer.ask(auth=value)).status for value in (plain, eager)] == [200, 200]


@pytest.mark.attack("T10")
@pytest.mark.rfc("6749-2.3.1-4", "6749-5.2-1")
async def test_unknown_client_and_wrong_secret_are_told_alike() -> None:
    """The two answers are the same bytes, after the same look in the store."""
    issuer = TestIssuer()
    unknown = await issuer.ask(auth=basic("nobody", SECRET))
    looked = issuer.clients.fetches
    wrong = await issuer.ask(auth=basic("svc-a", "wws_" + "x" * 43))
    refused(unknown, 401, "invalid_client")
    assert (unknown.headers, unknown.body) == (wrong.headers, wrong.body)
    assert issuer.clients.fetches == 2 * looked == 2


@pytest.mark.alone
@pytest.mark.attack("T10")
@pytest.mark.rfc("6749-2.3.1-4")
async def test_unknown_client_and_wrong_secret_take_similar_time() -> None:
    """Medians of interleaved rounds differ by less than half."""
    issuer = TestIssuer()
    taken: dict[str, list[float]] = {"nobody": [], "svc-a": []}
    for _ in range(300):
        for client_id, times in taken.items():
            begun = time.perf_counter()
            await issuer.ask(auth=basic(client_id, "wws_" + "x" * 43))
            times.append(time.perf_counter() - begun)
    ratio = statistics.median(taken["nobody"]) / statistics.median(taken["svc-a"])
    assert 2 / 3 < ratio < 3 / 2


@pytest.mark.attack("T11")
@pytest.mark.rfc("6749-2.3-1", "6749-2.3.1-3")
@pytest.mark.parametrize(
    ("body", "headers", "query"),
    [
        (b"&client_id=svc-a&client_secret=" + SECRET.encode(), [GOOD], b""),
        (b"&client_assertion=x", [GOOD], b""),
        (b"&client_id=svc-a&client_secret=x&client_assertion=y", [], b""),
        (b"", [GOOD, GOOD], b""),
        (b"", [GOOD, (b"authorization", b"Bearer x")], b""),
        (b"", [GOOD], b"client_secret=x"),
        (b"", [GOOD], b"a=b&client%5Fsecret=x"),
        (b"", [GOOD], b"client_assertion=x"),
        (b"", [GOOD], b"assertion=x"),
    ],
)
async def test_several_credentials_are_refused(
    body: bytes, headers: list[tuple[bytes, bytes]], query: bytes
) -> None:
    """One mechanism a request, and never in the URL."""
    answer = await TestIssuer().send(GRANT + body, headers=[FORM_HEADER, *headers], query=query)
    refused(answer, 400, "invalid_request")


@pytest.mark.attack("T12")
@pytest.mark.rfc("6749-3.3-1")
@pytest.mark.parametrize(
    "scope",
    [
        "admin",
        "read admin",
        "*",
        "READ",
        "read,write",
        "read  write",
        " read",
        "read ",
        're"ad',
        "re\\ad",
        "read\twrite",
        "réad",
        "a" * 10_000,
        "readwrite",
    ],
)
async def test_scopes_outside_the_grant_are_refused_whole(scope: str) -> None:
    """Malformed, unknown and not-allowed scopes fail the request; nothing is granted in part."""
    refused(await TestIssuer().ask({"scope": scope}), 400, "invalid_scope")


@pytest.mark.attack("T13")
@pytest.mark.rfc("8707-2-1")
@pytest.mark.parametrize(
    "body",
    [
        b"&resource=orders",
        b"&resource=/orders",
        b"&resource=https%3A%2F%2Fapi.example%23x",
        b"&resource=https%3A%2F%2Funknown.example",
        b"&resource=https%3A%2F%2Fapi.example%2F%2F",
        b"&resource=https%3A%2F%2Fapi.example%2F&resource=https%3A%2F%2Fapi.example",
        b"&resource=https%3A%2F%2Fapi.example&resource=https%3A%2F%2Fother.example",
        b"&resource=https%3A%2F%2Fapi.example&resource=https%3A%2F%2Fapi.example",
        b"&resource=HTTPS%3A%2F%2Fapi.example",
    ],
)
async def test_resources_outside_the_grant_are_refused(body: bytes) -> None:
    """A resource is one absolute URI, granted to the client; an empty path may be a slash."""
    answer = await TestIssuer().send(GRANT + body, headers=[FORM_HEADER, GOOD])
    refused(answer, 400, "invalid_target")


@pytest.mark.attack("T19")
async def test_disabled_client_is_told_no_more_than_an_unknown_one() -> None:
    """Disabling a client ends its tokens at once, with the same words."""
    issuer = TestIssuer(clients=Clients(make_client(disabled=True)))
    answer = await issuer.ask()
    refused(answer, 401, "invalid_client")
    assert answer.body == (await issuer.ask(auth=basic("nobody", SECRET))).body
    assert issuer.events[0][1]["reason"] == "client_disabled"


@pytest.mark.attack("T19")
async def test_client_without_grants_is_unauthorized() -> None:
    """An authenticated client that has nothing to be granted is told so."""
    issuer = TestIssuer(clients=Clients(make_client(grants=())))
    refused(await issuer.ask(), 400, "unauthorized_client")


@pytest.mark.attack("T22")
@pytest.mark.rfc("6749-5.1-2", "6749-5.2-2")
@pytest.mark.parametrize(
    "form", [{}, {"scope": "read"}, {"scope": "<script>"}, {"grant_type": "canary-7f3"}]
)
async def test_every_answer_is_unstorable_json_without_echo(form: dict[str, str]) -> None:
    """No answer may be stored, and none repeats what was sent."""
    answer = await TestIssuer().ask(form)
    assert answer.header("cache-control") == "no-store"
    assert answer.header("content-type") == "application/json"
    for canary in (b"<script>", b"canary-7f3", SECRET.encode()):
        assert canary not in answer.body


@pytest.mark.attack("T22")
async def test_a_fault_of_ours_is_500_without_a_trace() -> None:
    """An unforeseen exception becomes server_error; the log has where it came from."""
    issuer = TestIssuer()
    issuer.clients.get_cached = lambda client_id: 1 / 0  # type: ignore[assignment,method-assign]
    answer = await issuer.ask()
    refused(answer, 500, "server_error")
    assert answer.json == {"error": "server_error"}
    assert isinstance(issuer.events[0][1]["exception"], ZeroDivisionError)


@pytest.mark.attack("T23")
async def test_without_a_key_or_store_it_is_503() -> None:
    """A token is never unsigned, and an unknown client is never guessed at."""
    issuer = TestIssuer()
    issuer.clients.store_is_down = True
    down = await issuer.ask(auth=basic("nobody", SECRET))
    refused(down, 503, "temporarily_unavailable")
    assert down.header("retry-after") == "1"
    issuer.keys.key = None
    refused(await issuer.ask(), 503, "temporarily_unavailable")


async def test_known_clients_get_tokens_while_the_store_is_down() -> None:
    """What the process remembers still serves."""
    issuer = TestIssuer()
    issuer.clients.store_is_down = True
    assert (await issuer.ask()).status == 200
