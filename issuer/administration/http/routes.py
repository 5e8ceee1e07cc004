"""The administration API in one table: method, path, scopes, what is read, done and answered.

The endpoint serves by it, the middleware in front takes the scopes from it, and OpenAPI is written
from it.
"""

from dataclasses import dataclass
from typing import Final

from issuer.administration.declaration.document import SentDeclaration, read_sent
from issuer.administration.documents import (
    NewClientDocument,
    NewSecretDocument,
    WantedClientDocument,
)
from issuer.administration.http.parameters import (
    APPLY,
    AUDIT,
    CLIENTS,
    PAGE,
    REVOKE_TOKENS,
    UNUSED_FOR,
    USAGE,
    WITHDRAW,
    texts,
    wanted_clients,
)
from issuer.administration.http.problems import METHOD_NOT_ALLOWED, NOT_FOUND, RequestRefused
from issuer.administration.http.provider_routes import PROVIDER_ROUTES
from issuer.administration.http.route import JSON, PATCH, Route
from issuer.administration.token_changes import TokenChangeDocument
from issuer.registry.errors import (
    UnknownClient,
    UnknownRegistrationToken,
    UnknownResource,
    UnknownSecret,
)
from issuer.registry.initial_access_token import RegistrationTokenDocument
from issuer.registry.resource import Resource


@dataclass(frozen=True, slots=True)
class Found:
    """A route, and what the path names."""

    route: Route
    names: tuple[str, ...]


