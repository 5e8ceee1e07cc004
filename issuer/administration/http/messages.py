"""Paths, entity tags and preconditions of the administration API, as they are written in HTTP."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote, unquote

from issuer.registry.errors import InvalidValue, RevisionConflict

# RFC 3986 §3.3: what a segment may hold; every `%` begins an escape.
_SEGMENT = re.compile(r"(?:[\x21-\x24\x26-\x2e\x30-\x7e]|%[0-9A-Fa-f]{2})+")
_NAME = re.compile(r"[\x21-\x7e]+")
# RFC 9110 §8.8.3: entity-tag = [ weak ] DQUOTE *etagc DQUOTE; a list has commas between.
_TAG = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
_TAGS = re.compile(rf"[ \t,]*{_TAG}(?:[ \t]*,[ \t,]*{_TAG})*[ \t,]*")
_OURS = re.compile(r'(?<!W/)"(0|[1-9]\d{0,17})"', re.ASCII)


@dataclass(frozen=True, slots=True)
class Precondition:
    """What `If-Match` asks for: one of these revisions, or any that there is if None."""

    revisions: frozenset[int] | None = None

    def choose(self, current: Callable[[], int]) -> int | None:
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
