"""The administration API in one table: method, path, scopes, what is read and what is answered.

The endpoint serves by it, the gate in front learns the scopes from it, OpenAPI is written from it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Final

from pydantic import BaseModel

from issuer.administration.declaration.wire import SentDeclaration
from issuer.administration.documents import (
    NewClientDocument,
    NewSecretDocument,
    WantedClientDocument,
)
from issuer.administration.http import answers, handlers
from issuer.administration.http.call import Answer, Call
from issuer.administration.http.problems import METHOD_NOT_ALLOWED, NOT_FOUND, RequestRefused
from issuer.administration.http.query import Parameter, Value
from issuer.administration.local import MAXIMUM_LIMIT, MAXIMUM_USAGE_DAYS
from issuer.registration.initial_access_token_document import RegistrationTokenDocument
from issuer.registry.documents import ResourceDocument
from issuer.registry.errors import (
    RegistryError,
    UnknownClient,
    UnknownRegistrationToken,
    UnknownResource,
    UnknownSecret,
)

JSON: Final = ("application/json",)
PATCH: Final = ("application/merge-patch+json", "application/json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One operation of the API.

    Args:
        method: the HTTP method.
        path: below the base; a segment in braces stands for a name.
        scopes: what a token must hold, all of them; see `needs` for those of a request.
        run: what is done, on a thread that may wait.
        summary: one line for the reference.
        status: of the good answer.
        query: the parameters that it knows.
        accepts: media types of the body; none if there is no body.
        reads: the shape of the body; of a patch, the shape that it must lead to.
        may_be_empty: whether the body may be left out.
        max_body: bytes that it may have.
        answers: the shape of the good answer; None for none, or for any object.
        targets: what may be missing at the path.
        tagged: whether its document has an entity tag.
        retried: whether `Idempotency-Key` is understood.
    """

    method: str
    path: str
    scopes: tuple[str, ...]
    run: Callable[[Call], Answer]
    summary: str
    status: int = 200
    query: tuple[Parameter, ...] = ()
    accepts: tuple[str, ...] = ()
    reads: type[BaseModel] | None = None
    may_be_empty: bool = False
    max_body: int = 1_048_576
    answers: type[BaseModel] | None = None
    targets: tuple[type[RegistryError], ...] = ()
    tagged: bool = False
    retried: bool = False

    @property
    def segments(self) -> tuple[str, ...]:
        """The path in segments."""
        return tuple(self.path[1:].split("/"))

    def needs(self, query: Mapping[str, Value]) -> tuple[str, ...]:
        """Name the scopes that a token must hold for a request with this query."""
        more = (each.scopes for each in self.query if query[each.name] is True)
        return tuple(dict.fromkeys((*self.scopes, *chain.from_iterable(more))))


@dataclass(frozen=True, slots=True)
class Found:
    """A route, and what the path names."""

    route: Route
    names: tuple[str, ...]


_PAGE = (
    Parameter(name="after", kind="string", description="where a page begins: `next` of the last"),
    Parameter(
        name="limit",
        kind="integer",
        default=100,
        least=1,
        most=MAXIMUM_LIMIT,
        description="how many at the most",
    ),
)
_TARGET = Parameter(
    name="target", kind="string", description="only of this client, resource or registration token"
)
_WITHDRAW = Parameter(
    name="withdraw",
    kind="boolean",
    default=False,
    description=(
        "take a scope that goes from the clients that hold it, instead of refusing;"
        " takes `watchword:clients:write` too"
    ),
    scopes=("watchword:clients:write",),
)
_APPLY = (
    Parameter(
        name="dry_run", kind="boolean", default=False, description="only tell what would be done"
    ),
    Parameter(name="prune", kind="boolean", default=False, description="what is not declared goes"),
    Parameter(
        name="usage_days",
        kind="integer",
        default=30,
        most=MAXIMUM_USAGE_DAYS,
        description="how far back to look for who used what goes",
    ),
)

