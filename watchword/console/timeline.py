"""Lay the life of signing keys out along time, for a picture; pure.

Everything is derived from the times that the administration API gives, by the rule itself.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from keys.ring import KeyState, RingEntry, RingKey
from keys.timeline import spans

WIDTH, NAMES, ROW = 960, 150, 40
"""Units of the picture: its width, that of the names at the left, and the height of a row."""

_TOP = 34
_LEAST_REACH = 1_800
_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
_STEPS = (
    *(5 * _MINUTE, 10 * _MINUTE, 15 * _MINUTE, 30 * _MINUTE),
    *(_HOUR, 2 * _HOUR, 3 * _HOUR, 6 * _HOUR, 12 * _HOUR),
    *(_DAY, 7 * _DAY, 30 * _DAY, 90 * _DAY),
)
_MOST_TICKS = 7
_PAST = 0.4
"""The part of the width that is over."""
_NEAR = 50
"""Units within which two texts would touch."""

Place = Callable[[float], float]
"""Gives the place of a time in the picture."""


class Bar(NamedTuple):
    """A key's time in one state, as far as it is shown."""

    state: str
    x: float
    width: float


class Row(NamedTuple):
    """A key in the picture."""

    name: str
    state: str
    """As it is now."""
    y: int
    bars: tuple[Bar, ...]
    withdrawn: float | None
    """Where it was withdrawn, if that is shown."""


class Tick(NamedTuple):
    """A mark on the axis."""

    x: float
    text: str


class Timeline(NamedTuple):
    """A picture of keys over time."""

    rows: tuple[Row, ...]
    ticks: tuple[Tick, ...]
    now: float
    height: int


def lay_out(keys: Sequence[Mapping[str, Any]], now: int) -> Timeline:
    """Lay keys out, with this moment at two fifths of the width.

    Args:
        keys: as the administration API describes them; those that are gone are left out.
        now: seconds since the epoch.
    """
    shown = [_entry(key) for key in keys if key["state"] != KeyState.GONE]
    times = [
        at
        for entry in shown
        for at in (
            entry.key.signs_from,
            entry.superseded_at,
            entry.gone_at,
            entry.key.withdrawn_at,
            entry.key.published_at,
        )
        if at is not None
    ]
    ahead = max([_LEAST_REACH, *(at - now for at in times)])
    start, end = now - ahead * 2 * _PAST, now + ahead * 2 * (1 - _PAST)
    scale = (WIDTH - NAMES) / (end - start)

    def place(at: float) -> float:
        return round(NAMES + (min(max(at, start), end) - start) * scale, 1)

    rows = tuple(
        _row(entry, _TOP + number * ROW, place, (start, end)) for number, entry in enumerate(shown)
    )
    return Timeline(rows, _ticks(start, end, place), place(now), _TOP + len(rows) * ROW + 4)


def _entry(key: Mapping[str, Any]) -> RingEntry:
    return RingEntry(
        key=RingKey(
            kid=key["kid"] or "",
            alg=key["alg"],
            published_at=_seconds(key["published_at"]) or 0,
            signs_from=_seconds(key["signs_from"]),
            withdrawn_at=_seconds(key["withdrawn_at"]),
        ),
        state=KeyState(key["state"]),
        superseded_at=_seconds(key["superseded_at"]),
        gone_at=_seconds(key["gone_at"]),
    )


def _row(entry: RingEntry, y: int, place: Place, shown: tuple[float, float]) -> Row:
    bars = []
    for span in spans(entry):
        if span.start < shown[1] and span.end > shown[0]:
            left, right = place(span.start), place(span.end)
            # Even a moment can be seen.
            bars.append(Bar(span.state.value, left, max(round(right - left, 1), 3)))
    withdrawn = entry.key.withdrawn_at
    is_shown = withdrawn is not None and shown[0] <= withdrawn <= shown[1]
    mark = place(withdrawn) if is_shown and withdrawn is not None else None
    return Row(entry.key.kid, entry.state.value, y, tuple(bars), mark)


def _ticks(start: float, end: float, place: Place) -> tuple[Tick, ...]:
    least = (end - start) / _MOST_TICKS
    step = next((each for each in _STEPS if each >= least), int(least))
    form = "%H:%M" if end - start <= _DAY else "%d %b %H:%M" if step < _DAY else "%d %b %Y"
    first = int(start // step + 1) * step
    at_now = start + (end - start) * _PAST
    return tuple(
        Tick(place(at), datetime.fromtimestamp(at, UTC).strftime(form))
        for at in range(first, int(end), step)
        if place(at) < WIDTH - _NEAR and abs(place(at) - place(at_now)) > _NEAR
    )


def _seconds(text: str | None) -> int | None:
    return None if text is None else int(datetime.fromisoformat(text).timestamp())
