"""Describe the administration API in OpenAPI 3.1, from its table of routes and its models."""

from collections.abc import Iterable
from typing import Any

from pydantic import Field, TypeAdapter
from pydantic.dataclasses import dataclass

from issuer.administration.http.problems import KINDS
from issuer.administration.http.route import IF_MATCH_PATTERN, NAME_PATTERN, Parameter, Route
from issuer.administration.http.routes import PATCH, ROUTES
from issuer.administration.idempotency import KEY_PATTERN
from issuer.registry.client import ClientRegistration
from issuer.registry.client_description import ClientState
from issuer.registry.permission import ResourcePermission
from issuer.registry.resource import Resource
from issuer.registry.schema import MODEL, Document, Json, TimeText

SECURITY = "administration"
"""The security scheme that the scopes of the operations belong to."""

_SCHEMAS = "#/components/schemas/"
_PROBLEM = "application/problem+json"
_TITLES = {
    400: "The request or its JSON is malformed",
    401: "No valid token; with a challenge (RFC 6750 §3)",
    403: "The token lacks a scope, or the change is beyond what the caller holds",
    404: "Not found",
    409: "Conflict with the current state",
    412: "It has changed since the entity tag was read",
    413: "The body is too large",
    415: "The media type is not read",
    422: "The document has mistakes; `errors` lists all of them",
    503: "The registry is unavailable",
}


# The shapes of answers: nothing is read or written through these models; tests hold the real
# answers to them.


class Secret(Document):
    """A secret by its times."""

    secret_id: str
    created_at: TimeText
    starts_at: TimeText
    expires_at: TimeText | None
    last_used_at: TimeText | None = Field(description="to the minute; null if never")


class AddedSecret(Secret):
    """A secret that was added."""

    client_secret: str | None = Field(
        None, description="the secret itself, if it was made here; shown this once"
    )


@dataclass(frozen=True, kw_only=True, config=MODEL)
class ListedClient(ClientRegistration):
    """A client as it is registered."""

    scope: str = Field(description="all scopes of its grants")
    resources: list[str] = Field(description="the resources of its grants")
    created_at: TimeText
    updated_at: TimeText
    state: ClientState = Field(description="`secret_expired`: all of its secrets have ended")
    next_end_at: TimeText | None = Field(
        description="when it ends or, if that is earlier, the next of its secrets; null for never"
    )


@dataclass(frozen=True, kw_only=True, config=MODEL)
class Client(ListedClient):
    """A client as it is registered, with its secrets."""

    secrets: list[Secret]


@dataclass(frozen=True, kw_only=True, config=MODEL)
class CreatedClient(ListedClient):
    """A client that was registered."""

    client_secret: str | None = Field(
        default=None, description="its secret, if it was made here; shown this once"
    )
    secret_id: str | None = Field(default=None, description="names that secret")
    client_secret_expires_at: TimeText | None = Field(
        default=None,
        description="when that secret ends: RFC 3339, unlike RFC 7591 §3.2.1; null for never",
    )


@dataclass(frozen=True, kw_only=True, config=MODEL)
class RegisteredResource(Resource):
    """A resource as it is registered."""

    created_at: TimeText
    updated_at: TimeText


class InitialAccessToken(Document):
    """An initial access token by what it allows."""

    token_id: str
    grants: list[ResourcePermission]
    token_ttl: int | None
    uses_left: int | None
    created_at: TimeText
    expires_at: TimeText | None


class CreatedRegistrationToken(InitialAccessToken):
    """An initial access token that was made."""

    token: str | None = Field(None, description="the token itself; shown this once")


class TokenChange(Document):
    """What was changed, or would be."""

    action: str
    tokens: int = Field(description="at most how many live tokens it is about")
    dry_run: bool


class AuditEntry(Document):
    """One change."""

    number: int
    at: TimeText
    actor: str = Field(description="a client id, or what names the actor where it is no client")
    via: str
    request_id: str | None
    action: str
    target: str = Field(
        description="a client id, resource identifier or token id; the issuer if it is all tokens"
    )
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class Use(Document):
    """A scope that a client may use."""

    client_id: str
    resource: str
    scope: str
    last_used_at: TimeText | None = Field(description="to the minute; null if never")


class ProblemField(Document):
    """A part of a problem."""

    pointer: str | None = Field(None, description="where in the body (RFC 6901 §6)")
    detail: str


