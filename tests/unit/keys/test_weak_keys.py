"""Keys that are well-formed and large, and that prove nothing."""

import json
from collections.abc import Callable
from math import isqrt, prod
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from issuer.registry.auth_methods import check_jwks
from issuer.registry.errors import InvalidValue
from keys import weak_keys
from keys.encoding import encode_base64url
from keys.errors import InvalidJwk, InvalidJwkSet, KeyStoreError
from keys.jwk import parse_public_jwk, public_jwk
from keys.jwks import parse_jwk_set
from keys.stores.key_file import load_private_key, parse_key_file, render_private_pem
from keys.weak_keys import find_rsa_weakness
from tests.support.keys import public_rsa_jwk, rsa_key, stored_key

VECTORS = json.loads(
    (Path(__file__).parents[2] / "vectors/wycheproof-json-web-key.json").read_text()
)["keys"]
CLOSE = (3 << 1022) + 1037  # a prime, found by a search, which takes seconds
# The first 126 primes, as the faulty library uses them for keys of 2048 bits.
_M = prod(n for n in range(2, 702) if all(n % d for d in range(2, isqrt(n) + 1)))


@pytest.fixture(autouse=True)
def tables_made_anew() -> None:
    """Have each test make the tables of primes, as a process does once."""
    weak_keys._product_of_primes.cache_clear()
    weak_keys._roca_remainders.cache_clear()


def is_prime(n: int) -> bool:
    """Test with a few bases; the numbers are ours, not an attacker's."""
    odd, twos = n - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    return all(
        (x := pow(base, odd, n)) in (1, n - 1)
        or any(pow(x, 2**power, n) == n - 1 for power in range(1, twos))
        for base in (2, 3, 5, 7, 11)
    )


def roca_prime(number: int) -> int:
    """Make a prime as the faulty library did, k·M + (65537^a mod M); not every number does."""
    k = (3 << 1022) // _M + number
    found = k * _M + pow(65_537, k, _M)
    assert is_prime(found)
    return found


def private_key(p: int, q: int, exponent: int = 65_537) -> rsa.RSAPrivateKey:
    """Make a private key of these primes."""
    d = pow(exponent, -1, (p - 1) * (q - 1))
    numbers = rsa.RSAPrivateNumbers(
        p, q, d, rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q),
        rsa.RSAPublicNumbers(exponent, p * q),
    )  # fmt: skip
    return numbers.private_key(unsafe_skip_rsa_key_validation=True)


def roca_key() -> rsa.RSAPrivateKey:
    """Make a key of the ROCA kind."""
    return private_key(roca_prime(106), roca_prime(10_060))


def close_key() -> rsa.RSAPrivateKey:
    """Make a key of two primes next to each other."""
    assert is_prime(CLOSE)
    assert is_prime(CLOSE + 660)
    return private_key(CLOSE, CLOSE + 660)


WEAK = [pytest.param(roca_key, "ROCA", id="roca"), pytest.param(close_key, "close", id="close")]


@pytest.mark.attack("V8")
@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["comment"])
def test_the_keys_of_wycheproof_are_judged_as_it_says(vector):
    """No exception is made."""
    if vector["result"] == "valid":
        assert parse_public_jwk(vector["jwk"]).kid == vector["jwk"]["kid"]
        return
    with pytest.raises(InvalidJwk):
        parse_public_jwk(vector["jwk"])


@pytest.mark.attack("V8")
@pytest.mark.parametrize(("make", "kind"), WEAK)
def test_a_weak_key_is_refused_wherever_it_comes_from(
    make: Callable[[], rsa.RSAPrivateKey], kind: str
):
    """As a signing key, in a fetched set, in a registration and in a key file."""
    weak = make()
    with pytest.raises(InvalidJwk, match=kind):
        public_jwk(weak, "RS256")
    members = public_rsa_jwk().members() | {"kid": "weak", "n": modulus(weak)}
    body = json.dumps({"keys": [members, public_rsa_jwk().members()]}).encode()
    assert parse_jwk_set(body).keys == (public_rsa_jwk(),)
    with pytest.raises(InvalidValue, match=kind):
        check_jwks({"keys": [members]})
    with pytest.raises(KeyStoreError, match="is not usable: key is too weak"):
        load_private_key(render_private_pem(weak), stored_key(), passphrase=None, name="k")
    facts = {"published_at": 1, "signs_from": 1, "jwk": members}
    text = b"Watchword-Key: " + json.dumps(facts).encode() + b"\n" + render_private_pem(weak)
    with pytest.raises(KeyStoreError, match="is not usable: key is too weak"):
        parse_key_file(text, name="k")


@pytest.mark.parametrize(
    ("n", "e", "kind"),
    [
        (lambda n: n, 1, "exponent"),
        (lambda n: n, 65_538, "exponent"),
        (lambda n: n + 1, 65_537, "small factor"),
        (lambda n: (n // 2039 // 2 * 2 + 1) * 2039, 65_537, "small factor"),
        (lambda _: 2 * CLOSE, 65_537, "small factor"),
        (lambda _: 3 * CLOSE, 65_537, "small factor"),
        (lambda _: CLOSE**2, 65_537, "close"),
        (lambda _: roca_prime(106) ** 2, 65_537, "ROCA"),
        (lambda n: isqrt(n) ** 2, 65_537, "weak"),
    ],
)
def test_other_weak_kinds_are_found(n: Callable[[int], int], e: int, kind: str):
    """Even, divisible by a small prime, a square: which of them is found first does not matter."""
    weakness = find_rsa_weakness(n(rsa_key().public_key().public_numbers().n), e)
    assert weakness is not None
    assert kind in weakness or kind == "weak"


@pytest.mark.parametrize("exponent", [3, 17, 65_537])
def test_good_keys_have_no_weakness(exponent: int):
    """Keys as OpenSSL makes them pass."""
    for number in range(3):
        numbers = rsa_key(number).public_key().public_numbers()
        assert find_rsa_weakness(numbers.n, exponent) is None


@pytest.mark.attack("V8")
def test_a_set_of_a_key_that_everybody_has_is_no_set():
    """What an RFC prints with its private half proves nothing."""
    vectors = Path(__file__).parents[2] / "vectors/rfc7638-thumbprints.json"
    printed = next(
        vector["jwk"] for vector in json.loads(vectors.read_text())["vectors"]
        if vector["jwk"]["kty"] == "RSA"
    )  # fmt: skip
    with pytest.raises(InvalidJwkSet, match="no usable key"):
        parse_jwk_set(json.dumps({"keys": [printed]}).encode())


def modulus(key: rsa.RSAPrivateKey) -> str:
    """Write the modulus as a JWK does."""
    n = key.public_key().public_numbers().n
    return encode_base64url(n.to_bytes((n.bit_length() + 7) // 8, "big"))
