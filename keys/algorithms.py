"""The closed table of signature algorithms (RFC 7518 §3.1, RFC 8725 §3.1).

What is not in the table does not exist: no ``none``, no HMAC, no way to add either at run time.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from jwt import get_algorithm_by_name
from jwt.algorithms import Algorithm as Implementation

from keys.errors import UnknownAlgorithm


@dataclass(frozen=True, slots=True, kw_only=True)
class Algorithm:
    """One signature algorithm and what it asks of a key."""

    name: str
    """The JWS ``alg`` value, case-sensitive (RFC 7515 §4.1.1)."""
    kty: str
    """The JWK key type that it needs (RFC 7517 §4.1)."""
    minimum_bits: int
    """The smallest key it may be used with (RFC 7518 §3.3)."""
    hash_name: str
    """The digest under the signature, as ``hashlib`` names it."""


ALGORITHMS: Mapping[str, Algorithm] = MappingProxyType(
    {"RS256": Algorithm(name="RS256", kty="RSA", minimum_bits=2048, hash_name="sha256")}
)


def algorithm(name: str) -> Algorithm:
    """Return the table entry of an ``alg`` value.

    Raises:
        UnknownAlgorithm: if the table does not hold exactly this name.
    """
    found = ALGORITHMS.get(name)
    if found is None:
        known = ", ".join(ALGORITHMS)
        raise UnknownAlgorithm(f"unknown algorithm (known: {known})")
    return found


@cache  # asked for with every token; names that are not in the table are not kept
def verifier(name: str) -> Implementation:
    """Return PyJWT's public object that does the arithmetic of a table entry.

    It offers ``verify(message, public_key, signature)`` and, for the private half,
    ``sign(message, private_key)``. PyJWT's own table is wider than ours, hence the look-up in ours
    first.

    Raises:
        UnknownAlgorithm: if our table does not hold exactly this name.
    """
    return get_algorithm_by_name(algorithm(name).name)
