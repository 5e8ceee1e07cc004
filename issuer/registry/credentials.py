"""What clients prove themselves by: methods, secrets by their hashes, public keys and names.

RFC 6749 §10.10, RFC 7591 §2, RFC 8705 §2. Hashes of secrets describe themselves. A generated secret
has 256 random bits, so one salted HMAC-SHA256 is the right check: there is nothing to guess. A
short secret that a person chose gets scrypt instead. Several secrets of one client may be live at
once, so that one can replace another. Times are integer seconds since the epoch.
"""

import hmac
import ipaddress
import re
from codecs import BOM_UTF8
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import scrypt
from typing import Any, Self
from urllib.parse import urlsplit

from pydantic import ValidationInfo

from issuer.registry.errors import InvalidSecretHash, InvalidValue
from issuer.registry.schema import Json, check_json_size, check_time, write_time
from keys.encoding import decode_base64url, encode_base64url
from keys.errors import InvalidJwk
from keys.jwk import PRIVATE_MEMBERS, PUBLISHED_TEST_KEYS, parse_public_jwk, thumbprint

SECRET_PREFIX = "wws_"  # noqa: S105 - lets secret scanners recognise a leaked secret
SALT_BYTES = 16
STRONG_SECRET_LENGTH = 32
"""Characters from which a supplied secret is trusted to be beyond guessing."""

