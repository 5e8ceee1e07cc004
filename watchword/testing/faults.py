"""What an issuer for tests is told to do wrong, and for how many requests."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

ENDPOINTS: Final = ("metadata", "jwks", "token", "status_lists")
"""What may be asked of the issuer, by the names that faults and counts of requests use."""

LONGEST_DELAY = 60.0
MOST_FAULTS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that an endpoint does wrong.

    Raises:
        ValueError: a value that cannot be; the text is one line that names it.
    """

    endpoint: str = "token"
    """One of `ENDPOINTS`: `metadata`, `jwks`, `token`, `status_lists`."""
    status: int | None = None
    """The status of the answer; None for the one that it would have anyway."""
    retry_after: int | None = None
    """Seconds of a `Retry-After`."""
    body: str | None = None
    """What the answer says instead; text that is no JSON is sent as HTML."""
    delay: float = 0
    """Real seconds before the answer."""
    claims: Mapping[str, Any] = field(default_factory=dict)
    """Claims of the tokens that `token` gives out, such as `{"aud": "https://other.example"}`."""
    times: int = 1
    """For how many requests."""

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if self.endpoint not in ENDPOINTS:
            raise ValueError("endpoint must be one of " + ", ".join(ENDPOINTS))
        if self.status is not None and not _is_whole(self.status, 200, 599):
            raise ValueError("status must be a number from 200 to 599")
        if self.retry_after is not None and not _is_whole(self.retry_after, 0, 86_400):
            raise ValueError("retry_after must be a number of seconds, at most a day")
        if self.body is not None and not isinstance(self.body, str):
            raise ValueError("body must be text")
        if isinstance(self.delay, bool) or not isinstance(self.delay, int | float):
            raise ValueError("delay must be a number of seconds")
        if not 0 <= self.delay <= LONGEST_DELAY:
            raise ValueError(f"delay must be from 0 to {LONGEST_DELAY:.0f} seconds")
        if not isinstance(self.claims, Mapping):
            raise ValueError("claims must be an object")
        if self.claims and self.endpoint != "token":
            raise ValueError("claims are of tokens: leave endpoint out, or make it token")
        if not _is_whole(self.times, 1, 1_000_000):
            raise ValueError("times must be a number from 1 on")


class FaultScript:
    """Faults in the order in which they happen; those of one endpoint one after another."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Have this happen after those of its endpoint that are there already.

        Raises:
            ValueError: there are too many.
        """
        if len(self._faults) >= MOST_FAULTS:
            raise ValueError(f"there are {MOST_FAULTS} faults already")
        self._faults.append(fault)

    def take(self, endpoint: str) -> Fault | None:
        """Give what happens to a request that has just come."""
        for number, fault in enumerate(self._faults):
            if fault.endpoint == endpoint:
                if fault.times > 1:
                    self._faults[number] = replace(fault, times=fault.times - 1)
                else:
                    del self._faults[number]
                return fault
        return None

    def clear(self) -> None:
        """Have nothing more happen."""
        self._faults.clear()


def _is_whole(value: object, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
