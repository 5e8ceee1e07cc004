"""Events of an API or of a source of tokens as a counter of prometheus-client.

For a program that uses that library: nothing else of ours imports this module.
"""

from dataclasses import dataclass

from prometheus_client import Counter

from keys.events import EventSink, ignore_event, reason_code

_EVENTS = Counter(
    "watchword_events_total",
    "Events by name, with the code of their reason if they have one.",
    ("event", "reason"),
)


@dataclass(frozen=True, slots=True)
class PrometheusEvents:
    """A sink for `on_event` that counts events as `watchword_events_total{event,reason}`.

    The counter is in the default registry of prometheus-client.

    Args:
        sink: gets each event after it was counted; by default nothing does.
    """

    sink: EventSink = ignore_event

    def __call__(self, event: str, /, **fields: object) -> None:
        """Count one event and hand it on."""
        _EVENTS.labels(str(event), reason_code(fields.get("reason"))).inc()
        self.sink(event, **fields)
