"""Own the finding of RSA keys that are weak though large enough: cheap checks of public numbers.

Pure. Each kind has been published and met in the field. A key that passes is not proven strong: no
cheap check can tell that.
"""

from functools import cache
from math import gcd, isqrt, prod

# RFC 8017 §3.1. FIPS 186-5 asks for more than 2^16 in new keys; 3 and 17 are in use, and sound.
_SMALLEST_EXPONENT = 3
_TRIAL_LIMIT = 2048
_ROCA_LIMIT = (
    167  # the primes below divide the product that even the smallest such keys are made of
)
_FERMAT_STEPS = 16


def find_weakness(modulus: int, exponent: int) -> str | None:
    """Say why nobody should rely on an RSA key, or None if no known reason is found.

    Takes less than a millisecond, for 8192 bits too.

    Args:
        modulus: positive, of the size that the algorithm asks for.
        exponent: the public exponent.
    """
    if exponent < _SMALLEST_EXPONENT or exponent % 2 == 0:
        return "its public exponent is even or 1"
    if gcd(modulus, _product_of_primes()) != 1:
        return "its modulus has a small factor"
    if _is_roca(modulus):
        return "its modulus is of the ROCA kind (CVE-2017-15361)"
    if _has_close_factors(modulus):
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


def _is_roca(modulus: int) -> bool:
    """Tell whether the modulus is a power of 65537 modulo each of many small primes.

    Primes of such a library are k·M + (65537^a mod M), with M the product of the first primes; so
    are their products. Of moduli made otherwise, one in 2^27 looks like that.
    """
    return all(modulus % prime in powers for prime, powers in _roca_remainders().items())


def _has_close_factors(modulus: int) -> bool:
    """Look for p and q around the square root (Fermat; CVE-2022-26320)."""
    middle = isqrt(modulus - 1) + 1
    for candidate in range(middle, middle + _FERMAT_STEPS):
        square = candidate * candidate - modulus
        if isqrt(square) ** 2 == square:
            return True
    return False
