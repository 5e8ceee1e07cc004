"""What operations of administrators return, whether beside the database or through a server.

Documents go in as `documents` reads them and come out as `issuer.registry` describes them, so that
the command line shows the same whichever way it takes.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from issuer.registry.errors import InvalidValue
from issuer.registry.schema import Json

MAXIMUM_PAGE = 1000
"""Documents that one page may have."""

MAXIMUM_USAGE_DAYS = 3650
"""How far one may look back for who used what."""

_PAGE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Versioned:
    """What was read, changed or made.

    Args:
        document: describes it; of what was made, it may show a secret this once.
        revision: what it is at; None for what never changes.
        replayed: whether it was made by an earlier request with the same idempotency key.
    """

    document: Json = field(repr=False)
    revision: int | None = None
    replayed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some documents, and where the next ones begin; None at the end."""

    items: list[Json]
    next: str | None


def check_limit(limit: int) -> None:
    """Refuse a page of no documents, or of too many.

    Raises:
        InvalidValue: the limit is not from 1 to `MAXIMUM_PAGE`.
    """
    if not 1 <= limit <= MAXIMUM_PAGE:
        raise InvalidValue(f"limit must be from 1 to {MAXIMUM_PAGE}")


def read_entry_number(text: str | None) -> int | None:
    """Read a place in the audit trail; None for its end.

    Raises:
        InvalidValue: it is no number.
    """
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise InvalidValue("a place in the audit trail is a number")
    return int(text)


def pages(
    fetch: Callable[[str | None, int], Page],
    *,
    after: str | None = None,
    limit: int | None = None,
) -> Iterator[Page]:
    """Fetch page after page until there are no more, or enough; at least one.

    Args:
        fetch: fetches the page behind a place, with at most so many documents.
        after: the place that the first page is behind; None for the beginning.
        limit: documents in all; None for all that there are.
    """
    while True:
        page = fetch(after, _PAGE if limit is None else min(_PAGE, limit))
        yield page
        limit = None if limit is None else limit - len(page.items)
        after = page.next
        if after is None or limit == 0:
            return