class Problem(Document):
    """Why a request was refused (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[ProblemField] | None = None


ANSWERS: dict[str, type[Any]] = {
    each.__name__: each
    for each in (
        Secret,
        AddedSecret,
        ListedClient,
        Client,
        CreatedClient,
        RegisteredResource,
        InitialAccessToken,
        CreatedRegistrationToken,
        TokenChange,
        AuditEntry,
        Use,
    )
}
"""The shapes of good answers, by name."""


def describe_paths(base: str) -> Json:
    """Describe every route, by path.

    Args:
        base: where the API is mounted.
    """
    paths: Json = {}
    for route in ROUTES:
        paths.setdefault(base + route.path, {})[route.method.lower()] = _operation(route)
    return paths


def describe_schemas() -> Json:
    """Describe all shapes that the routes speak of, by name."""
    read = dict.fromkeys(route.reads for route in ROUTES if route.reads is not None)
    models: list[Any] = [*read, *ANSWERS.values(), Problem]
    _, written = TypeAdapter.json_schemas(
        [(model, "validation", TypeAdapter(model)) for model in models],
        ref_template=_SCHEMAS + "{model}",
    )
    schemas: Json = written["$defs"]
    for route in ROUTES:
        if route.accepts == PATCH and route.reads is not None:
            name = route.reads.__name__
            schemas[_patch_of(route.reads)] = _as_patch(schemas[name])
    return schemas


def describe_refusals() -> Json:
    """Describe the refusals that the routes share, by status."""
    problem = {_PROBLEM: {"schema": {"$ref": _SCHEMAS + Problem.__name__}}}
    return {
        str(status): {"description": title} | ({} if status == 401 else {"content": problem})
        for status, title in _TITLES.items()
    }


def _as_patch(schema: Json) -> Json:
    """Describe a merge patch (RFC 7396): every member may be left out, or be null to be unset."""
    members = {
        name: {"anyOf": [member, {"type": "null"}]} for name, member in schema["properties"].items()
    }
    return {"type": "object", "properties": members, "additionalProperties": False}


def _patch_of(model: type[Any]) -> str:
    return model.__name__.removeprefix("Wanted").removesuffix("Document") + "Patch"


def _operation(route: Route) -> Json:
    operation: Json = {
        "operationId": route.name,
        "summary": route.summary,
        "tags": ["administration"],
        "security": [{SECURITY: list(route.scopes)}],
        "responses": _responses(route),
    }
    if parameters := [*_names(route), *map(_query, route.query), *_headers(route)]:
        operation["parameters"] = parameters
    if route.reads is not None:
        operation["requestBody"] = _body(route, route.reads)
    return operation


def _names(route: Route) -> Iterable[Json]:
    for segment in route.segments:
        if segment.startswith("{"):
            yield {
                "name": segment[1:-1],
                "in": "path",
                "required": True,
                "description": "percent-encoded, slashes too",
                "schema": {"type": "string", "pattern": NAME_PATTERN},
            }


def _query(parameter: Parameter) -> Json:
    schema: Json = {"type": parameter.kind}
    if parameter.kind == "integer":
        schema |= {"minimum": parameter.least, "maximum": parameter.most}
    if parameter.choices:
        schema["enum"] = list(parameter.choices)
    if parameter.form:
        schema["format"] = parameter.form
    if parameter.default is not None:
        schema["default"] = parameter.default
    return {
        "name": parameter.name,
        "in": "query",
        "description": parameter.description,
        "schema": schema,
    }


def _headers(route: Route) -> Iterable[Json]:
    if route.tagged and route.method in ("PATCH", "DELETE"):
        yield _header("If-Match", "do it only if the entity tag is one of these", IF_MATCH_PATTERN)
    if route.retried:
        about = "a retry with the same key is not carried out again"
        yield _header("Idempotency-Key", about, KEY_PATTERN)


def _header(name: str, description: str, pattern: str) -> Json:
    schema = {"type": "string", "pattern": pattern, "examples": ['"17"']}
    return {"name": name, "in": "header", "description": description, "schema": schema}


def _body(route: Route, model: type[Any]) -> Json:
    name = _patch_of(model) if route.accepts == PATCH else model.__name__
    content = {media_type: {"schema": {"$ref": _SCHEMAS + name}} for media_type in route.accepts}
    return {"required": not route.may_be_empty, "content": content}


def _responses(route: Route) -> Json:
    good: Json = {"description": route.summary}
    if route.status != 204:
        shape: Json = {"type": "object"}
        if route.answers is not None:
            shape = {"$ref": _SCHEMAS + route.answers}
        if route.is_list:
            shape = _list_of(route, shape)
        good["content"] = {"application/json": {"schema": shape}}
    if headers := {name: {"schema": {"type": "string"}} for name in _answer_headers(route)}:
        good["headers"] = headers
    if links := {each.name: _link(route, each) for each in ROUTES if _is_below(each, route)}:
        good["links"] = links
    refusals = {
        str(status): {"$ref": f"#/components/responses/{status}"} for status in _refusals(route)
    }
    return {str(route.status): good, **refusals}


def _is_below(route: Route, maker: Route) -> bool:
    return maker.status == 201 and route.path.startswith(maker.path + "/")


def _link(maker: Route, route: Route) -> Json:
    """Describe where the names in a path come from if what it names was made just before."""
    names = [segment[1:-1] for segment in route.segments if segment.startswith("{")]
    given = dict.fromkeys(names[: len(maker.segments) // 2])
    parameters = {
        name: f"$request.path.{name}" if name in given else f"$response.body#/{maker.member}"
        for name in names
    }
    return {"operationId": route.name, "parameters": parameters}


def _list_of(route: Route, item: Json) -> Json:
    members: Json = {route.member: {"type": "array", "items": item}}
    if _is_paged(route):
        members["next"] = {
            "type": ["string", "null"],
            "description": "where the next page begins, as `after`; null at the end",
        }
    return {"type": "object", "properties": members, "required": list(members)}


def _is_paged(route: Route) -> bool:
    return any(parameter.name == "after" for parameter in route.query)


def _answer_headers(route: Route) -> Iterable[str]:
    if route.tagged and route.status != 204:
        yield "ETag"
    if route.status == 201:
        yield "Location"
    if route.retried:
        yield "Idempotency-Replayed"
    if _is_paged(route):
        yield "Link"


def _refusals(route: Route) -> list[int]:
    statuses = {400, 401, 403, 503}
    statuses |= {KINDS[error].status for error in route.targets}
    if route.accepts:
        statuses |= {413, 415, 422}
    if any(each.kind == "string" and not each.choices for each in route.query):
        statuses.add(422)
    if route.method in ("POST", "PATCH", "DELETE"):
        statuses |= {409, 412}
    return sorted(statuses)
