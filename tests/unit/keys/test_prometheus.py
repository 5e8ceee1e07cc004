"""Unit tests of `keys.prometheus`: events as a counter of prometheus-client."""

import pytest
from prometheus_client import REGISTRY

from consumer import ClientCredentials, ConsumerError
from keys.events import KeyEvent, ignore_event
from keys.prometheus import _EVENTS, PrometheusEvents
from resource_api import BearerMiddleware
from tests.support.protected_api import ask, bearer

ISSUER = "http://127.0.0.1:9"  # nothing listens there


@pytest.fixture(autouse=True)
def started_anew():
    """Forget what other tests counted."""
    _EVENTS.clear()


def counted(event, reason=""):
    """Return how often an event was counted, as a scrape shows it."""
    return REGISTRY.get_sample_value("watchword_events_total", {"event": event, "reason": reason})


def test_events_are_counted_by_reason_and_handed_on():
    """A reason that is a sentence is no label: each could be another."""
    handed_on = []
    count = PrometheusEvents(lambda event, **fields: handed_on.append((event, fields)))
    for reason in ("expired", "expired", "the server answered 500"):
        count("request.refused", reason=reason)
    count(KeyEvent.JWKS_REFRESHED, kids=["k1"])
    assert handed_on[0] == ("request.refused", {"reason": "expired"})
    assert len(handed_on) == 4
    assert counted("request.refused", "expired") == 2
    assert counted("request.refused") == 1
    assert counted("jwks.refreshed") == 1


async def test_an_api_and_a_source_of_tokens_count_together():
    """Each has a sink of its own; the counter is one."""
    api = BearerMiddleware(
        ignore_event, issuer=ISSUER, resource="http://localhost:8000", on_event=PrometheusEvents()
    )
    source = ClientCredentials(
        issuer=ISSUER,
        client_id="billing",
        client_secret="x" * 40,
        on_event=PrometheusEvents(),
    )
    with pytest.raises(ConsumerError):
        await source.atoken()
    answer = await ask(api, "GET", "/", bearer(b"opaque"))
    assert answer.status == 401
    assert counted("request.refused", "malformed_token") == 1
    assert counted("token.request_failed", "unreachable") == 1
