"""Describe the administration API in OpenAPI 3.1, from its table of routes and its models."""

from collections.abc import Iterable
from typing import Any

from pydantic import Field, TypeAdapter

from issuer.administration.http.answers import ANSWERS
from issuer.administration.http.problems import KINDS
from issuer.administration.http.route import (
    IF_MATCH_PATTERN,
    NAME_PATTERN,
    PATCH,
    Parameter,
    Route,
)
from issuer.administration.http.routes import ROUTES
from issuer.administration.idempotency import KEY_PATTERN
from issuer.registry.schema import Document, Json

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
