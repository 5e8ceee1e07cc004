"""Decide which secrets a client gets and which it loses."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from issuer.administration.declaration.resolved import ResolvedSecret
from issuer.administration.declaration.steps import AddSecret, RevokeSecret
from issuer.registry.client_secret import MAXIMUM_SECRETS, ClientSecret


@dataclass(slots=True)
class SecretPlan:
    """What is decided so far of one client's secrets.

    Args:
        client_id: whose.
        lasting: those in the registry that have not ended.
        now: seconds since the epoch.
    """

    client_id: str
    lasting: Sequence[ClientSecret]
    now: int
    added: list[ResolvedSecret] = field(default_factory=list)
    revoked: list[ClientSecret] = field(default_factory=list)
    kept: list[ClientSecret] = field(default_factory=list)
    absent: list[ResolvedSecret] = field(default_factory=list)
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


def plan_secrets(
    client_id: str,
    declared: Sequence[ResolvedSecret],
    stored: Sequence[ClientSecret],
    *,
    now: int,
    prune: bool,
) -> SecretPlan:
    """Decide what happens to the secrets of a client that declares some, or declares to have none.

    Args:
        client_id: whose.
        declared: what it should have.
        stored: what it has.
        now: seconds since the epoch.
        prune: whether it loses what it does not declare.
    """
    lasting = [secret for secret in stored if not secret.has_ended(now)]
    plan = SecretPlan(client_id, lasting, now)
    for secret in declared:
        if secret.expires_at is not None and secret.expires_at <= now:
            _end(plan, secret)
        elif secret.value is None:
            _generate(plan, secret)
        else:
            _settle(plan, secret)
    if prune:
        _prune(plan)
    return plan


def _stored_as(plan: SecretPlan, secret: ResolvedSecret) -> list[ClientSecret]:
    value = secret.value
    if value is None:
        return []
    return [stored for stored in plan.lasting if value.matches(stored.hash)]


def _end(plan: SecretPlan, secret: ResolvedSecret) -> None:
    """Take away a secret whose declared end is past."""
    plan.revoked += _stored_as(plan, secret)


def _generate(plan: SecretPlan, secret: ResolvedSecret) -> None:
    """Ask for a secret where there is none; a client that has one may be using just that."""
    if not plan.lasting:
        plan.added.append(secret)
        return
    plan.absent.append(secret)
    plan.notes.append(
        f"client {plan.client_id}: {secret.source} is not there;"
        " none is generated, since the client has a secret"
    )


def _settle(plan: SecretPlan, secret: ResolvedSecret) -> None:
    """Keep a secret that is there and ends as declared; what ends otherwise is added anew."""
    same = _stored_as(plan, secret)
    end = secret.expires_at
    right = same if end is None else [each for each in same if each.expires_at == end]
    plan.kept += right
    plan.revoked += [each for each in same if each not in right]
    if not right:
        plan.added.append(secret)


def _prune(plan: SecretPlan) -> None:
    """Take away what is not declared, unless it may be the very secret whose file is absent."""
    decided = [*plan.kept, *plan.revoked]
    others = [each for each in plan.lasting if each not in decided]
    if not plan.absent:
        plan.revoked += others
    elif others:
        plan.notes.append(
            f"client {plan.client_id}: its other secrets are left, since one of them may be"
            f" {plan.absent[0].source}"
        )
