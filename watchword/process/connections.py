"""Bound what connections may hold of a worker: their number, and the time that each may take.

A connection has one deadline at a time, by the phase that it is in. Once a second all of them are
looked at, which costs a request less than a timer of its own would. When there is no room for a new
connection, the one that has kept the server waiting for longest is closed; if none has, the new one
may ask for the health probes only.
"""

import asyncio
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, IntEnum, auto
from math import inf
from types import MappingProxyType
from typing import Protocol

from keys.events import EventSink

PROBE_CONNECTIONS = 8
"""Connections beyond the limit that only the health probes may use."""

MOST_CONNECTIONS = 8192
"""The limit of a worker, however many descriptors it may open: it bounds the memory."""

MOST_SECURED = 2048
"""The same with TLS, where a handshake that never ends takes 100 KB."""

_OTHER_DESCRIPTORS = 64  # for the database, the key store, the log, and requests of our own
_FEWEST_CONNECTIONS = 16


class Phase(IntEnum):
    """What a connection is waiting for; an int, since an Enum's hash is computed in Python."""

    HANDSHAKE = auto()  # of TLS
    FIRST_BYTE = auto()  # of its first request
    HEAD = auto()
    BODY = auto()
    ANSWER = auto()  # of the application
    WRITE = auto()  # the peer reads the answer too slowly
    IDLE = auto()  # kept alive between two requests
    LINGER = auto()  # refused; what the peer still sends is discarded (RFC 9112 section 9.6)
    CLOSING = auto()


_SECONDS: Mapping[Phase, float] = MappingProxyType(
    {
        Phase.HANDSHAKE: 10,
        Phase.FIRST_BYTE: 10,
        Phase.HEAD: 10,
        Phase.BODY: 20,
        Phase.ANSWER: inf,
        Phase.WRITE: 30,
        Phase.IDLE: 65,  # longer than clients keep idle connections, so that the clients close them
        Phase.LINGER: 2,
        Phase.CLOSING: 30,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of one worker.

    Attributes:
        connections: most connections, those for the probes included.
        for_probes: how many of them are kept for the health probes.
        seconds: how long a connection may stay in each phase.
        probe_seconds: the same for the first request of a connection that only probes may use.
        patience_seconds: what every connection may take, however many there are.
        sweep_seconds: time between two looks at the deadlines.
    """

    connections: int
    for_probes: int = PROBE_CONNECTIONS
    seconds: Mapping[Phase, float] = field(default_factory=lambda: _SECONDS)
    probe_seconds: float = 2
    patience_seconds: float = 0.1
    sweep_seconds: float = 1


def connection_limit(descriptors: int | None = None, *, secured: bool = False) -> int:
    """Return how many connections a worker may have.

    Args:
        descriptors: how many files the process may open; None asks the system.
        secured: whether they speak TLS.
    """
    most = MOST_SECURED if secured else MOST_CONNECTIONS
    if descriptors is None:
        descriptors = _most_descriptors()
    return min(max(descriptors - _OTHER_DESCRIPTORS, _FEWEST_CONNECTIONS), most)


def _most_descriptors() -> int:
    if sys.platform == "win32":
        return MOST_CONNECTIONS
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft


class Admission(Enum):
    """What a new connection may do."""

    EVERYTHING = auto()
    PROBES = auto()
    NOTHING = auto()


class Connection(Protocol):
    """What is counted and timed here."""

    loop: asyncio.AbstractEventLoop
    phase: Phase
    since: float
    deadline: float

    def expire(self, now: float) -> None:
        """End the phase: its deadline has passed."""

    def abort(self) -> None:
        """End the connection at once."""


class Connections:
    """All connections of one worker.

    Args:
        limits: of the worker.
        events: where refusals are reported, once a second with their number.
    """

    def __init__(self, limits: Limits, events: EventSink) -> None:
        self.limits = limits
        self._events = events
        self._open: set[Connection] = set()
        # Both in the order in which they came into their phase: the first has been there longest.
        self._awaited: dict[Connection, None] = {}
        self._idle: dict[Connection, None] = {}
        self._refused: Counter[str] = Counter()
        self._sweeping = False

    def admit(self, connection: Connection) -> Admission:
        """Take a new connection in, closing another one for it if need be."""
        self._open.add(connection)
        if not self._sweeping:
            self._sweeping = True
            connection.loop.call_later(self.limits.sweep_seconds, self._sweep, connection.loop)
        most = self.limits.connections
        if len(self._open) <= most - self.limits.for_probes or self._make_room(connection):
            return Admission.EVERYTHING
        if len(self._open) <= most:
            return Admission.PROBES
        self.count_refusal("connection_limit")
        return Admission.NOTHING

    def track(self, connection: Connection) -> None:
        """Note that a connection came into another phase."""
        self._awaited.pop(connection, None)
        self._idle.pop(connection, None)
        if connection.phase is Phase.IDLE:
            self._idle[connection] = None
        elif connection.phase is not Phase.ANSWER:
            self._awaited[connection] = None

    def leave(self, connection: Connection) -> None:
        """Forget a connection that has ended."""
        self._open.discard(connection)
        self._awaited.pop(connection, None)
        self._idle.pop(connection, None)
        if not self._open:
            self._report()

    def count_refusal(self, reason: str) -> None:
        """Report a refusal with the next look; a flood of them is one line a second."""
        self._refused[reason] += 1

    def _make_room(self, newcomer: Connection) -> bool:
        """Close the connection that can be spared best, if there is one."""
        spared = next(iter(self._awaited), None)
        patience = self.limits.patience_seconds
        if spared is None or newcomer.loop.time() - spared.since < patience:
            spared = next(iter(self._idle), None)
        if spared is None:
            return False
        self.count_refusal("closed_for_another")
        self.leave(spared)
        spared.abort()
        return True

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for connection in [each for each in self._open if each.deadline <= now]:
            connection.expire(now)
        self._report()
        self._sweeping = bool(self._open)
        if self._sweeping:
            loop.call_later(self.limits.sweep_seconds, self._sweep, loop)

    def _report(self) -> None:
        refused, self._refused = self._refused, Counter()
        for reason, count in refused.items():
            self._events("request.refused", reason=reason, count=count)
