"""What a caller of the administration may do: what its token says and its client still holds.

Judged within the transaction of each operation: the caller's account before anything is done, and
what was done, as the audit entries tell it, before it is committed; so no operation can forget to
ask.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, assert_never

from issuer.registry.audit import Action, AuditEntry
from issuer.registry.client import Client
from issuer.registry.errors import BeyondAuthority, CallerNotActive
from issuer.registry.schema import write

ADMINISTRATORS = "administrators"
"""In the audit entry of a change of tokens: the clients whose tokens for the administration it is
about."""

KEYS_WRITE = "watchword:keys:write"
"""The scope that changes signing keys.

A key that is withdrawn takes all its tokens with it, those for the administration too; but each of
their clients gets another at once.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """What a caller holds.

    Args:
        administration: the resource identifier of the administration API.
        scopes: what the caller holds on it.
        needed: the scopes that the operation takes, whatever it changes.
        issued_at: when the caller's token was issued, seconds since the epoch.
    """

    administration: str
    scopes: frozenset[str]
    needed: frozenset[str] = frozenset()
    issued_at: float


def settle_authority(claimed: Authority, caller: Client | None, now: int) -> Authority:
    """Narrow what a token says to what its client holds at this moment.

    A token outlives changes to its client, up to its lifetime; administration must not.

    Args:
        claimed: what the token says.
        caller: the token's client as it is; None if there is none.
        now: seconds since the epoch.

    Raises:
        CallerNotActive: the client is deleted, disabled or ended, or is another one of that name.
        BeyondAuthority: the client does not hold any more what the operation takes.
    """
    if caller is None or not caller.is_active(now):
        raise CallerNotActive("the client of the access token is deleted, disabled or has ended")
    if claimed.issued_at < caller.created_at:
        raise CallerNotActive("the access token is older than its client")
    granted = _granted(claimed.administration, write(caller.registration))
    held = claimed.scopes & frozenset(granted)
    if missing := claimed.needed - held:
        raise BeyondAuthority(
            f"the caller does not hold what this takes: {' '.join(sorted(missing))}"
        )
    return replace(claimed, scopes=held)


def check_authority(
    authority: Authority,
    entries: Iterable[AuditEntry],
    find_client: Callable[[str], Client | None],
) -> None:
    """Refuse changes to whatever holds, held or will hold scopes that their author does not.

    Args:
        authority: of the author.
        entries: what was changed.
        find_client: gives a client as it is after the changes; None if it is gone.

    Raises:
        BeyondAuthority: naming the first target and the scopes that it takes.
    """
    for entry in entries:
        involved = set(_involved(authority.administration, entry, find_client))
        if missing := involved - authority.scopes:
            raise BeyondAuthority(
                f"{entry.target} has administration scopes that you do not hold:"
                f" {' '.join(sorted(missing))}"
            )


def _involved(
    administration: str,
    entry: AuditEntry,
    find_client: Callable[[str], Client | None],
) -> Iterator[str]:
    """Yield the scopes on the administration that a change touches.

    Every action has its case: the type check fails for one that is left out, and so does the
    transaction.
    """
    match entry.action:
        case Action.RESOURCE_CREATED | Action.RESOURCE_UPDATED | Action.RESOURCE_DELETED:
            if entry.target == administration:
                before: Mapping[str, Any] = entry.before or {}
                yield from before.get("scopes", ())
        case Action.SECRET_ADDED | Action.SECRET_REVOKED:
            client = find_client(entry.target)
            if client is not None:
                yield from _granted(administration, write(client.registration))
        case (
            Action.CLIENT_CREATED
            | Action.CLIENT_UPDATED
            | Action.CLIENT_DISABLED
            | Action.CLIENT_ENABLED
            | Action.CLIENT_DELETED
            | Action.REGISTRATION_TOKEN_CREATED
            | Action.REGISTRATION_TOKEN_REVOKED
        ):
            for document in (entry.before, entry.after):
                yield from _granted(administration, document or {})
        case Action.TOKEN_REVOKED | Action.TOKEN_SUSPENDED | Action.TOKEN_RESTORED:
            after: Mapping[str, Any] = entry.after or {}
            for client_id in after[ADMINISTRATORS]:
                administrator = find_client(client_id)
                if administrator is not None:
                    yield from _granted(administration, write(administrator.registration))
        case Action.KEY_GENERATED | Action.KEY_SCHEDULED | Action.KEY_REVOKED:
            yield KEYS_WRITE
        case (
            Action.ISSUER_CHANGED
            | Action.RESTORED
            | Action.KEY_ACTIVATED
            | Action.KEY_RETIRED
            | Action.KEY_GONE
            | Action.KEY_DELETED
            | Action.KEY_EXPORTED
            | Action.KEY_MOVED
            | Action.KEY_ENCRYPTED
            | Action.KEY_DECRYPTED
        ):
            raise BeyondAuthority(
                "the registry and its keys are so changed by their own commands only"
            )
        case _:
            assert_never(entry.action)


def _granted(administration: str, document: Mapping[str, Any]) -> Iterator[str]:
    for grant in document.get("grants", ()):
        if grant["resource"] == administration:
            yield from grant["scope"].split()
