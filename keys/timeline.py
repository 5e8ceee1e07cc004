"""Show the life of keys: what happens next, and all of it as a picture in text or SVG.

Pure. Everything shown is derived by the rule itself, so a picture cannot differ from what happens.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from keys.ring import KeyState, RingEntry, RingPolicy, deletable_from

_MARKS = {KeyState.PENDING: "░", KeyState.ACTIVE: "█", KeyState.RETIRING: "▒"}
_COLOURS = {KeyState.PENDING: "#b9c8d9", KeyState.ACTIVE: "#2f6f4f", KeyState.RETIRING: "#d9b26a"}
_NAME = 10
_ROW = 34
_BAR = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class NextStep:
    """What happens to a key next."""

    state: str
    """The state that it reaches, of `KeyState`; or ``deleted``, which an operator does."""
    at: int | None
    """When, in seconds since the epoch; None if it takes a command."""


def next_step(entry: RingEntry, now: int, policy: RingPolicy) -> NextStep:
    """Say what happens to a key next, and when; times are in seconds since the epoch."""
    match entry.state:
        case KeyState.PENDING:
            return NextStep(state="active", at=entry.key.signs_from)
        case KeyState.ACTIVE:
            return NextStep(state="retiring", at=entry.superseded_at)
        case KeyState.RETIRING:
            return NextStep(state="gone", at=entry.gone_at)
        case _:
            deletable_at = deletable_from(entry.key, policy)
            return NextStep(state="deleted", at=deletable_at if now < deletable_at else None)


@dataclass(frozen=True, slots=True)
class Span:
    """A key's time in one state, in seconds since the epoch; without an end if nothing ends it."""

    state: KeyState
    start: float
    end: float


def spans(entry: RingEntry) -> Iterator[Span]:
    """Yield the states that a key is in while it is published, one after the other."""
    key, forever = entry.key, float("inf")
    last = forever if key.withdrawn_at is None else key.withdrawn_at
    begins = forever if key.signs_from is None else key.signs_from
    superseded = forever if entry.superseded_at is None else entry.superseded_at
    gone = forever if entry.gone_at is None else entry.gone_at
    for state, start, end in (
        (KeyState.PENDING, key.published_at, begins),
        (KeyState.ACTIVE, begins, superseded),
        (KeyState.RETIRING, superseded, gone),
    ):
        if start < min(end, last):
            yield Span(state, start, min(end, last))


def draw_timeline(ring: Sequence[RingEntry], now: int, width: int, *, reach: int) -> str:
    """Draw keys as lines of text, with this moment in the middle.

    Args:
        ring: the keys with their states.
        now: seconds since the epoch.
        width: columns, at least 40.
        reach: seconds that are shown before this moment, and after it.
    """
    columns = width - _NAME
    lines = [f"{'':{_NAME}}{'now':^{columns}}".rstrip()]
    for entry in ring:
        moments = [now - reach + (n + 0.5) * 2 * reach / columns for n in range(columns)]
        bar = "".join(_mark(entry, moment) for moment in moments)
        lines.append(f"{entry.key.kid[:8]:{_NAME}}{bar}".rstrip())
    marks = "   ".join(f"{mark} {state}" for state, mark in _MARKS.items())
    return "\n".join([*lines, f"{'':{_NAME}}{marks}"])


def _mark(entry: RingEntry, moment: float) -> str:
    within = (_MARKS[each.state] for each in spans(entry) if each.start <= moment < each.end)
    return next(within, " ")


def draw_timeline_svg(ring: Sequence[RingEntry], start: int, end: int, *, width: int = 760) -> str:
    """Draw keys as an SVG picture.

    Args:
        ring: the keys with their states, whose names are shown as they are.
        start: the first second that is shown.
        end: the last one.
        width: pixels.
    """
    height = _ROW * (len(ring) + 1)
    scale = (width - _NAME * 10) / (end - start)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" role="img"'
        ' aria-label="The states of keys over time" font-family="sans-serif" font-size="13">'
    ]
    for row, entry in enumerate(ring):
        top = row * _ROW + 8
        parts.append(f'<text x="4" y="{top + 15}">{entry.key.kid}</text>')
        for each in spans(entry):
            left, right = max(each.start, start), min(each.end, end)
            if left < right:
                parts.append(
                    f'<rect x="{_NAME * 10 + (left - start) * scale:.1f}" y="{top}"'
                    f' width="{(right - left) * scale:.1f}" height="{_BAR}"'
                    f' fill="{_COLOURS[each.state]}"><title>{each.state}</title></rect>'
                )
    for number, (state, colour) in enumerate(_COLOURS.items()):
        left, top = _NAME * 10 + number * 110, len(ring) * _ROW + 8
        parts.append(f'<rect x="{left}" y="{top}" width="14" height="14" fill="{colour}"/>')
        parts.append(f'<text x="{left + 20}" y="{top + 12}">{state}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"
