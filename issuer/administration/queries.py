"""What administrators list by filters: clients, uses of scopes, the audit trail; page by page."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from issuer.administration.operations import Page, Versioned, check_limit, read_entry_number
from issuer.registry.audit import describe_entry
from issuer.registry.client import Client
from issuer.registry.client_description import ClientFilter, describe_client
from issuer.registry.credentials import describe_secret
from issuer.registry.errors import InvalidValue
from issuer.registry.mistakes import suggest
from issuer.registry.schema import Json, parse_time, write_time
from issuer.registry.usage import LastUse

if TYPE_CHECKING:
    from issuer.storage.reading import RegistryReading


def shown_client(client: Client, now: int) -> Versioned:
    """Describe one client with the times of its secrets, at its revision."""
    secrets = [describe_secret(secret) for secret in client.secrets]
    return Versioned(
        document=describe_client(client, now) | {"secrets": secrets}, revision=client.revision
    )


def find_clients(
    reading: "RegistryReading", wanted: ClientFilter, *, now: int, after: str | None, limit: int
) -> Page:
    """Find clients by id.

    Raises:
        InvalidValue: the limit is not one of a page.
    """
    check_limit(limit)
    found = reading.list_clients(after or "", limit + 1, wanted=wanted, now=now)
    return Page(
        items=[describe_client(client, now) for client in found[:limit]],
        next=found[limit - 1].client_id if len(found) > limit else None,
    )


def find_uses(
    reading: "RegistryReading",
    /,
    *,
    now: int,
    unused_for: int | None,
    after: str | None,
    limit: int,
    **named: str | None,
) -> Page:
    """Find which client may use which scope of which resource, and when it last did.

    Args:
        reading: the registry.
        now: seconds since the epoch.
        unused_for: only what was not used for so many seconds.
        after: the place that the page is behind, `next` of the page before.
        limit: uses at the most.
        named: only of this `client_id`, `resource` or `scope`.

    Raises:
        InvalidValue: the limit is not one of a page, or `after` is no place in this list.
    """
    check_limit(limit)
    since = None if unused_for is None else now - unused_for
    found = reading.list_usage(
        unused_since=since, after=_read_place(after), limit=limit + 1, **named
    )
    return Page(
        items=[_describe_use(use) for use in found[:limit]],
        next=_write_place(found[limit - 1]) if len(found) > limit else None,
    )


def find_unknown_name(
    resources: Sequence[Json], *, resource: str | None, scope: str | None
) -> str | None:
    """Say which of the names that found nothing there is not, with the one probably meant.

    Args:
        resources: the documents of all of them.
        resource: what was searched for; None for any.
        scope: likewise.

    Returns:
        A clause without a full stop; None if there are such a resource and scope.
    """
    at = [each for each in resources if resource in (None, each["resource"])]
    if resource is not None and not at:
        known = [each["resource"] for each in resources]
        return f"there is no resource {resource}{suggest(resource, known)}"
    scopes = list(dict.fromkeys(name for each in at for name in each["scopes"]))
    if scope is None or scope in scopes:
        return None
    where = "no resource has" if resource is None else f"the resource {resource} does not have"
    return f"{where} the scope {scope}{suggest(scope, scopes)}"


def find_entries(
    reading: "RegistryReading",
    /,
    *,
    before: str | None,
    limit: int,
    since: str | None = None,
    until: str | None = None,
    **named: str | None,
) -> Page:
    """Find entries of the audit trail, the latest first.

    Args:
        reading: the registry.
        before: the number of the entry that the page is behind.
        limit: entries at the most.
        since: only those made then or later, RFC 3339.
        until: only those made before, RFC 3339.
        named: only those of this `target`, `actor` or `action`.

    Raises:
        InvalidValue: the limit is not one of a page, or another value is not what it stands for.
    """
    check_limit(limit)
    found = reading.list_audit(
        since=_read_moment("since", since),
        until=_read_moment("until", until),
        before=read_entry_number(before),
        limit=limit + 1,
        **named,
    )
    return Page(
        items=[describe_entry(entry) for entry in found[:limit]],
        next=str(found[limit - 1].number) if len(found) > limit else None,
    )


def _describe_use(use: LastUse) -> Json:
    return {
        "client_id": use.client_id,
        "resource": use.resource,
        "scope": use.scope,
        "last_used_at": write_time(use.last_used_at),
    }


def _write_place(use: LastUse) -> str:
    return f"{use.client_id} {use.resource} {use.scope}"


def _read_place(text: str | None) -> tuple[str, str, str]:
    if text is None:
        return "", "", ""
    try:
        client, resource, scope = text.split(" ")
    except ValueError:
        raise InvalidValue("a place in the list of uses is `next` of the page before") from None
    return client, resource, scope


def _read_moment(name: str, text: str | None) -> int | None:
    try:
        return None if text is None else parse_time(text)
    except ValueError as error:
        raise InvalidValue(f"{name} {error}") from None
