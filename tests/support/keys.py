"""Real keys for tests: made once a session, never read from a file."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, mldsa, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from keys.errors import KeyStoreError
from keys.jwk import PublicJwk, parse_public_jwk, public_jwk, thumbprint
from keys.ring import RingKey
from keys.stores.folder import KeyFolder
from keys.stores.key_file import StoredKey, render_key_file, render_private_pem
from keys.stores.store import KeyStore
from watchword.testing.keys import private_key

SIZE_OF_WEAK_KEY = 1024


def rsa_key(n: int = 0) -> RSAPrivateKey:
    """Return the n-th 2048-bit key of this session; the same n gives the same key."""
    key = private_key("RS256", n)
    assert isinstance(key, RSAPrivateKey)
    return key


@cache
def weak_rsa_key() -> RSAPrivateKey:
    """Return a key that is too small for every algorithm (RFC 7518 §3.3)."""
    return rsa.generate_private_key(public_exponent=65_537, key_size=SIZE_OF_WEAK_KEY)


@cache
def ec_key() -> ec.EllipticCurvePrivateKey:
    """Return a P-256 key, which no algorithm but ES256 takes."""
    return ec.generate_private_key(ec.SECP256R1())


def public_rsa_jwk(n: int = 0) -> PublicJwk:
    """Return the public JWK of ``rsa_key(n)``, for RS256."""
    return public_jwk(rsa_key(n), "RS256")


def stored_key(
    n: int = 0,
    *,
    published_at: int = 1_000,
    signs_from: int | None = 1_000,
    encrypted: bool = False,
) -> StoredKey:
    """Return ``rsa_key(n)`` as a store records it."""
    jwk = public_rsa_jwk(n)
    ring_key = RingKey(kid=jwk.kid, alg=jwk.alg, published_at=published_at, signs_from=signs_from)
    return StoredKey(ring_key=ring_key, jwk=jwk, encrypted=encrypted)


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


VECTORS = Path(__file__).resolve().parent.parent / "vectors"


@cache
def published_keys() -> dict[str, PublicJwk]:
    """Return keys whose private half is printed in an RFC, by thumbprint."""
    keys = [_published_key(**row) for row in _load("published-private-keys")["keys"]]
    for name in ("rfc7638-thumbprints", "rfc7515-appendix-a", "rfc7520-jws"):
        printed = [vector.get("jwk", {}) for vector in _load(name)["vectors"]]
        keys += [
            parse_public_jwk({**jwk, "kid": thumbprint(jwk), "alg": None})
            for jwk in printed
            # Of the EC key among the thumbprints, from RFC 9449, no private half is printed.
            if jwk.get("kty") == "RSA" or (jwk.get("kty") == "EC" and name != "rfc7638-thumbprints")
        ]
    return {key.kid: key for key in keys}


def _load(name: str) -> Any:
    return json.loads((VECTORS / f"{name}.json").read_text())


def _published_key(crv: str | None = None, d: str = "", alg: str = "", seed: str = "") -> PublicJwk:
    if crv == "Ed25519":
        return public_jwk(Ed25519PrivateKey.from_private_bytes(bytes.fromhex(d)), "EdDSA")
    if crv is not None:
        curve, alg = {
            "P-256": (ec.SECP256R1(), "ES256"),
            "P-384": (ec.SECP384R1(), "ES384"),
            "P-521": (ec.SECP521R1(), "ES512"),
        }[crv]
        return public_jwk(ec.derive_private_key(int(d, 16), curve), alg)
    kind = {
        "ML-DSA-44": mldsa.MLDSA44PrivateKey,
        "ML-DSA-65": mldsa.MLDSA65PrivateKey,
        "ML-DSA-87": mldsa.MLDSA87PrivateKey,
    }[alg]
    return public_jwk(kind.from_seed_bytes(bytes.fromhex(seed)), alg)


def public_key_of(alg: str, n: int = 0) -> PublicJwk:
    """Return the public JWK of ``private_key(alg, n)``."""
    return public_jwk(private_key(alg, n), alg)
