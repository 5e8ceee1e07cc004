"""Authenticate a client (RFC 6749 §2.3.1): accept on the view's word, refuse only on the store's.

A good secret of a known client costs one fast hash and no look-up. Every refusal, whatever its
cause, costs the same: one hash against what the view has, one look in the store, one hash against
what that said, and where the registry holds any slow hash, one slow hash. So time tells nobody
which ids exist, and a secret added a moment ago by another process works at once.
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from issuer.errors import InvalidClient, OAuthError, Reason, TemporarilyUnavailable
from issuer.registry.client import Client
from issuer.registry.client_secret import ClientSecret
from issuer.registry.errors import StoreUnavailable
from issuer.registry.secret_hash import DUMMY_FAST, DUMMY_SLOW, SecretHash
from issuer.token_request import Credentials

REMEMBERED = 10_000
"""Proven slow secrets that one process remembers; the oldest goes first."""


class SlowVerifier(Protocol):
    """Verify slow hashes off the event loop, a bounded number at a time."""

    async def find(
        self, hashes: Sequence[SecretHash], secret: str, *, client_id: str | None
    ) -> int | None:
        """Return the number of the hash that the secret has, or None.

        Args:
            hashes: one or more.
            secret: what was sent.
            client_id: whose hashes they are; None if the secret cannot be right.

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

    def get_cached(self, client_id: str) -> Client | None:
        """Look in memory only."""
        ...

    async def fetch(self, client_id: str) -> Client | None:
        """Ask the store, and remember.

        Raises:
            StoreUnavailable: the store cannot answer.
        """
        ...


@dataclass(frozen=True, slots=True)
class AuthenticatedClient:
    """A client that has proven itself, and the secret that it did so with."""

    client: Client
    secret_id: str


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

    async def authenticate(self, credentials: Credentials, *, now: int) -> AuthenticatedClient:
        """Return the client that proved itself.

        Args:
            credentials: what the request carried.
            now: seconds since the epoch.

        Raises:
            InvalidClient: unknown, disabled, expired, or the secret is wrong; the same answer for
                each.
            TemporarilyUnavailable: the store would have to be asked and cannot answer.
        """
        client_id, secret = credentials.client_id, credentials.secret
        known = self._clients.get_cached(client_id)
        proof = self._prove(known, secret, now)
        if known is not None and proof is not None and _is_allowed(known, now):
            return AuthenticatedClient(known, proof.secret_id)
        try:
            client = await self._clients.fetch(client_id)
        except StoreUnavailable:
            raise TemporarilyUnavailable(Reason.STORE_UNAVAILABLE) from None
        proof = self._prove(client, secret, now)
        if proof is None and self._clients.has_slow_secrets:
            proof = await self._prove_slowly(client, secret, now)
        if client is None or proof is None or not _is_allowed(client, now):
            ended = proof is None and self._proves_ended(client, secret, now)
            raise _refusal(client, proof, now, ended=ended)
        return AuthenticatedClient(client, proof.secret_id)

    def _prove(self, client: Client | None, secret: str, now: int) -> ClientSecret | None:
        """Verify without slow work: fast hashes, and slow ones that were proven here before."""
        live = _live_secrets(client, now)
        fast = [known for known in live if not known.hash.slow]
        if not fast:
            DUMMY_FAST.verify(secret)
        # Every hash is computed, whichever one matches.
        matched = [known for known in fast if known.hash.verify(secret)]
        matched += [known for known in live if known.hash.slow and self._remembers(known, secret)]
        return matched[0] if matched else None

    async def _prove_slowly(
        self, client: Client | None, secret: str, now: int
    ) -> ClientSecret | None:
        slow = [known for known in _live_secrets(client, now) if known.hash.slow]
        if client is None or not slow:
            await self._verify_instead(client, secret, now)
            return None
        hashes = [known.hash for known in slow]
        found = await self._slow.find(hashes, secret, client_id=client.client_id)
        if found is None:
            return None
        self._remember(slow[found], secret)
        return slow[found]

    async def _verify_instead(self, client: Client | None, secret: str, now: int) -> None:
        """Do the work of one slow verification: of an ended secret, or else of none.

        It waits where the guesses at unknown ids wait, since it lets nobody in.
        """
        ended = [known for known in _ended_secrets(client, now) if known.hash.slow][-1:]
        hashes = [known.hash for known in ended] or [DUMMY_SLOW]
        if await self._slow.find(hashes, secret, client_id=None) is not None and ended:
            self._remember(ended[0], secret)

    def _proves_ended(self, client: Client | None, secret: str, now: int) -> bool:
        """Tell whether it is a secret that was right until it ended; for the log alone."""
        ended = _ended_secrets(client, now)
        fast = [known for known in ended if not known.hash.slow]
        if not fast:
            DUMMY_FAST.verify(secret)
        matched = [known for known in fast if known.hash.verify(secret)]
        matched += [known for known in ended if known.hash.slow and self._remembers(known, secret)]
        return bool(matched)

    def _remembers(self, known: ClientSecret, secret: str) -> bool:
        memo = self._proven.get((known.secret_id, known.hash.digest))
        return memo is not None and hmac.compare_digest(memo, self._memo(secret))

    def _remember(self, known: ClientSecret, secret: str) -> None:
        if len(self._proven) >= REMEMBERED:
            self._proven.pop(next(iter(self._proven)))
        self._proven[known.secret_id, known.hash.digest] = self._memo(secret)

    def _memo(self, secret: str) -> bytes:
        return hmac.digest(self._memo_key, secret.encode("utf-8", "surrogatepass"), "sha256")


def _live_secrets(client: Client | None, now: int) -> Sequence[ClientSecret]:
    # Either of the two plain-secret methods may be used by who is registered for one of them;
    # what another method's client still has of secrets proves nothing.
    if client is None or not client.registration.token_endpoint_auth_method.uses_secret:
        return ()
    return [secret for secret in client.secrets if secret.is_live(now)]


def _ended_secrets(client: Client | None, now: int) -> Sequence[ClientSecret]:
    return [] if client is None else [known for known in client.secrets if known.has_ended(now)]


def _is_allowed(client: Client, now: int) -> bool:
    return not client.registration.disabled and not client.is_expired(now)


def _refusal(
    client: Client | None, proof: ClientSecret | None, now: int, *, ended: bool
) -> OAuthError:
    if client is None:
        return InvalidClient(Reason.UNKNOWN_CLIENT)
    if proof is None:
        reason = Reason.SECRET_EXPIRED if ended else Reason.WRONG_SECRET
    else:
        expired = client.is_expired(now)
        reason = Reason.CLIENT_EXPIRED if expired else Reason.CLIENT_DISABLED
    return InvalidClient(reason, client_id=client.client_id)
