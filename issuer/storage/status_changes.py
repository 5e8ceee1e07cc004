"""Find tokens by who was given their indexes, and change their status, in a transaction.

What is selected are whole blocks: never fewer tokens than are meant, and perhaps some more.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, func, insert, or_, select

from issuer.registry.errors import InvalidValue
from issuer.status.lists import StatusLists
from issuer.status.positions import BUCKET, COUNTER, Position, Status, StatusChange
from issuer.storage.status import LOCK_CHANGES
from issuer.storage.tables import counters, status_blocks, status_changes

_block = status_blocks.c
_change = status_changes.c


class IndexRange(NamedTuple):
    """Indexes of one bucket that follow each other."""

    bucket: int
    first: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSelection:
    """Which tokens: those of which all holds that is given.

    Args:
        position: where one token stands.
        client_id: the client that they were issued to.
        subject: their `sub`.
        resource: the resource that they are for.
        issued_before: seconds since the epoch; tokens issued up to `WINDOW` seconds later may be
            among them.
    """

    position: Position | None = None
    client_id: str | None = None
    subject: str | None = None
    resource: str | None = None
    issued_before: int | None = None


def find_ranges(connection: Connection, selection: TokenSelection, now: int) -> list[IndexRange]:
    """Return the indexes of all selected tokens that may be alive, in their order.

    Raises:
        InvalidValue: there is no such position.
    """
    if selection.position is not None:
        return _find_one(connection, selection.position, now)
    wanted = (
        select(_block.bucket, _block.first, _block.size)
        .where(*_conditions(selection, now))
        .order_by(_block.bucket, _block.first)
    )
    return _joined(IndexRange(*row) for row in connection.execute(wanted))


def find_owners(
    connection: Connection, selection: TokenSelection, now: int, *, among: str | None
) -> list[str]:
    """Return the clients that the selected tokens were issued to.

    Args:
        connection: the transaction.
        selection: which tokens.
        now: seconds since the epoch.
        among: only of tokens that are for this resource too.
    """
    wanted = select(_block.client_id).where(*_conditions(selection, now)).distinct()
    if among is not None:
        wanted = wanted.where(_is_for(among))
    return sorted(connection.scalars(wanted))


def append_changes(connection: Connection, ranges: Sequence[IndexRange], status: Status) -> bool:
    """Give indexes another status; those that have it already get no row.

    Returns:
        Whether there was anything to change.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(LOCK_CHANGES)
    rows = []
    for bucket, group in groupby(ranges, key=lambda each: each.bucket):
        wanted = [StatusChange(0, *each, status) for each in group]
        known = _known(connection, bucket, wanted)
        rows += [
            {"bucket": bucket, "first": each.first, "size": each.size, "status": int(status)}
            for each in wanted
            if known.alters(each)
        ]
    if rows:
        connection.execute(insert(status_changes), rows)
    return bool(rows)


def _find_one(connection: Connection, position: Position, now: int) -> list[IndexRange]:
    bucket, index = position
    if bucket <= now // BUCKET:
        return []
    counter = select(counters.c.next).where(counters.c.name == f"{COUNTER}{bucket}")
    if index >= (connection.scalar(counter) or 0):
        raise InvalidValue("names no token that was issued here")
    return [IndexRange(bucket, index, 1)]


def _conditions(selection: TokenSelection, now: int) -> list[ColumnElement[bool]]:
    conditions = [_block.bucket > now // BUCKET]
    if selection.position is not None:
        bucket, index = selection.position
        conditions += [_block.bucket == bucket, _block.first <= index]
        conditions.append(_block.first + _block.size > index)
    if selection.client_id is not None:
        conditions.append(_block.client_id == selection.client_id)
    if selection.subject is not None:
        conditions.append(func.coalesce(_block.subject, _block.client_id) == selection.subject)
    if selection.resource is not None:
        conditions.append(_is_for(selection.resource))
    if selection.issued_before is not None:
        conditions.append(_block.reserved_at < selection.issued_before)
    return conditions


def _is_for(resource: str) -> ColumnElement[bool]:
    # Of tokens for several resources the column has all; see `join_resources`.
    among = (" " + _block.resource + " ").contains(f" {resource} ", autoescape=True)
    return or_(_block.resource == resource, and_(_block.resource.contains(" "), among))


def _joined(ranges: Iterable[IndexRange]) -> list[IndexRange]:
    joined: list[IndexRange] = []
    for each in ranges:
        if joined and joined[-1].bucket == each.bucket and sum(joined[-1][1:]) == each.first:
            joined[-1] = joined[-1]._replace(size=joined[-1].size + each.size)
        else:
            joined.append(each)
    return joined


def _known(connection: Connection, bucket: int, wanted: Sequence[StatusChange]) -> StatusLists:
    """Read what is decided of a bucket; of other single tokens, not that they were revoked.

    There may be very many of these, and what is asked for changes nothing of them.
    """
    told: Any = [_change.size > 1, _change.status != Status.INVALID]
    if len(wanted) == 1 and wanted[0].size == 1:
        told.append(_change.first == wanted[0].first)
    columns = (_change.change, _change.bucket, _change.first, _change.size, _change.status)
    rows = connection.execute(
        select(*columns).where(_change.bucket == bucket, or_(*told)).order_by(_change.change)
    )
    lists = StatusLists(longest=0)
    lists.apply((StatusChange(*row[:4], Status(row.status)) for row in rows), None, counts={})
    return lists
