"""Read what options say into what documents have; each raises `ValueError` or `InvalidValue`."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from issuer.registry.client import ResourcePermission

_COUNT = re.compile(r"[1-9][0-9]{0,11}", re.ASCII)
_SHORT_ID = re.compile(r"[0-9a-f]{1,32}", re.ASCII)
_LARGEST_FILE = 1 << 20
_LATER_METHODS = ("client_secret_jwt", "federated")
_SUBJECTS = {
    "dn": "tls_client_auth_subject_dn",
    "dns": "tls_client_auth_san_dns",
    "uri": "tls_client_auth_san_uri",
    "ip": "tls_client_auth_san_ip",
    "email": "tls_client_auth_san_email",
}
"""The kinds of certificate names of RFC 8705 §2.1.2."""


def parse_name(text: str) -> str:
    """Read a name for people."""
    from issuer.registry.client import check_client_name

    check_client_name(text)
    return text


def parse_auth_method(text: str) -> str:
    """Read a method by its registered name."""
    from issuer.registry.auth_method import AuthMethod

    if text in _LATER_METHODS:
        raise ValueError(f"{text} is not available in this version")
    try:
        return AuthMethod(text).value
    except ValueError:
        *others, last = AuthMethod
        raise ValueError(f"choose {', '.join(others)} or {last}") from None


def parse_grant_types(texts: Sequence[str]) -> list[str]:
    """Read grant types by their registered names."""
    from issuer.registry.client import GRANT_TYPES

    for text in texts:
        if text not in GRANT_TYPES:
            raise ValueError(f"{text!a} is no grant here; use {', '.join(GRANT_TYPES)}")
    return list(dict.fromkeys(texts))


def parse_scopes(texts: Sequence[str]) -> list[str]:
    """Read scopes: in each text one, or several with spaces between them."""
    from issuer.scope import parse_scope

    try:
        return list(dict.fromkeys(scope for text in texts for scope in parse_scope(text)))
    except ValueError:
        raise ValueError(
            "visible ASCII characters without quote and backslash, such as orders:read"
        ) from None


def parse_resource(text: str) -> str:
    """Read a resource identifier."""
    from issuer.registry.resource import check_resource_identifier

    check_resource_identifier(text)
    return text


def parse_resources(texts: Sequence[str]) -> list[str]:
    """Read resource identifiers."""
    return [parse_resource(text) for text in dict.fromkeys(texts)]


def parse_grant(text: str) -> "ResourcePermission":
    """Read a grant: a resource and its scopes, with spaces between."""
    from issuer.registry.client import ResourcePermission

    resource, *scopes = text.split() or [""]
    parse_resource(resource)
    return ResourcePermission(resource=resource, scopes=tuple(parse_scopes(scopes)))


def parse_seconds(text: str) -> int:
    """Read a number of seconds, 1 or more."""
    if not _COUNT.fullmatch(text):
        raise ValueError("must be a whole number of seconds, 1 or more")
    return int(text)


def parse_count(text: str) -> int:
    """Read a number of things, 1 or more."""
    if not _COUNT.fullmatch(text):
        raise ValueError("must be a whole number, 1 or more")
    return int(text)


def parse_token_ttl(text: str) -> int:
    """Read the lifetime of tokens in seconds."""
    from issuer.config import check_token_ttl

    if not re.fullmatch(r"-?[0-9]{1,12}", text, re.ASCII):
        raise ValueError("must be a whole number of seconds")
    return check_token_ttl(int(text))


def parse_signing_alg(text: str) -> str:
    """Read the algorithm that tokens of a resource are signed with."""
    from issuer.registry.token_policy import TokenPolicy

    TokenPolicy(signing_alg=text)
    return text


def parse_time(text: str) -> str:
    """Read a time, RFC 3339 with its offset, into the form in which times are shown."""
    from issuer.registry.rfc3339 import parse_time, write_time

    return write_time(parse_time(text))


def later(text: str, now: int) -> str:
    """Read seconds from `now` into the time that it will be."""
    from issuer.registry.rfc3339 import check_time, write_time

    then = now + parse_seconds(text)
    check_time(then)
    return write_time(then)


def parse_tls_subject(text: str) -> dict[str, str]:
    """Read `KIND=VALUE` into the member of RFC 8705 §2.1.2."""
    kind, equals, value = text.partition("=")
    if kind not in _SUBJECTS or not equals or not value:
        raise ValueError(f"must be KIND=VALUE, where KIND is {', '.join(_SUBJECTS)}")
    return {_SUBJECTS[kind]: value}


def check_short_id(text: str) -> None:
    """Refuse what is no id of a secret or token; the text itself may be one, so it is not shown."""
    if not _SHORT_ID.fullmatch(text):
        raise ValueError("must be an id as the list shows it, not what it stands for")


def parse_notes(texts: Sequence[str]) -> dict[str, str]:
    """Read `KEY=VALUE` texts."""
    notes: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise ValueError("must be KEY=VALUE")
        if key in notes:
            raise ValueError(f"{key!a} is given twice")
        notes[key] = value
    return notes


def parse_jwks_uri(text: str) -> str:
    """Read where a client publishes its keys."""
    from issuer.registry.auth_method import check_jwks_uri

    check_jwks_uri(text)
    return text


def load_jwks(path: str) -> dict[str, Any]:
    """Load a JWK set that may be registered from a file."""
    from issuer.registry.auth_method import check_jwks

    jwks = load_object(path)
    check_jwks(jwks)
    return jwks


def load_object(path: str) -> dict[str, Any]:
    """Load a JSON object from a file."""
    from keys.encoding import parse_json_object

    try:
        with open(path, "rb") as file:
            raw = file.read(_LARGEST_FILE + 1)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise ValueError(f"{path} cannot be read: {why.lower()}") from None
    if len(raw) > _LARGEST_FILE:
        raise ValueError(f"{path} has more than {_LARGEST_FILE} bytes")
    try:
        return parse_json_object(raw)
    except ValueError as error:
        raise ValueError(f"{path} cannot be used: {error}") from None
