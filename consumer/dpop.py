"""DPoP: show with each request that the sender has the key that a token is bound to (RFC 9449).

A proof is a JWT of one request to one URL. A server may ask for a nonce of its own in it.
"""

import re
from collections.abc import Callable
from hashlib import sha256
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from consumer.origin import Origin
from consumer.signing_key import SigningKey
from consumer.token_cache import MAX_ORIGINS
from keys.encoding import encode_base64url
from keys.identifiers import DEFAULT_PORTS

if TYPE_CHECKING:
    from consumer.signing_key import PrivateKey

USE_NONCE = "use_dpop_nonce"
# RFC 9449 §8.1: NQCHAR. It also keeps what is longer than a header out of our proofs.
_NONCE = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]{1,1024}")


class DpopKey:
    """The key that tokens are bound to; all objects that share tokens are given the same."""

    def __init__(self, key: "PrivateKey | None" = None, alg: str | None = None) -> None:
        """Read a key or make one.

        Args:
            key: PEM text or bytes, the path of a PEM file, or a key of `cryptography`; None makes
                a new key, which ends with the process.
            alg: what it signs with; None for ES256, or what fits the key that is given.

        Raises:
            ValueError: this is no private key, or not one to sign with.
            OSError: the file cannot be read.
        """
        if key is None:
            self._key = SigningKey.generate(alg or "ES256")
        else:
            self._key = SigningKey(key, alg)
        self._header = {"typ": "dpop+jwt", "jwk": self._key.public}

    @property
    def thumbprint(self) -> str:
        """The `jkt` of tokens that are bound to the key (RFC 9449 §6)."""
        return self._key.thumbprint

    @property
    def secret(self) -> str:
        """What only a holder of the key can know."""
        return self._key.secret

    def prove(
        self,
        method: str,
        url: str,
        *,
        now: float,
        token: str | None = None,
        nonce: str | None = None,
    ) -> str:
        """Return the value of the `DPoP` header of one request.

        Args:
            method: of the request.
            url: where it goes; query and fragment do not count.
            now: the wall clock, in seconds since the epoch.
            token: the access token that the request shows, if it shows one.
            nonce: the last one that the server gave.
        """
        claims: dict[str, object] = {"htm": method, "htu": target_of(url), "iat": int(now)}
        if token is not None:
            claims["ath"] = encode_base64url(sha256(token.encode("ascii")).digest())
        if nonce is not None:
            claims["nonce"] = nonce
        return self._key.sign(self._header, claims)

    def __eq__(self, other: object) -> bool:
        """Compare the keys."""
        return isinstance(other, DpopKey) and self._key == other._key

    def __hash__(self) -> int:
        """Hash as `__eq__` compares."""
        return hash(self._key)

    def __repr__(self) -> str:
        """Name the public key."""
        return f"{type(self).__name__}({self._key.alg}, {self.thumbprint})"


class Proofs:
    """The proofs of one client, with the nonces that servers gave it: one for each server."""

    def __init__(self, key: DpopKey, wall_clock: Callable[[], float]) -> None:
        """Begin without a nonce.

        Args:
            key: the key.
            wall_clock: seconds since the epoch.
        """
        self._key = key
        self._wall_clock = wall_clock
        self._nonces: dict[Origin | None, str] = {}

    def prove(self, server: Origin | None, method: str, url: str, token: str | None = None) -> str:
        """Return the value of the `DPoP` header of one request.

        Args:
            server: the API that it goes to; None for the token endpoint.
            method: of the request.
            url: where it goes.
            token: the access token that it shows.
        """
        nonce = self._nonces.get(server)
        return self._key.prove(method, url, now=self._wall_clock(), token=token, nonce=nonce)

    def learn(self, server: Origin | None, nonce: str | None) -> bool:
        """Keep the `DPoP-Nonce` of an answer for the next proof; tell whether there was one."""
        if nonce is None or not _NONCE.fullmatch(nonce):
            return False
        if len(self._nonces) >= MAX_ORIGINS and server not in self._nonces:
            # Without a lock, another thread may have taken the same one out.
            self._nonces.pop(next(iter(self._nonces), None), None)
        self._nonces[server] = nonce
        return True


def target_of(url: str) -> str:
    """Return a URL as `htu` has it (RFC 9449 §4.2): without query, fragment and user name."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    port = "" if parts.port in (None, DEFAULT_PORTS.get(parts.scheme)) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}{parts.path or '/'}"
