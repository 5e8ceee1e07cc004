"""What a source of tokens tells of its tokens."""

import json
import logging

import httpx
import pytest

from consumer import TokenRequestRefused, TokenSource
from consumer.errors import (
    InsecureUrl,
    InvalidTokenResponse,
    MetadataError,
    TokenEndpointUnreachable,
)
from consumer.events import reason_of
from tests.support.consumer_flow import API, ISSUER, Walk, answer, make_flow, token_answer, warm
from tests.support.telemetry import Telemetry
from watchword.testing.clock import Clock

ABOUT = {"issuer": ISSUER, "scope": "read", "seconds": 0.25}


@pytest.fixture
def clock():
    """A clock turned by hand."""
    return Clock(1000)


@pytest.fixture
def told():
    """What was told."""
    return []


@pytest.fixture
def flow(clock, told):
    """A flow that tells."""
    return make_flow(clock, lambda event, **fields: told.append((event, fields)), scope="read")


def test_a_new_token_is_told_with_the_time_it_took(flow, clock, told):
    """To the millisecond, and with what was asked for; nothing of the token."""
    walk = Walk(flow)
    clock.advance(0.2504)
    walk.fetched(token_answer("t1"))
    assert told == [("token.renewed", ABOUT | {"lifetime": 3600.0})]


@pytest.mark.parametrize(
    "derive", [lambda flow: flow.acting_for("a-caller"), lambda flow: flow.inherited()]
)
def test_flows_of_one_client_tell_the_same_sink(flow, told, derive):
    """Of the token of a caller, and of one in a forked child."""
    Walk(derive(flow)).fetched(token_answer("t1"))
    assert [event for event, _ in told] == ["token.renewed"]


def test_a_failure_with_a_token_to_go_on_with(flow, clock, told):
    """It is a failed renewal, since no caller is told."""
    warm(flow)
    del told[:]
    clock.advance(3590)
    renewal = Walk(flow).step.steps
    fetch = next(renewal)
    clock.advance(0.25)
    fetch.answer = answer({}, 503, **{"retry-after": "7"})
    assert list(renewal) == []
    failed = ABOUT | {"reason": "unreachable", "retry_after": 7.0}
    assert told == [("token.renewal_failed", failed)]


def test_a_failure_without_one(flow, clock, told):
    """The caller gets the error as well."""
    walk = Walk(flow)
    clock.advance(0.25)
    with pytest.raises(TokenRequestRefused):
        walk.fetched(answer({"error": "invalid_scope"}, 400))
    assert told == [("token.request_failed", ABOUT | {"reason": "invalid_scope"})]


def test_a_request_that_is_broken_off(flow, clock, told):
    """The caller was cancelled."""
    walk = Walk(flow)
    clock.advance(0.25)
    walk.steps.close()
    assert told == [("token.request_failed", ABOUT | {"reason": "broken_off"})]


def test_a_token_that_an_api_refuses(flow, told):
    """By the API's address."""
    warm(flow)
    del told[:]
    walk = Walk(flow).answered(rejected=True)
    assert told == [("token.rejected", {"issuer": ISSUER, "api": str(API)})]
    walk.steps.close()


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (TokenRequestRefused("invalid_client"), "invalid_client"),
        (TokenRequestRefused("made up"), "refused"),
        (TokenEndpointUnreachable("down"), "unreachable"),
        (InvalidTokenResponse("html"), "invalid_response"),
        (MetadataError("none"), "invalid_metadata"),
        (InsecureUrl("http"), "insecure_url"),
        (None, "broken_off"),
    ],
)
def test_reasons_are_few(error, reason):
    """An issuer cannot add one, so that metrics stay bounded."""
    assert reason_of(error) == reason


def make_source(clock, issue, **options):
    """Make a source over this token endpoint."""
    return TokenSource(
        ISSUER,
        "id",
        "s3cret",
        token_endpoint=f"{ISSUER}/token",
        transport=httpx.MockTransport(issue),
        clock=clock,
        **options,
    )


def give(request):
    """Give out a token."""
    return httpx.Response(
        200, json={"access_token": "t1", "token_type": "Bearer", "expires_in": 3600}
    )


def refuse(request):
    """Refuse."""
    return httpx.Response(401, json={"error": "invalid_client"})


def test_events_go_to_the_log(clock, caplog):
    """By default; a failure that the caller gets is no warning."""
    with caplog.at_level(logging.INFO, "watchword.consumer"):
        make_source(clock, give).token()
        with pytest.raises(TokenRequestRefused):
            make_source(clock, refuse).token()
    said = [(record.levelname, record.message.split()[0]) for record in caplog.records]
    assert said == [("INFO", "token.renewed"), ("INFO", "token.request_failed")]
    assert "t1" not in caplog.text
    assert "s3cret" not in caplog.text


def test_events_go_to_a_sink(clock, told):
    """Instead of the log; a source with another sink has a token of its own, to tell of."""
    transport, other = httpx.MockTransport(give), []
    for sink in (told, other):
        source = TokenSource(
            ISSUER,
            "id",
            "s3cret",
            token_endpoint=f"{ISSUER}/token",
            transport=transport,
            clock=clock,
            on_event=lambda event, sink=sink, **fields: sink.append(event),
        )
        source.token()
    assert (told, other) == (["token.renewed"], ["token.renewed"])


@pytest.mark.parametrize("how", ["token", "atoken"])
@pytest.mark.parametrize(("issue", "status"), [(give, 200), (refuse, 401)])
async def test_a_token_request_is_traced(clock, monkeypatch, how, issue, status):
    """The issuer is told the span; the span knows no secret and no token."""
    telemetry, asked = Telemetry(monkeypatch), []

    def answer_token(request):
        asked.append(request)
        return issue(request)

    source = make_source(clock, answer_token)
    try:
        await source.atoken() if how == "atoken" else source.token()
    except TokenRequestRefused:
        assert status == 401
    [span] = telemetry.spans
    assert (span.name, span.attributes["http.response.status_code"]) == ("POST /token", status)
    assert f"{span.context.span_id:016x}" in asked[0].headers["traceparent"]
    shown = span.to_json() + json.dumps(telemetry.points("http.client.request.duration"))
    assert not [secret for secret in ("s3cret", "t1", "Basic") if secret in shown]
    assert len(telemetry.points("watchword.events")) == 1
