"""A call of the administration API and its answer, as values between HTTP and the operations."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

from issuer.administration.http.preconditions import UNCONDITIONAL, Precondition, write_tag
from issuer.administration.http.query import Value
from issuer.administration.idempotency import Created
from issuer.administration.local import Administration
from issuer.administration.operations import Page, Versioned
from issuer.registry.representation import Json

# RFC 3986 §3.3: what a segment may hold; every `%` begins an escape.
_SEGMENT = re.compile(r"(?:[\x21-\x24\x26-\x2e\x30-\x7e]|%[0-9A-Fa-f]{2})+")
_NAME = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request that its route has read.

    Args:
        operations: what the caller may do, in his name.
        names: what the path names, in its order.
        query: a value for each parameter that the route knows.
        document: the body.
        precondition: what must hold of what the path names.
        idempotency_key: what a retry is known by.
    """

    operations: Administration
    names: tuple[str, ...] = ()
    query: Mapping[str, Value] = field(default_factory=dict)
    document: Json = field(default_factory=dict, repr=False)
    precondition: Precondition = UNCONDITIONAL
    idempotency_key: str | None = field(default=None, repr=False)

    def text(self, name: str) -> str | None:
        """Return a parameter of the query that is a string."""
        value = self.query[name]
        return value if isinstance(value, str) else None

    def number(self, name: str) -> int:
        """Return a parameter of the query that is a number."""
        return int(self.query[name] or 0)

    def flag(self, name: str) -> bool:
        """Return a parameter of the query that is true or false."""
        return self.query[name] is True


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What is answered.

    Args:
        status: the HTTP status.
        document: the body; None for none.
        tag: the entity tag of what the document describes.
        location: the path of what was made, below the API's own.
        next: where the next page begins.
        replayed: whether this was answered before.
    """

    status: int = 200
    document: Json | None = field(default=None, repr=False)
    tag: str | None = None
    location: str | None = None
    next: str | None = None
    replayed: bool = False


GONE = Answer(status=204)
"""What was to be deleted, is."""


def page_answer(name: str, page: Page) -> Answer:
    """Answer with a page of documents."""
    return Answer(document={name: page.items, "next": page.next}, next=page.next)


def document_answer(found: Versioned) -> Answer:
    """Answer with one document."""
    return Answer(document=found.document, tag=write_tag(found.revision))


def created_answer(created: Created, *location: str, tagged: bool = True) -> Answer:
    """Answer with what was made, at the path of these segments."""
    return Answer(
        status=201,
        document=created.document,
        tag=write_tag(created.revision) if tagged else None,
        location=write_path(*location),
        replayed=created.replayed,
    )


def cut_page(items: list[Json], *keys: str, after: str | None, limit: int) -> Page:
    """Cut a page out of documents that are sorted by some of their members."""

    def place(item: Json) -> str:
        return " ".join(item[key] for key in keys)

    rest = [item for item in items if after is None or place(item) > after]
    more = len(rest) > limit
    return Page(items=rest[:limit], next=place(rest[limit - 1]) if more else None)


def write_path(*segments: str) -> str:
    """Write a path whose segments may hold any visible ASCII, slashes too."""
    return "".join("/" + _write_segment(segment) for segment in segments)


def parse_path(path: str) -> tuple[str, ...] | None:
    """Split a path as it was sent into its segments, decoded; None if it can name nothing."""
    if not path.startswith("/"):
        return None
    segments = path[1:].split("/")
    if not all(_SEGMENT.fullmatch(segment) for segment in segments):
        return None
    names = tuple(unquote(segment) for segment in segments)
    return names if all(_NAME.fullmatch(name) for name in names) else None


def _write_segment(text: str) -> str:
    # RFC 3986 §6.2.2.3: dots alone mean the way up, to whoever tidies the path on its way.
    if text in (".", ".."):
        return text.replace(".", "%2E")
    return quote(text, safe="")
