"""`GET /metrics`: what all workers counted and measured, in the text format of Prometheus.

Loaded with the first scrape, since the client library takes longer to load than a token to make.
"""

import platform
from collections.abc import Iterable, Iterator
from functools import partial
from importlib.metadata import version
from math import inf

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.core import Metric as Family
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from issuer.endpoints.asgi import Receive, Scope, Send, respond
from watchword.metrics import BOUNDARIES, CPU, DURATION, METRICS, Metrics, Series, combine

_HEADERS = (
    (b"content-type", b"text/plain; version=0.0.4; charset=utf-8"),
    (b"cache-control", b"no-store"),
)


class Exposition:
    """The endpoint.

    Args:
        metrics: of this worker; they read those of the others.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_Families(metrics))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer GET and HEAD; anything else is 405."""
        if scope["method"] not in ("GET", "HEAD"):
            await respond(send, 405, ((b"allow", b"GET, HEAD"), *_HEADERS[1:]), b"")
            return
        await respond(send, 200, _HEADERS, generate_latest(self._registry))


class _Families(Collector):
    """Makes what the client library writes out of what was counted."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._build = ("watchword_build_info", version("watchword"), platform.python_version())

    def collect(self) -> Iterator[Family]:
        now = self._metrics.collect()
        values = {**now.counts, **now.gauges, **_measure_processes(now.pids), self._build: 1.0}
        for name, metric in METRICS.items():
            series = [(each[1:], value) for each, value in values.items() if each[0] == name]
            if metric.kind == "histogram":
                yield _histogram(now.durations, now.seconds)
            elif metric.kind == "counter":
                yield _filled(CounterMetricFamily(name, metric.help, labels=metric.labels), series)
            else:
                yield _filled(GaugeMetricFamily(name, metric.help, labels=metric.labels), series)


def _filled(
    family: CounterMetricFamily | GaugeMetricFamily, series: Iterable[tuple[Series, float]]
) -> Family:
    for labels, value in series:
        family.add_metric(labels, value)
    return family


def _histogram(durations: list[int], seconds: float) -> Family:
    buckets, total = [], 0
    for boundary, count in zip((*BOUNDARIES, inf), durations, strict=True):
        total += count
        buckets.append(("+Inf" if boundary == inf else str(float(boundary)), float(total)))
    family = HistogramMetricFamily(DURATION, METRICS[DURATION].help)
    family.add_metric((), buckets, seconds)
    return family


def _measure_processes(pids: Iterable[int]) -> dict[Series, float]:
    """Read what the operating system knows of the workers; nothing where it does not say."""
    found: dict[str, list[float]] = {}
    for pid in pids:
        for family in ProcessCollector(pid=partial(int, pid), registry=None).collect():
            for sample in family.samples:
                if sample.name != CPU:  # which goes back when a worker ends
                    found.setdefault(sample.name, []).append(sample.value)
    return {(name,): combine(name, values) for name, values in found.items()}
