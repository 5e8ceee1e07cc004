"""Verify slow secret hashes on one thread with a short queue: guessing must not occupy us."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from issuer.errors import Reason, TemporarilyUnavailable
from issuer.registry.secret_hash import SecretHash

MAX_WAITING = 32


class SlowLane:
    """The one place where scrypt runs while serving; its memory and processor use are bounded."""

    def __init__(self, *, max_waiting: int = MAX_WAITING) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="slow-hash")
        self._max_waiting = max_waiting
        self._waiting = 0

    async def verify(self, secret_hash: SecretHash, secret: str) -> bool:
        """Tell whether the secret is the hashed one.

        Raises:
            TemporarilyUnavailable: too many are waiting already.
        """
        if self._waiting >= self._max_waiting:
            raise TemporarilyUnavailable(Reason.OVERLOADED)
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._thread, secret_hash.verify, secret)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Let the thread end once its work is done."""
        self._thread.shutdown(wait=False, cancel_futures=True)
