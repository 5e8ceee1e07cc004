"""What must hold between the parts of a declaration.

Works on the values as they were written and passes over what the models complain of, so that one
mistake does not hide another.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from issuer.administration.declaration.errors import KeyPath
from issuer.administration.declaration.wording import suggest
from issuer.scope import parse_scope

_Table = Mapping[str, Any]
_Placed = tuple[KeyPath, str]


@dataclass(frozen=True, slots=True)
class Complaint:
    """Something wrong at `path`; `first` is where the thing stands that it collides with."""

    path: KeyPath
    why: str
    first: KeyPath | None = None


def check_between(values: _Table) -> Iterator[Complaint]:
    """Yield what is given twice, and granted scopes that their resource does not have."""
    resources, clients = [list(_tables(values, name)) for name in ("resources", "clients")]
    yield from _repeated(_texts(resources, "resource"))
    yield from _repeated(_texts(clients, "client_id"))
    grants = [each for path, client in clients for each in _tables(client, "grants", path)]
    secrets = [each for path, client in clients for each in _tables(client, "secrets", path)]
    # Two secrets that are written to one file would be one, or one of them lost.
    yield from _repeated(_texts(secrets, "generate_to"))
    scopes = {text: table.get("scopes") for _, table in resources if (text := _identifier(table))}
    for path, grant in grants:
        yield from _unknown_scopes((*path, "scope"), grant, scopes)


def _tables(around: _Table, name: str, path: KeyPath = ()) -> Iterator[tuple[KeyPath, _Table]]:
    listed = around.get(name)
    for index, each in enumerate(listed if isinstance(listed, list) else ()):
        if isinstance(each, dict):
            yield (*path, name, index), each


def _texts(tables: Iterable[tuple[KeyPath, _Table]], name: str) -> Iterator[_Placed]:
    for path, table in tables:
        if isinstance(text := table.get(name), str):
            yield (*path, name), text


def _identifier(resource: _Table) -> str | None:
    """Return a resource's identifier if it could be one, so that messages may have it."""
    text = resource.get("resource")
    return text if isinstance(text, str) and text.isascii() and text.isprintable() else None


def _repeated(texts: Iterable[_Placed]) -> Iterator[Complaint]:
    seen: dict[str, KeyPath] = {}
    for path, text in texts:
        first = seen.setdefault(text, path)
        if first != path:
            yield Complaint(path, "is given twice", first)


def _unknown_scopes(path: KeyPath, grant: _Table, scopes: Mapping[str, Any]) -> Iterator[Complaint]:
    """Compare a grant with its resource, unless the models complain of either.

    A resource that is not in the file may be in the registry, which is asked later.
    """
    resource, asked = grant.get("resource"), grant.get("scope")
    known = scopes.get(resource) if isinstance(resource, str) else None
    if not isinstance(known, list) or not isinstance(asked, str):
        return
    names = [each for each in known if isinstance(each, str)]
    for scope in _scopes_of(asked):
        if scope not in names:
            yield Complaint(path, f"no such scope on {resource}: {scope}{suggest(scope, names)}")


def _scopes_of(text: str) -> tuple[str, ...]:
    try:
        return parse_scope(text)
    except ValueError:
        return ()
