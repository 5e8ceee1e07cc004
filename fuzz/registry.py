"""Targets: what operators and clients declare, and the values of settings."""

import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx
import jsonschema  # noqa: F401 - loaded by need otherwise, which is slow and counts as slow

from fuzz.target import Target, demand
from issuer.administration.declaration.document import DeclarationFile
from issuer.administration.declaration.reader import Form, read_declaration
from issuer.administration.declaration.yaml_form import write_declaration
from issuer.administration.documents import merge_patch, read_document
from issuer.errors import InvalidAuthorizationDetails, OAuthError
from issuer.grants.details import Details, parse_details
from issuer.registration.metadata import ClientMetadata, parse_registration
from issuer.registration.request import parse_document
from issuer.registry.auth_methods import check_jwks_uri, parse_distinguished_name
from issuer.registry.authorization_details import MAX_STEPS, DetailsSchema, check_schema
from issuer.registry.client import ClientRegistration
from issuer.registry.credentials import SecretHash
from issuer.registry.errors import InvalidDocument, InvalidSecretHash, InvalidValue
from issuer.registry.resource import Resource, describe_resource
from issuer.registry.schema import parse_scope, parse_time, write, write_time
from issuer.status.positions import parse_list_id, read_jti
from issuer.storage.database_url import SqliteFile, parse_database_url
from keys.encoding import parse_json_object
from keys.errors import KeyStoreError
from keys.identifiers import (
    allows_http,
    check_issuer,
    check_resource,
    metadata_urls,
    parse_insecure_http,
    split_server_url,
)
from keys.redis_replay import parse_redis_url
from keys.stores.key_file import parse_key_file
from watchword.durations import parse_duration, write_duration
from watchword.process.addresses import parse_networks

_MEMBERS = (
    *("version", "resources", "clients", "identifier", "scopes", "token_ttl", "client_id"),
    *("token_endpoint_auth_method", "jwks", "jwks_uri", "grants", "resource", "secrets", "env"),
    *("generate_to", "expires_at", "expires_in", "authorization_details_types", "schema", "type"),
    *("federated_identities", "subject", "claims", "attributes", "grant_types", "exchanges"),
)
_TOML = (
    *(f"\n{name} = " for name in _MEMBERS),
    *("[[resources]]\n", "[[clients]]\n", "[[clients.secrets]]\n", '"""', "'''", "\\U0010FFFF"),
    *("0x10", "1e400", "nan", "-inf", "1979-05-27T07:32:00Z", "07:32:00", "{a = 1}", "true"),
)
_YAML = (
    *(f"\n  {name}: " for name in _MEMBERS),
    *("resources:\n- ", "clients:\n- ", "&a ", "*a", "!!python/object:os.system ", "<<: ", "? "),
    *("---\n", "...\n", "|\n", ">-\n", "%YAML 1.1\n", "[", "]", "{", "}", "~", "0o17", "1e3", "\t"),
)
_METADATA = tuple(
    f'"{name}":'
    for name in (
        *("client_name", "client_uri", "contacts", "grant_types", "response_types", "scope"),
        *("token_endpoint_auth_method", "token_endpoint_auth_signing_alg", "jwks", "jwks_uri"),
        *("redirect_uris", "software_id", "software_version", "software_statement", "keys"),
        *("tls_client_auth_subject_dn", "tls_client_auth_san_dns", "dpop_bound_access_tokens"),
    )
)
_SCHEMA = (
    *(f'"{name}":' for name in ("$schema", "$defs", "$ref", "type", "properties", "items")),
    *(f'"{name}":' for name in ("allOf", "anyOf", "not", "if", "then", "enum", "const", "pattern")),
    *(f'"{name}":' for name in ("uniqueItems", "minimum", "multipleOf", "prefixItems", "contains")),
    *('"#/$defs/a"', '"object"', '"array"', '"string"', "1e308", "true", "{}", "[]"),
)


