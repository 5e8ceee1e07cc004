"""Spans and metrics of OpenTelemetry, in a program that uses it.

Such a program has loaded the API itself, so that nothing is imported here for one that does not: it
pays for a look at the loaded modules at each request over the network and at each event. Names are
those of the semantic conventions for HTTP. No token, secret, query or text of an error is in an
attribute.
"""

import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from keys.events import EventSink, reason_code

_NAME = "watchword"
# The boundaries, in seconds, that the conventions recommend.
_BOUNDARIES = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_LONGEST_TRACEPARENT = 128  # octets; those of today have 55 (Trace Context §3.2.2)


@dataclass(slots=True)
class Exchange:
    """One HTTP request that we send."""

    headers: Mapping[str, str] = field(default_factory=dict)
    """To be sent with it: `traceparent` (W3C Trace Context), so that the trace goes on there."""
    status: int | None = None
    """Of the answer; to be set by the caller."""


@dataclass(slots=True)
class Outcome:
    """How what is done within a span ends; to be set by the caller."""

    status: int | None = None
    """Of the answer to a request that is served."""
    error: str | None = None
    """A code for why it failed."""


def is_traced() -> bool:
    """Say whether the program has set where spans go: only then it pays for those of this module.

    A look at the loaded modules and, in a program that has the API, at its tracer provider.
    """
    trace: Any = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return False
    nowhere = (trace.ProxyTracerProvider, trace.NoOpTracerProvider)
    return not isinstance(trace.get_tracer_provider(), nowhere)


@contextmanager
def traced_request(
    method: str, route: str, scheme: str, headers: Iterable[tuple[bytes, bytes]]
) -> Iterator[Outcome]:
    """Have what serves a request in a span of kind server, where `is_traced`.

    Args:
        method: of the request.
        route: the path that is served, as in the program.
        scheme: http or https.
        headers: raw, the names in lower case; `traceparent` names the parent.
    """
    trace: Any = sys.modules["opentelemetry.trace"]
    known = method in _METHODS  # any other is the peer's text
    told = {
        "http.request.method": method if known else "_OTHER",
        "http.route": route,
        "url.scheme": scheme,
    }
    # Not below the span that is current: a server may start a request in the context of another.
    with trace.get_tracer(_NAME).start_as_current_span(
        f"{method if known else 'HTTP'} {route}",
        context=_sent_context(headers),
        kind=trace.SpanKind.SERVER,
        attributes=told,
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        yield from _until_ended(span, trace)


@contextmanager
def traced_step(name: str, headers: Iterable[tuple[bytes, bytes]]) -> Iterator[Outcome]:
    """Have one step of serving a request in a span, where `is_traced`.

    Args:
        name: of the step.
        headers: of the request, as above: where no span is current, `traceparent` names the parent.
    """
    trace: Any = sys.modules["opentelemetry.trace"]
    within = trace.get_current_span().get_span_context().is_valid
    with trace.get_tracer(_NAME).start_as_current_span(
        name,
        context=None if within else _sent_context(headers),
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        yield from _until_ended(span, trace)


@contextmanager
def traced_exchange(method: str, url: str) -> Iterator[Exchange]:
    """Have the request that the block sends in a span and in `http.client.request.duration`.

    Args:
        method: of the request.
        url: of the request; its query is told to no one.
    """
    trace: Any = sys.modules.get("opentelemetry.trace")
    metrics: Any = sys.modules.get("opentelemetry.metrics")
    exchange = Exchange()
    if trace is None and metrics is None:
        yield exchange
        return
    told = _request_attributes(method, url)
    begun = time.perf_counter()
    try:
        with _span(trace, method, url, told) as span:
            exchange.headers = _trace_context(span)
            try:
                yield exchange
            except BaseException as error:
                told["error.type"] = type(error).__name__
                raise
            finally:
                _end(span, trace, exchange, told)
    finally:
        _record(metrics, time.perf_counter() - begun, told)


@dataclass(frozen=True, slots=True)
class CountedEvents:
    """Counts events as `watchword.events`, by name and reason, and hands them on."""

    sink: EventSink

    def __call__(self, event: str, /, **fields: object) -> None:
        """Count one event and hand it on."""
        metrics: Any = sys.modules.get("opentelemetry.metrics")
        if metrics is not None:
            told = {"event": str(event)}
            if reason := reason_code(fields.get("reason")):
                told["reason"] = reason
            metrics.get_meter(_NAME).create_counter("watchword.events").add(1, told)
        self.sink(event, **fields)


def _sent_context(headers: Iterable[tuple[bytes, bytes]]) -> Any:  # noqa: ANN401 - likewise
    """Give the context that a request names; an empty one if it names none, or not exactly one."""
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    sent = [value for name, value in headers if name == b"traceparent"]
    carrier = {}
    if len(sent) == 1 and len(sent[0]) <= _LONGEST_TRACEPARENT:
        # Without `tracestate`, which is free text of a peer that nobody has authenticated yet.
        carrier["traceparent"] = sent[0].decode("latin-1")
    return TraceContextTextMapPropagator().extract(carrier)


def _until_ended(span: Any, trace: Any) -> Iterator[Outcome]:  # noqa: ANN401 - likewise
    outcome = Outcome()
    try:
        yield outcome
    except BaseException as error:
        outcome.error = outcome.error or type(error).__name__
        raise
    finally:
        if outcome.status is not None:
            span.set_attribute("http.response.status_code", outcome.status)
            if outcome.status >= 500:  # below that the peer is at fault, not the server
                outcome.error = outcome.error or str(outcome.status)
        if outcome.error is not None:
            span.set_attribute("error.type", outcome.error)
            span.set_status(trace.StatusCode.ERROR)


def _request_attributes(method: str, url: str) -> dict[str, str | int]:
    parts = urlsplit(url)
    return {
        "http.request.method": method,
        "server.address": parts.hostname or "",
        "server.port": parts.port or (443 if parts.scheme == "https" else 80),
    }


def _span(trace: Any, method: str, url: str, told: Mapping[str, str | int]) -> Any:  # noqa: ANN401 - of a module that need not be installed
    if trace is None:
        return nullcontext()
    parts = urlsplit(url)
    return trace.get_tracer(_NAME).start_as_current_span(
        f"{method} {parts.path}",
        kind=trace.SpanKind.CLIENT,
        attributes={**told, "url.full": urlunsplit(parts._replace(query="", fragment=""))},
        # An exception's text may repeat what the server sent.
        record_exception=False,
        set_status_on_exception=False,
    )


def _trace_context(span: object | None) -> Mapping[str, str]:
    headers: dict[str, str] = {}
    if span is not None:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        # Trace Context alone: baggage holds what the program put there for its own services.
        TraceContextTextMapPropagator().inject(headers)
    return headers


def _end(span: Any, trace: Any, exchange: Exchange, told: dict[str, str | int]) -> None:  # noqa: ANN401 - likewise
    if exchange.status is not None:
        told["http.response.status_code"] = exchange.status
        if exchange.status >= 400:
            told.setdefault("error.type", str(exchange.status))
    if span is not None:
        span.set_attributes(told)
        if "error.type" in told:
            span.set_status(trace.StatusCode.ERROR)


def _record(metrics: Any, seconds: float, told: Mapping[str, str | int]) -> None:  # noqa: ANN401 - likewise
    if metrics is not None:
        metrics.get_meter(_NAME).create_histogram(
            "http.client.request.duration",
            unit="s",
            explicit_bucket_boundaries_advisory=_BOUNDARIES,
        ).record(seconds, told)
