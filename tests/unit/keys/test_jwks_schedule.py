"""The schedule of the key set's client, on an event loop whose time jumps."""

import asyncio
import gc
import itertools
import weakref
from collections.abc import Awaitable, Callable
from typing import cast

import pytest

from keys.remote.answer import Fetched
from keys.remote.jwks_client import JwksClient
from tests.support.keys import rsa_key
from watchword.testing.forge import TokenForge

FORGE = TokenForge()
NEWER = TokenForge(rsa_key(1))
KID = FORGE.jwk.kid


class TimedLoop(asyncio.SelectorEventLoop):
    """A loop whose clock jumps to the next timer instead of waiting for it."""

    jumped = 0.0

    def time(self) -> float:
        """Tell the time of the loop."""
        return self.jumped

    def _run_once(self) -> None:
        timers = [timer.when() for timer in self._scheduled if not timer.cancelled()]
        if timers and not self._ready:
            self.jumped = max(self.jumped, min(timers))
        super()._run_once()


def run_in_jumping_time(story: Callable[[TimedLoop], Awaitable[None]]) -> None:
    """Run a story on a loop of its own."""
    with asyncio.Runner(loop_factory=TimedLoop) as runner:
        runner.run(story(cast(TimedLoop, runner.get_loop())))


@pytest.mark.attack("V40")
@pytest.mark.rfc("roll-5")
@pytest.mark.parametrize("jitter", [0.0, 1.0])
def test_an_idle_client_asks_as_often_as_the_issuer_wants(jitter: float) -> None:
    """Without a single request after the first: the last answer is never older than stated."""
    asked: list[float] = []

    async def story(loop: TimedLoop) -> None:
        async def fetch(etag: str | None) -> Fetched:
            asked.append(loop.time())
            # A key is withdrawn after a minute; what an issuer of ours says of its set.
            body = FORGE.jwks_document if loop.time() < 60 else NEWER.jwks_document
            headers = {"cache-control": "public, max-age=300, s-maxage=7"}
            return Fetched(status=200, headers=headers, body=body, revalidate=8)

        client = JwksClient(fetch, clock=loop.time, jitter=lambda: jitter)
        await client.warm()
        await asyncio.sleep(60)
        assert await client.key(KID, "RS256")
        await asyncio.sleep(8)
        keys = client.current()
        assert keys is not None
        assert keys.select(KID, "RS256") is None
        await client.aclose()
        await asyncio.sleep(100)  # and nothing more is asked

    run_in_jumping_time(story)
    gaps = [later - earlier for earlier, later in itertools.pairwise(asked)]
    assert gaps == pytest.approx([8 - 0.8 * jitter] * (8 if jitter == 0 else 9))


def test_a_client_that_was_dropped_asks_no_more() -> None:
    """The timer does not keep it alive."""
    asked: list[float] = []

    async def story(loop: TimedLoop) -> None:
        async def fetch(etag: str | None) -> Fetched:
            asked.append(loop.time())
            return Fetched(status=200, body=FORGE.jwks_document)

        client = JwksClient(fetch, clock=loop.time)
        assert await client.warm()
        gone = weakref.ref(client)
        del client
        gc.collect()
        assert gone() is None
        await asyncio.sleep(1000)

    run_in_jumping_time(story)
    assert len(asked) == 1
