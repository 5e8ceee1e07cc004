"""Nobody hands out more than he holds: the administration's own scopes, and who may move them.

Judged by what a transaction has done, as its audit entries tell it, before it is committed; so no
operation can forget to ask.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from issuer.admin.errors import BeyondAuthority
from issuer.registry.audit import AuditEntry
from issuer.registry.client import Client
from issuer.registry.representation import describe_registration


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """What somebody holds.

    Args:
        administration: the resource identifier of the administration API.
        scopes: what he holds on it.
    """

    administration: str
    scopes: frozenset[str]


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
    """Yield the scopes on the administration that a change touches."""
    kind = entry.action.value.partition(".")[0]
    if kind == "resource":
        if entry.target == administration:
            before: Mapping[str, Any] = entry.before or {}
            yield from before.get("scopes", ())
    elif kind == "secret":
        client = find_client(entry.target)
        if client is not None:
            yield from _granted(administration, describe_registration(client.registration))
    else:
        for document in (entry.before, entry.after):
            yield from _granted(administration, document or {})


def _granted(administration: str, document: Mapping[str, Any]) -> Iterator[str]:
    for grant in document.get("grants", ()):
        if grant["resource"] == administration:
            yield from grant["scope"].split()
