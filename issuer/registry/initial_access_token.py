"""Initial access tokens: who may register a client by itself, and for what (RFC 7591 §3).

A token has 256 random bits and is kept as a fast hash, found by the id that is part of it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from pydantic import Field, model_validator

from issuer.registry.credentials import SecretHash, hash_secret
from issuer.registry.errors import InvalidValue
from issuer.registry.permission import ResourcePermission
from issuer.registry.schema import Document, Json, Time, TokenTtl, check_time, write, write_time
from keys.encoding import encode_base64url

INITIAL_PREFIX = "wwr_"
"""Begins an initial access token, so that secret scanners recognise a leaked one."""
ACCESS_PREFIX = "wwa_"
"""Begins a registration access token (RFC 7592 §3)."""

SECRET_BYTES = 32
"""Random bytes of either kind of token."""

_INITIAL = re.compile(rf"{INITIAL_PREFIX}(?P<token_id>[0-9a-f]{{16}})_[A-Za-z0-9_-]{{43}}")
_ACCESS = re.compile(rf"{ACCESS_PREFIX}[A-Za-z0-9_-]{{43}}")
_ID_BYTES = 8
_MAXIMUM_USES = 1_000_000
_MAXIMUM_GRANTS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class InitialAccessToken:
    """An initial access token by its hash, and what may be registered with it.

    Args:
        token_id: names it; part of the token itself.
        hash: what is kept of it.
        grants: what a client that registers with it may have, its default resource first.
        token_ttl: life of the access tokens of such clients in seconds; None leaves it open.
        uses_left: clients that may still register with it; None for as many as come.
        created_at: seconds since the epoch.
        expires_at: from when it is refused; None for never.

    Raises:
        InvalidValue: a field is outside what the registry accepts.
    """

    token_id: str
    hash: SecretHash
    grants: tuple[ResourcePermission, ...]
    token_ttl: int | None
    uses_left: int | None
    created_at: int
    expires_at: int | None

    def __post_init__(self) -> None:
        if self.expires_at is not None:
            check_time(self.expires_at)
        resources = [grant.resource for grant in self.grants]
        if not resources or len(set(resources)) < len(resources):
            raise InvalidValue("grants name at least one resource, and each one once")

    def is_live(self, now: int) -> bool:
        """Tell whether a client may register with it at `now`."""
        ended = self.expires_at is not None and self.expires_at <= now
        return not ended and self.uses_left != 0


def make_access_token(random_bytes: Callable[[int], bytes]) -> str:
    """Make a registration access token, with which a client administers itself (RFC 7592 §3)."""
    return ACCESS_PREFIX + encode_base64url(random_bytes(SECRET_BYTES))


def parse_token_id(text: str) -> str | None:
    """Return the id that an initial access token names; None if it can be none."""
    match = _INITIAL.fullmatch(text)
    return None if match is None else match["token_id"]


def is_access_token(text: str) -> bool:
    """Tell whether a text has the form of a registration access token."""
    return _ACCESS.fullmatch(text) is not None


def describe_registration_token(token: InitialAccessToken) -> Json:
    """Describe an initial access token by what it allows, never by what it is."""
    return {
        "token_id": token.token_id,
        "grants": [write(grant) for grant in token.grants],
        "token_ttl": token.token_ttl,
        "uses_left": token.uses_left,
        "created_at": write_time(token.created_at),
        "expires_at": write_time(token.expires_at),
    }


class RegistrationTokenDocument(Document):
    """An initial access token as an operator wants it."""

    grants: list[ResourcePermission] = Field(
        min_length=1,
        max_length=_MAXIMUM_GRANTS,
        description="what its clients may have, their default resource first",
    )
    token_ttl: TokenTtl | None = Field(None, description="life of their access tokens in seconds")
    uses: int | None = Field(
        None, ge=1, le=_MAXIMUM_USES, description="clients that may register; no limit if left out"
    )
    expires_in: int | None = Field(None, ge=1, description="seconds until it ends")
    expires_at: Time | None = Field(None, description="when it ends, instead of `expires_in`")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.expires_in is not None and self.expires_at is not None:
            raise ValueError("only one of expires_in, expires_at")
        return self

    def end(self, now: int) -> int | None:
        """Return when the token ends, seconds since the epoch; None for never."""
        if self.expires_in is not None:
            return now + self.expires_in
        return self.expires_at


def make_registration_token(
    document: RegistrationTokenDocument, *, now: int, random_bytes: Callable[[int], bytes]
) -> tuple[str, InitialAccessToken]:
    """Make an initial access token.

    Args:
        document: what it allows.
        now: seconds since the epoch.
        random_bytes: the operating system's randomness, `secrets.token_bytes`.

    Returns:
        The token itself, to be shown this once, and what is kept of it.

    Raises:
        InvalidValue: a value is outside what the registry accepts, or the token would end at once.
    """
    end = document.end(now)
    if end is not None and end <= now:
        raise InvalidValue("expires_at is not in the future")
    token_id = random_bytes(_ID_BYTES).hex()
    text = f"{INITIAL_PREFIX}{token_id}_{encode_base64url(random_bytes(SECRET_BYTES))}"
    kept = InitialAccessToken(
        token_id=token_id,
        hash=hash_secret(text, random_bytes),
        grants=tuple(document.grants),
        token_ttl=document.token_ttl,
        uses_left=document.uses,
        created_at=now,
        expires_at=end,
    )
    return text, kept
