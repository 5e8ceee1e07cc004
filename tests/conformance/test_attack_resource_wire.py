"""The attack table of a protected API: headers, bindings, bad days of the issuer and routes."""

from typing import Any

import pytest

from keys.remote.jwks_client import JwksClient
from tests.support.attack import (
    ATTACKER,
    FORGE,
    GOOD,
    assert_invalid_request,
    assert_invalid_token,
    assert_no_credentials,
)
from tests.support.protected_api import ProtectedApi, ask, bearer
from watchword.testing.forge import dump


@pytest.fixture
def api() -> ProtectedApi:
    """Put a fresh middleware before a fresh application."""
    return ProtectedApi(FORGE)


@pytest.mark.attack("V30")
@pytest.mark.rfc("6750-3.1-1")
@pytest.mark.parametrize(
    "lines",
    [
        [],
        [b""],
        [b" "],
        [b"Basic c3ZjLWE6c2VjcmV0"],
        [b"Negotiate YII"],
        [b"Bearer=x"],
        [b"Bearerx"],
        [b"DPoPx " + GOOD],
        [GOOD],
    ],
)
async def test_no_credentials_name_no_error(api: ProtectedApi, lines: list[bytes]) -> None:
    """Without credentials of our scheme, the challenge only says what is wanted."""
    headers = [(b"authorization", line) for line in lines]
    assert_no_credentials(await ask(api.app, "GET", "/read", *headers))


@pytest.mark.attack("V31")
@pytest.mark.rfc("21-5.1.1-1", "6750-2.1-1")
@pytest.mark.parametrize(
    "line",
    [
        b"bearer " + GOOD,
        b"BEARER " + GOOD,
        b"bEaReR " + GOOD,
        b"Bearer    " + GOOD,
        b"Bearer " + GOOD + b" ",
        b"Bearer " + GOOD + b" \t ",
    ],
)
async def test_scheme_is_read_leniently(api: ProtectedApi, line: bytes) -> None:
    """The scheme has no case, and blanks around the token do not count."""
    assert (await ask(api.app, "GET", "/read", (b"authorization", line))).status == 200


@pytest.mark.attack("V32")
@pytest.mark.rfc("6750-2.1-1")
@pytest.mark.parametrize(
    "line",
    [
        b"Bearer",
        b"Bearer ",
        b"bearer\t",
        b"Bearer " + GOOD + b" " + GOOD,
        b"Bearer a b",
        b"Bearer\t" + GOOD,
        b"Bearer \t" + GOOD,
        b'Bearer "' + GOOD + b'"',
        b"Bearer " + GOOD + b", Bearer " + GOOD,
        b"Bearer " + GOOD + b",",
        b"Bearer \xc3\xa9",
        b"Bearer \xff",
        b"Bearer a=b",
        b"Bearer =",
        b"Bearer " + GOOD + b"\x00",
    ],
)
async def test_malformed_header_is_a_bad_request(api: ProtectedApi, line: bytes) -> None:
    """After `Bearer` comes exactly one token68."""
    assert_invalid_request(await ask(api.app, "GET", "/read", (b"authorization", line)))
    assert api.reached == []


@pytest.mark.attack("V33")
@pytest.mark.rfc("6750-2-1")
@pytest.mark.parametrize(
    "lines",
    [
        [b"Bearer " + GOOD, b"Bearer " + GOOD],
        [b"Bearer " + GOOD, b"DPoP " + GOOD],
        [b"Basic x", b"Bearer " + GOOD],
        [b"", b"Bearer " + GOOD],
        [b"DPoP " + GOOD + b", Bearer " + GOOD],
        [b"Basic x,bearer " + GOOD],
    ],
)
async def test_several_credentials_are_a_bad_request(api: ProtectedApi, lines: list[bytes]) -> None:
    """Two Authorization lines, or two schemes in one, are several methods at once."""
    headers = [(b"authorization", line) for line in lines]
    assert_invalid_request(await ask(api.app, "GET", "/read", *headers))
    assert (api.reason, api.reached) == ("several_credentials", [])


