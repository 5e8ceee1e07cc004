"""Show clients and their secrets to people: what is nested, on one line each."""

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from watchword.cli.output import print_fields, print_table

if TYPE_CHECKING:
    from issuer.registry.schema import Json

_FLAGS = ("dpop_bound_access_tokens", "tls_client_certificate_bound_access_tokens")
CLIENT_COLUMNS = ("client_id", "scope", "resources", "state", "name")
_SECRET_COLUMNS = ("secret_id", "state", "starts_at", "expires_at", "last_used_at")


def client_row(client: "Json") -> list[str | None]:
    """Return a client's cells in the order of `CLIENT_COLUMNS`."""
    return [
        client["client_id"],
        client["scope"],
        " ".join(client["resources"]),
        _client_state(client),
        client.get("client_name"),
    ]


def print_client(client: "Json", now: int) -> None:
    """Print one client, and the times of its secrets if it has any."""
    shown = dict(client)
    for name in ("scope", "resources", "secrets"):
        shown.pop(name, None)  # in the grants, and in a table of their own
    for name in _FLAGS:
        shown[name] = "yes" if client.get(name) else None
    shown["grant_types"] = ", ".join(client["grant_types"]) or "none: it gets no tokens"
    shown["grants"] = write_grants(client["grants"]) or "none: it gets no tokens"
    shown["disabled"] = "yes" if client["disabled"] else "no"
    shown["state"] = _client_state(client)
    if "jwks" in client:
        shown["jwks"] = _write_keys(client["jwks"])
    shown["metadata"] = _write_notes(client["metadata"])
    print_fields(shown)
    if client.get("secrets"):
        print_secrets(client["secrets"], now)


def print_secrets(secrets: Iterable["Json"], now: int) -> None:
    """Print the times of secrets."""
    rows = ({**each, "state": secret_state(each, now)} for each in secrets)
    print_table(
        _SECRET_COLUMNS,
        (
            [
                row["secret_id"],
                row["state"],
                row["starts_at"],
                row["expires_at"] or "until revoked",
                row["last_used_at"] or "never",
            ]
            for row in rows
        ),
    )


def secret_state(secret: "Json", now: int) -> str:
    """Tell whether a secret is `live`, `pending` (not yet) or `ended` at `now`."""
    from issuer.registry.rfc3339 import parse_time

    if parse_time(secret["starts_at"]) > now:
        return "pending"
    end = secret["expires_at"]
    return "ended" if end is not None and parse_time(end) <= now else "live"


def write_grants(grants: Iterable[Mapping[str, Any]]) -> str:
    """Write grants on one line: resource, scopes, and the default ones if those are fewer."""
    return "; ".join(
        f"{each['resource']}: {each['scope']}"
        + (f" (default: {each['default_scope']})" if each.get("default_scope") else "")
        for each in grants
    )


def _client_state(client: "Json") -> str:
    state: str = client["state"]
    return "enabled, secret expired" if state == "secret_expired" else state


def _write_keys(jwks: Mapping[str, Any]) -> str:
    keys = jwks.get("keys", ())
    return ", ".join(f"{each.get('kty')} {each.get('kid', 'without kid')}" for each in keys)


def _write_notes(notes: Mapping[str, Any]) -> str | None:
    return (
        "; ".join(
            f"{name}: {value if isinstance(value, str) else json.dumps(value)}"
            for name, value in notes.items()
        )
        or None
    )
