"""Protect the routes of a FastAPI application by a dependency; no middleware is needed.

`Bearer` validates the token of a request and checks what the route needs of it. It is a security
scheme of OpenAPI as well: the client credentials grant (RFC 6749 §4.4).
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import chain
from typing import Any, Final, Unpack

from fastapi import FastAPI, Request, Response, WebSocket
from fastapi.openapi.models import OAuth2, OAuthFlowClientCredentials, OAuthFlows
from fastapi.params import Security
from fastapi.requests import HTTPConnection
from fastapi.security import SecurityScopes
from fastapi.security.base import SecurityBase
from fastapi.websockets import WebSocketState

from resource_api.access_token import AccessToken
from resource_api.bearer import find_bearer
from resource_api.errors import ResourceError
from resource_api.guarded_request import REQUEST_KEY
from resource_api.middleware import SCOPE_KEY, authenticate_once
from resource_api.protection import Answer, Protection, ProtectionSettings, given_or_made
from resource_api.requirements import Need, Requirement, all_of

_BEARER_KEY: Final = "resource_api.bearer"
_PUBLISHED: Final = "resource_api_published"
_REFUSALS: Final = {
    "401": {"description": "The access token is missing or not valid"},
    "403": {"description": "The access token lacks what is needed here"},
    "503": {"description": "Access tokens cannot be checked at the moment"},
}


class Bearer(SecurityBase):
    """A dependency that gives the `AccessToken` of a request, or refuses the request.

    `Annotated[AccessToken, bearer.protected("orders:read")]`, or as other schemes of FastAPI,
    `Annotated[AccessToken, Security(bearer, scopes=["orders:read"])]`.
    """

    def __init__(
        self,
        *,
        protection: Protection | None = None,
        token_url: str | None = None,
        scheme_name: str = "Bearer",
        **settings: Unpack[ProtectionSettings],
    ) -> None:
        """Protect an API; nothing is fetched yet.

        Args:
            protection: whose tokens are accepted, and for which API.
            token_url: the token endpoint, for the OpenAPI document; by default `/token` below the
                identifier of the first issuer.
            scheme_name: its name there; each `Bearer` of an application needs another one.
            settings: the keywords of `Protection`, instead of one: `issuer` and `resource` at
                least.

        Raises:
            ValueError: settings that cannot be or contradict each other.
            TypeError: a protection and settings for another, or neither.
        """
        self.protection = given_or_made(protection, Protection, settings)
        policy = self.protection.policy
        flow = OAuthFlowClientCredentials(
            tokenUrl=token_url or f"{policy.issuer.rstrip('/')}/token",
            scopes=dict.fromkeys(policy.scopes_supported, ""),
        )
        self.model = OAuth2(flows=OAuthFlows(clientCredentials=flow))
        self.scheme_name = scheme_name
        # FastAPI hands on what routes need as texts: a scope by its name, another need by a text
        # that cannot be a scope.
        self._named: dict[str, Requirement] = {}
        self._needed: dict[tuple[str, ...], Requirement] = {}

    async def __call__(self, connection: HTTPConnection, needed: SecurityScopes) -> AccessToken:
        """Give the token of a request; to be called by FastAPI.

        Raises:
            ResourceError: the request is refused, and answered so whatever exception handlers the
                application has.
        """
        scope = connection.scope
        scope[_BEARER_KEY] = self
        handlers, _ = scope["starlette.exception_handlers"]
        if handlers.get(ResourceError) is not _answer:
            # Each class of its own, since the handler of the closest class is taken.
            handlers.update(dict.fromkeys(_classes_of(ResourceError), _answer))
        token = self.protection.cached(find_bearer(scope["headers"]))
        if token is None:
            token = await authenticate_once(self.protection, scope)
        scope[SCOPE_KEY] = token
        if needed.scopes:
            self._need(needed.scopes).check(token)
        return token

    def protected(self, *needs: Need) -> Security:
        """Make the dependency of a route that needs all that is named, or just a valid token.

        Raises:
            ValueError: what cannot be a scope.
            TypeError: something that is neither text nor a requirement.
        """
        parts = all_of(*needs).parts if needs else ()
        return Security(self, scopes=tuple(self._name(part) for part in parts))

    def publish(self, app: FastAPI, *, readiness_path: str | None = None) -> None:
        """Have an application describe how it is protected.

        Its OpenAPI document then has the scopes of its routes, which Swagger UI offers under
        "Authorize", and the refusals. The RFC 9728 document is served at its well-known path, with
        the scopes that the OpenAPI document names.

        Args:
            app: the application; its routes may be added before and after.
            readiness_path: of a probe without a token: 200 while each issuer's keys are there.

        Raises:
            ValueError: another `Bearer` of this name is published already.
        """
        published: dict[str, Bearer] = getattr(app.state, _PUBLISHED, {})
        setattr(app.state, _PUBLISHED, published)
        if published.setdefault(self.scheme_name, self) is not self:
            raise ValueError(
                f"two Bearers of one application are named {self.scheme_name!r} in its OpenAPI "
                "document; give one another scheme_name"
            )
        generate = app.openapi

        def openapi() -> dict[str, Any]:
            document = generate()
            self._describe(document)
            return document

        async def metadata(_: Request) -> Response:
            scopes = self._describe(app.openapi())
            return _respond(self.protection.metadata_answer(scopes))

        async def readiness(_: Request) -> Response:
            return _respond(self.protection.readiness())

        app.openapi = openapi  # type: ignore[method-assign]
        if self.protection.metadata_path is not None:
            app.add_route(self.protection.metadata_path, metadata, include_in_schema=False)
        if readiness_path is not None:
            app.add_route(readiness_path, readiness, include_in_schema=False)

    @asynccontextmanager
    async def lifespan(self, app: object) -> AsyncIterator[None]:
        """Fetch keys as soon as an application starts, and end what is being fetched with it.

        `FastAPI(lifespan=bearer.lifespan)`, or `async with bearer.lifespan(app):` in a lifespan of
        your own. Without it, the first request has the keys fetched.
        """
        _ = self.protection.ready  # looking starts the first fetch
        try:
            yield
        finally:
            await self.protection.aclose()

    def _name(self, need: Need) -> str:
        if isinstance(need, str):
            return need
        name = str(need)
        while self._named.setdefault(name, need) != need:  # such as another value of the same claim
            name += "'"
        return name

    def _need(self, names: list[str]) -> Requirement:
        """Give what names mean: those of one route, whose number is bounded."""
        known = self._needed.get(key := tuple(names))
        if known is None:
            known = self._needed[key] = all_of(*(self._named.get(each, each) for each in names))
        return known

    def _describe(self, document: dict[str, Any]) -> list[str]:
        """Complete an OpenAPI document that FastAPI wrote, and give the scopes that it names.

        Alternatives are entries of their own, any of which suffices.
        """
        schemes = document.get("components", {}).get("securitySchemes", {})
        if self.scheme_name not in schemes:
            return []
        scopes: dict[str, str] = schemes[self.scheme_name]["flows"]["clientCredentials"]["scopes"]
        for operation in _operations(document):
            entries = operation.get("security", [])
            if any(self.scheme_name in entry for entry in entries):
                operation["security"] = entries = [*chain(*map(self._choices, entries))]
                operation["responses"] = _REFUSALS | operation["responses"]
                for name in chain(*(entry.get(self.scheme_name, ()) for entry in entries)):
                    scopes.setdefault(name, "")
        return list(scopes)

    def _choices(self, entry: dict[str, list[str]]) -> list[dict[str, list[str]]]:
        if not entry.get(self.scheme_name):
            return [entry]
        choices = self._need(entry[self.scheme_name]).alternatives
        return [entry | {self.scheme_name: list(choice)} for choice in choices]


async def _answer(connection: HTTPConnection, error: ResourceError) -> Response | None:
    """Answer a request with a refusal; the exception handler of applications that use `Bearer`."""
    scope = connection.scope
    bearer = scope.get(_BEARER_KEY)
    behind = scope.get(REQUEST_KEY)
    if bearer is None:  # a guard on a route that has no such dependency
        raise error
    if behind is not None:  # the middleware answers and reports, whatever is sent
        behind.refuse(error)
    else:
        bearer.protection.report(error, scope.get(SCOPE_KEY))
    if isinstance(connection, WebSocket):
        is_open = connection.application_state is WebSocketState.CONNECTED
        if is_open or "websocket.http.response" not in scope.get("extensions", {}):
            await connection.close(1008, error.error if is_open else None)
            return None
    root_path = scope.get("root_path", "")
    return _respond(bearer.protection.refusal(error, scope.get(SCOPE_KEY), root_path=root_path))


def _respond(answer: Answer) -> Response:
    status, headers, body = answer
    response = Response(body, status)
    response.raw_headers = headers
    return response


def _classes_of(base: type[ResourceError]) -> Iterator[type[ResourceError]]:
    yield base
    for each in base.__subclasses__():
        yield from _classes_of(each)


def _operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path in document.get("paths", {}).values():
        yield from (each for each in path.values() if isinstance(each, dict))
