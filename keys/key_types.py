"""Signature algorithms and key types, as closed tables (RFC 7517 §4.1, RFC 7518 §3.1 and §6.3).

What is not in a table does not exist: no ``none``, no HMAC, no way to add either at run time
(RFC 8725 §3.1). Pure but for `generate`, whose randomness is the operating system's: making a key
is the one thing that an API could do with this table beyond verifying. What reads, stores or uses a
private key is in the private half of the package.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from math import gcd, isqrt, prod
from types import MappingProxyType
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes
from jwt import get_algorithm_by_name
from jwt.algorithms import Algorithm as Implementation

from keys.encoding import decode_base64url, encode_base64url
from keys.errors import InvalidJwk, UnknownAlgorithm


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


# Verification time grows with both: bounds on what a foreign set may make us compute.
MAXIMUM_RSA_BITS = 8192
MAXIMUM_RSA_EXPONENT_OCTETS = 4

_PUBLIC_EXPONENT = 65_537


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyType:
    """One JWK key type. Its functions take the keys of ``public`` and ``private`` and no others."""

    public: type[PublicKeyTypes]
    private: type[PrivateKeyTypes]
    """What a PKCS#8 PEM block of this type holds."""
    parse: Callable[[Mapping[str, object]], PublicKeyTypes]
    """Read the public members of a JWK, or raise InvalidJwk."""
    members: Callable[[Any], dict[str, str]]
    """Write the public members, beside ``kty``."""
    check: Callable[[Any, Algorithm], None]
    """Raise InvalidJwk if a key is too weak for an algorithm."""
    bits: Callable[[Any], int]
    generate: Callable[[int], PrivateKeyTypes]
    """Make a private key of one of ``sizes``."""
    sizes: tuple[int, ...]


def generate_private_key(alg: str, *, bits: int) -> PrivateKeyTypes:
    """Make a new private key for an algorithm, and for no other (RFC 8725 §3.1).

    Raises:
        UnknownAlgorithm: if ``alg`` is not in the table.
        ValueError: if the key type has no key of so many bits.
    """
    kty = algorithm(alg).kty
    if bits not in KEY_TYPES[kty].sizes:
        sizes = ", ".join(map(str, KEY_TYPES[kty].sizes))
        raise ValueError(f"an {kty} key has {sizes} bits")
    return KEY_TYPES[kty].generate(bits)


# RSA -----------------------------------------------------------------------------------------


def _parse_rsa(members: Mapping[str, object]) -> rsa.RSAPublicKey:
    exponent = _unsigned(members, "e", maximum_octets=MAXIMUM_RSA_EXPONENT_OCTETS)
    modulus = _unsigned(members, "n", maximum_octets=MAXIMUM_RSA_BITS // 8)
    if modulus % 2 == 0:
        raise InvalidJwk("JWK modulus is even")
    try:
        return rsa.RSAPublicNumbers(exponent, modulus).public_key()
    except ValueError as error:
        raise InvalidJwk("JWK is not an RSA key") from error


def _unsigned(members: Mapping[str, object], name: str, *, maximum_octets: int) -> int:
    """Read a Base64urlUInt (RFC 7518 §2).

    It should have no leading zero octet, but writers that keep a sign put one there, and the number
    is the same.
    """
    value = members.get(name)
    if not isinstance(value, str):
        raise InvalidJwk(f"JWK member {name} is missing or not a string")
    try:
        octets = decode_base64url(value)
    except ValueError as error:
        raise InvalidJwk(f"JWK member {name} is not base64url") from error
    octets = octets.removeprefix(b"\0")
    if not octets or octets[0] == 0 or len(octets) > maximum_octets:
        raise InvalidJwk(f"JWK member {name} is empty, too long or has leading zeros")
    return int.from_bytes(octets, "big")


def _rsa_members(key: rsa.RSAPublicKey) -> dict[str, str]:
    numbers = key.public_numbers()
    return {
        name: encode_base64url(value.to_bytes((value.bit_length() + 7) // 8, "big"))
        for name, value in (("n", numbers.n), ("e", numbers.e))
    }


def _check_rsa(key: rsa.RSAPublicKey, entry: Algorithm) -> None:
    if key.key_size < entry.minimum_bits:
        raise InvalidJwk(
            f"key of {key.key_size} bits is too weak for {entry.name}, "
            f"which needs {entry.minimum_bits}"
        )
    numbers = key.public_numbers()
    if (weakness := find_rsa_weakness(numbers.n, numbers.e)) is not None:
        raise InvalidJwk(f"key is too weak: {weakness}")


# RFC 8017 §3.1. FIPS 186-5 asks for more than 2^16 in new keys; 3 and 17 are in use, and sound.
_SMALLEST_EXPONENT = 3
_TRIAL_LIMIT = 2048
# The primes below divide the product that even the smallest ROCA keys are made of.
_ROCA_LIMIT = 167
_FERMAT_STEPS = 16


def find_rsa_weakness(modulus: int, exponent: int) -> str | None:
    """Say why an RSA key must not be relied on, or return None if no known reason is found.

    Each kind has been published and met in the field. A key that passes is not proven strong: no
    cheap check can tell that. Takes less than a millisecond, for 8192 bits too.

    Args:
        modulus: positive, of the size that the algorithm asks for.
        exponent: the public exponent.
    """
    if exponent < _SMALLEST_EXPONENT or exponent % 2 == 0:
        return "its public exponent is even or 1"
    if gcd(modulus, _product_of_primes()) != 1:
        return "its modulus has a small factor"
    # The modulus is a power of 65537 modulo each of many small primes. Primes of that library are
    # k·M + (65537^a mod M), with M the product of the first primes; so are their products. Of
    # moduli made otherwise, one in 2^27 looks like that.
    if all(modulus % prime in powers for prime, powers in _roca_remainders().items()):
        return "its modulus is of the ROCA kind (CVE-2017-15361)"
    # Fermat: p and q around the square root (CVE-2022-26320).
    middle = isqrt(modulus - 1) + 1
    for candidate in range(middle, middle + _FERMAT_STEPS):
        square = candidate * candidate - modulus
        if isqrt(square) ** 2 == square:
            return "its prime factors lie close together"
    return None


def _primes(limit: int) -> list[int]:
    return [n for n in range(2, limit) if all(n % d for d in range(2, isqrt(n) + 1))]


@cache
def _product_of_primes() -> int:
    return prod(_primes(_TRIAL_LIMIT))


@cache
def _roca_remainders() -> dict[int, frozenset[int]]:
    """The powers of 65537 by prime, for primes where they are not all remainders anyway."""
    groups: dict[int, frozenset[int]] = {}
    for prime in _primes(_ROCA_LIMIT + 1):
        powers = frozenset(pow(65_537, power, prime) for power in range(prime - 1))
        if len(powers) < prime - 1:
            groups[prime] = powers
    return groups


KEY_TYPES: Mapping[str, KeyType] = MappingProxyType(
    {
        "RSA": KeyType(
            public=rsa.RSAPublicKey,
            private=rsa.RSAPrivateKey,
            parse=_parse_rsa,
            members=_rsa_members,
            check=_check_rsa,
            bits=lambda key: key.key_size,
            generate=lambda bits: rsa.generate_private_key(_PUBLIC_EXPONENT, bits),
            sizes=(2048, 3072, 4096),
        ),
    }
)
"""The key types by ``kty``; what is not in the table does not exist."""