_SECRET_BYTES = 32
_DIGEST_BYTES = 32
_SECRET_ID_BYTES = 5
# RFC 6749 appendix A.2: client-secret = *VSCHAR (%x20-7E).
_SECRET = re.compile(r"[\x20-\x7e]{8,512}")
_FAST_HASH = re.compile(r"\$sha256\$(?P<salt>[\w-]+)\$(?P<digest>[\w-]+)", re.ASCII)
_SLOW_HASH = re.compile(
    r"\$scrypt\$ln=(?P<ln>1[0-7]),r=(?P<r>[1-9]|1[0-6]),p=(?P<p>[1-4])"
    r"\$(?P<salt>[\w-]+)\$(?P<digest>[\w-]+)",
    re.ASCII,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScryptCost:
    """Work factors of scrypt: 2**ln rounds, block size r, parallelism p (RFC 7914 §2)."""

    ln: int
    r: int
    p: int

    def digest(self, secret: bytes, salt: bytes) -> bytes:
        """Derive the digest; takes some 40 ms and `128 * r * 2**ln` bytes with `SCRYPT_COST`."""
        rounds = 1 << self.ln
        room = 2 * 128 * self.r * (rounds + self.p)
        return scrypt(
            secret, salt=salt, n=rounds, r=self.r, p=self.p, dklen=_DIGEST_BYTES, maxmem=room
        )


SCRYPT_COST = ScryptCost(ln=14, r=8, p=1)
"""What new slow hashes cost: 16 MB each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretHash:
    """A parsed hash, ready to verify; its repr shows neither salt nor digest.

    `cost` is None for the fast scheme.
    """

    salt: bytes = field(repr=False)
    digest: bytes = field(repr=False)
    cost: ScryptCost | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a hash from the text of one.

        Raises:
            InvalidSecretHash: the scheme is unknown or the text is damaged.
        """
        if match := _FAST_HASH.fullmatch(text):
            cost = None
        elif match := _SLOW_HASH.fullmatch(text):
            cost = ScryptCost(ln=int(match["ln"]), r=int(match["r"]), p=int(match["p"]))
        else:
            raise InvalidSecretHash("a stored secret hash is damaged or of an unknown scheme")
        try:
            salt, digest = decode_base64url(match["salt"]), decode_base64url(match["digest"])
        except ValueError:
            raise InvalidSecretHash("a stored secret hash is damaged") from None
        if len(salt) < SALT_BYTES or len(digest) != _DIGEST_BYTES:
            raise InvalidSecretHash("a stored secret hash is damaged")
        return cls(salt=salt, digest=digest, cost=cost)

    @property
    def text(self) -> str:
        """The form that is stored, which `parse` reads back."""
        tail = f"{encode_base64url(self.salt)}${encode_base64url(self.digest)}"
        if self.cost is None:
            return f"$sha256${tail}"
        return f"$scrypt$ln={self.cost.ln},r={self.cost.r},p={self.cost.p}${tail}"

    @property
    def secret_id(self) -> str:
        """A short name for the secret, from its salt, which is drawn anew for every secret."""
        return self.salt[:_SECRET_ID_BYTES].hex()

    @property
    def slow(self) -> bool:
        """Whether `verify` takes tens of milliseconds and must leave the event loop."""
        return self.cost is not None

    def verify(self, secret: str) -> bool:
        """Tell whether `secret` is the hashed one, in time that depends on neither."""
        message = secret.encode("utf-8", "surrogatepass")
        if self.cost is None:
            computed = hmac.digest(self.salt, message, "sha256")
        else:
            computed = self.cost.digest(message, self.salt)
        return hmac.compare_digest(computed, self.digest)


# No secret has these digests: they make an unknown client cost the same work as a known one
# (RFC 6749 §2.3.1 asks for protection against brute force; the answer's time must not help it).
DUMMY_FAST = SecretHash(salt=bytes(SALT_BYTES), digest=bytes(_DIGEST_BYTES))
DUMMY_SLOW = SecretHash(salt=bytes(SALT_BYTES), digest=bytes(_DIGEST_BYTES), cost=SCRYPT_COST)


def generate_secret(random_bytes: Callable[[int], bytes]) -> str:
    """Make a secret of 256 random bits in characters that no form-encoding changes.

    Args:
        random_bytes: the operating system's randomness, `secrets.token_bytes`.
    """
    # RFC 6749 §10.10: the probability of guessing MUST be at most 2^-128, SHOULD be 2^-160.
    return SECRET_PREFIX + encode_base64url(random_bytes(_SECRET_BYTES))


def decode_secret(content: bytes) -> str:
    """Take a secret out of what a file or a line holds.

    White space around it and a byte order mark are what editors and shells add, and no part of it.
    Whether the rest can be a secret, `check_secret` decides.
    """
    return content.removeprefix(BOM_UTF8).decode("ascii", "replace").strip()


def check_secret(secret: str) -> str:
    """Return a supplied secret unchanged if it can be sent (RFC 6749 appendix A.2).

    Raises:
        InvalidValue: the secret is not 8 to 512 printable ASCII characters.
    """
    if not _SECRET.fullmatch(secret):
        raise InvalidValue("a secret is 8 to 512 printable ASCII characters")
    return secret


def hash_secret(secret: str, random_bytes: Callable[[int], bytes]) -> SecretHash:
    """Hash a secret with a salt of its own: fast from 32 characters on, with scrypt below.

    Args:
        secret: a client's secret, or a token that is kept by its hash.
        random_bytes: the operating system's randomness, `secrets.token_bytes`.
    """
    message, salt = secret.encode(), random_bytes(SALT_BYTES)
    if len(secret) >= STRONG_SECRET_LENGTH:
        return SecretHash(salt=salt, digest=hmac.digest(salt, message, "sha256"))
    return SecretHash(salt=salt, digest=SCRYPT_COST.digest(message, salt), cost=SCRYPT_COST)


MAXIMUM_SECRETS = 10
"""Secrets that one client may have; each live one costs every request of the client a hash."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSecret:
    """One of a client's secrets, by its hash.

    `last_used_at` is when it last got a token, to the minute; None if it never did.
    """

    secret_id: str
    hash: SecretHash
    created_at: int
    starts_at: int
    expires_at: int | None
    last_used_at: int | None = None

    def is_live(self, now: int) -> bool:
        """Tell whether the secret may be used at `now`."""
        return self.starts_at <= now and (self.expires_at is None or now < self.expires_at)

    def has_ended(self, now: int) -> bool:
        """Tell whether the secret can never be used again."""
        return self.expires_at is not None and self.expires_at <= now


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSecret:
    """A secret about to be added.

    Args:
        hash: what is kept of it; also its id.
        starts_at: from when it counts; None for at once.
        expires_at: when it ends; None for never.

    Raises:
        InvalidValue: it would end before it starts, or a time cannot be written as RFC 3339.
    """

    hash: SecretHash
    starts_at: int | None = None
    expires_at: int | None = None

    def __post_init__(self) -> None:
        for time in (self.starts_at, self.expires_at):
            if time is not None:
                check_time(time)
        if self.expires_at is not None and self.expires_at <= (self.starts_at or 0):
            raise InvalidValue("a secret must end after it starts")


def describe_secret(secret: ClientSecret) -> Json:
    """Describe a secret by its times, never by what it is."""
    return {
        "secret_id": secret.secret_id,
        "created_at": write_time(secret.created_at),
        "starts_at": write_time(secret.starts_at),
        "expires_at": write_time(secret.expires_at),
        "last_used_at": write_time(secret.last_used_at),
    }


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
    TLS_CLIENT_AUTH = "tls_client_auth"
    SELF_SIGNED_TLS_CLIENT_AUTH = "self_signed_tls_client_auth"

    @property
    def uses_secret(self) -> bool:
        """Whether clients prove themselves by a plain secret; either of the two ways serves."""
        return self in (AuthMethod.CLIENT_SECRET_BASIC, AuthMethod.CLIENT_SECRET_POST)


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
    AuthMethod.TLS_CLIENT_AUTH: TLS_SUBJECTS,
    AuthMethod.SELF_SIGNED_TLS_CLIENT_AUTH: ("jwks", "jwks_uri"),
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
        raise InvalidValue(f"{method} needs one of {', '.join(wanted)}")
    if len(given) > 1:
        raise InvalidValue(f"{method} has only one of {', '.join(given)}")


def check_tls_subject(value: str, info: ValidationInfo) -> str:
    """Return a certificate's name unchanged if a certificate can have it (RFC 8705 §2.1.2).

    Raises:
        InvalidValue: it is empty, too long, or does not print; or is no IP address where it should.
    """
    name = info.field_name
    if not (1 <= len(value) <= MAXIMUM_SUBJECT_LENGTH and value.isprintable()):
        raise InvalidValue(f"{name} is 1 to {MAXIMUM_SUBJECT_LENGTH} printable characters")
    if name == "tls_client_auth_san_ip":
        try:
            ipaddress.ip_address(value)
        except ValueError:
            raise InvalidValue(f"{name} is not an IP address") from None
    return value


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
    return uri


def _is_private(host: str) -> bool:
    return f".{host}".endswith(_PRIVATE_SUFFIXES)
