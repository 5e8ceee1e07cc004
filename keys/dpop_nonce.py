"""Make and recognise the nonces that a server has DPoP proofs carry (RFC 9449 §8, §9).

Pure, and nothing is kept: a nonce is an HMAC over a step of time, so all nodes that have the same
key know it. All clients get the same one within a step: it shows when a proof was made, and the
`jti` that the proof was not used before.
"""

import hmac

from keys.encoding import encode_base64url

NONCE_STEP = 120
"""Seconds for which one nonce is given; it is accepted for at least as long."""

_NONCE_BYTES = 16


class Nonces:
    """The nonces of one server.

    Args:
        key: 32 random bytes, which all nodes of the server share.
    """

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        self._key = key

    def issue(self, now: float) -> str:
        """Return the nonce to give at a time, in seconds since the epoch."""
        return self._of_step(int(now // NONCE_STEP))

    def is_current(self, nonce: str, now: float) -> bool:
        """Tell whether a nonce is the present one or the last one.

        The next one counts as well: a node whose clock is ahead has given it.
        """
        step, sent = int(now // NONCE_STEP), nonce.encode("utf-8", "replace")
        known = (self._of_step(each).encode() for each in (step, step - 1, step + 1))
        return any(hmac.compare_digest(each, sent) for each in known)

    def __repr__(self) -> str:
        """Show no key."""
        return "Nonces()"

    def _of_step(self, step: int) -> str:
        digest = hmac.digest(self._key, b"dpop-nonce %d" % step, "sha256")
        return encode_base64url(digest[:_NONCE_BYTES])
