"""Keep what was claimed in Redis or Valkey, which all nodes share.

Claims that are asked for in one turn of the event loop are sent together; while they are under way,
the next ones gather.
"""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from keys.replay import ReplayStoreUnavailable, claim_digest

if TYPE_CHECKING:
    from redis.asyncio import Redis

BATCH = 256
"""Claims that are sent together at the most."""

MAX_WAITING = 2_048
"""Claims that wait to be sent; further ones are refused at once."""

TIMEOUT = 2.0
"""Seconds that the server has for an answer."""

_PREFIX = b"watchword:claim:"
_SCHEMES = {"redis": "redis", "rediss": "rediss", "valkey": "redis", "valkeys": "rediss"}
_DATABASE = re.compile(r"(/[0-9]{0,5})?")


def parse_redis_url(url: str) -> str:
    """Check the URL of a server, and return it as the client library takes it.

    Raises:
        ValueError: what it has to be, without the URL, which may hold a password.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError("has a host and a port that can be") from None
    scheme = _SCHEMES.get(parts.scheme)
    if scheme is None or not host or not url.isprintable():
        raise ValueError("begins with redis://, rediss://, valkey:// or valkeys:// and a host")
    if not _DATABASE.fullmatch(parts.path) or parts.query or parts.fragment:
        raise ValueError("ends with the number of a database, such as /0, or with the port")
    return parts._replace(scheme=scheme).geturl()


class ReplayStoreForgets(ReplayStoreUnavailable):
    """The server may remove claims before they expire."""


class RedisReplays:
    """A `ReplayStore` in Redis or Valkey. All calls come from one event loop.

    A claim is one key with an expiry, so the server removes it by itself. The server must not
    remove it before: where memory is short, it has to refuse writes (`noeviction`). What it loses,
    such as by a crash without a log or by a failover to a replica that lags, may be claimed again.

    Args:
        url: of the server: `redis://`, `rediss://` (TLS), `valkey://` or `valkeys://`.
        clock: seconds since the epoch.
        timeout: seconds that the server has for an answer.

    Raises:
        ValueError: the URL cannot be.
        ReplayStoreUnavailable: the client library is not installed.
    """

    def __init__(
        self,
        url: str,
        *,
        clock: Callable[[], float] = time.time,  # noqa: TID251 - the default of a shell
        timeout: float = TIMEOUT,
    ) -> None:
        self._client = _connect(parse_redis_url(url), timeout)
        self._clock = clock
        self._timeout = timeout
        self._keeps_claims = False
        self._waiting: list[tuple[bytes, int, asyncio.Future[bool]]] = []
        self._sending: asyncio.Task[None] | None = None

    async def claim(self, scope: str, id: str, until: int) -> bool:
        """Claim an id; see `ReplayStore`."""
        if len(self._waiting) >= MAX_WAITING:
            raise ReplayStoreUnavailable("too many claims wait for the replay store")
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((_PREFIX + claim_digest(scope, id), until, future))
        if self._sending is None:
            # The task begins with the next turn: all claims of this one are sent together.
            self._sending = asyncio.create_task(self._send_all())
        return await future

    async def check(self) -> None:
        """Find out whether the server answers and keeps what it is given until that expires.

        Raises:
            ReplayStoreUnavailable: it does not. Until a check succeeds nothing is claimed.
        """
        memory = await self._answer(self._client.info("memory"))
        policy = memory.get("maxmemory_policy")
        self._keeps_claims = policy == "noeviction"
        if not self._keeps_claims:
            raise ReplayStoreForgets(
                "the replay store may forget claims when its memory is full: maxmemory-policy is"
                f" {policy}; set it to noeviction"
            )

    async def close(self) -> None:
        """Refuse what waits, and close the connections."""
        if self._sending is not None:
            self._sending.cancel()
            await asyncio.wait([self._sending])
        _fail([future for _, _, future in self._waiting], _closed())
        self._waiting.clear()
        await self._client.aclose()

    async def _send_all(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
                # A future that is done is of a caller that was cancelled.
                await self._send([each for each in batch if not each[2].done()])
        finally:
            self._sending = None

    async def _send(self, batch: Sequence[tuple[bytes, int, "asyncio.Future[bool]"]]) -> None:
        futures = [future for _, _, future in batch]
        now = self._clock()
        try:
            if not self._keeps_claims:
                await self.check()
            pipeline = self._client.pipeline(transaction=False)
            for key, until, _ in batch:
                # A period and no time of day: the server's clock may be ahead of ours.
                pipeline.set(key, b"", nx=True, ex=max(1, int(until - now) + 1))
            answers = await self._answer(pipeline.execute(raise_on_error=False))
        except ReplayStoreUnavailable as error:
            _fail(futures, error)
        except BaseException:
            _fail(futures, _closed())
            raise
        else:
            for future, answer in zip(futures, answers, strict=True):
                if isinstance(answer, Exception):
                    _fail([future], _explain(answer))
                elif not future.done():
                    future.set_result(answer is True)

    async def _answer(self, asked: Awaitable[Any]) -> Any:  # noqa: ANN401 - of any command
        try:
            async with asyncio.timeout(self._timeout):
                return await asked
        except Exception as error:
            # An answer that comes late would be taken for that of the next command.
            await self._client.connection_pool.disconnect()
            raise _explain(error) from None


def _connect(url: str, timeout: float) -> "Redis":
    try:
        from redis.asyncio import Redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff
    except ModuleNotFoundError:
        raise ReplayStoreUnavailable(
            "the replay store needs redis; install watchword[redis]"
        ) from None
    # Nothing is tried again: a claim that was made and whose answer was lost would be a replay.
    return Redis.from_url(
        url,
        retry=Retry(NoBackoff(), 0),
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        protocol=2,
    )


def _closed() -> ReplayStoreUnavailable:
    return ReplayStoreUnavailable("the replay store is closed")


def _explain(error: Exception) -> ReplayStoreUnavailable:
    from redis.exceptions import RedisError

    if isinstance(error, RedisError) and str(error):
        # Of the server or of the connection; neither repeats a password.
        return ReplayStoreUnavailable(f"the replay store: {error}")
    return ReplayStoreUnavailable("the replay store did not answer in time")


def _fail(futures: Sequence["asyncio.Future[Any]"], error: Exception) -> None:
    for future in futures:
        if not future.done():
            future.set_exception(error)
