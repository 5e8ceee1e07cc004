"""Describe everything that is served: `GET /openapi.json` in OpenAPI 3.1, `GET /` in short.

The administration is described by its own table of routes; what is here is the rest, in the order
of the reference. A test holds it to what the provider serves.
"""

import json
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit

from issuer.access_token import BEARER, DPOP
from issuer.administration.http import BASE
from issuer.administration.http.openapi import (
    SECURITY,
    describe_paths,
    describe_refusals,
    describe_schemas,
)
from issuer.client_auth.methods import METHODS
from issuer.config import IssuerConfig
from issuer.endpoints.status_list import LIST_TYPE
from issuer.grants import GRANTS
from issuer.grants.token_exchange import TOKEN_TYPES
from issuer.introspection import RESPONSE_TYPE
from issuer.metadata import (
    AUTHORIZATION_PATH,
    INTROSPECTION_PATH,
    JWKS_PATH,
    REGISTRATION_PATH,
    REVOCATION_PATH,
    TOKEN_PATH,
    metadata_paths,
)
from issuer.status.positions import LISTS_PATH
from resource_api.config import metadata_path
from resource_api.demo import PUBLIC, READ_RESOURCE, WRITE_RESOURCE
from watchword.registry import ADMIN_SCOPES, DEFAULT_SCOPES
from watchword.settings import Settings

Json = dict[str, Any]

_STATUS_LIST = "application/" + LIST_TYPE
_OBJECT: Json = {"type": "object"}
_ERROR: Json = {
    "type": "object",
    "required": ["error"],
    "properties": {"error": {"type": "string"}, "error_description": {"type": "string"}},
}
_TOKEN_REQUEST: Json = {
    "type": "object",
    "required": ["grant_type"],
    "properties": {
        "grant_type": {"enum": list(GRANTS)},
        "scope": {"type": "string", "description": "the client's default if left out"},
        "resource": {"type": "string", "description": "RFC 8707; the client's default if left out"},
        "authorization_details": {
            "type": "string",
            "description": "RFC 9396: a JSON array of objects, each with a type",
        },
        "subject_token": {"type": "string", "description": "RFC 8693: what is exchanged"},
        "subject_token_type": {"enum": list(TOKEN_TYPES)},
        "actor_token": {"type": "string", "description": "a token of the client for itself"},
        "actor_token_type": {"enum": list(TOKEN_TYPES)},
        "requested_token_type": {"enum": list(TOKEN_TYPES)},
        "audience": {"type": "string", "description": "as resource, in an exchange"},
        "client_id": {"type": "string", "description": "unless it comes by HTTP Basic"},
        "client_secret": {"type": "string"},
    },
}
_TOKEN: Json = {
    "type": "object",
    "required": ["access_token", "token_type", "expires_in"],
    "properties": {
        "access_token": {"type": "string"},
        "token_type": {"enum": [BEARER, DPOP]},
        "expires_in": {"type": "integer"},
        "scope": {"type": "string"},
        "issued_token_type": {"enum": list(TOKEN_TYPES), "description": "in an exchange"},
        "authorization_details": {
            "type": "array",
            "items": {"type": "object", "required": ["type"]},
            "description": "as granted (RFC 9396 §7), if they were asked for",
        },
    },
}
_SENT_TOKEN: Json = {
    "type": "object",
    "required": ["token"],
    "properties": {
        "token": {"type": "string"},
        "token_type_hint": {"type": "string", "description": "ignored"},
        "client_id": {"type": "string", "description": "unless it comes by HTTP Basic"},
        "client_secret": {"type": "string"},
    },
}
_INTROSPECTION: Json = {
    "type": "object",
    "required": ["active"],
    "properties": {"active": {"type": "boolean"}},
}


def build_openapi(settings: Settings, *, issuer: bool, api: bool, inspector: bool) -> bytes:
    """Write the document.

    Args:
        settings: all settings, checked.
        issuer: whether the issuer is served, and the administration with it.
        api: whether the demo API is served.
        inspector: whether the token inspector is served, if the issuer is.
    """
    config = settings.issuer_config
    paths: Json = {}
    schemes: Json = {}
    if issuer:
        paths |= _issuer_paths(config) | describe_paths(config.path + BASE)
        paths |= _metadata_paths(settings.administration, "Metadata of the administration")
        schemes |= _issuer_schemes(config)
    if issuer and inspector:
        paths |= _inspector_paths(config.path)
    if api:
        paths |= _api_paths(config.path if issuer else "")
        paths |= _metadata_paths(settings.default_resource, "Metadata of the demo API")
        schemes["api"] = _client_credentials(config, DEFAULT_SCOPES)
    document = {
        "openapi": "3.1.1",
        "info": {
            "title": "Watchword",
            "version": version("watchword"),
            "description": "OAuth 2.0 access tokens for services.",
        },
        "servers": [{"url": _origin(settings.issuer)}],
        "paths": paths | _own_paths(own_metrics_port=settings.metrics_port is not None),
        "components": {
            "securitySchemes": schemes,
            "responses": describe_refusals() if issuer else {},
            "schemas": describe_schemas() if issuer else {},
        },
    }
    return json.dumps(document, separators=(",", ":")).encode()


