"""Why a declaration is not carried out: every mistake of the file, or every conflict, at once."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from issuer.registry.errors import RegistryError

KeyPath = tuple[str | int, ...]
"""The way to a value in the file: `("clients", 0, "grants", 1, "scope")`."""

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_$-]{1,64}")
_LONGEST_KEY = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """One thing that is wrong with the file; `str` is one line that never has a value in it.

    Args:
        why: what is wrong, in words that fit behind a colon.
        path: where in the document, empty for all of it.
        line: where in the text, counted from 1; None if there is no text.
    """

    why: str
    path: KeyPath = ()
    line: int | None = None

    def __str__(self) -> str:
        """Write line, path and reason."""
        where = "" if self.line is None else f"line {self.line}: "
        return where + (f"{write_path(self.path)}: {self.why}" if self.path else self.why)


class InvalidDeclaration(RegistryError):
    """The file cannot be; `mistakes` has all that is wrong with it, in the order of its lines."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        ordered = sorted(mistakes, key=lambda mistake: mistake.line or 0)
        super().__init__(_first_of([str(mistake) for mistake in ordered]))
        self.mistakes = tuple(ordered)


class DeclarationRefused(RegistryError):
    """The registry cannot become what the file says; `reasons` has a line for each obstacle."""

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__(_first_of(reasons))
        self.reasons = tuple(reasons)


def write_path(path: KeyPath) -> str:
    """Write a path as people do: `clients[0].grants[1].scope`."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{_key(step)}" for step in path)
    return text.removeprefix(".")


def _key(name: str) -> str:
    """Show a key; one that a terminal could not show as it is, escaped and shortened."""
    if _PLAIN_KEY.fullmatch(name):
        return name
    return ascii(name[:_LONGEST_KEY]) + ("…" if len(name) > _LONGEST_KEY else "")


def _first_of(lines: Sequence[str]) -> str:
    more = len(lines) - 1
    return lines[0] if not more else f"{lines[0]} (and {more} more)"
