"""Unit tests of `watchword.provider.pacing`."""

import pytest

from watchword.provider.pacing import ANSWERS_A_SECOND, Pace, most_waiting


class Clock:
    """Monotonic seconds, turned by hand."""

    now = 1_000.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


@pytest.mark.attack("T20")
def test_requests_beyond_a_limit_are_answered_at_a_bounded_rate() -> None:
    """The first at once, and each other one its turn later than the one before."""
    clock = Clock()
    pace = Pace(9, clock=clock)
    delays = [pace.delay() * ANSWERS_A_SECOND for _ in range(5)]
    assert delays == pytest.approx([0, 1, 2, 3, 4])
    clock.now += 3 / ANSWERS_A_SECOND
    assert pace.delay() * ANSWERS_A_SECOND == pytest.approx(2)
    clock.now += 60
    assert pace.delay() == 0


@pytest.mark.attack("T20")
def test_what_waits_is_bounded() -> None:
    """Beyond the bound an answer leaves at once, and takes no turn."""
    clock = Clock()
    pace = Pace(3, clock=clock)
    delays = [pace.delay() * ANSWERS_A_SECOND for _ in range(7)]
    assert delays == pytest.approx([0, 1, 2, 3, 0, 0, 0], abs=1e-6)
    clock.now += 1.01 / ANSWERS_A_SECOND
    assert pace.delay() * ANSWERS_A_SECOND == pytest.approx(2.99)
    assert pace.delay() == 0


def test_the_last_that_may_wait_waits_for_the_whole_time() -> None:
    """The bound is a number of requests, the last one included; a new clock owes nobody a turn."""
    clock = Clock()
    clock.now = 0.0
    pace = Pace(ANSWERS_A_SECOND, clock=clock)
    assert pace.delay() == 1 / ANSWERS_A_SECOND
    clock.now = 1.0
    assert pace.delay() == 0
    exact = Pace(1, clock=lambda: 0.0)
    assert exact.delay() == 1 / ANSWERS_A_SECOND


def test_a_request_takes_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that has to wait sleeps, the first does not."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr("watchword.provider.pacing.asyncio.sleep", sleep)
    pace = Pace(3, clock=Clock())
    for expected in (0, 1 / ANSWERS_A_SECOND):
        waiting = pace.wait()
        with pytest.raises(StopIteration) as ended:
            waiting.send(None)
        assert ended.value.value == pytest.approx(expected)
    assert slept == pytest.approx([1 / ANSWERS_A_SECOND])


@pytest.mark.parametrize(
    ("connections", "behind_proxies", "most"),
    [
        *((8192, False, 1000), (2048, False, 512), (16, False, 4), (8192, True, 32)),
        (19, False, 4),  # whole requests
    ],
)
def test_most_connections_of_a_worker_stay_free(
    connections: int, behind_proxies: bool, most: int
) -> None:
    """Where proxies are trusted, the connections that they have are what is scarce."""
    assert most_waiting(connections, behind_proxies=behind_proxies) == most
