"""Methods of client authentication, and what a client of each is known by besides secrets.

RFC 7591 §2, RFC 8705 §2: public keys, and names of certificates.
"""

import ipaddress
import re
from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Annotated, Any
from urllib.parse import urlsplit

from cryptography import x509
from pydantic import BeforeValidator, ValidationInfo, WithJsonSchema
from pydantic_core import PydanticKnownError

from issuer.registry.errors import InvalidValue
from issuer.registry.schema import check_json_size
from keys.errors import InvalidJwk
from keys.identifiers import split_server_url
from keys.jwk import PRIVATE_MEMBERS, PUBLISHED_TEST_KEYS, parse_public_jwk, thumbprint

_MAXIMUM_JWKS_BYTES = 65_536
_MAXIMUM_KEYS = 10
MAXIMUM_SUBJECT_LENGTH = 1024
_HOST_NAME = re.compile(r"(?=.{1,253}$)([A-Za-z0-9_-]{1,63}\.)+[A-Za-z][A-Za-z0-9-]{0,62}")
# Names that only mean something inside a network (RFC 6761, RFC 6762, RFC 8375, ICANN's .internal).
_PRIVATE_SUFFIXES = (".localhost", ".local", ".internal", ".home.arpa")


class AuthMethod(StrEnum):
    """Ways to authenticate at the token endpoint, by their registered names (RFC 7591 §2)."""

    CLIENT_SECRET_BASIC = "client_secret_basic"  # noqa: S105 - a method's name
    CLIENT_SECRET_POST = "client_secret_post"  # noqa: S105 - a method's name
    PRIVATE_KEY_JWT = "private_key_jwt"
    CLIENT_SECRET_JWT = "client_secret_jwt"  # noqa: S105 - a method's name
    TLS_CLIENT_AUTH = "tls_client_auth"
    SELF_SIGNED_TLS_CLIENT_AUTH = "self_signed_tls_client_auth"
    FEDERATED = "federated"
    """Tokens of another issuer; a name of our own, since none is registered."""

    @property
    def sends_secret(self) -> bool:
        """Whether clients prove themselves by a plain secret; either of the two ways serves."""
        return self in (AuthMethod.CLIENT_SECRET_BASIC, AuthMethod.CLIENT_SECRET_POST)

    @property
    def uses_secret(self) -> bool:
        """Whether clients have secrets, which they send or sign with."""
        return self.sends_secret or self is AuthMethod.CLIENT_SECRET_JWT


def _check_method(value: object) -> object:
    if not isinstance(value, str):
        raise PydanticKnownError("string_type")
    if value not in _METHODS:
        raise InvalidValue("must be one of " + ", ".join(AuthMethod))
    return value


_METHODS = [method.value for method in AuthMethod]
MethodName = Annotated[
    AuthMethod,
    BeforeValidator(_check_method),
    WithJsonSchema({"type": "string", "enum": _METHODS}),
]
"""A method as documents name it."""


ASSERTION_ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA", "Ed25519")
"""What clients may sign assertions with; a key of theirs without `alg` serves each that it fits."""

HMAC_ALGORITHM = "HS256"
"""What clients of `client_secret_jwt` authenticate assertions with."""

TLS_SUBJECTS = (
    "tls_client_auth_subject_dn",
    "tls_client_auth_san_dns",
    "tls_client_auth_san_uri",
    "tls_client_auth_san_ip",
    "tls_client_auth_san_email",
)
"""Ways to name the certificate of `tls_client_auth`; a client has one (RFC 8705 §2.1.2)."""


MATERIAL: Mapping[AuthMethod, tuple[str, ...]] = {
    AuthMethod.CLIENT_SECRET_BASIC: (),
    AuthMethod.CLIENT_SECRET_POST: (),
    AuthMethod.PRIVATE_KEY_JWT: ("jwks", "jwks_uri"),
    AuthMethod.CLIENT_SECRET_JWT: (),
    AuthMethod.TLS_CLIENT_AUTH: TLS_SUBJECTS,
    AuthMethod.SELF_SIGNED_TLS_CLIENT_AUTH: ("jwks", "jwks_uri"),
    AuthMethod.FEDERATED: ("federated_identities",),
}
"""Members that a client is known by, of which it has exactly one; secrets are no members."""

ALL_MATERIAL = tuple(dict.fromkeys(name for names in MATERIAL.values() for name in names))


def check_material(method: AuthMethod, given: Collection[str]) -> None:
    """Refuse material that does not fit the method.

    Args:
        method: how the client authenticates.
        given: which of `ALL_MATERIAL` are set.

    Raises:
        InvalidValue: a member is missing, is one too many, or belongs to another method.
    """
    wanted = MATERIAL[method]
    if foreign := [name for name in given if name not in wanted]:
        raise InvalidValue(f"{method} has no {foreign[0]}")
    if wanted and not given:
        one_of = "one of " if len(wanted) > 1 else ""
        raise InvalidValue(f"{method} needs {one_of}{', '.join(wanted)}")
    if len(given) > 1:
        raise InvalidValue(f"{method} has only one of {', '.join(given)}")


