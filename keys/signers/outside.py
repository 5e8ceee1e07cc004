"""What keeps private keys outside of this process: a security module, a key management service.

The key store dispatches to it: such a key's text holds a reference in the place of the private key.
What is outside can stall, fail and err. So it is asked on threads of its own, for a bounded time,
with a bounded queue, and each signature is verified before it is used.
"""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from keys.errors import KeyStoreError, SignerUnavailable
from keys.events import EventSink, KeyEvent
from keys.key_types import KEY_TYPES, verifier
from keys.signers.local import Signer

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

    from keys.stores.key_file import StoredKey


class KeyHolder(Protocol):
    """Makes private keys that never leave it, and signs with them.

    Every method raises KeyStoreError, with one clear line, where it cannot.
    """

    @property
    def kind(self) -> str:
        """Return the ``kind`` of its references."""
        ...

    def generate(
        self, alg: str, bits: int | None, name: str
    ) -> "tuple[PublicKeyTypes, dict[str, str]]":
        """Make a key pair.

        Args:
            alg: the algorithm that it will serve.
            bits: the size of an RSA key; None for the usual one.
            name: what to call it; not used before.

        Returns:
            The public key, and the reference to the private one.
        """
        ...

    def signer(self, stored: "StoredKey") -> Signer:
        """Return the signer of a key that it made; asks nothing outside, so it does not wait."""
        ...

    def delete(self, reference: Mapping[str, str]) -> None:
        """Destroy a private key; one that is not there any more is no error."""
        ...


ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")
"""What holders make keys for: PKCS#11 v2.40 and AWS KMS have no more of ours."""

RSA_BITS = KEY_TYPES["RSA"].sizes[0]
"""The size of an RSA key that none was asked for."""

SIGN_SECONDS = 2.0
"""From the request of a signature to its refusal."""

CALL_SECONDS = 60.0
"""For what is not done while a token request waits: making a key takes some modules that long."""

CHECK_SECONDS = 10.0
"""For the first signature, with which the server starts."""

MAX_WAITING = 64
"""Requests that wait for a thread; further ones are refused at once."""

_Result = TypeVar("_Result")


def check_algorithm(holder: str, alg: str) -> None:
    """Refuse an algorithm that keys outside of this process cannot have.

    Args:
        holder: how to call what keeps them.
        alg: the algorithm.

    Raises:
        KeyStoreError: it is none of `ALGORITHMS`.
    """
    if alg not in ALGORITHMS:
        known = ", ".join(ALGORITHMS)
        raise KeyStoreError(f"{holder} makes no {alg} keys; it makes those for {known}")


class WaitingThreads:
    """Threads that wait for what is outside; they end with the process, whatever they wait for.

    Args:
        count: how many, at least 1.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._lock = Lock()  # callers are on the event loop and on other threads
        self._started = 0
        self._stuck: list[Future[Any]] = []
        self._queue: SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = SimpleQueue()

    async def run(self, work: Callable[[], _Result], *, seconds: float = SIGN_SECONDS) -> _Result:
        """Do work on a thread, and wait for it without blocking the event loop.

        Raises:
            SignerUnavailable: too many wait already, every thread is at work that was given up, or
                there was no result in time.
        """
        future = self._submit(work)
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.wrap_future(future)
        except TimeoutError:
            raise self._give_up(future, seconds) from None

    def call(self, work: Callable[[], _Result], *, seconds: float = CALL_SECONDS) -> _Result:
        """Do work on a thread, and block until it is done.

        Raises:
            KeyStoreError: too many wait already, or there was no result in time, or the work raised
                SignerUnavailable.
        """
        try:
            future = self._submit(work)
            try:
                return future.result(seconds)
            except TimeoutError:
                raise self._give_up(future, seconds) from None
        except SignerUnavailable as error:
            raise KeyStoreError(str(error)) from error

    def _submit(self, work: Callable[[], _Result]) -> Future[_Result]:
        # What was given up still counts until a thread has passed it over.
        if self._queue.qsize() >= MAX_WAITING:
            raise SignerUnavailable(f"{MAX_WAITING} requests wait for the signer already")
        with self._lock:
            self._stuck = [each for each in self._stuck if not each.done()]
            if len(self._stuck) >= self._count:
                raise SignerUnavailable("the signer has not answered yet what it was asked before")
            for _ in range(self._started, self._count):
                Thread(target=self._run, name="outside", daemon=True).start()
            self._started = self._count
        future: Future[_Result] = Future()
        self._queue.put((work, future))
        return future

    def _give_up(self, future: Future[Any], seconds: float) -> SignerUnavailable:
        if not future.cancel():  # a thread is at it, and can do nothing else
            with self._lock:
                self._stuck.append(future)
        return SignerUnavailable(f"the signer gave no answer within {seconds:.0f} seconds")

    def _run(self) -> None:
        while True:
            work, future = self._queue.get()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(work())
            except Exception as error:
                future.set_exception(error)


class OutsideSigner:
    """A `Signer` whose private key is elsewhere.

    Args:
        stored: the public side of the key.
        sign_now: makes the raw JWS signature over a signing input; blocks, and raises
            SignerUnavailable.
        threads: where it is called.
        events: is told when signing begins to fail, and when it works again.
    """

    def __init__(
        self,
        stored: "StoredKey",
        sign_now: Callable[[bytes], bytes],
        threads: WaitingThreads,
        events: EventSink,
    ) -> None:
        self.kid = stored.kid
        self.alg = stored.jwk.alg
        self._public_key = stored.jwk.key
        self._sign_now = sign_now
        self._threads = threads
        self._events = events
        self._fails = False
        self.waiting = 0
        """How many signatures wait to be made."""

    async def sign(self, signing_input: bytes) -> bytes:
        """Return the raw JWS signature, which the public key verifies.

        Raises:
            SignerUnavailable: there is none.
        """
        self.waiting += 1
        try:
            signature = await self._threads.run(lambda: self._sign_and_verify(signing_input))
        except SignerUnavailable as error:
            if not self._fails:
                self._fails = True
                self._events(KeyEvent.SIGNER_UNAVAILABLE, kid=self.kid, reason=str(error))
            raise
        finally:
            self.waiting -= 1
        if self._fails:
            self._fails = False
            self._events(KeyEvent.SIGNER_AVAILABLE, kid=self.kid)
        return signature

    def check(self) -> None:
        """Sign something, and block until that is done.

        Raises:
            KeyStoreError: there is no signature, or one of another key.
        """
        self._threads.call(lambda: self._sign_and_verify(b"check"), seconds=CHECK_SECONDS)

    def _sign_and_verify(self, signing_input: bytes) -> bytes:
        try:
            signature = self._sign_now(signing_input)
        except SignerUnavailable:
            raise
        except Exception as error:  # such as an answer that the client's library cannot read
            raise SignerUnavailable(f"the signer failed: {type(error).__name__}") from error
        try:
            is_right = verifier(self.alg).verify(signing_input, self._public_key, signature)
        except Exception:  # a malformed signature is a wrong one
            is_right = False
        if not is_right:
            raise SignerUnavailable("the signature that came back does not verify with the key")
        return signature
