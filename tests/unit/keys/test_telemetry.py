"""What is told to OpenTelemetry, and that nothing is where the program does not use it."""

import subprocess
import sys

import httpx
import pytest
from opentelemetry.trace import SpanKind, StatusCode

from keys.events import ignore_event
from keys.remote.http_get import HttpGet
from keys.telemetry import CountedEvents, traced_exchange
from tests.support.telemetry import Telemetry

URL = "https://as.example/token?secret=s3cret"
SENT = {"http.request.method": "POST", "server.address": "as.example", "server.port": 443}


@pytest.fixture
def telemetry(monkeypatch):
    """What was told."""
    return Telemetry(monkeypatch)


def test_an_exchange_has_a_span_and_a_duration(telemetry):
    """Both name the server and the status, and the span the address without its query."""
    with traced_exchange("POST", URL) as exchange:
        exchange.status = 200
    [span] = telemetry.spans
    assert (span.name, span.kind) == ("POST /token", SpanKind.CLIENT)
    told = SENT | {"http.response.status_code": 200}
    assert dict(span.attributes) == told | {"url.full": "https://as.example/token"}
    assert telemetry.points("http.client.request.duration") == [(told, 1)]


def test_the_trace_goes_on_at_the_server(telemetry):
    """W3C Trace Context names the span; nothing else is sent."""
    with traced_exchange("POST", URL) as exchange:
        pass
    [span] = telemetry.spans
    made = span.context
    traceparent = f"00-{made.trace_id:032x}-{made.span_id:016x}-{made.trace_flags:02x}"
    assert exchange.headers == {"traceparent": traceparent}


def test_a_refusal_is_an_error(telemetry):
    """By its status."""
    with traced_exchange("POST", URL) as exchange:
        exchange.status = 401
    [span] = telemetry.spans
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes["error.type"] == "401"


def test_a_failure_is_an_error_without_its_text(telemetry):
    """By the name of the exception's class: its text may repeat what the server sent."""
    with pytest.raises(OSError, match="s3cret"), traced_exchange("POST", URL):
        raise OSError("s3cret")
    [span] = telemetry.spans
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, None)
    assert span.attributes["error.type"] == "OSError"
    assert "s3cret" not in span.to_json()
    assert telemetry.points("http.client.request.duration") == [
        (SENT | {"error.type": "OSError"}, 1)
    ]


def test_events_are_counted_by_reason_and_handed_on(telemetry):
    """A reason that is a sentence is left out: each could be another."""
    handed_on = []
    count = CountedEvents(lambda event, **fields: handed_on.append((event, fields)))
    for reason in ("expired", "expired", "the server answered 500"):
        count("request.refused", reason=reason)
    count("jwks.refreshed", kids=["k1"])
    assert handed_on[0] == ("request.refused", {"reason": "expired"})
    assert len(handed_on) == 4
    counted = {tuple(told.values()): value for told, value in telemetry.points("watchword.events")}
    assert counted == {
        ("request.refused", "expired"): 2,
        ("request.refused",): 1,
        ("jwks.refreshed",): 1,
    }


def test_without_opentelemetry_nothing_is_told(monkeypatch):
    """A request and an event go their way."""
    for name in ("opentelemetry.trace", "opentelemetry.metrics"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    with traced_exchange("POST", URL) as exchange:
        exchange.status = 200
    CountedEvents(ignore_event)("request.refused", reason="expired")
    assert exchange.headers == {}


def test_spans_alone_and_metrics_alone(telemetry, monkeypatch):
    """A program may have loaded one of the two."""
    with monkeypatch.context() as without:
        without.delitem(sys.modules, "opentelemetry.metrics")
        with traced_exchange("POST", URL):
            pass
    with monkeypatch.context() as without:
        without.delitem(sys.modules, "opentelemetry.trace")
        with traced_exchange("POST", URL) as exchange:
            pass
    assert len(telemetry.spans) == 1
    assert [value for _, value in telemetry.points("http.client.request.duration")] == [1]
    assert exchange.headers == {}


def test_opentelemetry_is_not_imported():
    """It takes a tenth of a second, and a program that does not use it has no need of it."""
    code = "import sys, keys.telemetry, resource_api, consumer.auth; print(*sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "opentelemetry" not in shown.stdout


async def test_a_document_is_fetched_within_the_trace(telemetry):
    """The server of a key set or a status list is told the span, beside the headers asked for."""
    asked = []

    def answer(request):
        asked.append(request.headers)
        return httpx.Response(404)

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        get = HttpGet(maximum=100, client=client, clock=lambda: 0.0)
        assert (await get("https://as.example/jwks", {"Accept": "a/b"})).status == 404
    [span] = telemetry.spans
    assert (span.name, span.attributes["http.response.status_code"]) == ("GET /jwks", 404)
    assert asked[0]["accept"] == "a/b"
    assert f"{span.context.span_id:016x}" in asked[0]["traceparent"]