ROUTES: Final = (
    Route(
        method="GET",
        path="/clients",
        scopes=("watchword:clients:read",),
        run=handlers.list_clients,
        summary="List clients by id, without their secrets",
        query=_PAGE,
        answers=answers.ClientPage,
    ),
    Route(
        method="POST",
        path="/clients",
        scopes=("watchword:clients:write",),
        run=handlers.create_client,
        summary="Register a client",
        status=201,
        accepts=JSON,
        reads=NewClientDocument,
        answers=answers.CreatedClient,
        tagged=True,
        retried=True,
    ),
    Route(
        method="GET",
        path="/clients/{client_id}",
        scopes=("watchword:clients:read",),
        run=handlers.show_client,
        summary="Show one client, with the times of its secrets",
        answers=answers.Client,
        targets=(UnknownClient,),
        tagged=True,
    ),
    Route(
        method="PATCH",
        path="/clients/{client_id}",
        scopes=("watchword:clients:write",),
        run=handlers.update_client,
        summary="Change a client by a JSON merge patch; `disabled` is one of its members",
        accepts=PATCH,
        reads=WantedClientDocument,
        answers=answers.Client,
        targets=(UnknownClient,),
        tagged=True,
    ),
    Route(
        method="DELETE",
        path="/clients/{client_id}",
        scopes=("watchword:clients:write",),
        run=handlers.delete_client,
        summary="Delete a client with its grants and secrets",
        status=204,
        targets=(UnknownClient,),
        tagged=True,
    ),
    Route(
        method="GET",
        path="/clients/{client_id}/secrets",
        scopes=("watchword:clients:read",),
        run=handlers.list_secrets,
        summary="List the times of a client's secrets",
        answers=answers.SecretList,
        targets=(UnknownClient,),
    ),
    Route(
        method="POST",
        path="/clients/{client_id}/secrets",
        scopes=("watchword:secrets:write",),
        run=handlers.add_secret,
        summary="Give a client one more secret",
        status=201,
        accepts=JSON,
        reads=NewSecretDocument,
        may_be_empty=True,
        answers=answers.AddedSecret,
        targets=(UnknownClient,),
        retried=True,
    ),
    Route(
        method="DELETE",
        path="/clients/{client_id}/secrets/{secret_id}",
        scopes=("watchword:secrets:write",),
        run=handlers.revoke_secret,
        summary="End a secret at once",
        status=204,
        targets=(UnknownClient, UnknownSecret),
    ),
    Route(
        method="GET",
        path="/resources",
        scopes=("watchword:resources:read",),
        run=handlers.list_resources,
        summary="List resources by identifier",
        query=_PAGE,
        answers=answers.ResourcePage,
    ),
    Route(
        method="POST",
        path="/resources",
        scopes=("watchword:resources:write",),
        run=handlers.create_resource,
        summary="Add a resource",
        status=201,
        accepts=JSON,
        reads=ResourceDocument,
        answers=answers.Resource,
        tagged=True,
    ),
    Route(
        method="GET",
        path="/resources/{resource}",
        scopes=("watchword:resources:read",),
        run=handlers.show_resource,
        summary="Show one resource",
        answers=answers.Resource,
        targets=(UnknownResource,),
        tagged=True,
    ),
    Route(
        method="PATCH",
        path="/resources/{resource}",
        scopes=("watchword:resources:write",),
        run=handlers.update_resource,
        summary="Change a resource by a JSON merge patch",
        query=(_WITHDRAW,),
        accepts=PATCH,
        reads=ResourceDocument,
        answers=answers.Resource,
        targets=(UnknownResource,),
        tagged=True,
    ),
    Route(
        method="DELETE",
        path="/resources/{resource}",
        scopes=("watchword:resources:write",),
        run=handlers.delete_resource,
        summary="Delete a resource that no client holds a grant on",
        status=204,
        targets=(UnknownResource,),
        tagged=True,
    ),
    Route(
        method="GET",
        path="/registration-tokens",
        scopes=("watchword:registration:read",),
        run=handlers.list_registration_tokens,
        summary="List initial access tokens, never the tokens themselves",
        query=_PAGE,
        answers=answers.RegistrationTokenPage,
    ),
    Route(
        method="POST",
        path="/registration-tokens",
        scopes=("watchword:registration:write",),
        run=handlers.create_registration_token,
        summary="Make an initial access token",
        status=201,
        accepts=JSON,
        reads=RegistrationTokenDocument,
        answers=answers.CreatedRegistrationToken,
        retried=True,
    ),
    Route(
        method="DELETE",
        path="/registration-tokens/{token_id}",
        scopes=("watchword:registration:write",),
        run=handlers.revoke_registration_token,
        summary="End an initial access token",
        status=204,
        targets=(UnknownRegistrationToken,),
    ),
    Route(
        method="GET",
        path="/audit",
        scopes=("watchword:audit:read",),
        run=handlers.list_audit,
        summary="Read the audit trail, the latest entry first",
        query=(*_PAGE, _TARGET),
        answers=answers.AuditPage,
    ),
    Route(
        method="POST",
        path="/apply",
        scopes=(
            "watchword:clients:write",
            "watchword:resources:write",
            "watchword:secrets:write",
        ),
        run=handlers.apply,
        summary="Make the registry what a declaration says, in one transaction",
        query=_APPLY,
        accepts=JSON,
        reads=SentDeclaration,
        max_body=16 * 1_048_576,
    ),
)


def find_route(method: str, segments: tuple[str, ...] | None) -> Found:
    """Find what serves a request; HEAD is served as GET (RFC 9110 §9.3.2).

    Raises:
        RequestRefused: nothing is at the path, or not by this method.
    """
    at_path = [route for route in ROUTES if segments and _fits(route, segments)]
    if segments is None or not at_path:
        raise RequestRefused(NOT_FOUND, "see the reference for the paths")
    for route in at_path:
        if route.method == ("GET" if method == "HEAD" else method):
            pairs = zip(route.segments, segments, strict=True)
            return Found(route, tuple(name for part, name in pairs if part.startswith("{")))
    allowed = [route.method for route in at_path]
    if "GET" in allowed:
        allowed.append("HEAD")
    allow = ", ".join(allowed)
    raise RequestRefused(METHOD_NOT_ALLOWED, f"use {allow}", [(b"allow", allow.encode())])


def _fits(route: Route, segments: tuple[str, ...]) -> bool:
    parts = route.segments
    return len(parts) == len(segments) and all(
        part.startswith("{") or part == segment
        for part, segment in zip(parts, segments, strict=True)
    )
