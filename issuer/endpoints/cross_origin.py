"""Let pages of other origins read an endpoint's answers (Fetch standard §3.3, known as CORS).

Credentials that a browser adds by itself are never allowed: a page reads what is public, or
what its own code authenticates for.
"""

from collections.abc import Collection

from issuer.endpoints.asgi import Endpoint, Headers, Message, Receive, Scope, Send, respond

ANY_ORIGIN = "*"

_PREFLIGHT_SECONDS = 7200  # Chromium remembers no preflight for longer
# Fetch §3.3.6: beyond the few that a page may read anyway.
_EXPOSED = (
    b"access-control-expose-headers",
    b"DPoP-Nonce, ETag, Retry-After, WWW-Authenticate, X-Request-Id",
)


class CrossOrigin:
    """An endpoint that pages of some other origins may call.

    Args:
        endpoint: answers; its errors can be read as well.
        origins: which origins, as browsers write them; `ANY_ORIGIN` for all.
        methods: what a page may send, as in `Access-Control-Allow-Methods`.
        request_headers: the headers that it may set, likewise.
    """

    def __init__(
        self, endpoint: Endpoint, *, origins: Collection[str], methods: str, request_headers: str
    ) -> None:
        self._endpoint = endpoint
        self._origins = frozenset(origin.encode("ascii") for origin in origins)
        self._for_all = ANY_ORIGIN in origins
        self._preflight = (
            (b"access-control-allow-methods", methods.encode("ascii")),
            (b"access-control-allow-headers", request_headers.encode("ascii")),
            (b"access-control-max-age", b"%d" % _PREFLIGHT_SECONDS),
            (b"cache-control", b"no-store"),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a preflight, or let the endpoint answer and add who may read it."""
        allowed, headers = self._judge(scope)
        if allowed and _is_preflight(scope):
            await respond(send, 200, (*headers, *self._preflight), b"")
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *headers]
            await send(message)

        await self._endpoint(scope, receive, send_with_headers)

    def _judge(self, scope: Scope) -> tuple[bool, Headers]:
        """Tell whether the page's origin is allowed, and in what headers the answer says so."""
        if self._for_all:
            return True, ((b"access-control-allow-origin", b"*"), _EXPOSED)
        # Fetch §3.3.7: without it a cache would give one origin what another was answered.
        varies = (b"vary", b"Origin")
        sent = [value for name, value in scope["headers"] if name == b"origin"]
        if len(sent) != 1 or sent[0] not in self._origins:
            return False, (varies,)
        return True, ((b"access-control-allow-origin", sent[0]), _EXPOSED, varies)


def readable_everywhere(endpoint: Endpoint) -> CrossOrigin:
    """Let any page read what is public."""
    return CrossOrigin(endpoint, origins=(ANY_ORIGIN,), methods="GET, HEAD", request_headers="*")


def posted_from(origins: Collection[str], endpoint: Endpoint) -> Endpoint:
    """Let pages of these origins post forms with the credentials of a client."""
    if not origins:
        return endpoint
    # The last is a header that Swagger UI adds to its token requests.
    headers = "Authorization, Content-Type, DPoP, X-Requested-With"
    return CrossOrigin(endpoint, origins=origins, methods="POST", request_headers=headers)


def _is_preflight(scope: Scope) -> bool:
    """Tell whether a browser asks first what a page may send (Fetch §3.3.2)."""
    names = {name for name, _ in scope["headers"]}
    return scope["method"] == "OPTIONS" and names >= {b"origin", b"access-control-request-method"}
