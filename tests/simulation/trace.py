"""What was seen during a run, for the oracle to judge and for a person to read."""

from collections.abc import Iterable
from typing import Any, NamedTuple


class Seen(NamedTuple):
    """One thing that happened: when, in seconds since the beginning, to whom, and what."""

    at: float
    who: str
    what: str
    facts: dict[str, Any]

    def __str__(self) -> str:
        """Write it as a line of a timeline."""
        said = " ".join(f"{name}={_written(value)}" for name, value in self.facts.items())
        return f"{self.at:10.3f}  {self.who:<12}{self.what:<12}{said}"


class Breach(NamedTuple):
    """A promise that was not kept, and when."""

    at: float
    rule: str
    said: str
    about: tuple[str, ...] = ()
    """Whom and which token it concerns."""

    def __str__(self) -> str:
        """Write it as one line."""
        return f"at {self.at:.3f}: {self.rule}: {self.said}"


class Trace:
    """Everything that was seen, in order."""

    def __init__(self) -> None:
        """Begin empty."""
        self.seen: list[Seen] = []

    def add(self, at: float, who: str, what: str, **facts: Any) -> None:
        """Note that something happened."""
        self.seen.append(Seen(at, who, what, facts))

    def of(self, *kinds: str) -> Iterable[Seen]:
        """Give all that happened of some kinds, in order."""
        return (seen for seen in self.seen if seen.what in kinds)


def _written(value: object) -> str:
    match value:
        case float():
            return f"{value:.3f}"
        case tuple() | list() | frozenset():
            return ",".join(map(_written, value)) or "-"
        case _:
            return str(value)
