"""Real keys for tests: made once a session, never read from a file."""

from functools import cache
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from keys.errors import KeyStoreError
from keys.jwk import PublicJwk, public_jwk
from keys.ring import RingKey
from keys.stores.folder import KeyFolder
from keys.stores.key_file import StoredKey, render_key_file, render_private_pem
from keys.stores.store import KeyStore

SIZE_OF_WEAK_KEY = 1024


def rsa_key(n: int = 0) -> RSAPrivateKey:
    """Return the n-th 2048-bit key of this session; the same n gives the same key."""
    return _generated(n)


@cache
def _generated(n: int) -> RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65_537, key_size=2048)


@cache
def weak_rsa_key() -> RSAPrivateKey:
    """Return a key that is too small for every algorithm (RFC 7518 §3.3)."""
    return rsa.generate_private_key(public_exponent=65_537, key_size=SIZE_OF_WEAK_KEY)


@cache
def ec_key() -> ec.EllipticCurvePrivateKey:
    """Return a P-256 key, which no algorithm of the table takes."""
    return ec.generate_private_key(ec.SECP256R1())


def public_rsa_jwk(n: int = 0) -> PublicJwk:
    """Return the public JWK of ``rsa_key(n)``, for RS256."""
    return public_jwk(rsa_key(n), "RS256")


def stored_key(n: int = 0, *, published_at: int = 1_000, signs_from: int = 1_000) -> StoredKey:
    """Return ``rsa_key(n)`` as a store records it."""
    jwk = public_rsa_jwk(n)
    ring_key = RingKey(kid=jwk.kid, alg=jwk.alg, published_at=published_at, signs_from=signs_from)
    return StoredKey(ring_key=ring_key, jwk=jwk)


def key_file(n: int = 0, *, passphrase: bytes | None = None) -> bytes:
    """Return the text of the key file of ``rsa_key(n)``."""
    return render_key_file(stored_key(n), render_private_pem(rsa_key(n), passphrase))


def write_key_file(folder: Path, content: bytes, *, n: int = 0, mode: int = 0o600) -> Path:
    """Write a file under the name that ``rsa_key(n)`` has in a store; make the folder."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{public_rsa_jwk(n).kid}.pem"
    path.touch(mode=mode)
    path.write_bytes(content)
    path.chmod(mode)
    return path


def refusal_of(folder: Path) -> str:
    """Return the one line with which a store refuses to be read."""
    with pytest.raises(KeyStoreError) as caught:
        KeyStore(KeyFolder(folder)).records()
    assert "\n" not in str(caught.value)
    return str(caught.value)
