"""Own the making of private signing keys (RFC 7518 §3.3: RSA of 2048 bits or more)."""

from cryptography.hazmat.primitives.asymmetric import rsa

from keys.algorithms import algorithm

RSA_BITS = (2048, 3072, 4096)
_PUBLIC_EXPONENT = 65_537


def generate_private_key(alg: str = "RS256", *, bits: int = 2048) -> rsa.RSAPrivateKey:
    """Make a new private key; the randomness is the operating system's.

    Args:
        alg: the algorithm that the key will serve, and no other (RFC 8725 §3.1).
        bits: the size of the modulus: 2048, 3072 or 4096.

    Raises:
        UnknownAlgorithm: if ``alg`` is not in the table.
        ValueError: if ``bits`` is none of the three sizes.
    """
    algorithm(alg)
    if bits not in RSA_BITS:
        raise ValueError("an RSA key has " + ", ".join(map(str, RSA_BITS)) + " bits")
    return rsa.generate_private_key(public_exponent=_PUBLIC_EXPONENT, key_size=bits)
