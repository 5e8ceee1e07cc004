"""Verify plain secrets: client_secret_basic and client_secret_post (RFC 6749 §2.3.1).

A client may have several secrets at once, so that one can replace another. A generated secret has a
fast hash; a short one that a person chose has a slow hash, which is computed off the event loop
and, once proven, remembered by this process under a key of its own.
"""

import hmac
from collections.abc import Callable, Sequence
from typing import Protocol

from issuer.client_request import ClientPassword
from issuer.errors import Reason
from issuer.registry.client import Client
from issuer.registry.credentials import DUMMY_FAST, DUMMY_SLOW, ClientSecret, SecretHash
from issuer.replay import Once

REMEMBERED = 10_000
"""Proven slow secrets that one process remembers; the oldest goes first."""


class SlowVerifier(Protocol):
    """Verifies slow hashes off the event loop, a bounded number at a time."""

    async def find(
        self, hashes: Sequence[SecretHash], secret: str, *, client_id: str | None
    ) -> int | None:
        """Return the index of the hash that the secret has; None if it has none of them.

        Args:
            hashes: one or more.
            secret: what was sent.
            client_id: whose hashes they are; None if the secret cannot be right.

        Raises:
            TemporarilyUnavailable: too many are waiting.
        """
        ...


class SecretVerifier:
    """Verifies the secret of a request against the hashes that are registered for a client.

    Args:
        slow: where slow hashes are verified.
        any_slow: tells whether any client of the registry has a slow hash.
        memo_key: 32 random bytes of this process; proven slow secrets are remembered under it.
    """

    def __init__(
        self, slow: SlowVerifier, *, any_slow: Callable[[], bool], memo_key: bytes
    ) -> None:
        self._slow = slow
        self._any_slow = any_slow
        self._memo_key = memo_key
        # MACs, never secrets: by secret id and digest, so that a replaced hash is not proven.
        self._proven: dict[tuple[str, bytes], bytes] = {}

    def verify_cached(
        self, client: Client | None, password: ClientPassword, now: int
    ) -> str | None:
        """Return the id of the live secret that was sent, without slow work; None if none matches.

        Fast hashes are computed, each of them whichever one matches. Slow ones match if this
        process has proven them before.
        """
        # Which secret matched must not show in the time, nor that a client has no live one: all
        # are computed, and where there is none, a dummy is.
        matched, computed = None, False
        if client is not None:
            for known in client.fast_secrets:
                if known.is_live(now):
                    computed = True
                    if known.hash.verify(password.secret):
                        matched = matched or known.secret_id
            # Tens of milliseconds each, so here only what this process has proven counts.
            for known in client.slow_secrets:
                if known.is_live(now) and self._remembers(known, password.secret):
                    matched = matched or known.secret_id
        if not computed:
            DUMMY_FAST.verify(password.secret)
        return matched

    async def verify(self, client: Client | None, password: ClientPassword, now: int) -> str | None:
        """Return the id of the live secret that was sent; None if none matches.

        A secret that no fast hash has costs one slow hash wherever the registry has any, also for
        a client without one and for an unknown id.

        Raises:
            TemporarilyUnavailable: too many slow hashes are waiting.
        """
        found = self.verify_cached(client, password, now)
        # Whether slow work follows depends on the registry as a whole and never on this client.
        if found is not None or not self._any_slow():
            return found
        slow = () if client is None else client.slow_secrets
        live = [known for known in slow if known.is_live(now)]
        if client is None or not live:
            await self._verify_instead(client, password.secret, now)
            return None
        hashes = [known.hash for known in live]
        index = await self._slow.find(hashes, password.secret, client_id=client.client_id)
        if index is None:
            return None
        self._remember(live[index], password.secret)
        return live[index].secret_id

    def is_guessable(self, client: Client, credential_id: str) -> bool:
        """Tell whether a person chose the secret; a generated one cannot be guessed."""
        return any(known.secret_id == credential_id for known in client.slow_secrets)

    def explain(self, client: Client | None, password: ClientPassword, now: int) -> Reason:
        """Return why the secret proves nothing; an ended one is told from a wrong one."""
        secrets = () if client is None else client.secrets
        ended = [known for known in secrets if known.has_ended(now)]
        fast = [known for known in ended if not known.hash.slow]
        if not fast:
            DUMMY_FAST.verify(password.secret)
        matched = [known for known in fast if known.hash.verify(password.secret)]
        slow = [known for known in ended if known.hash.slow]
        matched += [known for known in slow if self._remembers(known, password.secret)]
        if client is None:
            return Reason.UNKNOWN_CLIENT
        return Reason.SECRET_EXPIRED if matched else Reason.WRONG_SECRET

    def once(self, password: ClientPassword) -> tuple[Once, ...]:
        """Return nothing: a secret may be shown again and again."""
        return ()

    async def _verify_instead(self, client: Client | None, secret: str, now: int) -> None:
        """Do the work of one slow verification: of an ended secret, or else of a dummy.

        It has the place in the queue of a guess at an unknown id, since it cannot succeed.
        """
        secrets = () if client is None else client.secrets
        ended = [known for known in secrets if known.hash.slow and known.has_ended(now)][-1:]
        hashes = [known.hash for known in ended] or [DUMMY_SLOW]
        if await self._slow.find(hashes, secret, client_id=None) is not None and ended:
            self._remember(ended[0], secret)

    def _remembers(self, known: ClientSecret, secret: str) -> bool:
        memo = self._proven.get((known.secret_id, known.hash.digest))
        return memo is not None and hmac.compare_digest(memo, self._memo(secret))

    def _remember(self, known: ClientSecret, secret: str) -> None:
        # A dictionary keeps the order of insertion: the first key is the oldest.
        if len(self._proven) >= REMEMBERED:
            self._proven.pop(next(iter(self._proven)))
        self._proven[known.secret_id, known.hash.digest] = self._memo(secret)

    def _memo(self, secret: str) -> bytes:
        # Under a key that never leaves this process: a fast hash without one would undo the slow
        # one, should it ever leak.
        return hmac.digest(self._memo_key, secret.encode("utf-8", "surrogatepass"), "sha256")