def _read_text(form: Form, data: bytes) -> DeclarationFile:
    return read_declaration(data.decode("utf-8", "surrogateescape"), form)


def _read_toml(data: bytes) -> DeclarationFile:
    return _read_text("toml", data)


def _read_yaml(data: bytes) -> DeclarationFile:
    return _read_text("yaml", data)


def _same_declaration(data: bytes, declaration: DeclarationFile) -> None:
    resources = [describe_resource(each) for each in declaration.resources]
    clients = [write(each.registration) for each in declaration.clients]
    again = read_declaration(write_declaration(resources, clients), "yaml")
    demand(again.resources == declaration.resources, "written and read again: other resources")
    demand(
        [each.registration for each in again.clients]
        == [each.registration for each in declaration.clients],
        "written and read again: other clients",
    )


def _parse_details(data: bytes) -> Details:
    return parse_details(data.decode("utf-8", "replace"), "svc-a")


def _same_details(data: bytes, details: Details) -> None:
    text = json.dumps(details, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    if len(text.encode()) <= 4096:
        demand(parse_details(text, "svc-a") == details, "other details")
    demand(all(isinstance(each["type"], str) for each in details), "an object has no type")


def _check_schema(data: bytes) -> tuple[DetailsSchema, Mapping[str, Any]]:
    schema, _, value = data.partition(b"\n")
    return check_schema(parse_json_object(schema)), parse_json_object(value or b'{"type":"a"}')


def _judges_in_time(data: bytes, found: tuple[DetailsSchema, Mapping[str, Any]]) -> None:
    schema, value = found
    demand(schema.cost <= MAX_STEPS, "the schema has no bound")
    first = schema.fault(value)
    demand(first == schema.fault(value), "a second look gives another verdict")
    demand(check_schema(json.loads(json.dumps(dict(schema)))) == schema, "another schema")


def _parse_metadata(data: bytes) -> ClientMetadata:
    return parse_registration(parse_document(data))


def _read_object(data: bytes) -> ClientRegistration | Resource:
    kind: type[ClientRegistration | Resource] = (
        Resource if data[:1] == b"\n" else ClientRegistration
    )
    first, _, patch = data.strip(b"\n").partition(b"\n")
    document = parse_json_object(first)
    return read_document(
        kind, merge_patch(document, parse_json_object(patch)) if patch else document
    )


def _same_object(data: bytes, found: ClientRegistration | Resource) -> None:
    document = write(found)
    again = read_document(type(found), json.loads(json.dumps(document)))
    demand(again == found, "written and read again it is another object")
    demand(merge_patch(document, {}) == document, "an empty patch changes something")


def _identifier(data: bytes) -> str:
    text = data.decode("utf-8", "surrogateescape")
    check_resource(text)
    return check_issuer(text, allow_insecure_http=True)


def _leads_where_it_says(data: bytes, issuer: str) -> None:
    url = split_server_url(issuer)
    sent = httpx.URL(issuer)
    # What is judged here is where the library that asks goes.
    demand(sent.raw_host.decode().lower() == url.host, "httpx asks another host")
    demand(sent.scheme == url.scheme and sent.userinfo == b"", "httpx reads it otherwise")
    demand(sent.port == (None if url.port in (80, 443) and sent.port is None else url.port), "port")
    demand(sent.raw_path.decode() == (url.path or "/"), "httpx asks for another path")
    demand(url.may_be_asked(True), "plain http leads where it may not")
    for each in metadata_urls(issuer):
        demand(split_server_url(each).host == url.host, "the metadata are elsewhere")


def _text(data: bytes) -> str:
    return data[1:].decode("utf-8", "surrogateescape")


_SETTINGS: Mapping[bytes, Callable[[str], object]] = {
    b"d": parse_duration,
    b"n": parse_networks,
    b"h": parse_insecure_http,
    b"r": parse_redis_url,
    b"b": parse_database_url,
    b"t": parse_time,
    b"s": parse_scope,
    b"q": parse_distinguished_name,
    b"u": check_jwks_uri,
    b"c": SecretHash.parse,
    b"l": parse_list_id,
    b"j": read_jti,
}
"""Parsers of one line, by the letter that an input begins with."""


def _parse_setting(data: bytes) -> object:
    parse = _SETTINGS.get(data[:1])
    return None if parse is None else parse(_text(data))


def _means_the_same(data: bytes, found: Any) -> None:  # noqa: ANN401 - of any of the parsers
    text = _text(data)
    match data[:1]:
        case b"d":
            demand(write_duration(found), "a duration cannot be written")
            demand(found >= 10**12 or parse_duration(f"{found}s") == found, "another duration")
        case b"n":
            demand(parse_networks(",".join(map(str, found))) == found, "other networks")
            demand(all(each.prefixlen for each in found), "every address is a proxy's")
        case b"h" if not isinstance(found, bool):
            demand(all(allows_http(each, found) for each in found), "a host is not allowed")
        case b"r":
            demand(urlsplit(found).scheme in ("redis", "rediss"), "no scheme of the library")
        case b"b" if not isinstance(found, SqliteFile):
            shown, secret = found.shown, found.password
            demand(secret is None or len(secret) < 8 or secret not in shown, "a password is shown")
        case b"t":
            demand(parse_time(write_time(found)) == found, "another time")
        case b"s":
            demand(" ".join(found).split(" ") == list(found) or not found, "other scopes")
        case b"c":
            demand(SecretHash.parse(found.text) == found, "another hash")
        case b"u":
            demand(split_server_url(text).is_secure, "keys over plain http")


def _parse_key(data: bytes) -> object:
    return parse_key_file(data, name="key")


TARGETS = {
    "declaration-toml": Target(
        _read_toml, (InvalidDocument,), _same_declaration, words=_TOML, length=4096
    ),
    "declaration-yaml": Target(
        _read_yaml, (InvalidDocument,), _same_declaration, words=_YAML, length=4096
    ),
    "details": Target(
        _parse_details,
        (InvalidAuthorizationDetails,),
        _same_details,
        words=('[{"type":"a"', '"locations":', '"actions":', "}]", "9007199254740993", "1e999"),
        length=5000,
    ),
    "details-schema": Target(
        _check_schema, (ValueError,), _judges_in_time, words=_SCHEMA, length=4096, seconds=2.0
    ),
    "client-metadata": Target(_parse_metadata, (OAuthError,), words=_METADATA),
    "registry-object": Target(
        _read_object,
        (InvalidDocument, ValueError),
        _same_object,
        words=(*_METADATA, *(f'"{name}":' for name in _MEMBERS)),
    ),
    "identifier": Target(
        _identifier,
        (ValueError,),
        _leads_where_it_says,
        words=(
            "https://",
            "http://",
            "[::1]",
            "127.0.0.1",
            "localhost",
            ":8080",
            "%2e",
            "@",
            "xn--",
        ),
        length=512,
    ),
    "setting": Target(
        _parse_setting,
        (ValueError, InvalidValue, InvalidSecretHash),
        _means_the_same,
        words=(
            *("d90d", "n10.0.0.0/8,", "htrue", "rrediss://:p@h/0", "bpostgresql://u:p@h:5432/n?"),
            *("bsqlite:///", "sslmode=", "t2027-01-31T12:00:00Z", "+01:00", "sread write", "qCN="),
            *("uhttps://", "c$scrypt$ln=14,r=8,p=1$", "c$sha256$", "l1-2", "\\,", "#0403"),
        ),
        length=512,
    ),
    "key-file": Target(
        _parse_key,
        (KeyStoreError,),
        words=("-----BEGIN PRIVATE KEY-----", "Watchword-Key: {", '"published_at":', '"jwk":'),
    ),
}
