"""A client's private key: read from where it is kept, and used to sign (RFC 7515 §5.1).

`cryptography` is imported with the first key: most clients have a secret and need none of it.
"""

import json
import secrets
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keys.encoding import encode_base64url
from keys.errors import KeysError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

    PrivateKey = str | bytes | Path | PrivateKeyTypes

_PEM = "-----BEGIN "
_USUAL = {
    "RSA": {"": "RS256"},
    "EC": {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"},
    "OKP": {"Ed25519": "Ed25519"},
}
"""The algorithm of a key that is given without one, by type and curve."""
_NOT_IN_A_PROOF = frozenset({"use", "alg", "kid"})


class SigningKey:
    """A private key, bound to one algorithm; equal to one that is the same key with the same."""

    def __init__(self, key: "PrivateKey", alg: str | None = None) -> None:
        """Read a key.

        Args:
            key: PEM text or bytes, the path of a PEM file, or a key of `cryptography`.
            alg: what it signs with; None for the usual algorithm of its kind: RS256, ES256, ES384,
                ES512 or Ed25519.

        Raises:
            ValueError: this is no private key, an encrypted or a weak one, or it does not fit.
            OSError: the file cannot be read.
        """
        from keys.jwk import PUBLISHED_TEST_KEYS, public_jwk
        from keys.key_types import verifier

        self._private = _load(key)
        try:
            self.alg = alg or _usual_algorithm(self._private)
            jwk = public_jwk(self._private, self.alg)
        except KeysError as error:
            raise ValueError(f"the client's key cannot be used: {error}") from None
        if jwk.kid in PUBLISHED_TEST_KEYS:
            raise ValueError(f"the client's key is printed in {PUBLISHED_TEST_KEYS[jwk.kid]}")
        self.thumbprint = jwk.kid
        """SHA-256 of the public key (RFC 7638)."""
        self.public = {
            name: value for name, value in jwk.members().items() if name not in _NOT_IN_A_PROOF
        }
        """The members of the public JWK that the thumbprint covers."""
        self._scheme = verifier(self.alg)

    @classmethod
    def generate(cls, alg: str) -> "SigningKey":
        """Make a new key for an algorithm.

        Raises:
            ValueError: no such algorithm.
        """
        from keys.key_types import generate_private_key

        try:
            return cls(generate_private_key(alg), alg)
        except KeysError as error:
            raise ValueError(f"no key can be made: {error}") from None

    def sign(self, header: Mapping[str, object], claims: Mapping[str, object]) -> str:
        """Return a JWS in compact form, with `alg` in its header and a new `jti` in its claims.

        The `jti` has 128 random bits, so no server has seen it before.
        """
        signed = signing_input({"alg": self.alg, **header}, claims)
        return f"{signed}.{encode_base64url(self._scheme.sign(signed.encode(), self._private))}"

    @property
    def secret(self) -> str:
        """Return what only a holder of the private key can know, and what does not tell the key."""
        return sha256(b"watchword key of a client\0" + self._pem()).hexdigest()

    def _pem(self) -> bytes:
        from cryptography.hazmat.primitives.serialization import (
            Encoding,
            NoEncryption,
            PrivateFormat,
        )

        return self._private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def __reduce__(self) -> tuple[Any, ...]:
        """Be copied and pickled, with the private key."""
        return type(self), (self._pem(), self.alg)

    def __eq__(self, other: object) -> bool:
        """Compare the public keys, of which each belongs to one private key."""
        if not isinstance(other, SigningKey):
            return NotImplemented
        return (self.thumbprint, self.alg) == (other.thumbprint, other.alg)

    def __hash__(self) -> int:
        """Hash as `__eq__` compares."""
        return hash((self.thumbprint, self.alg))

    def __repr__(self) -> str:
        """Name the public key."""
        return f"{type(self).__name__}({self.alg}, {self.thumbprint})"


def signing_input(header: Mapping[str, object], claims: Mapping[str, object]) -> str:
    """Return what is signed of a JWS (RFC 7515 §5.1), with a new `jti` among the claims."""
    return f"{_segment(header)}.{_segment({**claims, 'jti': secrets.token_urlsafe(16)})}"


def _segment(members: Mapping[str, object]) -> str:
    return encode_base64url(json.dumps(members, separators=(",", ":")).encode())


def _load(key: "PrivateKey") -> "PrivateKeyTypes":
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    if isinstance(key, str):
        key = key.encode() if key.lstrip().startswith(_PEM) else Path(key)
    if isinstance(key, Path):
        key = key.read_bytes()
    if not isinstance(key, bytes):
        return key
    try:
        return load_pem_private_key(key, password=None)
    except TypeError:
        raise ValueError("the client's key is encrypted; give it decrypted") from None
    except (ValueError, UnsupportedAlgorithm):
        # The library's own text may repeat parts of what it was given.
        raise ValueError("the client's key is no private key in PEM") from None


def _usual_algorithm(private: "PrivateKeyTypes") -> str:
    from keys.key_types import KEY_TYPES

    for kty, by_curve in _USUAL.items():
        if isinstance(private, KEY_TYPES[kty].private):
            return by_curve[KEY_TYPES[kty].members(private.public_key()).get("crv", "")]
    raise ValueError("the client's key has to be an RSA, EC or Ed25519 key")
