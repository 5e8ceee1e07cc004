"""What a page of the console is given, and what it returns."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from issuer.administration.http.route import write_path
from watchword.console.api import AdministrationClient
from watchword.console.sessions import Session
from watchword.provider.admin import Administrator

MAX_FORM = 1_048_576
"""Bytes of a form of somebody who is signed in; more is refused."""

MAX_SIGN_IN = 16_384
"""Bytes of a form of anybody else."""

_MAX_FIELDS = 1_000


class MalformedForm(Exception):
    """A query or form that no page of the console sends."""


class Form:
    """The fields of a query or form, without white space around them; several may have one name."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self._pairs = [(name, value.replace("\r\n", "\n").strip()) for name, value in pairs]

    @classmethod
    def parse(cls, raw: bytes) -> "Form":
        """Read a query or a form in `application/x-www-form-urlencoded`.

        Raises:
            MalformedForm: it is none.
        """
        try:
            pairs = parse_qsl(
                raw.decode("ascii"),
                keep_blank_values=True,
                errors="strict",
                max_num_fields=_MAX_FIELDS,
            )
        except ValueError:
            raise MalformedForm("the form cannot be read") from None
        if any("\0" in value for pair in pairs for value in pair):
            raise MalformedForm("a field has a NUL in it")
        return cls(pairs)

    def get(self, name: str) -> str:
        """Return a field; empty if it was not sent."""
        return next((value for given, value in self._pairs if given == name), "")

    def all(self, name: str) -> list[str]:
        """Return all fields of a name that are not empty."""
        return [value for given, value in self._pairs if given == name and value]

    def has(self, name: str) -> bool:
        """Tell whether a field was sent, such as that of a box that is ticked."""
        return any(given == name for given, _ in self._pairs)

    def values(self) -> dict[str, str]:
        """Return all fields by name, to show a form again as it was sent."""
        return dict(reversed(self._pairs))

    def __repr__(self) -> str:
        """Show names alone: a value may be a secret."""
        return f"Form({sorted({name for name, _ in self._pairs})})"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleRequest:
    """A request of somebody who is signed in, to a page that the session may see.

    Args:
        method: `GET` or `POST`.
        path: below the console's, as it was sent.
        names: what the braces of the route's path stand for.
        query: of the URL.
        form: of a `POST`.
        session: who is signed in.
        administrator: what that one holds at this moment.
        api: the administration API in the name of the session.
        methods: of client authentication that are switched on.
        now: seconds since the epoch.
        is_partial: whether htmx asks, and takes a part of the page.
    """

    method: str
    path: str
    names: tuple[str, ...]
    query: Form
    form: Form = field(repr=False)
    session: Session
    administrator: Administrator
    api: AdministrationClient
    methods: Collection[str]
    now: int
    is_partial: bool = False

    @property
    def name(self) -> str:
        """The first of the names."""
        return self.names[0]

    def may(self, *scopes: str) -> bool:
        """Tell whether the session holds all these scopes, so that an action is offered."""
        return self.administrator.scopes.issuperset(scopes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page to be shown.

    Args:
        template: its file in `templates`.
        context: what the template is given beside what every page has.
        status: of the answer.
        headers: further ones.
    """

    template: str
    context: Mapping[str, Any] = field(default_factory=dict, repr=False)
    status: int = 200
    headers: tuple[tuple[bytes, bytes], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Redirect:
    """Go on to another page of the console by `GET`, as after every change.

    Args:
        path: below the console's, such as `place("clients", client_id)`.
        notice: what was done, by its key in `NOTICES`; the next page says it.
    """

    path: str = ""
    notice: str | None = None


def place(*segments: str) -> str:
    """Write the path of a page below the console's; a segment may hold any visible ASCII."""
    return write_path(*segments)
