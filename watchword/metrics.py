"""What the provider counts and measures for Prometheus, added up over its workers.

A worker counts in a dict, which costs a token a microsecond. With several workers each puts its
counts into a seat of memory that all of them read, so that any of them can answer a scrape. A seat
outlives its worker: the next one there goes on from the same counts, and no count ever goes back.
"""

import json
import os
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, NamedTuple

from issuer.endpoints.asgi import Endpoint, Receive, Scope, Send
from issuer.events import Event, EventSink
from keys.events import reason_code
from watchword.process.seats import Seats

PUBLISH_SECONDS = 1.0
"""Between two times that a worker puts its counts where the others read them."""

LIVE_SECONDS = 5.0
"""A worker that has put nothing there for so long has ended: its gauges do not count any more."""

# OpenTelemetry's recommendation for the duration of requests, in seconds.
BOUNDARIES = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)

HELD = "watchword.held"
"""In an ASGI scope: seconds for which an answer that was ready was held back."""

_TOKEN_EVENTS = frozenset({Event.TOKEN_ISSUED, Event.TOKEN_REFUSED})


class Metric(NamedTuple):
    """What a metric is.

    Args:
        kind: in the sense of Prometheus.
        help: what it says.
        labels: their names, each with a bounded number of values.
        across: how the values of several workers become one, of a gauge.
    """

    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    across: Literal["sum", "max", "min"] = "max"


REQUESTS = "watchword_token_requests_total"
DURATION = "watchword_token_request_duration_seconds"
LIMITED = "watchword_limited_requests_total"
EVENTS = "watchword_events_total"
CPU = "process_cpu_seconds_total"

METRICS: Mapping[str, Metric] = {
    REQUESTS: Metric(
        "counter",
        "Requests to the token endpoint; `outcome` is `issued` or the reason of the refusal.",
        ("grant_type", "method", "outcome"),
    ),
    DURATION: Metric(
        "histogram",
        "Seconds from the head of a token request to the end of its answer, without those for which"
        " the answer to a failed authentication was held back.",
    ),
    LIMITED: Metric("counter", "Requests that were beyond a limit, refused or not.", ("limit",)),
    EVENTS: Metric(
        "counter",
        "All other events of the log by name, with the code of their reason if they have one.",
        ("event", "reason"),
    ),
    "watchword_signing_queue": Metric("gauge", "Signatures that wait to be made.", across="sum"),
    "watchword_client_view_size": Metric(
        "gauge", "Clients in the memory of a worker; the highest of all workers."
    ),
    "watchword_client_view_misses_total": Metric(
        "counter", "Look-ups of a client that was not in memory; the database was asked."
    ),
    "watchword_replay_claims_total": Metric(
        "counter",
        "Requests with an assertion or proof that counts once: `claimed` is the first that showed"
        " it, `replayed` a later one, and of `unavailable` it is not known.",
        ("outcome",),
    ),
    "watchword_registry_up": Metric(
        "gauge", "1 while the database answers every worker, else 0.", across="min"
    ),
    "watchword_registry_change_lag_seconds": Metric(
        "gauge", "Seconds since changes of clients and resources were last looked for."
    ),
    "watchword_keys": Metric("gauge", "Signing keys by state.", ("state",)),
    "watchword_key_next_step_seconds": Metric(
        "gauge", "Seconds until a key next changes its state; none while no change is due."
    ),
    "watchword_secrets_ending_30d": Metric(
        "gauge", "Client secrets that end within 30 days; 10,000 stands for that or more."
    ),
    "watchword_jwks_age_seconds": Metric(
        "gauge", "Seconds since the demo API asked for the key set that it uses, over HTTP."
    ),
    "watchword_status_list_age_seconds": Metric(
        "gauge",
        "Age of the revocations in use: of the issuer's since the database told of them, of the"
        " demo API's since the oldest list was issued.",
    ),
    "watchword_build_info": Metric("gauge", "Always 1.", ("version", "python")),
    CPU: Metric("counter", "CPU time of all workers, in seconds."),
    "process_resident_memory_bytes": Metric(
        "gauge", "Memory of all workers; what they share counts for each.", across="sum"
    ),
    "process_virtual_memory_bytes": Metric("gauge", "Address space of all workers.", across="sum"),
    "process_open_fds": Metric("gauge", "Open descriptors of the worker that has most."),
    "process_max_fds": Metric("gauge", "Descriptors that a worker may have.", across="min"),
    "process_start_time_seconds": Metric(
        "gauge", "When the oldest worker was started, in seconds since the epoch.", across="min"
    ),
}
"""All metrics of the provider by name."""

Series = tuple[str, ...]
"""The name of a metric and the values of its labels."""

Reading = Callable[[], Iterable[tuple[Series, float]]]
"""Reads gauges as they are now, and counters of what this process has counted elsewhere."""


class Snapshot(NamedTuple):
    """What one worker had counted and measured at a time, or all workers together.

    Args:
        at: monotonic seconds.
        pids: of whom.
        counts: the counters.
        durations: of token requests, how many in each bucket.
        seconds: their sum.
        gauges: as they were.
    """

    at: float
    pids: tuple[int, ...]
    counts: dict[Series, float]
    durations: list[int]
    seconds: float
    gauges: dict[Series, float]

    def write(self) -> bytes:
        """Write it for another process."""
        series = [*self.counts.items()], [*self.gauges.items()]
        return json.dumps(
            [self.at, self.pids, series[0], self.durations, self.seconds, series[1]]
        ).encode()

    @classmethod
    def read(cls, text: bytes) -> "Snapshot":
        """Read what another process wrote."""
        at, pids, counts, durations, seconds, gauges = json.loads(text)
        return cls(at, tuple(pids), _mapping(counts), durations, seconds, _mapping(gauges))


