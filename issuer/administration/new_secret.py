"""Make the secret that an administrator asks for, or take the one that he brings."""

from collections.abc import Callable
from dataclasses import dataclass, field

from issuer.registry.client_secret import ClientSecret, NewSecret
from issuer.registry.errors import InvalidValue
from issuer.registry.representation import describe_secret
from issuer.registry.rfc3339 import write_time
from issuer.registry.schema import Json
from issuer.registry.secret_hash import SALT_BYTES, SecretHash, generate_secret, hash_secret


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeSecret:
    """A secret ready to be added.

    Args:
        new: what is kept.
        supplied: the text, if it was brought.
        generated: the text, if it was made here: shown once, in the answer.
    """

    new: NewSecret
    supplied: str | None = field(repr=False)
    generated: str | None = field(repr=False)

    def beside_client(self) -> Json:
        """Describe it in the answer to the registration of its client.

        Times are RFC 3339 here as everywhere in our documents; RFC 7591 §3.2.1 would have a number.
        """
        return self._shown() | {
            "secret_id": self.new.hash.secret_id,
            "client_secret_expires_at": write_time(self.new.expires_at),
        }

    def alone(self, added: ClientSecret) -> Json:
        """Describe it in the answer to its own addition."""
        described = describe_secret(added)
        return {"secret_id": described["secret_id"], **self._shown(), **described}

    def is_as_kept(self, kept: ClientSecret | None) -> bool:
        """Tell whether a retry brings the secret of the first time, as far as that is known."""
        return self.supplied is None or kept is None or kept.hash.verify(self.supplied)

    def _shown(self) -> Json:
        return {} if self.generated is None else {"client_secret": self.generated}


def make_secret(
    supplied: str | None,
    *,
    starts_at: int | None = None,
    expires_at: int | None,
    now: int,
    random_bytes: Callable[[int], bytes],
) -> MadeSecret:
    """Make a secret, or take the one supplied; a short one takes some 40 ms to hash.

    Args:
        supplied: its text, of 8 to 512 printable ASCII characters.
        starts_at: from when it counts, seconds since the epoch; None for at once.
        expires_at: when it ends; None for never.
        now: seconds since the epoch.
        random_bytes: the operating system's randomness.

    Raises:
        InvalidValue: it would end before it can be used.
    """
    if expires_at is not None and expires_at <= now:
        raise InvalidValue("a secret must end in the future")
    text = generate_secret(random_bytes) if supplied is None else supplied
    hashed = SecretHash.parse(hash_secret(text, salt=random_bytes(SALT_BYTES)))
    return MadeSecret(
        new=NewSecret(hash=hashed, starts_at=starts_at, expires_at=expires_at),
        supplied=supplied,
        generated=text if supplied is None else None,
    )
