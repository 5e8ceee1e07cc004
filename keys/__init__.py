"""Own the key side of the house: JOSE parsing and public keys below, signing keys above.

The package itself offers the errors alone and costs nothing to import. Take the rest from its
modules: ``keys.jwks`` and ``keys.jwk`` to verify, ``keys.stores.files``, ``keys.ring`` and
``keys.signers.local`` to sign.
"""

from keys.errors import (
    InvalidJwk,
    InvalidJwkSet,
    InvalidJws,
    KeysError,
    KeyStoreError,
    NoSigningKey,
    UnknownAlgorithm,
)

__all__ = [
    "InvalidJwk",
    "InvalidJwkSet",
    "InvalidJws",
    "KeyStoreError",
    "KeysError",
    "NoSigningKey",
    "UnknownAlgorithm",
]
