"""One token request on its way, and those who wait for it."""

import threading

from consumer.steps import PendingTokenRequest
from consumer.token_cache import Token

TOKEN = Token(value="t", received_at=0.0, lifetime=1.0)


def test_everyone_is_woken_when_it_lands():
    """Each waiter is called once, and finds the outcome there."""
    flight, seen = PendingTokenRequest(lost_at=60.0), []
    for _ in range(3):
        flight.on_completion(lambda: seen.append(flight.outcome))
    flight.complete(TOKEN)
    assert seen == [TOKEN] * 3


def test_who_comes_late_is_woken_at_once():
    """Between the decision to wait and the waiting, the flight may have landed."""
    flight, seen = PendingTokenRequest(lost_at=60.0), []
    flight.complete(None)
    flight.on_completion(lambda: seen.append("woken"))
    assert seen == ["woken"]


def test_a_waiter_whose_event_loop_has_gone_keeps_nobody_asleep():
    """Closed loops raise RuntimeError when asked to run something."""
    flight, landed = PendingTokenRequest(lost_at=60.0), threading.Event()

    def closed_loop():
        raise RuntimeError("Event loop is closed")

    flight.on_completion(closed_loop)
    flight.on_completion(landed.set)
    flight.complete(TOKEN)
    assert landed.is_set()
