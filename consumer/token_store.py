"""Share a client's token between processes, through a store that is theirs or the user's own.

What a store holds is sealed (AES-256-GCM) with a key that the client's secret gives, so a store
needs to be trusted with nothing but to be there, and who does not know the secret reads no token.
"""

import json
import math
from collections.abc import Callable, Generator
from contextlib import suppress
from functools import cached_property, partial
from typing import Any, Protocol, TypeVar

from consumer.events import LOGGER
from consumer.steps import Call, PendingTokenRequest, Step, Wait
from consumer.token_cache import Token

_PAUSE = 0.05
"""Seconds between two looks at a store while another process asks the issuer."""
_NONCE_BYTES = 12

_Result = TypeVar("_Result")


class TokenStore(Protocol):
    """Where processes keep tokens for each other, such as `consumer.token_files.TokenFiles`.

    A name is 32 hexadecimal digits. The methods are called from any thread, and may block. What
    they raise is logged, and the process goes on as if it had no store.
    """

    def load(self, name: str) -> bytes | None:
        """Return what was saved under a name; None if nothing was, or it has been dropped."""
        ...

    def save(self, name: str, sealed: bytes, seconds: float) -> None:
        """Keep this under a name, in place of what was there; after these seconds it is useless."""
        ...

    def lock(self, name: str, seconds: float) -> bool:
        """Take the lock of a name if it is free, and tell whether it was; do not wait for it.

        Args:
            name: of what is about to be replaced.
            seconds: after which the lock has to end by itself if the process has died.
        """
        ...

    def unlock(self, name: str) -> None:
        """Give back the lock that this process has taken; called while an event loop runs."""
        ...


class StoredToken:
    """The token of one client in a store."""

    def __init__(
        self,
        store: TokenStore,
        *,
        secret: str,
        identity: tuple[str | None, ...],
        patience: float,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
        random_bytes: Callable[[int], bytes],
    ) -> None:
        """Set where the token is.

        Args:
            store: the store.
            secret: the client's, which gives the key.
            identity: everything that tells this token from others of the client.
            patience: seconds to wait for another process.
            clock: seconds of a clock that never jumps.
            wall_clock: seconds since the epoch, by which processes tell each other times.
            random_bytes: gives as many.
        """
        self._store = store
        self._secret = secret
        self._identity = identity
        self._patience = patience
        self._clock = clock
        self._wall_clock = wall_clock
        self._random_bytes = random_bytes

    def obtain(
        self, old: Token | None, fetch: Callable[[], Generator[Step, None, Token]]
    ) -> Generator[Step, None, Token]:
        """Yield the steps to a token that another process got, or get it for all of them.

        Args:
            old: the token that is to be replaced; the store may still have it.
            fetch: yields the steps of a token request.

        Raises:
            ConsumerError: no token is to be had.
        """
        give_up_at = self._clock() + self._patience
        lock = _Lock(self._store, self._name, self._patience)
        is_in_the_way = True
        try:
            while is_in_the_way and self._clock() < give_up_at:
                found = yield from _ask(partial(self._load, old), None)
                if found is not None:
                    return found
                is_in_the_way = not (yield from _ask(lock.take, True))
                if is_in_the_way:
                    yield Wait(PendingTokenRequest(lost_at=math.inf), _PAUSE)
            # Another process may have saved one between the look and the lock.
            found = yield from _ask(partial(self._load, old), None)
            if found is not None:
                return found
            token = yield from fetch()
            yield from _ask(partial(self._save, token), None)
            return token
        finally:
            lock.give_back()

    @property
    def _name(self) -> str:
        return self._keys[0]

    @cached_property
    def _keys(self) -> tuple[str, Any]:
        # Here, because most clients have no store, and cryptography takes time to import.
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF

        info = json.dumps(["watchword token store 1", *self._identity]).encode()
        made = HKDF(SHA256(), length=48, salt=None, info=info).derive(self._secret.encode())
        return made[:16].hex(), AESGCM(made[16:])

    def _save(self, token: Token) -> None:
        received = self._wall_clock() - (self._clock() - token.received_at)
        content = json.dumps([token.value, received, token.lifetime, token.scope]).encode()
        nonce = self._random_bytes(_NONCE_BYTES)
        sealed = nonce + self._keys[1].encrypt(nonce, content, self._name.encode())
        self._store.save(self._name, sealed, token.lifetime)

    def _load(self, old: Token | None) -> Token | None:
        from cryptography.exceptions import InvalidTag

        sealed = self._store.load(self._name)
        if sealed is None or len(sealed) <= _NONCE_BYTES:
            return None
        nonce, content = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        try:
            opened = self._keys[1].decrypt(nonce, content, self._name.encode())
        except InvalidTag:
            return None  # damaged, or not ours
        value, received, lifetime, scope = json.loads(opened)
        now, age = self._clock(), self._wall_clock() - received
        token = Token(
            value=value, received_at=now - age, lifetime=lifetime, scope=scope, is_shared=True
        )
        is_newer = old is None or (value != old.value and token.received_at > old.received_at)
        # A token from the future was saved before the wall clock was set back.
        return token if age >= 0 and token.is_usable(now) and is_newer else None


class _Lock:
    """The lock of one name, for one caller."""

    def __init__(self, store: TokenStore, name: str, seconds: float) -> None:
        self._store, self._name, self._seconds = store, name, seconds
        self._is_taken = self._is_over = False

    def take(self) -> bool:
        self._is_taken = self._store.lock(self._name, self._seconds)
        if self._is_over:  # the caller was cancelled while this thread waited for the store
            self.give_back()
        return self._is_taken

    def give_back(self) -> None:
        self._is_over = True
        if self._is_taken:
            self._is_taken = False
            with suppress(Exception):  # it ends by itself
                self._store.unlock(self._name)


def _ask(function: Callable[[], _Result], otherwise: _Result) -> Generator[Step, None, _Result]:
    """Yield the step that asks a store; what it says is replaced where it is out of order."""
    call = Call(function)
    yield call
    if call.failure is not None:
        LOGGER.warning("the token store is out of order: %s", type(call.failure).__name__)
        return otherwise
    result: _Result = call.result
    return result
