"""Secrets of a client: several may be live at once, so that one can replace another.

Times are integer seconds since the epoch.
"""

from dataclasses import dataclass

from issuer.registry.errors import InvalidValue
from issuer.registry.rfc3339 import check_time
from issuer.registry.secret_hash import SecretHash

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
        InvalidValue: it would end before it starts, or a time is one that nobody can write.
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