def build_index(settings: Settings, *, issuer: bool, api: bool, inspector: bool) -> bytes:
    """Write the index: whose tokens these are, the version, and where to go on.

    Links to the issuer are the URLs that its metadata has. The rest is relative to the index (RFC
    3986 §5), since the demo API alone may be at any address.

    Args:
        settings: all settings, checked.
        issuer: whether the issuer is served.
        api: whether the demo API is served.
        inspector: whether the token inspector is served, if the issuer is.
    """
    config = settings.issuer_config
    links = {
        "metadata": _origin(settings.issuer) + metadata_paths(config)[0],
        "jwks": config.base + JWKS_PATH,
        "token": config.base + TOKEN_PATH,
        "openapi": "/openapi.json",
    }
    if issuer and inspector:
        links["inspector"] = config.base + "/inspect"
    if api:
        base = config.path if issuer else ""
        links["public"] = base + PUBLIC
        links["read_resource"] = base + READ_RESOURCE
        links["write_resource"] = base + WRITE_RESOURCE
    index = {"issuer": settings.issuer, "version": version("watchword"), "links": links}
    return json.dumps(index, separators=(",", ":")).encode()


def _metadata_paths(resource: str, summary: str) -> Json:
    path = metadata_path(resource)
    return {} if path is None else {path: _get(summary)}


def _issuer_paths(config: IssuerConfig) -> Json:
    base = config.path
    paths: Json = {
        base + TOKEN_PATH: {"post": _token_operation()},
        base + INTROSPECTION_PATH: {"post": _introspection_operation()},
        base + REVOCATION_PATH: {"post": _revocation_operation()},
    }
    if config.authorization_endpoint:
        paths[base + AUTHORIZATION_PATH] = dict.fromkeys(("get", "post"), _refused_authorization())
    for path in (base + JWKS_PATH, base + "/.well-known/jwks.json"):
        paths[path] = _get("Public signing keys (RFC 7517)")
    for path in metadata_paths(config):
        paths[path] = _get("Metadata of the issuer (RFC 8414)")
    paths |= _status_list_paths(base + LISTS_PATH)
    paths[base + REGISTRATION_PATH] = {
        "post": _registration("register", "Register a client (RFC 7591)", "201", has_body=True)
    }
    read = "Read, replace and delete one's own registration (RFC 7592)"
    paths[base + REGISTRATION_PATH + "/{client_id}"] = {
        "parameters": [
            {"name": "client_id", "in": "path", "required": True, "schema": {"type": "string"}}
        ],
        "get": _registration("read_registration", read, "200"),
        "put": _registration("replace_registration", read, "200", has_body=True),
        "delete": _registration("delete_registration", read, "204"),
    }
    return paths


