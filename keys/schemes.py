"""The arithmetic of signature algorithms: which hash, padding and encoding `cryptography` is given.

Pure. RFC 7518 §3.3 to §3.5, RFC 8037 §3.1, RFC 9964 §4. A scheme does not know which key may be
used with it: that is up to the tables of `key_types`.
"""

from typing import Any, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.hashes import HashAlgorithm


class SignatureScheme(Protocol):
    """Makes and verifies the signatures of one algorithm."""

    def sign(self, message: bytes, key: Any) -> bytes:  # noqa: ANN401
        """Return the raw JWS signature of a private key."""
        ...

    def verify(self, message: bytes, key: Any, signature: bytes) -> bool:  # noqa: ANN401
        """Tell whether a public key made this signature."""
        ...


class Rsa:
    """RSA with PKCS #1 v1.5 or PSS padding."""

    __slots__ = ("_hash", "_padding")

    def __init__(self, hash_algorithm: HashAlgorithm, *, pss: bool = False) -> None:
        """Take the hash of the message, which is that of the mask too.

        Args:
            hash_algorithm: which.
            pss: RSASSA-PSS, with a salt as long as the digest (RFC 7518 §3.5).
        """
        self._hash = hash_algorithm
        mask = padding.MGF1(hash_algorithm)
        self._padding = padding.PSS(mask, hash_algorithm.digest_size) if pss else padding.PKCS1v15()

    def sign(self, message: bytes, key: RSAPrivateKey) -> bytes:
        """Return the raw JWS signature of a private key."""
        return key.sign(message, self._padding, self._hash)

    def verify(self, message: bytes, key: RSAPublicKey, signature: bytes) -> bool:
        """Tell whether a public key made this signature."""
        try:
            key.verify(signature, message, self._padding, self._hash)
        except InvalidSignature:
            return False
        return True


class Ecdsa:
    """ECDSA, its signature written as r and s in the full width of the curve (RFC 7518 §3.4)."""

    __slots__ = ("_ecdsa", "_width")

    def __init__(self, hash_algorithm: HashAlgorithm, *, width: int) -> None:
        """Take the hash of the message, and the octets of a coordinate."""
        self._ecdsa = ec.ECDSA(hash_algorithm)
        self._width = width

    def sign(self, message: bytes, key: ec.EllipticCurvePrivateKey) -> bytes:
        """Return the raw JWS signature of a private key."""
        r, s = decode_dss_signature(key.sign(message, self._ecdsa))
        return r.to_bytes(self._width) + s.to_bytes(self._width)

    def verify(self, message: bytes, key: ec.EllipticCurvePublicKey, signature: bytes) -> bool:
        """Tell whether a public key made this signature; DER is none, and a high s is one."""
        width = self._width
        if len(signature) != 2 * width:
            return False
        r, s = int.from_bytes(signature[:width]), int.from_bytes(signature[width:])
        try:
            key.verify(encode_dss_signature(r, s), message, self._ecdsa)
        except InvalidSignature:
            return False
        return True


class Whole:
    """A scheme that hashes the message itself: Ed25519, and pure ML-DSA with an empty context."""

    __slots__ = ()

    def sign(self, message: bytes, key: Any) -> bytes:  # noqa: ANN401
        """Return the raw JWS signature of a private key."""
        signature: bytes = key.sign(message)
        return signature

    def verify(self, message: bytes, key: Any, signature: bytes) -> bool:  # noqa: ANN401
        """Tell whether a public key made this signature."""
        try:
            key.verify(signature, message)
        except InvalidSignature:
            return False
        return True
