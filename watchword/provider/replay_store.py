"""Where what counts once is claimed: in Redis or Valkey if the settings say so."""

import asyncio

from issuer.registry.errors import StoreUnavailable
from issuer.replay import CLOCK_SKEW
from keys.redis_replay import RedisReplays, ReplayStoreForgets
from keys.replay import ReplayStore, ReplayStoreUnavailable
from watchword.ambient import wall_clock
from watchword.errors import ProviderError
from watchword.provider.jobs import Job
from watchword.settings import Settings

CHECK_SECONDS = 10.0
"""Between two looks whether the store answers and keeps what it is given."""


class StoreForgets(ProviderError):
    """The replay store may remove claims before they expire."""


class SharedReplays:
    """Lets the APIs of a provider claim used proofs where all its processes and nodes claim.

    Args:
        store: the issuer's own.
    """

    def __init__(self, store: ReplayStore) -> None:
        self._store = store

    async def claim(self, scope: str, id: str, until: int) -> bool:
        """Claim an id; see `ReplayStore`."""
        try:
            return await self._store.claim(scope, id, until + CLOCK_SKEW)
        except StoreUnavailable as error:
            raise ReplayStoreUnavailable(str(error)) from None


def open_redis(settings: Settings) -> RedisReplays | None:
    """Return the Redis or Valkey that the settings name; None if the database has the claims.

    Nothing is connected yet.

    Raises:
        ProviderError: its client library is not installed.
    """
    url = settings.replay_store_url
    if url is None:
        return None
    try:
        return RedisReplays(url, clock=wall_clock)
    except ReplayStoreUnavailable as error:
        raise ProviderError(f"WATCHWORD_REPLAY_STORE: {error}") from None


def check_redis(settings: Settings) -> None:
    """Find out whether the Redis or Valkey that the settings name can be used, if they name one.

    Raises:
        StoreForgets: it may forget claims.
        ProviderError: it does not answer, or refuses.
    """
    redis = open_redis(settings)
    if redis is not None:
        try:
            asyncio.run(_check_once(redis))
        except ReplayStoreForgets as error:
            raise StoreForgets(f"WATCHWORD_REPLAY_STORE: {error}") from None
        except ReplayStoreUnavailable as error:
            raise ProviderError(f"WATCHWORD_REPLAY_STORE: {error}") from None


async def _check_once(redis: RedisReplays) -> None:
    try:
        await redis.check()
    finally:
        await redis.close()


def follow_redis(redis: RedisReplays | None) -> tuple[Job, ...]:
    """Return the job that tells when the store cannot be used."""
    if redis is None:
        return ()
    job = Job(
        name="replay store",
        every=CHECK_SECONDS,
        run=redis.check,
        longest=CHECK_SECONDS,
        failed="replays.unavailable",
        recovered="replays.available",
        expected=(ReplayStoreUnavailable,),
    )
    return (job,)
