"""Find public keys for which a signature can be forged, or the private key computed.

Pure. Such keys are well-formed and large enough, have been met in the field, and are refused
wherever a key comes from.
"""

from functools import cache
from math import gcd, isqrt, prod

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


# RFC 8032 §5.1: the field, and the constant of the curve -x² + y² = 1 + d·x²·y².
_P = 2**255 - 19
_D = -121_665 * pow(121_666, -1, _P) % _P


def find_ed25519_weakness(encoded: bytes) -> str | None:
    """Say why an Ed25519 public key must not be relied on, or return None if no reason is found.

    OpenSSL loads any 32 octets. Takes a fraction of a millisecond.

    Args:
        encoded: the 32 octets of the key.
    """
    y = int.from_bytes(encoded, "little") & (1 << 255) - 1
    # RFC 8032 §5.1.3: y is below p, so that a point has one encoding.
    if y >= _P:
        return "its encoding is not canonical"
    # Points of order 1, 2 and 4 have y = 1, -1 and 0. Doubling one of order 8 gives y = 0, so its
    # y² is -x², and d·y⁴ + 2·y² = 1. With such a key, S = 0 and the neutral point are a signature
    # over one in eight messages, or over all of them.
    if y in (0, 1, _P - 1) or (_D * pow(y, 4, _P) + 2 * y * y - 1) % _P == 0:
        return "its point has a small order"
    # x² = (y² - 1) / (d·y² + 1) must be a square: Euler's criterion, without the division, as the
    # quotient is a square when the product is.
    if pow((y * y - 1) * (_D * y * y + 1), (_P - 1) // 2, _P) != 1:
        return "it is not a point of the curve"
    return None
