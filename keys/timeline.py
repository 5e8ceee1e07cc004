"""Show the life of keys: what happens next, and all of it as a picture in text or SVG.

Pure. Everything shown is derived by the rule itself, so a picture cannot differ from what happens.
"""

from dataclasses import dataclass

from keys.ring import KeyState, RingEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class NextStep:
    """What happens to a key next."""

    state: str
    """The state that it reaches, of `KeyState`; or ``deleted``, which an operator does."""
    at: int | None
    """When, in seconds since the epoch; None if somebody has to ask for it."""


def next_step(entry: RingEntry) -> NextStep:
    """Say what happens to a key next, and when."""
    match entry.state:
        case KeyState.PENDING:
            return NextStep(state="active", at=entry.key.signs_from)
        case KeyState.ACTIVE:
            return NextStep(state="retiring", at=entry.superseded_at)
        case KeyState.RETIRING:
            return NextStep(state="gone", at=entry.gone_at)
        case _:
            return NextStep(state="deleted", at=None)
