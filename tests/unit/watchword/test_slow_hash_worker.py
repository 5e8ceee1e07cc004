"""`watchword.provider.slow_hash_worker`: slow hashes are verified apart, in turn and bounded."""

import asyncio
from typing import Any, cast

import anyio
import pytest

from issuer.errors import TemporarilyUnavailable
from issuer.registry.credentials import SecretHash
from tests.support.issuer import make_secret
from watchword.provider.slow_hash_worker import MAX_PER_CLIENT, MAX_WAITING, SlowHashWorker

SHORT = "hunter2hunter2"


class Work:
    """Hashes that only note that they were computed, and the answers in the order they came."""

    def __init__(self, *, busy_seconds: float = 0.0) -> None:
        self.lane = SlowHashWorker(busy_seconds=busy_seconds)
        self.computed: list[str] = []
        self.answered: list[str] = []

    def hash(self, name: str) -> SecretHash:
        """Make a hash that matches the secret "right"."""
        work = self

        class Noted:
            def verify(self, secret: str) -> bool:
                work.computed.append(name)
                return secret == "right"

        return cast(SecretHash, Noted())

    def guess(self, name: str, secret: str, client_id: str | None) -> "asyncio.Task[int | None]":
        """Begin to verify; all that begin before the next `await` wait together."""

        async def find() -> int | None:
            try:
                return await self.lane.find([self.hash(name)], secret, client_id=client_id)
            finally:
                self.answered.append(name)

        return asyncio.create_task(find())

    def guess_unknown(self, count: int) -> "list[asyncio.Task[int | None]]":
        """Guess at so many ids that do not exist."""
        return [self.guess(f"unknown-{number}", "wrong", None) for number in range(count)]


async def outcomes(*tasks: "asyncio.Task[int | None]") -> list[Any]:
    """Wait for all, and give what each returned or the type of what it raised."""
    with anyio.fail_after(20):
        done = await asyncio.gather(*tasks, return_exceptions=True)
    return [type(each) if isinstance(each, BaseException) else each for each in done]


@pytest.mark.parametrize("others", ["unknown ids", "another client"])
async def test_guesses_do_not_delay_the_right_secret_of_a_client(others: str) -> None:
    """However many wait, it is the client's turn after one of theirs."""
    work = Work()
    if others == "unknown ids":
        crowd = work.guess_unknown(MAX_WAITING)
    else:
        crowd = [work.guess(f"a-{n}", "wrong", "a") for n in range(MAX_PER_CLIENT)]
    right = work.guess("right", "right", "b")
    assert await outcomes(right, *crowd) == [0] + [None] * len(crowd)
    assert work.computed.index("right") <= 2
    assert work.answered.index("right") <= 2


@pytest.mark.attack("T10")
async def test_a_wrong_secret_waits_as_long_whether_the_client_exists_or_not() -> None:
    """Its own turn comes early, and yet its answer comes in the order of arrival."""
    work = Work()
    tasks = [
        *work.guess_unknown(3),
        work.guess("known", "wrong", "a"),
        work.guess("last", "wrong", None),
    ]
    assert await outcomes(*tasks) == [None] * 5
    assert work.computed.index("known") <= 2
    assert work.answered == ["unknown-0", "unknown-1", "unknown-2", "known", "last"]
    assert sorted(work.computed) == sorted(work.answered)  # each costs one hash


@pytest.mark.attack("T10")
async def test_without_a_place_a_wrong_secret_is_refused_alike() -> None:
    """503 for both after the same time, while a right secret is let in."""
    work = Work(busy_seconds=0.5)
    crowd = work.guess_unknown(MAX_WAITING)
    began = asyncio.get_running_loop().time()
    unknown = work.guess("unknown", "wrong", None)
    known = work.guess("known", "wrong", "a")
    right = work.guess("right", "right", "b")
    assert await right == 0
    assert asyncio.get_running_loop().time() - began < 0.5
    assert await outcomes(unknown, known) == [TemporarilyUnavailable] * 2
    assert asyncio.get_running_loop().time() - began >= 0.5
    assert "unknown" not in work.computed
    assert await outcomes(*crowd) == [None] * MAX_WAITING


async def test_one_client_has_so_many_places_and_all_together_so_many() -> None:
    """Whoever does not fit is told to come back, and later finds a place again."""
    work = Work()
    one = [work.guess("a", "right", "a") for _ in range(MAX_PER_CLIENT + 1)]
    several = [work.guess(str(n), "right", str(n)) for n in range(MAX_WAITING - MAX_PER_CLIENT)]
    late = work.guess("late", "right", "late")
    answers = await outcomes(*one, *several, late)
    refused = [place for place, each in enumerate(answers) if each is TemporarilyUnavailable]
    assert refused == [MAX_PER_CLIENT, len(answers) - 1]
    assert await outcomes(work.guess("a", "right", "a"), work.guess("late", "right", "late")) == [
        0,
        0,
    ]


async def test_a_request_that_is_given_up_gives_back_its_place() -> None:
    """Clients that hang up leave nothing behind."""
    work = Work()
    crowd = work.guess_unknown(MAX_WAITING)
    await asyncio.sleep(0)
    for task in crowd:
        task.cancel()
    await outcomes(*crowd)
    assert await outcomes(work.guess("a", "wrong", None)) == [None]


async def test_every_hash_of_the_client_may_match() -> None:
    """The number tells which one; a client may have several while one replaces another."""
    work = Work()
    hashes = [make_secret("another-one").hash, make_secret(SHORT).hash]
    assert await work.lane.find(hashes, SHORT, client_id="a") == 1
    assert await work.lane.find(hashes, "neither-of-both", client_id="a") is None


async def test_the_loop_goes_on_meanwhile() -> None:
    """Other work runs while a slow hash is computed."""
    lane = SlowHashWorker()
    finding = asyncio.ensure_future(lane.find([make_secret(SHORT).hash], SHORT, client_id="svc-a"))
    turns = 0
    while not finding.done():
        turns += 1
        await asyncio.sleep(0)
    assert await finding == 0
    assert turns > 1
    lane.close()


async def test_a_closed_lane_verifies_nothing() -> None:
    """After the end there is no answer, rather than a wrong one."""
    lane = SlowHashWorker()
    lane.close()
    for client_id in ("svc-a", None):
        with pytest.raises(RuntimeError):
            await lane.find([make_secret(SHORT).hash], SHORT, client_id=client_id)
