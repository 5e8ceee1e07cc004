"""Private keys for tests: made once a process, at random, never read from a file."""

from functools import cache

from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from keys.key_types import algorithm, generate_private_key


def private_key(alg: str, n: int = 0) -> PrivateKeyTypes:
    """Return the n-th key of this process for an algorithm; RSA algorithms share their keys.

    Raises:
        UnknownAlgorithm: the table does not have it.
    """
    return _generated("RS256" if algorithm(alg).kty == "RSA" else alg, n)


@cache
def _generated(alg: str, n: int) -> PrivateKeyTypes:
    return generate_private_key(alg)
