"""`/authorize`, for clients that take no issuer without an authorization endpoint.

No user signs in here, so every request is refused, and never by a redirect: no client has
registered a redirection URI, so any that a request names is foreign (RFC 6749 §4.1.2.1).
"""

from issuer.endpoints.asgi import JSON, UNSTORED, Receive, Scope, Send, respond

_METHODS = ("GET", "HEAD", "POST")  # RFC 6749 §3.1: MUST take GET, MAY take POST
_BODY = (
    b'{"error":"unsupported_response_type","error_description":"this issuer has no users:'
    b' get a token at the token endpoint, with grant_type=client_credentials"}'
)


async def refuse_authorization(scope: Scope, receive: Receive, send: Send) -> None:
    """Refuse an authorization request, whatever it asks for."""
    if scope["method"] not in _METHODS:
        await respond(send, 405, ((b"allow", ", ".join(_METHODS).encode()), *UNSTORED), b"")
        return
    body = b"" if scope["method"] == "HEAD" else _BODY
    await respond(send, 400, ((b"content-type", JSON), *UNSTORED), body)
