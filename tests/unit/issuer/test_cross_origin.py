"""Unit tests of `issuer.endpoints.cross_origin`: which pages may read an answer."""

import pytest

from issuer.endpoints.asgi import respond
from issuer.endpoints.cross_origin import posted_from, readable_everywhere
from issuer.endpoints.document import Document, DocumentEndpoint
from tests.support.issuer import Answer, call

APP = (b"origin", b"https://app.example")
OTHER = (b"origin", b"https://other.example")
ASKS_FIRST = (b"access-control-request-method", b"POST")


async def refuse(scope, receive, send):
    """Answer as the token endpoint does to wrong credentials."""
    await respond(send, 401, ((b"www-authenticate", b'Basic realm="token"'),), b"{}")


TOKENS = posted_from(("https://app.example", "http://localhost:3000"), refuse)
KEYS = readable_everywhere(DocumentEndpoint(lambda: Document(b"{}", 300)))


def grants(answer: Answer) -> dict[str, str]:
    """Return what an answer says of other origins."""
    return {
        name.decode().removeprefix("access-control-"): value.decode()
        for name, value in answer.headers
        if name.startswith(b"access-control-")
    }


async def test_a_document_can_be_read_by_any_page():
    """Its ETag too; and whether there was an Origin, so that a cache may keep it for all."""
    for headers in ([], [APP], [(b"origin", b"null")]):
        answer = await call(KEYS, "GET", "/jwks", headers)
        assert grants(answer) == {
            "allow-origin": "*",
            "expose-headers": "DPoP-Nonce, ETag, Retry-After, WWW-Authenticate, X-Request-Id",
        }
        assert answer.header("vary") is None


async def test_a_copy_that_is_confirmed_can_be_read_as_well():
    """Fetch §4.6: the check is of the 304."""
    etag = (await call(KEYS, "GET", "/jwks")).header("etag").encode()
    answer = await call(KEYS, "GET", "/jwks", [APP, (b"if-none-match", etag)])
    assert (answer.status, grants(answer)["allow-origin"]) == (304, "*")


async def test_a_page_may_send_any_header_for_a_document():
    """Such as `If-None-Match`, and `MCP-Protocol-Version`, which clients of MCP send."""
    answer = await call(KEYS, "OPTIONS", "/jwks", [APP, ASKS_FIRST])
    assert (answer.status, answer.body) == (200, b"")
    assert grants(answer)["allow-methods"] == "GET, HEAD"
    assert grants(answer)["allow-headers"] == "*"


async def test_options_that_no_browser_sends_are_refused_as_ever():
    """RFC 9110 §9.3.7: it is no preflight without both headers."""
    for headers in ([], [APP], [ASKS_FIRST]):
        assert (await call(KEYS, "OPTIONS", "/jwks", headers)).status == 405


async def test_a_page_of_an_allowed_origin_may_read_a_refusal():
    """With its challenge; the answer names the one origin, for caches too."""
    answer = await call(TOKENS, "POST", "/token", [APP])
    assert (answer.status, answer.header("vary")) == (401, "Origin")
    assert answer.header("www-authenticate") == 'Basic realm="token"'
    assert grants(answer)["allow-origin"] == "https://app.example"


async def test_a_preflight_names_what_a_token_request_needs():
    """Never `Access-Control-Allow-Credentials`."""
    answer = await call(TOKENS, "OPTIONS", "/token", [APP, ASKS_FIRST])
    assert answer.status == 200
    assert answer.header("cache-control") == "no-store"
    assert grants(answer) == {
        "allow-origin": "https://app.example",
        "allow-methods": "POST",
        "allow-headers": "Authorization, Content-Type, DPoP, X-Requested-With",
        "max-age": "7200",
        "expose-headers": "DPoP-Nonce, ETag, Retry-After, WWW-Authenticate, X-Request-Id",
    }


@pytest.mark.parametrize(
    "origins",
    [
        [OTHER],
        [(b"origin", b"null")],
        [(b"origin", b"https://app.example:8443")],
        [(b"origin", b"https://app.example.evil.example")],
        [(b"origin", b"http://app.example")],
        [(b"origin", b"*")],
        [APP, OTHER],
        [],
    ],
)
async def test_another_origin_is_told_nothing(origins):
    """Neither in the answer nor in the preflight, which is answered as any other OPTIONS."""
    for method, headers in (("POST", origins), ("OPTIONS", [*origins, ASKS_FIRST])):
        answer = await call(TOKENS, method, "/token", headers)
        assert answer.status == 401
        assert grants(answer) == {}
        assert answer.header("vary") == "Origin"