@pytest.mark.attack("V34")
@pytest.mark.rfc("6750-2.2-1", "6750-2.3-1", "21-5.1-1", "9700-4.10-1")
async def test_token_elsewhere_does_not_count(api: ProtectedApi) -> None:
    """A token in query, body or cookie is not looked at, and not logged."""
    form = (b"content-type", b"application/x-www-form-urlencoded")
    answers = [
        await ask(api.app, "GET", "/read", query=b"access_token=" + GOOD),
        await ask(api.app, "POST", "/read", form, body=b"access_token=" + GOOD),
        await ask(api.app, "GET", "/read", (b"cookie", b"access_token=" + GOOD)),
    ]
    for answer in answers:
        assert_no_credentials(answer)
    assert GOOD.decode() not in repr(api.events)


@pytest.mark.attack("V35")
@pytest.mark.rfc("21-5.1-1")
async def test_header_decides(api: ProtectedApi) -> None:
    """A token in the query neither helps nor harms one in the header."""
    bad = b"access_token=x.y.z"
    good = b"access_token=" + GOOD
    assert (await ask(api.app, "GET", "/read", bearer(GOOD), query=bad)).status == 200
    assert (await ask(api.app, "GET", "/read", bearer(b"x.y.z"), query=good)).status == 401


@pytest.mark.parametrize("status", [{"status_list": {"idx": 1, "uri": "https://x"}}, {}, None])
async def test_token_with_a_foreign_status_is_refused(api: ProtectedApi, status: Any) -> None:
    """A status claim that names no list of the issuer is refused, and nothing is fetched."""
    await assert_invalid_token(api, FORGE.token(status=status))
    assert api.reason == "invalid_status"


@pytest.mark.attack("V38")
async def test_forwarded_headers_prove_nothing(api: ProtectedApi) -> None:
    """Headers that a proxy might set let nobody in and change no address of ours."""
    forged = [
        (b"client-cert", b":MIIB:"),
        (b"x-forwarded-for", b"127.0.0.1"),
        (b"x-forwarded-host", b"evil.example"),
        (b"x-forwarded-proto", b"http"),
        (b"host", b"evil.example"),
        (b"x-forwarded-access-token", GOOD),
    ]
    answer = await ask(api.app, "GET", "/read", *forged)
    assert_no_credentials(answer)
    assert "evil" not in repr(answer)


@pytest.mark.attack("V41")
@pytest.mark.rfc("roll-5")
@pytest.mark.parametrize(
    "bad_day",
    [
        {"status": 500},
        {"status": 404},
        {"status": 302, "headers": {"location": "https://evil.example/jwks"}},
        {"status": 304},
        {"headers": {"content-type": "text/html"}, "body": b"<html>"},
        {"headers": {"content-type": "text/html"}},
        {"body": b"<html>"},
        {"body": b""},
        {"body": b"{}"},
        {"body": b'{"keys":[]}'},
        {"body": b'{"keys":{}}'},
        {"body": b'{"keys":[{"kty":"oct"}]}'},
        {"body": b" " * 10_000_000},
        {"body": dump({"keys": [ATTACKER] * 51})},
        {"fails": TimeoutError()},
        {"fails": ConnectionError()},
        {"fails": RuntimeError("x")},
    ],
)
async def test_bad_day_of_the_issuer(bad_day: dict[str, Any]) -> None:
    """The last good set serves on; without one the answer is 503 and never a guess."""
    warm, cold = ProtectedApi(FORGE), ProtectedApi(FORGE)
    assert await warm.jwks.warm()
    for api in (warm, cold):
        for name, value in bad_day.items():
            if not (api is warm and bad_day == {"status": 304}):
                setattr(api.issuer, name, value)
    warm.monotonic.advance(299)
    assert (await warm.ask(GOOD)).status == 200
    assert (await warm.ask(FORGE.token(header={"kid": "unknown"}))).status == 401
    answer = await cold.ask(GOOD)
    assert (answer.status, answer.header("retry-after")) == (503, "1")
    assert answer.json["error"] == "temporarily_unavailable"
    assert answer.challenge is None
    assert cold.reached == []


