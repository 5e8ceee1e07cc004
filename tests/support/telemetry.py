"""OpenTelemetry in a test: what the program under test would have set up, kept in memory."""

import opentelemetry.metrics
import opentelemetry.trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


class Telemetry:
    """The spans that ended and the metrics so far."""

    def __init__(self, monkeypatch):
        """Take the place of the providers, which can be set once in a process."""
        self._spans, self._metrics = InMemorySpanExporter(), InMemoryMetricReader()
        tracers, meters = TracerProvider(), MeterProvider([self._metrics])
        tracers.add_span_processor(SimpleSpanProcessor(self._spans))
        monkeypatch.setattr(opentelemetry.trace, "get_tracer", tracers.get_tracer)
        monkeypatch.setattr(opentelemetry.trace, "get_tracer_provider", lambda: tracers)
        monkeypatch.setattr(opentelemetry.metrics, "get_meter", meters.get_meter)

    @property
    def spans(self):
        """The spans that ended."""
        return self._spans.get_finished_spans()

    def points(self, name):
        """Return attributes and value, or count of a histogram, of a metric's points."""
        data = self._metrics.get_metrics_data()
        return [
            (dict(point.attributes), getattr(point, "value", None) or point.count)
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        ]
