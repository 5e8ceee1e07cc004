"""The secrets of declared clients: which a client gets, and which it loses."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from issuer.registry.client_secret import MAXIMUM_SECRETS, ClientSecret, NewSecret
from issuer.registry.secret_hash import SALT_BYTES, SecretHash, hash_secret


class SecretValue:
    """A secret, shown by nothing; remembers its comparisons, which may take 40 ms each."""

    __slots__ = ("_text", "_verdicts")

    def __init__(self, text: str) -> None:
        self._text = text
        self._verdicts: dict[SecretHash, bool] = {}

    def __repr__(self) -> str:
        """Show that there is a secret, not which."""
        return "SecretValue(…)"

    def reveal(self) -> str:
        """Return the secret itself, to be sent to the server that is to know it."""
        return self._text

    def matches(self, stored: SecretHash) -> bool:
        """Tell whether the hash is one of this secret."""
        if stored not in self._verdicts:
            self._verdicts[stored] = stored.verify(self._text)
        return self._verdicts[stored]


class WantedSecret(Protocol):
    """One of a client's declared secrets.

    `source` is what people know it by, `value` is None as long as it is still to be generated, and
    `expires_at` is None if its end is left as it is.
    """

    @property
    def source(self) -> str:
        """The reference in words."""
        ...

    @property
    def value(self) -> SecretValue | None:
        """The secret."""
        ...

    @property
    def expires_at(self) -> int | None:
        """When it shall end, seconds since the epoch."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AddSecret:
    """Give a client one more secret."""

    client_id: str
    secret: WantedSecret

    @property
    def must_be_generated(self) -> bool:
        """Whether there is no such secret yet."""
        return self.secret.value is None

    def new_secret(self, random_bytes: Callable[[int], bytes]) -> NewSecret:
        """Build what is stored of it.

        Args:
            random_bytes: the operating system's randomness, for the salt.

        Raises:
            ValueError: it is still to be generated.
        """
        if self.secret.value is None:
            raise ValueError(f"there is no secret yet for {self.secret.source}")
        text = self.secret.value.reveal()
        hashed = SecretHash.parse(hash_secret(text, salt=random_bytes(SALT_BYTES)))
        return NewSecret(hash=hashed, expires_at=self.secret.expires_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeSecret:
    """End a secret at once."""

    client_id: str
    secret: ClientSecret


@dataclass(slots=True)
class SecretPlan:
    """What is decided so far of one client's secrets.

    Args:
        client_id: whose.
        lasting: those in the registry that have not ended.
    """

    client_id: str
    lasting: Sequence[ClientSecret] = ()
    added: list[WantedSecret] = field(default_factory=list)
    revoked: list[ClientSecret] = field(default_factory=list)
    kept: list[ClientSecret] = field(default_factory=list)
    absent: list[WantedSecret] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def steps(self) -> tuple[RevokeSecret | AddSecret, ...]:
        """The steps; those that make room come first."""
        return (
            *(RevokeSecret(client_id=self.client_id, secret=each) for each in self.revoked),
            *(AddSecret(client_id=self.client_id, secret=each) for each in self.added),
        )

    @property
    def is_too_much(self) -> bool:
        """Whether the client would have more secrets than one may have."""
        count = len(self.lasting) - len(self.revoked) + len(self.added)
        return bool(self.added) and count > MAXIMUM_SECRETS

    def decide(self, secret: WantedSecret, now: int) -> None:
        """Decide what happens for one of the declared secrets."""
        end, value = secret.expires_at, secret.value
        same = [] if value is None else [each for each in self.lasting if value.matches(each.hash)]
        if end is not None and end <= now:
            self.revoked += same
        elif value is not None:
            # One that is there and ends as declared is kept; what ends otherwise is added anew.
            right = same if end is None else [each for each in same if each.expires_at == end]
            self.kept += right
            self.revoked += [each for each in same if each not in right]
            if not right:
                self.added.append(secret)
        elif not self.lasting:
            self.added.append(secret)
        else:  # a client that has a secret may be using the very one whose file is absent
            self.absent.append(secret)
            self.notes.append(
                f"client {self.client_id}: {secret.source} is not there;"
                " none is generated, since the client has a secret"
            )

    def prune(self) -> None:
        """Take away what is not declared, unless it may be the very secret whose file is absent."""
        decided = [*self.kept, *self.revoked]
        others = [each for each in self.lasting if each not in decided]
        if not self.absent:
            self.revoked += others
        elif others:
            self.notes.append(
                f"client {self.client_id}: its other secrets are left, since one of them may be"
                f" {self.absent[0].source}"
            )


def plan_secrets(
    client_id: str,
    declared: Sequence[WantedSecret] | None,
    stored: Sequence[ClientSecret],
    *,
    now: int,
    prune: bool,
) -> SecretPlan:
    """Decide what happens to the secrets of a client.

    Args:
        client_id: whose.
        declared: what it should have; None leaves them alone.
        stored: what it has.
        now: seconds since the epoch.
        prune: whether it loses what it does not declare.
    """
    plan = SecretPlan(client_id, [each for each in stored if not each.has_ended(now)])
    if declared is None:
        return plan
    for secret in declared:
        plan.decide(secret, now)
    if prune:
        plan.prune()
    return plan
