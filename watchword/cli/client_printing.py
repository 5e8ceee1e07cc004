"""How clients are shown to people: a table of many, or all of one."""

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from watchword.cli.client_options import ClientFilters
from watchword.cli.client_secrets import print_secrets
from watchword.cli.federation import write_identity
from watchword.cli.grant_options import write_grants_line
from watchword.cli.output import say
from watchword.cli.printing import Output
from watchword.cli.registry import why_nothing
from watchword.cli.tables import Column

if TYPE_CHECKING:
    from issuer.administration.operations import Page
    from issuer.registry.schema import Json
    from watchword.cli.registry import Operations

_COLUMNS = (
    Column("client_id"),
    Column("scope", "words"),
    Column("resources", "words"),
    Column("state", "words"),
    Column("client_name", "words", wide=True),
    Column("created_at", "time", wide=True),
    Column("updated_at", "time", wide=True),
)
_SHOWN_OTHERWISE = ("scope", "resources", "secrets", "next_end_at")
"""Members of a client that its grants, its own end and the table of its secrets tell."""


def print_clients(
    output: Output, pages: "Iterable[Page]", options: ClientFilters, operations: "Operations"
) -> None:
    """Print pages of clients as each is there, and what ends when if the options are about that."""
    end = Column("next_end_at", "time", wide=options.expiring is None)
    count, following = 0, None
    for page in pages:
        count, following = count + len(page.items), page.next
        if page.items:
            output.table((*_COLUMNS, end), map(_row, page.items))
    if not count:
        none = "There is no client yet; run: watchword clients create ID"
        why = why_nothing(operations, resource=options.resource, scope=options.scope)
        say(none if options == ClientFilters() else f"There is no such client{why}")
    if following is not None:
        say(f"There are more: --after {following}")


def _row(client: "Json") -> "Json":
    return client | {"resources": " ".join(client["resources"]), "state": _state(client)}


def print_client(output: Output, client: "Json", now: int) -> None:
    """Print one client, and the times of its secrets if it has any."""
    shown: dict[str, Any] = {}
    for name, value in client.items():
        if name not in _SHOWN_OTHERWISE:
            shown[name] = (
                {True: "yes", False: None}.get(value, value) if isinstance(value, bool) else value
            )
    shown["grant_types"] = ", ".join(client["grant_types"]) or "none: it gets no tokens"
    shown["grants"] = write_grants_line(client["grants"]) or "none: it gets no tokens"
    shown["disabled"] = "yes" if client["disabled"] else "no"
    shown["state"] = _state(client)
    if "jwks" in client:
        keys = client["jwks"].get("keys", ())
        shown["jwks"] = ", ".join(
            f"{each.get('kty')} {each.get('kid', 'without kid')}" for each in keys
        )
    if "federated_identities" in client:
        shown["federated_identities"] = "; ".join(
            map(write_identity, client["federated_identities"])
        )
    if "introspects" in client:
        shown["introspects"] = " ".join(client["introspects"])
    if "token_exchange" in client:
        shown["token_exchange"] = "; ".join(map(_write_exchange, client["token_exchange"]))
    shown["metadata"] = _write_notes(client["metadata"])
    output.fields(shown)
    if client.get("secrets"):
        print_secrets(output, client["secrets"], now)


def _state(client: "Json") -> str:
    state: str = client["state"]
    return "enabled, secret expired" if state == "secret_expired" else state


def _write_exchange(exchange: "Json") -> str:
    subjects = " ".join(exchange["subjects"])
    way = f"{exchange['subject_resource']} to {exchange['resource']}"
    return f"{way} for {subjects} (depth {exchange['max_depth']})"


def _write_notes(notes: Mapping[str, Any]) -> str | None:
    written = (
        f"{name}: {value if isinstance(value, str) else json.dumps(value)}"
        for name, value in notes.items()
    )
    return "; ".join(written) or None
