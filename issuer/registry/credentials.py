"""The secrets that clients prove themselves by, as their hashes (RFC 6749 §10.10).

Hashes of secrets describe themselves. A generated secret has 256 random bits, so one salted
HMAC-SHA256 is the right check: there is nothing to guess. A short secret that a person chose gets
scrypt instead. One that signs assertions has to be recovered, so it is kept sealed beside its hash.
Several secrets of one client may be live at once, so that one can replace another. Times are
integer seconds since the epoch.
"""

import hmac
import re
from codecs import BOM_UTF8
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import scrypt
from typing import Self

from issuer.registry.auth_methods import AuthMethod
from issuer.registry.errors import InvalidSecretHash, InvalidValue
from issuer.registry.schema import Json, check_time, write_time
from keys.encoding import decode_base64url, encode_base64url

SECRET_PREFIX = "wws_"  # noqa: S105 - lets secret scanners recognise a leaked secret
SALT_BYTES = 16
STRONG_SECRET_LENGTH = 32
"""Characters from which a supplied secret is trusted to be beyond guessing."""

_SECRET_BYTES = 32
_DIGEST_BYTES = 32
_SECRET_ID_BYTES = 5
# RFC 6749 appendix A.2: client-secret = *VSCHAR (%x20-7E).
_SECRET = re.compile(r"[\x20-\x7e]{8,512}")
SECRET_PATTERN = f"^{_SECRET.pattern}$"
"""What a supplied secret may be, for JSON Schema."""
_GENERATED = re.compile(SECRET_PREFIX + r"[\w-]{43}", re.ASCII)
_FAST_HASH = re.compile(r"\$sha256\$(?P<salt>[\w-]+)\$(?P<digest>[\w-]+)", re.ASCII)
_SEALED = re.compile(
    r"\$sealed\$(?P<salt>[\w-]+)\$(?P<digest>[\w-]+)\$(?P<sealed>[\w-]+)", re.ASCII
)
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

    Args:
        salt: of the digest.
        digest: of the secret.
        cost: of the digest; None for the fast scheme.
        sealed: the secret itself, as `SecretSeal` seals it; None if it cannot be recovered.
    """

    salt: bytes = field(repr=False)
    digest: bytes = field(repr=False)
    cost: ScryptCost | None = None
    sealed: bytes | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a hash from the text of one.

        Raises:
            InvalidSecretHash: the scheme is unknown or the text is damaged.
        """
        cost = sealed = None
        if match := _FAST_HASH.fullmatch(text) or _SEALED.fullmatch(text):
            pass
        elif match := _SLOW_HASH.fullmatch(text):
            cost = ScryptCost(ln=int(match["ln"]), r=int(match["r"]), p=int(match["p"]))
        else:
            raise InvalidSecretHash("a stored secret hash is damaged or of an unknown scheme")
        try:
            salt, digest = decode_base64url(match["salt"]), decode_base64url(match["digest"])
            if "sealed" in match.re.groupindex:
                sealed = decode_base64url(match["sealed"])
        except ValueError:
            raise InvalidSecretHash("a stored secret hash is damaged") from None
        if len(salt) < SALT_BYTES or len(digest) != _DIGEST_BYTES:
            raise InvalidSecretHash("a stored secret hash is damaged")
        return cls(salt=salt, digest=digest, cost=cost, sealed=sealed)

    @property
    def text(self) -> str:
        """The form that is stored, which `parse` reads back."""
        tail = f"{encode_base64url(self.salt)}${encode_base64url(self.digest)}"
        if self.sealed is not None:
            return f"$sealed${tail}${encode_base64url(self.sealed)}"
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


def is_generated(secret: str) -> bool:
    """Tell whether a secret has the form of those that `generate_secret` makes."""
    return _GENERATED.fullmatch(secret) is not None


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

    def serves(self, method: AuthMethod) -> bool:
        """Tell whether a client of a method that uses secrets can authenticate by this one."""
        return method.sends_secret or self.hash.sealed is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSecret:
    """A secret about to be added.

    Args:
        hash: what is kept of it; also its id.
        text: the secret itself, for a method that it has to be recovered for.
        starts_at: from when it counts; None for at once.
        expires_at: when it ends; None for never.

    Raises:
        InvalidValue: it would end before it starts, or a time cannot be written as RFC 3339.
    """

    hash: SecretHash
    text: str | None = field(default=None, repr=False)
    starts_at: int | None = None
    expires_at: int | None = None

    @classmethod
    def of(
        cls,
        text: str,
        random_bytes: Callable[[int], bytes],
        *,
        starts_at: int | None = None,
        expires_at: int | None = None,
    ) -> Self:
        """Hash a secret that is to be added; a short one takes some 40 ms."""
        hashed = hash_secret(text, random_bytes)
        return cls(hash=hashed, text=text, starts_at=starts_at, expires_at=expires_at)

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