@pytest.mark.attack("V41")
@pytest.mark.rfc("roll-5")
async def test_slow_issuer_is_given_up() -> None:
    """A fetch that takes too long is a failed one."""
    import asyncio

    async def never(etag: str | None) -> Any:
        await asyncio.Event().wait()

    api = ProtectedApi(FORGE)
    jwks = JwksClient(never, clock=api.monotonic, timeout=0.01)
    assert not await jwks.warm()
    assert not jwks.ready


@pytest.mark.attack("V42")
@pytest.mark.parametrize(
    ("method", "path", "raw_path"),
    [
        ("GET", "//public", None),
        ("GET", "/public/", None),
        ("GET", "/Public", None),
        ("GET", "/public/../read", None),
        ("GET", "/./public", None),
        ("GET", "/public", b"/%70ublic"),
        ("GET", "/public", b"/public%00"),
        ("GET", "/read/../public", b"/read/%2e%2e/public"),
        ("GET", "/public/x", b"/public%2Fx"),
        ("GET", "/public;x", None),
        ("GET", "", b""),
        ("GET", "/", None),
        ("OPTIONS", "/public", None),
        ("TRACE", "/public", None),
        ("POST", "/public", None),
        ("get", "/public", None),
        ("POST", "/.well-known/oauth-protected-resource", None),
        ("GET", "/.well-known/oauth-protected-resource/x", None),
    ],
)
async def test_denied_by_default(
    api: ProtectedApi, method: str, path: str, raw_path: bytes | None
) -> None:
    """What is not on the list, method and path as sent, needs a token."""
    override = (b"x-http-method-override", b"GET")
    assert_no_credentials(await ask(api.app, method, path, override, raw_path=raw_path))
    assert api.reached == []


@pytest.mark.attack("V42")
async def test_open_route_is_open(api: ProtectedApi) -> None:
    """What is on the list needs none, and a bad token does not close it."""
    assert (await ask(api.app, "GET", "/public")).status == 200
    assert (await ask(api.app, "GET", "/public", bearer(b"x"))).status == 200
    assert (await ask(api.app, "HEAD", "/public")).status == 200


@pytest.mark.attack("V42")
async def test_websocket_needs_a_token(api: ProtectedApi) -> None:
    """A WebSocket is refused before it opens, with a challenge where the server can send one."""
    assert (await ask(api.app, "GET", "/public", kind="websocket")).status == 1008
    able = {"websocket.http.response": {}}
    refused = await ask(api.app, "GET", "/ws", kind="websocket", extensions=able)
    assert_no_credentials(refused)
    assert api.reached == []
    assert (await ask(api.app, "GET", "/ws", bearer(GOOD), kind="websocket")).status == 101


@pytest.mark.attack("V43")
async def test_expiry_is_judged_at_the_start() -> None:
    """A response that streams on beyond `exp` is not cut; the next request is refused."""
    api = ProtectedApi(FORGE)

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"be", "more_body": True})
        api.clock.advance(10_000)
        await send({"type": "http.response.body", "body": b"fore"})

    api.app.app = slow
    assert (await api.ask(GOOD)).body == b"before"
    assert (await api.ask(GOOD)).status == 401


@pytest.mark.attack("V44")
async def test_bearer_token_may_be_replayed(api: ProtectedApi) -> None:
    """A Bearer token is accepted from whoever holds it, as often as it is sent."""
    for peer in (b"10.0.0.1", b"10.0.0.2"):
        forwarded = (b"x-forwarded-for", peer)
        assert (await ask(api.app, "GET", "/read", bearer(GOOD), forwarded)).status == 200
