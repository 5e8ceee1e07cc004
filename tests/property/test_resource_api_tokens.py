"""Any bytes: an access token or a refusal of ours; our claim checks against those of PyJWT."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import jwt
from hypothesis import example, given
from hypothesis import strategies as st

from keys.encoding import decode_base64url, encode_base64url, parse_json_object
from keys.errors import InvalidJws
from keys.jws import parse_compact
from resource_api import AccessToken, InvalidToken, ResourceError, ResourcePolicy, explain, verify
from resource_api.bearer import check_token68, find_bearer
from resource_api.explanation import Outcome
from resource_api.status_list import StatusList
from tests.support.protected_api import ProtectedApi
from watchword.testing.forge import DROP, ISSUER, NOW, RESOURCE, TokenForge, dump, segment
from watchword.testing.status_lists import pack, status

FORGE = TokenForge()
GOOD = FORGE.token()
POLICY = ResourcePolicy(issuer=ISSUER, resource=RESOURCE)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
dates = st.one_of(
    st.integers(NOW - 400, NOW + 400), st.sampled_from([DROP, True, "1", -1, 2.5**80, NOW + 0.5])
)


def judge(token: bytes) -> AccessToken | InvalidToken:
    """Verify; anything but a token or a refusal of ours fails the test by itself.

    The explanation of the token says the same, with the same reason.
    """
    told = explain(token, FORGE.keys, POLICY, now=NOW)
    verdict: AccessToken | InvalidToken
    try:
        verdict = verify(token, FORGE.keys, POLICY, now=NOW)
    except InvalidToken as refusal:
        verdict = refusal
    assert told.accepted is isinstance(verdict, AccessToken)
    assert told.reason == (None if isinstance(verdict, AccessToken) else verdict.reason)
    return verdict


@given(st.binary(max_size=200))
@example(b"..")
@example(b"e30.e30.")
def test_any_bytes_are_refused(token: bytes) -> None:
    """No bytes but a signed token are one."""
    assert isinstance(judge(token), InvalidToken)


@given(st.binary(max_size=60), st.binary(max_size=60), st.binary(max_size=60))
def test_any_segments_are_refused(header: bytes, payload: bytes, signature: bytes) -> None:
    """Well-encoded nonsense is refused like any other."""
    token = b".".join(map(segment, (header, payload, signature)))
    assert isinstance(judge(token), InvalidToken)
    try:
        parse_compact(token)
    except InvalidJws:
        return
    assert parse_json_object(header)["alg"]


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_any_changed_byte_is_noticed(at: int, change: int) -> None:
    """A token with one byte changed is refused, or it is the same token."""
    spoilt = bytearray(GOOD)
    spoilt[at] ^= change
    assert isinstance(judge(bytes(spoilt)), InvalidToken)


@given(st.dictionaries(st.sampled_from([*FORGE.good_header, "x", "crit", "jwk"]), json_values))
def test_any_signed_header_yields_a_verdict(header: dict[str, Any]) -> None:
    """Whatever a holder of the key signs: only a header that means the good one is accepted."""
    verdict = judge(FORGE.raw(dump(header), dump(FORGE.good_claims)))
    if isinstance(verdict, AccessToken):
        assert {name: header[name] for name in ("alg", "kid")} == {
            name: FORGE.good_header[name] for name in ("alg", "kid")
        }
        assert not {"crit", "jwk"} & header.keys()


@given(st.dictionaries(st.sampled_from([*FORGE.good_claims, "nbf", "cnf", "status"]), json_values))
def test_any_signed_claims_yield_a_verdict(claims: dict[str, Any]) -> None:
    """A token with odd claims is refused, or odd only where nothing is checked."""
    verdict = judge(FORGE.token(**claims))
    if isinstance(verdict, AccessToken):
        assert (verdict.issuer, verdict.subject) == (ISSUER, verdict.claims["sub"])


@given(st.lists(st.tuples(st.sampled_from([b"authorization", b"x"]), st.binary(max_size=40))))
def test_any_header_lines_yield_one_token_or_a_refusal(lines: list[tuple[bytes, bytes]]) -> None:
    """What comes out of the header is one token68 from its only line."""
    try:
        token = check_token68(find_bearer(lines))
    except ResourceError:
        return
    [line] = [value for name, value in lines if name == b"authorization"]
    assert token
    assert token in line
    assert token.isascii()
    assert not set(token) & set(b' ,\t"')


@given(st.binary())
def test_base64url_has_one_spelling(data: bytes) -> None:
    """Encoding and decoding are inverse, and decoding accepts what encoding writes only."""
    text = encode_base64url(data)
    assert decode_base64url(text) == data


@given(st.text("ABCDwxyz0189-_+/= \n", max_size=12))
def test_base64url_accepts_the_canonical_spelling_alone(text: str) -> None:
    """Whatever is accepted is exactly what would be written."""
    try:
        data = decode_base64url(text)
    except ValueError:
        return
    assert encode_base64url(data) == text


@given(st.dictionaries(st.text(), json_values, max_size=5))
def test_strict_json_reads_like_json_or_not_at_all(value: dict[str, Any]) -> None:
    """Strictness refuses documents; it never changes one."""
    raw = dump(value)
    try:
        parsed = parse_json_object(raw)
    except ValueError:
        return
    assert dump(parsed) == raw


@given(dates, dates, dates, st.sampled_from([RESOURCE, [RESOURCE], ["x"], "x", DROP, []]))
def test_our_claim_checks_agree_with_pyjwt(exp: Any, nbf: Any, iat: Any, aud: Any) -> None:
    """What we accept PyJWT accepts; what it refuses, by the rules it has, we refuse too."""
    # PyJWT reads the system's clock, so the token is moved there instead of the clock.
    import time

    shift = int(time.time()) - NOW
    moved = {
        name: value + shift if type(value) in (int, float) and 0 < value < 2**53 else value
        for name, value in {"exp": exp, "nbf": nbf, "iat": iat}.items()
    }
    token = FORGE.token(**moved, aud=aud)
    try:
        ours = verify(token, FORGE.keys, POLICY, now=NOW + shift)
    except InvalidToken:
        return
    theirs = jwt.decode(
        token,
        FORGE.jwk.key,
        algorithms=["RS256"],
        audience=RESOURCE,
        issuer=ISSUER,
        # Ours allow 60 s for `iat` where PyJWT has one leeway for all; a few seconds for the test.
        leeway=65,
        options={"require": ["exp", "iat", "sub", "jti"]},
    )
    assert theirs == dict(ours.claims)


@given(st.lists(st.sampled_from([0, 1, 5, 29, 31, 240, 400, 4000]), max_size=8), st.data())
def test_cached_verdicts_are_fresh_verdicts(steps: list[int], data: st.DataObject) -> None:
    """Over any course of time, outages and rotations, a cache changes no verdict."""

    async def story() -> None:
        cached, fresh = ProtectedApi(FORGE), ProtectedApi(FORGE, cache_size=0)
        for step in steps:
            down = data.draw(st.booleans())
            for api in (cached, fresh):
                api.issuer.fails = ConnectionError() if down else None
                api.clock.advance(step)
                api.monotonic.advance(step)
                await asyncio.sleep(0)
            for _ in range(2):
                assert (await cached.ask(GOOD)).status == (await fresh.ask(GOOD)).status
                for _ in range(3):
                    await asyncio.sleep(0)

    asyncio.run(story())


LIST = f"{ISSUER}/status-lists/1"
STATUSES = StatusList(pack((0, 1, 2, 3), 2), 2, issued_at=NOW, expires_at=NOW + 60, ttl=8)
mutations: Mapping[str, Sequence[Any]] = {
    "iss": [DROP, "https://x.example"],
    "aud": [DROP, [RESOURCE], [RESOURCE, 7], "x"],
    "exp": [DROP, NOW - 11, NOW - 10, NOW - 9, NOW + 90_000, "x"],
    "iat": [DROP, NOW + 60, NOW + 61, True],
    "nbf": [NOW + 10, NOW + 11, None],
    "sub": [DROP, "", "x" * 256],
    "cnf": [{}],
    "scope": [DROP, "", "a  b", []],
    "authorization_details": [[], {}, [{"type": "x"}], [{}]],
    "status": [*(status(LIST, idx) for idx in (0, 1, 2, 3, 4, -1, True)), status(ISSUER), {}],
}
headers: Mapping[str, Sequence[Any]] = {
    "typ": [DROP, "JWT", "application/AT+JWT"],
    "alg": ["none", "ES256", 1, DROP],
    "kid": [DROP, "", "other", 7, "x" * 256],
    "jwk": [{}],
    "crit": [[]],
}


@given(
    st.fixed_dictionaries({}, optional={k: st.sampled_from(v) for k, v in mutations.items()}),
    st.fixed_dictionaries({}, optional={k: st.sampled_from(v) for k, v in headers.items()}),
    st.sampled_from([0, 0, 0, 9000]),
    st.sampled_from([None, (-9, b"A"), (-20, b"."), (40, b"!"), (200, b"A")]),
    st.sampled_from([{}, {LIST: STATUSES}]),
)
def test_an_explanation_has_the_reason_of_validation(
    claims: dict[str, Any],
    header: dict[str, Any],
    padding: int,
    change: tuple[int, bytes] | None,
    lists: dict[str, StatusList],
) -> None:
    """Any number of mistakes at once: the first that is told is the one that validation raises."""
    spoilt = bytearray(FORGE.token(header=header, x="x" * padding, **claims))
    if change is not None:
        spoilt[change[0] : change[0] + 1] = change[1]
    token = bytes(spoilt)
    told = explain(token, FORGE.keys, POLICY, now=NOW, status_lists=lists)
    reason = None
    try:
        verify(token, FORGE.keys, POLICY, now=NOW, status_lists=lists)
    except InvalidToken as refusal:
        reason = refusal.reason
    assert told.reason == reason
    assert told.accepted is (reason is None)
    first = next((each for each in told.findings if each.outcome is not Outcome.PASSED), None)
    assert reason == (first and first.reason)
