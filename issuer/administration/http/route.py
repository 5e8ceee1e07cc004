"""A route of the administration API: what it reads of a request, and what it answers."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Literal, NamedTuple
from urllib.parse import parse_qsl, quote, unquote

from issuer.administration.http.problems import MALFORMED_REQUEST, RequestRefused
from issuer.administration.local import Administration
from issuer.administration.operations import Page, Versioned
from issuer.administration.provider import ProviderAdministration
from issuer.registry.errors import InvalidValue, RegistryError, RevisionConflict
from issuer.registry.schema import Json

# RFC 3986 §3.3: what a segment may hold; every `%` begins an escape.
_SEGMENT = re.compile(r"(?:[\x21-\x24\x26-\x2e\x30-\x7e]|%[0-9A-Fa-f]{2})+")
_NAME = re.compile(r"[\x21-\x7e]+")
NAME_PATTERN = f"^{_NAME.pattern}$"
"""What a name in a path may be, decoded, for JSON Schema."""
# RFC 9110 §8.8.3: entity-tag = [ weak ] DQUOTE *etagc DQUOTE; a list has commas between.
_TAG = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
_TAGS = re.compile(rf"[ \t,]*{_TAG}(?:[ \t]*,[ \t,]*{_TAG})*[ \t,]*")
_SENT_TAG = r'(W/)?"[!#-~]*"'
IF_MATCH_PATTERN = rf"^(\*|{_SENT_TAG}(, {_SENT_TAG})*)$"
"""What `If-Match` should be, for JSON Schema: as clients write it, of all that is understood."""
_OURS = re.compile(r'(?<!W/)"(0|[1-9]\d{0,17})"', re.ASCII)
JSON = ("application/json",)
PATCH = ("application/merge-patch+json", "application/json")
"""Media types that bodies may have."""

_FLAGS = {"": True, "true": True, "false": False}

Value = str | int | bool | None
"""Of a parameter in the query."""

Result = Page | list[Json] | Versioned | Json | None
"""What an operation returns."""


@dataclass(frozen=True, slots=True)
class Precondition:
    """What `If-Match` asks for: one of these revisions, or any that there is if None."""

    revisions: frozenset[int] | None = None

    def choose(self, current: Callable[[], int | None]) -> int | None:
        """Return the revision that the change must find; None if any will do.

        Args:
            current: reads the present revision.

        Raises:
            RevisionConflict: the condition does not hold (RFC 9110 §15.5.13).
        """
        if self.revisions is None:
            return None
        if (revision := current()) in self.revisions:
            return revision
        raise RevisionConflict("it has changed since it was read; read it again")


UNCONDITIONAL = Precondition()
"""No condition."""


class Operations(NamedTuple):
    """What a caller may do, in the caller's name.

    Args:
        registry: on the registry.
        provider: on the rest of the provider.
    """

    registry: Administration
    provider: ProviderAdministration


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request that its route has read.

    Args:
        operations: what the caller may do on the registry.
        provider: what it may do on the rest of the provider.
        names: what the path names, in its order.
        query: a value for each parameter that the route knows.
        document: the body.
        precondition: what must hold of what the path names.
        idempotency_key: what a retry is known by.
    """

    operations: Administration
    provider: ProviderAdministration
    names: tuple[str, ...] = ()
    query: Mapping[str, Value] = field(default_factory=dict)
    document: Json = field(default_factory=dict, repr=False)
    precondition: Precondition = UNCONDITIONAL
    idempotency_key: str | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """The first of the names."""
        return self.names[0]

    def text(self, name: str) -> str | None:
        """Return a parameter of the query that is a string."""
        value = self.query[name]
        return value if isinstance(value, str) else None

    def number(self, name: str) -> int:
        """Return a parameter of the query that is a number."""
        return int(self.query[name] or 0)

    def optional_number(self, name: str) -> int | None:
        """Return a parameter of the query that is a number; None if it was left out."""
        return None if self.query[name] is None else self.number(name)

    def flag(self, name: str) -> bool:
        """Return a parameter of the query that is true or false."""
        return self.query[name] is True

    def revision(self, show: Callable[[str], Versioned]) -> int | None:
        """Return the revision that a change of what the path names must find.

        Args:
            show: reads what the path names.

        Raises:
            RevisionConflict: the precondition does not hold.
        """
        return self.precondition.choose(lambda: show(self.name).revision)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A parameter that a route knows.

    Args:
        name: as in the query.
        kind: its JSON type; a boolean may stand alone, and is true then.
        default: what it is when it is left out.
        least: the least that an integer may be.
        most: the most.
        choices: what a string may be; anything if there are none.
        form: the `format` of a string in the sense of JSON Schema; its operation refuses another.
        description: for the reference.
        scopes: what a token must hold beside the route's scopes if the parameter is true.
    """

    name: str
    kind: Literal["string", "integer", "boolean"]
    description: str
    default: Value = None
    least: int = 0
    most: int = 0
    choices: tuple[str, ...] = ()
    form: str = ""
    scopes: tuple[str, ...] = ()

    def parse(self, text: str) -> Value:
        """Read a value as it stands in the query.

        Raises:
            RequestRefused: the parameter cannot have it.
        """
        if self.kind == "string":
            if "\0" in text:  # no database takes it as a part of a text
                raise _malformed(f"{self.name} must not have a NUL in it")
            if self.choices and text not in self.choices:
                raise _malformed(f"{self.name} must be one of: {', '.join(self.choices)}")
            return text
        if self.kind == "boolean":
            if text not in _FLAGS:
                raise _malformed(f"{self.name} must be true or false")
            return _FLAGS[text]
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            raise _malformed(f"{self.name} must be a whole number")
        if not self.least <= int(text) <= self.most:
            raise _malformed(f"{self.name} must be from {self.least} to {self.most}")
        return int(text)


def parse_query(raw: bytes, parameters: Sequence[Parameter]) -> dict[str, Value]:
    """Read a query string strictly: a parameter that is mistyped must not be passed over.

    Returns:
        A value for each parameter.

    Raises:
        RequestRefused: one is unknown, given twice, or has a value that it cannot have.
    """
    try:
        pairs = parse_qsl(
            raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=20
        )
    except ValueError:
        raise _malformed("the query string cannot be read") from None
    given = dict(pairs)
    if len(given) < len(pairs):
        raise _malformed("a query parameter is given twice")
    known = {each.name: each for each in parameters}
    values: dict[str, Value] = {each.name: each.default for each in parameters}
    for name, text in given.items():
        if name not in known:
            allowed = ", ".join(known) or "none"
            raise _malformed(f"there is an unknown query parameter; known here: {allowed}")
        values[name] = known[name].parse(text)
    return values


def _malformed(detail: str) -> RequestRefused:
    return RequestRefused(MALFORMED_REQUEST, detail)


def write_tag(revision: int) -> str:
    """Write the strong entity tag of a revision.

    It moves with all that an administrator decides. Times of last use are no change in this sense.
    """
    return f'"{revision}"'


def parse_if_match(text: str | None) -> Precondition:
    """Read an `If-Match` field; weak tags and tags of others match nothing (RFC 9110 §13.1.1).

    Raises:
        InvalidValue: it is neither `*` nor a list of entity tags.
    """
    if text is None or text.strip(" \t") == "*":
        return UNCONDITIONAL
    if not _TAGS.fullmatch(text):
        raise InvalidValue('If-Match is * or a list of entity tags, such as "17"')
    return Precondition(frozenset(int(tag) for tag in _OURS.findall(text)))


def write_path(*segments: str) -> str:
    """Write a path whose segments may hold any visible ASCII, slashes too."""
    # RFC 3986 §6.2.2.3: dots alone mean the way up to an intermediary that normalizes the path.
    return "".join(
        "/" + (each.replace(".", "%2E") if each in (".", "..") else quote(each, safe=""))
        for each in segments
    )


def parse_path(path: str) -> tuple[str, ...] | None:
    """Split a path as it was sent into its segments, decoded; None if it can name nothing."""
    if not path.startswith("/"):
        return None
    segments = path[1:].split("/")
    if not all(_SEGMENT.fullmatch(segment) for segment in segments):
        return None
    names = tuple(unquote(segment) for segment in segments)
    return names if all(_NAME.fullmatch(name) for name in names) else None


def cut_page(items: list[Json], keys: Sequence[str], *, after: str | None, limit: int) -> Page:
    """Cut a page out of documents that are sorted by some of their members."""

    def place(item: Json) -> str:
        return " ".join(item[key] for key in keys)

    rest = [item for item in items if after is None or place(item) > after]
    more = len(rest) > limit
    return Page(items=rest[:limit], next=place(rest[limit - 1]) if more else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One operation of the API.

    Args:
        method: the HTTP method.
        path: below the base; a segment in braces stands for a name, and every second one is.
        name: of the operation.
        scopes: what a token must hold, all of them; see `needs` for those of a request.
        run: carries the operation out, on a thread that may wait.
        summary: one line for the reference.
        status: of the good answer.
        query: the parameters that it knows.
        accepts: media types of the body; none if there is no body.
        reads: the shape of the body; of a patch, the shape that it must lead to.
        may_be_empty: whether the body may be left out.
        max_body: bytes that it may have.
        answers: the shape of the document that is answered, of lists that of an item, by its name
            in `openapi`; None for none, or for any object.
        member: of lists, the member of the answer that has the items; of what is created, the
            member that names it in its own path.
        sorted_by: members that a list without pages of its own is sorted by, to cut pages from it.
        targets: what may be missing at the path.
        tagged: whether its document has an entity tag.
        retried: whether `Idempotency-Key` is understood.
    """

    method: str
    path: str
    name: str
    scopes: tuple[str, ...]
    run: Callable[[Call], Result]
    summary: str
    status: int = 200
    query: tuple[Parameter, ...] = ()
    accepts: tuple[str, ...] = ()
    reads: type[Any] | None = None
    may_be_empty: bool = False
    max_body: int = 1_048_576
    answers: str | None = None
    member: str = ""
    sorted_by: tuple[str, ...] = ()
    targets: tuple[type[RegistryError], ...] = ()
    tagged: bool = False
    retried: bool = False

    @property
    def segments(self) -> tuple[str, ...]:
        """The path in segments."""
        return tuple(self.path[1:].split("/"))

    @property
    def is_list(self) -> bool:
        """Whether it answers with a list."""
        return self.status == 200 and bool(self.member)

    def needs(self, query: Mapping[str, Value]) -> tuple[str, ...]:
        """Name the scopes that a token must hold for a request with this query."""
        more = (each.scopes for each in self.query if query[each.name] is True)
        return tuple(dict.fromkeys((*self.scopes, *chain.from_iterable(more))))

    def answer(self, call: Call) -> Answer:
        """Carry a request out and answer it.

        Raises:
            RegistryError: it is refused.
        """
        result = self.run(call)
        if isinstance(result, list) and self.sorted_by:
            after, limit = call.text("after"), call.number("limit")
            result = cut_page(result, self.sorted_by, after=after, limit=limit)
        match result:
            case None:
                return Answer(status=self.status)
            case Page(items=items, next=following):
                document: Json = {self.member: items, "next": following}
                return Answer(document=document, next=following)
            case list():
                return Answer(document={self.member: result})
            case Versioned(document=document, revision=revision, replayed=replayed):
                place = list(self.segments)
                place[1::2] = call.names
                made = self.status == 201
                return Answer(
                    status=self.status,
                    document=document,
                    tag=None if revision is None else write_tag(revision),
                    location=write_path(*place, document[self.member]) if made else None,
                    replayed=replayed,
                )
        return Answer(document=result)