def _status_list_paths(path: str) -> Json:
    one = _get("A list of revoked and suspended tokens, as a JWT", media_type=_STATUS_LIST)
    one["get"]["responses"] |= {
        "404": _answer("There is no such list, or its tokens have all expired", _ERROR),
        "503": _answer("Its state is not known now", _ERROR),
    }
    one["parameters"] = [
        {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
    ]
    return {path: _get("The URIs of all lists (Token Status List §9)"), path + "/{id}": one}


def _token_operation() -> Json:
    answer = _answer("An access token", _TOKEN)
    text = {"schema": {"type": "string"}}
    about = "for the next DPoP proof, if proofs have to carry a nonce (RFC 9449 §8)"
    answer["headers"] = {"DPoP-Nonce": {"description": about, **text}}
    operation = _client_form("token", "Get an access token (RFC 6749 §4.4)", _TOKEN_REQUEST, answer)
    operation["responses"]["400"]["headers"] = answer["headers"]
    about = "a proof of the key that the token is to be bound to (RFC 9449 §4)"
    operation["parameters"] = [{"name": "DPoP", "in": "header", "description": about, **text}]
    return operation


def _introspection_operation() -> Json:
    answer = _answer("What the token says, or that it is not active", _INTROSPECTION)
    answer["content"][f"application/{RESPONSE_TYPE}"] = {"schema": {"type": "string"}}
    return _client_form(
        "introspect", "Ask what a token says (RFC 7662, RFC 9701)", _SENT_TOKEN, answer
    )


def _revocation_operation() -> Json:
    answer = _answer("It does not count any more, or never did", _OBJECT)
    return _client_form("revoke", "Revoke a token (RFC 7009)", _SENT_TOKEN, answer)


def _refused_authorization() -> Json:
    return {
        "summary": "Refuse an authorization request: there are no users (RFC 6749 §4.1.2.1)",
        "tags": ["issuer"],
        "security": [],
        "responses": {"400": _answer("`unsupported_response_type`, whatever was asked", _ERROR)},
    }


def _client_form(name: str, summary: str, request: Json, answer: Json) -> Json:
    form = {"application/x-www-form-urlencoded": {"schema": request}}
    return {
        "operationId": name,
        "summary": summary,
        "tags": ["issuer"],
        "security": [{"client": []}, {}],
        "requestBody": {"required": True, "content": form},
        "responses": {
            "200": answer,
            "400": _answer("The request is refused (RFC 6749 §5.2)", _ERROR),
            "401": _answer("The client is not known (RFC 6749 §5.2)", _ERROR),
            "429": _answer("Too many; `Retry-After` says when to try again", _ERROR),
            "503": _answer("Try again", _ERROR),
        },
    }


def _registration(name: str, summary: str, status: str, *, has_body: bool = False) -> Json:
    good: Json = {"description": summary} if status == "204" else _answer(summary, _OBJECT)
    operation: Json = {
        "operationId": name,
        "summary": summary,
        "tags": ["registration"],
        "security": [{"registration": []}],
        "responses": {
            status: good,
            "400": _answer("The metadata cannot be accepted (RFC 7591 §3.2.2)", _ERROR),
            "401": _answer("The token does not count (RFC 6750 §3)", _ERROR),
            "429": _answer("Too many; `Retry-After` says when to try again", _ERROR),
            "503": _answer("Try again", _ERROR),
        },
    }
    if status == "201":
        parameters = {"client_id": "$response.body#/client_id"}
        good["links"] = {
            f"{verb}_registration": {
                "operationId": f"{verb}_registration",
                "parameters": parameters,
                "description": "with the `registration_access_token` of the answer",
            }
            for verb in ("read", "replace", "delete")
        }
    if has_body:
        content = {"application/json": {"schema": _OBJECT}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _issuer_schemes(config: IssuerConfig) -> Json:
    return {
        "client": {
            "type": "http",
            "scheme": "basic",
            "description": f"id and secret, form-encoded; methods: {', '.join(METHODS)}",
        },
        "registration": {
            "type": "http",
            "scheme": "bearer",
            "description": "initial access token to register, registration access token afterwards",
        },
        SECURITY: _client_credentials(config, ADMIN_SCOPES),
    }


def _client_credentials(config: IssuerConfig, scopes: tuple[str, ...]) -> Json:
    flow = {"tokenUrl": config.base + TOKEN_PATH, "scopes": dict.fromkeys(scopes, "")}
    return {"type": "oauth2", "flows": {"clientCredentials": flow}}


def _api_paths(base: str) -> Json:
    read, write = DEFAULT_SCOPES
    value = {"type": "object", "required": ["value"], "properties": {"value": {}}}
    writing = _guarded("write_resource", "Write the resource", write)
    writing["requestBody"] = {
        "required": True,
        "content": {"application/json": {"schema": value}},
    }
    refused: Json = {"content": {"application/problem+json": {"schema": _OBJECT}}}
    writing["responses"] |= {
        "400": {"description": "The body is no JSON object with the member `value`", **refused},
        "413": {"description": "The body is too long", **refused},
    }
    return {
        base + PUBLIC: _get("Public text, without a token", media_type="text/plain"),
        base + READ_RESOURCE: {"get": _guarded("read_resource", "Read the resource", read)},
        base + WRITE_RESOURCE: {"post": writing},
    }


def _guarded(name: str, summary: str, scope: str) -> Json:
    return {
        "operationId": name,
        "summary": summary,
        "tags": ["demo API"],
        "security": [{"api": [scope]}],
        "responses": {
            "200": _answer(summary, _OBJECT),
            "401": _answer("No token, or one that does not count (RFC 6750 §3)", _ERROR),
            "403": _answer("The token lacks the scope (RFC 6750 §3.1)", _ERROR),
            "503": _answer("Tokens cannot be checked now", _ERROR),
        },
    }


def _inspector_paths(base: str) -> Json:
    return {
        base + "/inspect": _get("The token inspector, a page", media_type="text/html"),
        base + "/inspect/keys": _get("What has happened to the published keys, and when"),
    }


def _own_paths(*, own_metrics_port: bool) -> Json:
    ready = _get("Whether to send requests here")
    ready["get"]["responses"]["503"] = _answer("Not now; `failing` says why", _OBJECT)
    return {
        "/": _get("Issuer, version and links"),
        "/healthz": _get("Whether the process runs"),
        "/readyz": ready,
        "/openapi.json": _get("This document"),
        **({} if own_metrics_port else {"/metrics": _get("Metrics", media_type="text/plain")}),
    }


def _get(summary: str, *, media_type: str = "application/json") -> Json:
    schema = _OBJECT if media_type == "application/json" else {"type": "string"}
    return {
        "get": {
            "summary": summary,
            "security": [],
            "responses": {
                "200": {"description": summary, "content": {media_type: {"schema": schema}}}
            },
        }
    }


def _answer(description: str, schema: Json) -> Json:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _origin(issuer: str) -> str:
    parts = urlsplit(issuer)
    return f"{parts.scheme}://{parts.netloc}"
