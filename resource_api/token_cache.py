"""Own the memory of tokens that passed every check, so that the next request need not repeat them.

Successes only, by a digest of the whole token, as long as the token lives and its key set stands.
"""

from hashlib import sha256

from keys.jwks import JwkSet
from resource_api.access_token import AccessToken


class VerifiedTokenCache:
    """Remember verified tokens in two generations, each holding half of the bound.

    A hit does no bookkeeping in the young generation, and moves an entry there from the old one; a
    full young generation becomes the old one. What is not asked for twice in that time falls out.
    """

    __slots__ = ("_half", "_keys", "_old", "_young")

    def __init__(self, bound: int = 4096) -> None:
        """Hold at most this many tokens, of some 1.5 KB each; 0 switches the memory off."""
        self._half = bound // 2
        self._keys: JwkSet | None = None
        self._young: dict[bytes, tuple[float, float, AccessToken]] = {}
        self._old: dict[bytes, tuple[float, float, AccessToken]] = {}

    def get(self, token: bytes, keys: JwkSet | None, now: float) -> AccessToken | None:
        """Give a token verified before under this very key set and not expired since.

        A clock that was set back to before the verification makes the token be verified anew: it
        may not be valid yet.
        """
        if keys is None or keys is not self._keys:
            return None
        digest = sha256(token).digest()
        entry = self._young.get(digest)
        if entry is None:
            entry = self._old.get(digest)
            if entry is None:
                return None
            self._insert(digest, entry)
        return entry[2] if entry[0] <= now < entry[1] else None

    def put(
        self,
        token: bytes,
        keys: JwkSet | None,
        verified: AccessToken,
        *,
        now: float,
        until: float,
    ) -> None:
        """Remember a token that was verified at ``now`` until it would be refused as expired.

        Another key set than last time empties the memory: a key may have left.
        """
        if keys is None or not self._half:
            return
        if keys is not self._keys:
            self._keys = keys
            self._young, self._old = {}, {}
        self._insert(sha256(token).digest(), (now, until, verified))

    def _insert(self, digest: bytes, entry: tuple[float, float, AccessToken]) -> None:
        if len(self._young) >= self._half:
            self._old, self._young = self._young, {}
        self._young[digest] = entry