def check_signing_alg(alg: str) -> str:
    """Return the algorithm of a client's assertions unchanged if there is such a one.

    Raises:
        InvalidValue: it is none of `ASSERTION_ALGORITHMS`.
    """
    if alg not in ASSERTION_ALGORITHMS:
        raise InvalidValue("must be one of " + ", ".join(ASSERTION_ALGORITHMS))
    return alg


def check_tls_subject(value: str, info: ValidationInfo) -> str:
    """Return a certificate's name unchanged if a certificate can have it (RFC 8705 §2.1.2).

    Raises:
        InvalidValue: it is empty, too long, or does not print; or is no IP address, or no
            distinguished name, where it should be one.
    """
    name = info.field_name
    if not (1 <= len(value) <= MAXIMUM_SUBJECT_LENGTH and value.isprintable()):
        raise InvalidValue(f"{name} is 1 to {MAXIMUM_SUBJECT_LENGTH} printable characters")
    if name == "tls_client_auth_san_ip":
        try:
            ipaddress.ip_address(value)
        except ValueError:
            raise InvalidValue(f"{name} is not an IP address") from None
    if name == "tls_client_auth_subject_dn":
        parse_distinguished_name(value)
    return value


def parse_distinguished_name(text: str) -> x509.Name:
    """Read a distinguished name as RFC 4514 writes it: the part that is nearest first.

    Raises:
        InvalidValue: it is written in another way, or has a name of an attribute that is not in
            RFC 4514 §3.
    """
    try:
        return x509.Name.from_rfc4514_string(text)
    except ValueError:
        raise InvalidValue(
            "tls_client_auth_subject_dn is no distinguished name as RFC 4514 writes them, such as"
            " CN=svc,O=Example,C=DE; write other attributes than CN, L, ST, O, OU, C, STREET, DC"
            " and UID by their numbers, such as 1.2.840.113549.1.9.1"
        ) from None


def check_jwks(document: dict[str, Any]) -> dict[str, Any]:
    """Return a JWK set unchanged; refuse one with no key, or with a private, weak or known one.

    Unlike a set read from the network, every key must be usable: one that would be left out
    is a mistake.

    Raises:
        InvalidValue: saying which key, counted from 1, and why.
    """
    keys = document.get("keys")
    if not isinstance(keys, list) or not 1 <= len(keys) <= _MAXIMUM_KEYS:
        raise InvalidValue(f"jwks is an object with 1 to {_MAXIMUM_KEYS} keys in `keys`")
    check_json_size(document, "jwks", maximum=_MAXIMUM_JWKS_BYTES)
    kids: set[str] = set()
    for number, members in enumerate(keys, 1):
        kid = _check_jwk(members, number)
        if kid in kids:
            raise InvalidValue(f"key {number} of jwks has the kid of another")
        kids.add(kid)
    return document


def _check_jwk(members: object, number: int) -> str:
    if not isinstance(members, dict):
        raise InvalidValue(f"key {number} of jwks is not an object")
    if any(members.get(name) is not None for name in PRIVATE_MEMBERS):
        raise InvalidValue(f"key {number} of jwks has private members; register the public key")
    try:
        key = parse_public_jwk(members)
    except InvalidJwk as error:
        raise InvalidValue(f"key {number} of jwks cannot be used: {error}") from None
    if thumbprint(key.members()) in PUBLISHED_TEST_KEYS:
        raise InvalidValue(f"key {number} of jwks is printed in an RFC with its private half")
    return key.kid


def check_jwks_uri(uri: str) -> str:
    """Return a URL unchanged; refuse one that a server must not fetch (RFC 8725 §3.10).

    Checks the text only; before a fetch the addresses behind the name must be checked as well.

    Raises:
        InvalidValue: it is not plain https to a public host name.
    """
    if len(uri) > 2048 or not uri.isascii() or not uri.isprintable() or " " in uri:
        raise InvalidValue("jwks_uri must be at most 2048 plain ASCII characters without spaces")
    try:
        parts = urlsplit(uri)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise InvalidValue(
            "jwks_uri has a port that is not a number, or a broken address"
        ) from None
    if parts.scheme != "https" or "@" in parts.netloc or "#" in uri or "\\" in uri:
        raise InvalidValue("jwks_uri must be https, without user information and fragment")
    if port not in (None, 443):
        raise InvalidValue("jwks_uri must be on port 443")
    # Brackets hold addresses only (RFC 3986 §3.2.2), also of future versions.
    if "[" in parts.netloc or not _HOST_NAME.fullmatch(host) or _is_private(host):
        raise InvalidValue("jwks_uri must name a public host by its full name")
    try:
        split_server_url(uri)  # what else two parsers might read differently
    except ValueError as error:
        raise InvalidValue(f"jwks_uri {error}") from None
    return uri


def _is_private(host: str) -> bool:
    return f".{host}".endswith(_PRIVATE_SUFFIXES)
