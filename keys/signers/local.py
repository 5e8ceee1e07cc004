"""Sign JWS: the ``Signer`` protocol, and the signer whose private key is in this process.

The issuer knows the protocol alone, so that a remote or batching signer can take its place.
"""

from typing import TYPE_CHECKING, Protocol

from keys.key_types import verifier

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes


class Signer(Protocol):
    """Signs with one key; ``kid`` and ``alg`` go into the token's header."""

    @property
    def kid(self) -> str:
        """Return the key's identifier, as in the published set."""
        ...

    @property
    def alg(self) -> str:
        """Return the JWS algorithm that it signs with."""
        ...

    async def sign(self, signing_input: bytes) -> bytes:
        """Return the raw JWS signature over the signing input (RFC 7515 §5.1).

        Raises:
            SignerUnavailable: the private key is elsewhere, and there is no answer from there.
        """
        ...


class LocalSigner:
    """Sign with a private key in this process; the key is loaded once, for loading is slow."""

    __slots__ = ("_implementation", "_private_key", "alg", "kid")

    def __init__(self, kid: str, alg: str, private_key: "PrivateKeyTypes") -> None:
        """Bind a key to its name and its one algorithm.

        Raises:
            UnknownAlgorithm: if ``alg`` is not in the table.
        """
        self.kid = kid
        self.alg = alg
        self._private_key = private_key
        self._implementation = verifier(alg)

    def __repr__(self) -> str:
        """Name the key without showing it."""
        return f"LocalSigner(kid={self.kid!r}, alg={self.alg!r})"

    def sign_now(self, signing_input: bytes) -> bytes:
        """Return the raw JWS signature; takes the time of one private-key operation."""
        return self._implementation.sign(signing_input, self._private_key)

    async def sign(self, signing_input: bytes) -> bytes:
        """Return the raw JWS signature, made in the caller's turn of the event loop."""
        return self.sign_now(signing_input)
