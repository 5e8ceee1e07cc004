"""Read what an operator wants an initial access token to allow, and make it (RFC 7591 §3)."""

from collections.abc import Callable
from typing import Self

from pydantic import Field, model_validator

from issuer.registry.client import ResourcePermission
from issuer.registry.errors import InvalidValue
from issuer.registry.initial_access_token import (
    INITIAL_PREFIX,
    SECRET_BYTES,
    InitialAccessToken,
    hash_token,
)
from issuer.registry.schema import Document, Time, TokenTtl
from keys.encoding import encode_base64url

_ID_BYTES = 8
_MAXIMUM_USES = 1_000_000
_MAXIMUM_GRANTS = 100


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
        hash=hash_token(text, random_bytes),
        grants=tuple(document.grants),
        token_ttl=document.token_ttl,
        uses_left=document.uses,
        created_at=now,
        expires_at=end,
    )
    return text, kept
