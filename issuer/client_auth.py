"""Authenticate a client (RFC 6749 §2.3.1): accept on the view's word, refuse only on the store's.

A good secret of a known client costs one fast hash and no look-up. Every refusal, whatever its
cause, costs the same: one hash against what the view has, one look in the store, one hash against
what that said, and where the registry holds any slow hash, one slow hash. So time tells nobody
which ids exist, and a secret added a moment ago by another process works at once.
"""

import hmac
from collections.abc import Iterable
from typing import Protocol

from issuer.errors import InvalidClient, OAuthError, Reason, TemporarilyUnavailable
from issuer.registry.client import Client, ClientSecret
from issuer.registry.errors import StoreUnavailable
from issuer.registry.secret_hash import DUMMY_FAST, DUMMY_SLOW, SecretHash
from issuer.token_request import Credentials

REMEMBERED = 10_000
"""Proven slow secrets that one process remembers; the oldest goes first."""


class SlowVerifier(Protocol):
    """Verify slow hashes off the event loop, a bounded number at a time."""

    async def verify(self, secret_hash: SecretHash, secret: str) -> bool:
        """Tell whether the secret is the hashed one.

        Raises:
            TemporarilyUnavailable: too many are waiting.
        """
        ...


class KnownClients(Protocol):
    """What the process remembers of the registry, and the way to ask it."""

    @property
    def has_slow_secrets(self) -> bool:
        """Whether any client of the registry has a slow hash."""
        ...

    def peek(self, client_id: str) -> Client | None:
        """Look in memory only."""
        ...

    async def fetch(self, client_id: str) -> Client | None:
        """Ask the store, and remember.

        Raises:
            StoreUnavailable: the store cannot answer.
        """
        ...


class ClientAuthenticator:
    """Decides who a token request comes from.

    Args:
        clients: the registry as this process knows it.
        slow: where slow hashes are verified.
        memo_key: 32 random bytes of this process; slow secrets once proven are remembered under it.
    """

    def __init__(self, clients: KnownClients, slow: SlowVerifier, *, memo_key: bytes) -> None:
        self._clients = clients
        self._slow = slow
        self._memo_key = memo_key
        self._proven: dict[tuple[str, bytes], bytes] = {}

    async def authenticate(self, credentials: Credentials, *, now: int) -> Client:
        """Return the client that proved itself.

        Args:
            credentials: what the request carried.
            now: seconds since the epoch.

        Raises:
            InvalidClient: unknown, disabled, or the secret is wrong; the same answer for each.
            TemporarilyUnavailable: the store would have to be asked and cannot answer.
        """
        client_id, secret = credentials.client_id, credentials.secret
        known = self._clients.peek(client_id)
        if self._proves(known, secret, now) and known is not None and not known.disabled:
            return known
        try:
            client = await self._clients.fetch(client_id)
        except StoreUnavailable:
            raise TemporarilyUnavailable(Reason.STORE_UNAVAILABLE) from None
        proven = self._proves(client, secret, now)
        if not proven and self._clients.has_slow_secrets:
            proven = await self._proves_slowly(client, secret, now)
        if client is None or client.disabled or not proven:
            raise _refusal(client, proven)
        return client

    def _proves(self, client: Client | None, secret: str, now: int) -> bool:
        """Verify without slow work: fast hashes, and slow ones that were proven here before."""
        live = _live_secrets(client, now)
        fast = [known.hash for known in live if not known.hash.slow] or [DUMMY_FAST]
        # Every hash is computed, whichever one matches.
        matched = sum(secret_hash.verify(secret) for secret_hash in fast) > 0
        return matched or any(self._remembers(known, secret) for known in live if known.hash.slow)

    async def _proves_slowly(self, client: Client | None, secret: str, now: int) -> bool:
        slow = [known for known in _live_secrets(client, now) if known.hash.slow]
        if not slow:
            await self._slow.verify(DUMMY_SLOW, secret)
        for known in slow:
            if await self._slow.verify(known.hash, secret):
                self._remember(known, secret)
                return True
        return False

    def _remembers(self, known: ClientSecret, secret: str) -> bool:
        memo = self._proven.get((known.secret_id, known.hash.digest))
        return memo is not None and hmac.compare_digest(memo, self._memo(secret))

    def _remember(self, known: ClientSecret, secret: str) -> None:
        if len(self._proven) >= REMEMBERED:
            self._proven.pop(next(iter(self._proven)))
        self._proven[known.secret_id, known.hash.digest] = self._memo(secret)

    def _memo(self, secret: str) -> bytes:
        return hmac.digest(self._memo_key, secret.encode("utf-8", "surrogatepass"), "sha256")


def _live_secrets(client: Client | None, now: int) -> Iterable[ClientSecret]:
    if client is None:
        return ()
    return [secret for secret in client.secrets if secret.is_live(now)]


def _refusal(client: Client | None, proven: bool) -> OAuthError:
    if client is None:
        return InvalidClient(Reason.UNKNOWN_CLIENT)
    reason = Reason.CLIENT_DISABLED if proven else Reason.WRONG_SECRET
    return InvalidClient(reason, client_id=client.client_id)