def _mapping(pairs: Iterable[tuple[list[str], float]]) -> dict[Series, float]:
    return {tuple(series): value for series, value in pairs}


class Metrics:
    """Counts what happens in this process; a sink of events that hands each on.

    Args:
        sink: gets every event after it was counted.
        seats: shared with the other workers; None for one process alone.
        seat: that of this worker.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        sink: EventSink,
        *,
        seats: Seats | None = None,
        seat: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sink = sink
        self._seats = seats
        self._seat = seat
        self._clock = clock
        self._before = Snapshot(0, (), {}, [0] * (len(BOUNDARIES) + 1), 0.0, {})
        if seats is not None and (text := seats.read(seat)):
            self._before = Snapshot.read(text)
        self._counts = dict(self._before.counts)
        self._durations = list(self._before.durations)
        self._seconds = self._before.seconds
        self._readings: list[Reading] = []

    def __call__(self, event: str, /, **fields: Any) -> None:  # noqa: ANN401 - of any event
        """Count one event and hand it on."""
        if event in _TOKEN_EVENTS:
            grant_type, method = fields.get("grant_type") or "", fields.get("auth_method") or ""
            series: Series = (REQUESTS, grant_type, method, fields.get("reason") or "issued")
        elif event == Event.REQUEST_LIMITED:
            series = (LIMITED, fields["limit"])
        else:
            series = (EVENTS, event, reason_code(fields.get("reason")))
        # Of requests beyond a limit one event stands for many.
        self._counts[series] = self._counts.get(series, 0) + fields.get("requests", 1)
        self._sink(event, **fields)

    def add(self, reading: Reading) -> None:
        """Have this read as well, whenever the metrics are asked for."""
        self._readings.append(reading)

    def timed(self, endpoint: Endpoint) -> Endpoint:
        """Have the duration of the requests to an endpoint counted."""

        async def measure(scope: Scope, receive: Receive, send: Send) -> None:
            began = self._clock()
            try:
                await endpoint(scope, receive, send)
            finally:
                seconds = self._clock() - began - scope.get(HELD, 0.0)
                self._durations[bisect_left(BOUNDARIES, seconds)] += 1
                self._seconds += seconds

        return measure

    def publish(self) -> Snapshot:
        """Put what was counted and is measured now where the other workers read it; return it."""
        counts, gauges = dict(self._counts), dict[Series, float]()
        for reading in self._readings:
            for series, value in reading():
                if METRICS[series[0]].kind == "counter":
                    counts[series] = self._before.counts.get(series, 0) + value
                else:
                    gauges[series] = value
        snapshot = Snapshot(
            at=self._clock(),
            # Where nothing is measured, requests are not served: that is the parent of the workers.
            pids=(os.getpid(),) if self._readings else (),
            counts=counts,
            durations=list(self._durations),
            seconds=self._seconds,
            gauges=gauges,
        )
        if self._seats is not None:
            self._seats.write(self._seat, snapshot.write())
        return snapshot

    def count(self) -> dict[Series, float]:
        """Add up what all workers have counted: this one until now, others until they last told.

        From any thread, since nothing is measured or published for it.
        """
        counts = dict(self._counts)
        for other in self._others():
            for series, value in other.counts.items():
                counts[series] = counts.get(series, 0) + value
        return counts

    def collect(self) -> Snapshot:
        """Return what all workers have counted and measured together.

        Raises:
            RuntimeError: what another worker wrote cannot be read; no count is left out instead.
        """
        # Before it is shown: what a scrape saw must not be lost with this worker.
        snapshots = [self.publish(), *self._others()]
        return _add_up(snapshots, live_since=self._clock() - LIVE_SECONDS)

    def _others(self) -> list[Snapshot]:
        if self._seats is None:
            return []
        texts = (self._seats.read(n) for n in range(self._seats.count) if n != self._seat)
        return [Snapshot.read(text) for text in texts if text]


def measure_process() -> Iterable[tuple[Series, float]]:
    """Measure the CPU time of this process."""
    yield (CPU,), time.process_time()


def _add_up(snapshots: list[Snapshot], *, live_since: float) -> Snapshot:
    counts: dict[Series, float] = {}
    gauges: dict[Series, list[float]] = {}
    live = [each for each in snapshots if each.at >= live_since]
    for each in snapshots:
        for series, value in each.counts.items():
            counts[series] = counts.get(series, 0) + value
    for each in live:
        for series, value in each.gauges.items():
            gauges.setdefault(series, []).append(value)
    return Snapshot(
        at=live_since,
        pids=tuple(pid for each in live for pid in each.pids),
        counts=counts,
        durations=[sum(bucket) for bucket in zip(*(s.durations for s in snapshots), strict=True)],
        seconds=sum(each.seconds for each in snapshots),
        gauges={series: combine(series[0], values) for series, values in gauges.items()},
    )


_COMBINED: Mapping[str, Callable[[list[float]], float]] = {"sum": sum, "max": max, "min": min}


def combine(name: str, values: list[float]) -> float:
    """Make one value of a gauge of those of several workers."""
    return _COMBINED[METRICS[name].across](values)