ROUTES: Final = (
    Route(
        method="GET",
        path="/clients",
        name="list_clients",
        scopes=("watchword:clients:read",),
        run=lambda call: call.operations.list_clients(
            wanted_clients(call), after=call.text("after"), limit=call.number("limit")
        ),
        summary="List clients by id, without their secrets",
        query=(*PAGE, *CLIENTS),
        answers="ListedClient",
        member="clients",
    ),
    Route(
        method="POST",
        path="/clients",
        name="create_client",
        scopes=("watchword:clients:write",),
        run=lambda call: call.operations.create_client(
            call.document, idempotency_key=call.idempotency_key
        ),
        summary="Register a client",
        status=201,
        accepts=JSON,
        reads=NewClientDocument,
        answers="CreatedClient",
        tagged=True,
        retried=True,
        member="client_id",
    ),
    Route(
        method="GET",
        path="/clients/{client_id}",
        name="show_client",
        scopes=("watchword:clients:read",),
        run=lambda call: call.operations.show_client(*call.names),
        summary="Show one client, with the times of its secrets",
        answers="Client",
        targets=(UnknownClient,),
        tagged=True,
    ),
    Route(
        method="PATCH",
        path="/clients/{client_id}",
        name="update_client",
        scopes=("watchword:clients:write",),
        run=lambda call: call.operations.update_client(
            call.name,
            call.document,
            revision=call.revision(call.operations.show_client),
            revoke_tokens=call.flag("revoke_tokens"),
        ),
        summary="Change a client by a JSON merge patch; `disabled` is one of its members",
        query=(REVOKE_TOKENS,),
        accepts=PATCH,
        reads=WantedClientDocument,
        answers="Client",
        targets=(UnknownClient,),
        tagged=True,
    ),
    Route(
        method="DELETE",
        path="/clients/{client_id}",
        name="delete_client",
        scopes=("watchword:clients:write",),
        run=lambda call: call.operations.delete_client(
            call.name,
            revision=call.revision(call.operations.show_client),
            revoke_tokens=call.flag("revoke_tokens"),
        ),
        summary="Delete a client with its grants and secrets",
        query=(REVOKE_TOKENS,),
        status=204,
        targets=(UnknownClient,),
        tagged=True,
    ),
    Route(
        method="GET",
        path="/clients/{client_id}/secrets",
        name="list_secrets",
        scopes=("watchword:clients:read",),
        run=lambda call: call.operations.list_secrets(*call.names),
        summary="List the times of a client's secrets",
        answers="Secret",
        targets=(UnknownClient,),
        member="secrets",
    ),
    Route(
        method="POST",
        path="/clients/{client_id}/secrets",
        name="add_secret",
        scopes=("watchword:secrets:write",),
        run=lambda call: call.operations.add_secret(
            call.name, call.document, idempotency_key=call.idempotency_key
        ),
        summary="Give a client one more secret",
        status=201,
        accepts=JSON,
        reads=NewSecretDocument,
        may_be_empty=True,
        answers="AddedSecret",
        targets=(UnknownClient,),
        retried=True,
        member="secret_id",
    ),
    Route(
        method="DELETE",
        path="/clients/{client_id}/secrets/{secret_id}",
        name="revoke_secret",
        scopes=("watchword:secrets:write",),
        run=lambda call: call.operations.revoke_secret(*call.names),
        summary="End a secret at once",
        status=204,
        targets=(UnknownClient, UnknownSecret),
    ),
    Route(
        method="GET",
        path="/resources",
        name="list_resources",
        scopes=("watchword:resources:read",),
        run=lambda call: call.operations.list_resources(),
        summary="List resources by identifier",
        query=PAGE,
        answers="RegisteredResource",
        member="resources",
        sorted_by=("resource",),
    ),
    Route(
        method="POST",
        path="/resources",
        name="create_resource",
        scopes=("watchword:resources:write",),
        run=lambda call: call.operations.create_resource(call.document),
        summary="Add a resource",
        status=201,
        accepts=JSON,
        reads=Resource,
        answers="RegisteredResource",
        tagged=True,
        member="resource",
    ),
    Route(
        method="GET",
        path="/resources/{resource}",
        name="show_resource",
        scopes=("watchword:resources:read",),
        run=lambda call: call.operations.show_resource(*call.names),
        summary="Show one resource",
        answers="RegisteredResource",
        targets=(UnknownResource,),
        tagged=True,
    ),
    Route(
        method="PATCH",
        path="/resources/{resource}",
        name="update_resource",
        scopes=("watchword:resources:write",),
        run=lambda call: call.operations.update_resource(
            call.name,
            call.document,
            revision=call.revision(call.operations.show_resource),
            withdraw=call.flag("withdraw"),
        ),
        summary="Change a resource by a JSON merge patch",
        query=(WITHDRAW,),
        accepts=PATCH,
        reads=Resource,
        answers="RegisteredResource",
        targets=(UnknownResource,),
        tagged=True,
    ),
    Route(
        method="DELETE",
        path="/resources/{resource}",
        name="delete_resource",
        scopes=("watchword:resources:write",),
        run=lambda call: call.operations.delete_resource(
            call.name, revision=call.revision(call.operations.show_resource)
        ),
        summary="Delete a resource that no client holds a grant on",
        status=204,
        targets=(UnknownResource,),
        tagged=True,
    ),
    Route(
        method="GET",
        path="/registration-tokens",
        name="list_registration_tokens",
        scopes=("watchword:registration:read",),
        run=lambda call: call.operations.list_registration_tokens(),
        summary="List initial access tokens, never the tokens themselves",
        query=PAGE,
        answers="InitialAccessToken",
        member="registration_tokens",
        sorted_by=("created_at", "token_id"),
    ),
    Route(
        method="POST",
        path="/registration-tokens",
        name="create_registration_token",
        scopes=("watchword:registration:write",),
        run=lambda call: call.operations.create_registration_token(
            call.document, idempotency_key=call.idempotency_key
        ),
        summary="Make an initial access token",
        status=201,
        accepts=JSON,
        reads=RegistrationTokenDocument,
        answers="CreatedRegistrationToken",
        retried=True,
        member="token_id",
    ),
    Route(
        method="DELETE",
        path="/registration-tokens/{token_id}",
        name="revoke_registration_token",
        scopes=("watchword:registration:write",),
        run=lambda call: call.operations.revoke_registration_token(*call.names),
        summary="End an initial access token",
        status=204,
        targets=(UnknownRegistrationToken,),
    ),
    Route(
        method="POST",
        path="/token-revocations",
        name="change_tokens",
        scopes=("watchword:tokens:write",),
        run=lambda call: call.operations.change_tokens(call.document),
        summary="Revoke, suspend or restore tokens, or tell how many it would be",
        accepts=JSON,
        reads=TokenChangeDocument,
        answers="TokenChange",
    ),
    Route(
        method="GET",
        path="/usage",
        name="list_usage",
        scopes=("watchword:clients:read",),
        run=lambda call: call.operations.list_usage(
            unused_for=call.optional_number("unused_for"),
            after=call.text("after"),
            limit=call.number("limit"),
            **texts(call, USAGE),
        ),
        summary="List which client may use which scope, and when it last did",
        query=(*PAGE, *USAGE, UNUSED_FOR),
        answers="Use",
        member="uses",
    ),
    Route(
        method="GET",
        path="/audit",
        name="list_audit",
        scopes=("watchword:audit:read",),
        run=lambda call: call.operations.list_audit(
            before=call.text("after"), limit=call.number("limit"), **texts(call, AUDIT)
        ),
        summary="Read the audit trail, the latest entry first",
        query=(*PAGE, *AUDIT),
        answers="AuditEntry",
        member="entries",
    ),
    Route(
        method="POST",
        path="/apply",
        name="apply",
        scopes=(
            "watchword:clients:write",
            "watchword:resources:write",
            "watchword:secrets:write",
        ),
        run=lambda call: call.operations.apply(
            read_sent(call.document),
            dry_run=call.flag("dry_run"),
            prune=call.flag("prune"),
            usage_days=call.number("usage_days"),
            revoke_tokens=call.flag("revoke_tokens"),
        ),
        summary="Make the registry what a declaration says, in one transaction",
        query=APPLY,
        accepts=JSON,
        reads=SentDeclaration,
        max_body=16 * 1_048_576,
    ),
    *PROVIDER_ROUTES,
)


def _shape(segments: tuple[str, ...]) -> tuple[str | None, ...]:
    """Leave out the names: a path has a collection and a name of one of its members in turn."""
    return tuple(None if place % 2 else each for place, each in enumerate(segments))


_AT_PATH: dict[tuple[str | None, ...], dict[str, Route]] = {}
for _route in ROUTES:
    _AT_PATH.setdefault(_shape(_route.segments), {})[_route.method] = _route


def find_route(method: str, segments: tuple[str, ...] | None) -> Found:
    """Find what serves a request; HEAD is served as GET (RFC 9110 §9.3.2).

    Raises:
        RequestRefused: nothing is at the path, or not by this method.
    """
    at_path = _AT_PATH.get(_shape(segments or ()))
    if at_path is None:
        raise RequestRefused(NOT_FOUND, "see the reference for the paths")
    route = at_path.get("GET" if method == "HEAD" else method)
    if route is None:
        allow = ", ".join([*at_path, "HEAD"] if "GET" in at_path else at_path)
        raise RequestRefused(METHOD_NOT_ALLOWED, f"use {allow}", [(b"allow", allow.encode())])
    return Found(route, (segments or ())[1::2])
