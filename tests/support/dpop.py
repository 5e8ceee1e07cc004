"""Make every ill-formed DPoP proof from one good one by naming the single change."""

from collections.abc import Mapping
from hashlib import sha256
from itertools import count
from typing import Any

from keys.encoding import encode_base64url
from watchword.testing.forge import DROP, NOW, TokenForge, dump
from watchword.testing.keys import private_key

TOKEN_URL = "https://as.example/token"

_numbers = count(1)


class ProofForge:
    """Hold the key of one sender, and make its proofs.

    Each has an id of its own; header members and claims are those of RFC 9449 §4.2.
    """

    def __init__(
        self,
        alg: str = "ES256",
        n: int = 0,
        *,
        method: str = "POST",
        url: str = TOKEN_URL,
        now: float = NOW,
    ) -> None:
        """Take the n-th key of this process for an algorithm."""
        self._forge = TokenForge(private_key(alg, n), alg=alg)
        self.raw, self.sign = self._forge.raw, self._forge.sign
        self.jkt = self._forge.jwk.kid
        self.method, self.url, self.now = method, url, now

    @property
    def jwk(self) -> dict[str, str]:
        """Give the public key, with the members that its thumbprint covers alone."""
        members = self._forge.jwk.members()
        return {name: members[name] for name in members if name not in ("use", "alg", "kid")}

    def proof(
        self, *, header: Mapping[str, Any] | None = None, token: bytes | None = None, **claims: Any
    ) -> bytes:
        """Give a good proof with these members changed, properly signed.

        Args:
            header: members of the header; `DROP` leaves one out.
            token: the access token that it goes with.
            claims: as `header`.
        """
        good_header = {"typ": "dpop+jwt", "alg": self._forge.jwk.alg, "jwk": self.jwk}
        good_claims: dict[str, Any] = {
            "jti": f"proof-{next(_numbers)}",
            "htm": self.method,
            "htu": self.url,
            "iat": self.now,
        }
        if token is not None:
            good_claims["ath"] = encode_base64url(sha256(token).digest())
        return self.raw(
            dump(_changed(good_header, header or {})), dump(_changed(good_claims, claims))
        )


def _changed(good: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in (good | dict(changes)).items() if value is not DROP}
