"""What is told to OpenTelemetry, and that nothing is where the program does not use it."""

import subprocess
import sys

import httpx
import opentelemetry.trace
import pytest
from opentelemetry.trace import NoOpTracerProvider, SpanKind, StatusCode

from keys.events import ignore_event
from keys.remote.http_get import HttpGet
from keys.telemetry import (
    CountedEvents,
    is_traced,
    traced_exchange,
    traced_request,
    traced_step,
)
from tests.support.telemetry import Telemetry

URL = "https://as.example/token?secret=s3cret"
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
NAMED = (b"traceparent", f"00-{TRACE}-{PARENT}-01".encode())
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


def test_a_served_request_has_a_span_below_the_one_that_it_names(telemetry):
    """Of kind server, named after its route, whatever span is current."""
    with (
        traced_step("of another request", []),
        traced_request("POST", "/t1/token", "https", [(b"authorization", b"s3cret"), NAMED]) as it,
    ):
        it.status = 200
    [span, _] = telemetry.spans
    assert (span.name, span.kind) == ("POST /t1/token", SpanKind.SERVER)
    assert (f"{span.context.trace_id:032x}", f"{span.parent.span_id:016x}") == (TRACE, PARENT)
    assert span.parent.is_remote
    assert dict(span.attributes) == {
        "http.request.method": "POST",
        "http.route": "/t1/token",
        "url.scheme": "https",
        "http.response.status_code": 200,
    }


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [(b"traceparent", b"")],
        [(b"traceparent", b"s3cret")],
        [(b"traceparent", NAMED[1].upper())],
        [(b"traceparent", b"00-" + b"0" * 32 + b"-b7ad6b7169203331-01")],
        [(b"traceparent", NAMED[1] + b"-01")],
        [(b"traceparent", b"\xff" * 55)],
        [(b"traceparent", b"01" + NAMED[1][2:] + b"-" + b"f" * 9000)],
        [NAMED, NAMED],
    ],
)
def test_a_parent_that_is_not_named_well_is_none(telemetry, caplog, lines):
    """A trace of its own begins, and no line is logged that a peer could cause at will."""
    with traced_request("POST", "/token", "http", lines):
        pass
    [span] = telemetry.spans
    assert span.parent is None
    assert "s3cret" not in span.to_json()
    assert not caplog.records


def test_free_text_of_a_peer_is_in_no_span(telemetry):
    """Neither a method that it made up nor what it calls the state of its trace."""
    with traced_request("S3CRET", "/token", "http", [NAMED, (b"tracestate", b"a=s3cret")]) as it:
        it.status = 405
    [span] = telemetry.spans
    assert (span.name, span.attributes["http.request.method"]) == ("HTTP /token", "_OTHER")
    assert not span.context.trace_state
    assert "s3cret" not in span.to_json().lower()


@pytest.mark.parametrize(
    ("status", "fault"), [(401, None), (429, None), (500, "500"), (503, "503")]
)
def test_what_the_peer_does_wrong_is_no_error_of_the_server(telemetry, status, fault):
    """As the conventions have it, from 500 on alone."""
    with traced_request("POST", "/token", "http", []) as it:
        it.status = status
    [span] = telemetry.spans
    assert span.attributes.get("error.type") == fault
    assert span.status.status_code is (StatusCode.ERROR if fault else StatusCode.UNSET)
    assert span.attributes["http.response.status_code"] == status


def test_a_step_is_below_the_current_span_or_the_one_that_the_request_names(telemetry):
    """A framework's span of the request has the parent that was named already."""
    with traced_step("outer", [NAMED]), traced_step("inner", [NAMED]):
        pass
    inner, outer = telemetry.spans
    assert f"{outer.parent.span_id:016x}" == PARENT
    assert inner.parent == outer.context
    assert (outer.kind, dict(outer.attributes)) == (SpanKind.INTERNAL, {})


def test_a_step_that_fails_has_a_code_and_no_text(telemetry):
    """That of whoever knows why, else the name of the exception's class."""

    def fail(code):
        with traced_step("step", []) as outcome:
            outcome.error = code
            raise ValueError("s3cret")

    for code, told in (("expired", "expired"), (None, "ValueError")):
        with pytest.raises(ValueError, match="s3cret"):
            fail(code)
        span = telemetry.spans[-1]
        assert (span.status.status_code, span.attributes["error.type"]) == (StatusCode.ERROR, told)
        assert "s3cret" not in span.to_json()


def test_a_program_is_traced_once_it_says_where_spans_go(telemetry, monkeypatch):
    """Neither the API alone nor a provider that does nothing is enough."""
    assert is_traced()
    monkeypatch.setattr(opentelemetry.trace, "get_tracer_provider", NoOpTracerProvider)
    assert not is_traced()
    monkeypatch.undo()
    assert not is_traced()
    monkeypatch.delitem(sys.modules, "opentelemetry.trace")
    assert not is_traced()
