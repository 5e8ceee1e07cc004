"""JOSE parsing and public keys in the public half, signing keys in the private half.

The package itself offers the errors alone and costs nothing to import. Take the rest from its
modules: ``keys.jwt``, ``keys.jwk`` and ``keys.remote`` to verify, ``keys.stores``, ``keys.ring``
and ``keys.signers`` to sign.
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
