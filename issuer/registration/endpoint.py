"""`/register` as bare ASGI endpoints: clients register and administer themselves.

RFC 7591 §3, RFC 7592 §2. Nothing is fetched: a `jwks_uri` is only looked at.
"""

import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from issuer.endpoints.asgi import (
    ClientDisconnected,
    Receive,
    Scope,
    Send,
    error_body,
    peer_address,
    read_body,
    respond,
)
from issuer.errors import BodyTooLarge, MethodNotAllowed, OAuthError, Reason, ServerError
from issuer.events import Event, EventSink
from issuer.limits import Limits
from issuer.metadata import REGISTRATION_PATH
from issuer.registration.metadata import (
    ClientMetadata,
    RegisteredClient,
    describe_registered,
    parse_registration,
    parse_update,
    refuse_metadata,
)
from issuer.registration.request import (
    MAX_BODY,
    InvalidToken,
    NotOfAClient,
    check_media_type,
    parse_bearer,
    parse_document,
)
from issuer.registration.service import Registrar
from issuer.registry.initial_access_token import parse_token_id
from issuer.registry.schema import Json

# RFC 7591 §3.2.1: the answer holds secrets and MUST NOT be stored; ours is not on errors either.
_NO_STORE = ((b"cache-control", b"no-store"), (b"pragma", b"no-cache"))
_HEADERS = ((b"content-type", b"application/json"), *_NO_STORE)

Answer = tuple[int, Json | None]


class RegistrationEndpoint:
    """Dynamic registration: `registrations` is for `/register`, `client` for what lies below.

    Args:
        registrar: the registry as clients meet it.
        base: the issuer's URL without a final slash.
        is_public: tells whether every address of a host is public (RFC 8725 §3.10).
        request_id: gives the id of the request being served.
        limits: of attempts with wrong tokens.
        clock: seconds since the epoch.
        events: where `registration.refused` goes; the registry tells of what is done.
    """

    def __init__(
        self,
        registrar: Registrar,
        *,
        base: str,
        is_public: Callable[[str], Awaitable[bool]],
        request_id: Callable[[], str | None],
        limits: Limits,
        clock: Callable[[], int],
        events: EventSink,
    ) -> None:
        self._registrar = registrar
        self._base = base
        self._is_public = is_public
        self._request_id = request_id
        self._limits = limits
        self._clock = clock
        self._events = events

    async def registrations(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request to register a client (RFC 7591 §3)."""
        await self._answer(self._register(scope, receive), send)

    async def client(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request of a client about itself (RFC 7592 §2)."""
        await self._answer(self._of_client(scope, receive), send)

    async def _register(self, scope: Scope, receive: Receive) -> Answer:
        if scope["method"] != "POST":
            raise MethodNotAllowed(Reason.METHOD_NOT_ALLOWED, "use POST")
        initial = parse_bearer(scope["headers"])
        with self._limited(parse_token_id(initial) or "", scope):
            token = await self._registrar.admit(initial)
        metadata = parse_registration(await _read_document(scope, receive))
        await self._check_jwks_uri(metadata)
        registered = await self._registrar.register(metadata, token, request_id=self._request_id())
        return 201, self._describe(registered)

    async def _of_client(self, scope: Scope, receive: Receive) -> Answer:
        method = scope["method"]
        if method not in ("GET", "PUT", "DELETE"):
            raise NotOfAClient(Reason.METHOD_NOT_ALLOWED, "use GET, PUT or DELETE")
        access = parse_bearer(scope["headers"])
        client_id = scope["path"].rpartition(REGISTRATION_PATH + "/")[2]
        with self._limited(client_id, scope):
            if method == "DELETE":
                await self._registrar.delete(client_id, access, request_id=self._request_id())
                return 204, None
            client = await self._registrar.find(client_id, access)
        if method == "GET":
            return 200, self._describe(RegisteredClient(client=client, access_token=access))
        update = parse_update(await _read_document(scope, receive), client_id)
        await self._check_jwks_uri(update)
        replaced = await self._registrar.replace(update, access, request_id=self._request_id())
        return 200, self._describe(replaced)

    @contextmanager
    def _limited(self, claimed: str, scope: Scope) -> Iterator[None]:
        """Count an attempt if it fails, and say so if too many for the same id have.

        A right token, which nobody can guess, is taken whatever has failed from the same address.

        Args:
            claimed: the client, or the initial access token, that the request names.
            scope: the request.

        Raises:
            TooManyRequests: too many have failed.
        """
        try:
            yield
        except InvalidToken:
            address, now = peer_address(scope), self._clock()
            self._limits.check_failures(claimed, address, now, client_id=None, looked_up=True)
            self._limits.note_failure(claimed, address, now)
            raise

    async def _check_jwks_uri(self, metadata: ClientMetadata) -> None:
        # Why a host is refused is not told: it would show which names exist inside a network.
        if metadata.jwks_uri is None:
            return
        host = urlsplit(metadata.jwks_uri).hostname or ""
        if not await self._is_public(host):
            raise refuse_metadata("jwks_uri must name a host with public addresses only")

    def _describe(self, registered: RegisteredClient) -> Json:
        return describe_registered(registered, base=self._base)

    async def _answer(self, work: Awaitable[Answer], send: Send) -> None:
        try:
            status, document = await work
        except ClientDisconnected:
            return  # the connection is gone
        except OAuthError as refusal:
            self._events(Event.REGISTRATION_REFUSED, reason=refusal.reason)
            await respond(send, refusal.status, (*_HEADERS, *refusal.headers), error_body(refusal))
        except Exception as fault:
            # Never a trace on the wire; the log has it under the request's id.
            self._events(Event.REGISTRATION_REFUSED, reason=Reason.INTERNAL, exception=fault)
            error = ServerError(Reason.INTERNAL)
            await respond(send, error.status, _HEADERS, error_body(error))
        else:
            if document is None:
                await send({"type": "http.response.start", "status": status, "headers": _NO_STORE})
                await send({"type": "http.response.body", "body": b""})
                return
            await respond(send, status, _HEADERS, json.dumps(document).encode())


async def _read_document(scope: Scope, receive: Receive) -> Json:
    check_media_type(scope["headers"])
    body = await read_body(receive, MAX_BODY)
    if body is None:
        raise BodyTooLarge(Reason.BODY_TOO_LARGE, "the body is too large")
    return parse_document(body)
