"""Signature algorithms and key types, as closed tables.

RFC 7517 §4.1, RFC 7518 §3.1 and §6, RFC 8037 §2, RFC 9864 §2.2, RFC 9964. What is not in a table
does not exist: no ``none``, no HMAC, no way to add either at run time (RFC 8725 §3.1). Pure but for
`generate_private_key`, whose randomness is the operating system's: making a key is the one thing
that an API could do with this table beyond verifying. What reads, stores or uses a private key is
in the private half of the package.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any, Protocol

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes
from jwt import get_algorithm_by_name

from keys.encoding import decode_base64url, encode_base64url
from keys.errors import InvalidJwk, UnknownAlgorithm
from keys.weak_keys import find_ed25519_weakness, find_rsa_weakness


@dataclass(frozen=True, slots=True, kw_only=True)
class Algorithm:
    """One signature algorithm and what it asks of a key."""

    name: str
    """The JWS ``alg`` value, case-sensitive (RFC 7515 §4.1.1)."""
    kty: str
    """The JWK key type that it needs (RFC 7517 §4.1)."""
    curve: str | None = None
    """The JWK ``crv`` that it needs, of a type that has curves (RFC 7518 §3.4, RFC 9864 §2.2)."""


_ROWS = (
    *(Algorithm(name=name, kty="RSA") for name in ("RS256", "RS384", "RS512")),
    *(Algorithm(name=name, kty="RSA") for name in ("PS256", "PS384", "PS512")),
    Algorithm(name="ES256", kty="EC", curve="P-256"),
    Algorithm(name="ES384", kty="EC", curve="P-384"),
    Algorithm(name="ES512", kty="EC", curve="P-521"),
    # RFC 9864 §2.2: two names of one scheme. A key is bound to one of them, as to any algorithm.
    Algorithm(name="EdDSA", kty="OKP", curve="Ed25519"),
    Algorithm(name="Ed25519", kty="OKP", curve="Ed25519"),
    *(Algorithm(name=name, kty="AKP") for name in ("ML-DSA-44", "ML-DSA-65", "ML-DSA-87")),
)

ALGORITHMS: Mapping[str, Algorithm] = MappingProxyType({row.name: row for row in _ROWS})
"""The algorithms by name. A JWK without ``alg`` is bound to the first one that its key fits."""


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


class SignatureScheme(Protocol):
    """The arithmetic of one algorithm."""

    def sign(self, msg: bytes, key: Any, /) -> bytes:  # noqa: ANN401
        """Return the raw JWS signature of a private key."""
        ...

    def verify(self, msg: bytes, key: Any, sig: bytes, /) -> bool:  # noqa: ANN401
        """Tell whether a public key made this signature; a malformed one may raise instead."""
        ...


@cache  # asked for with every token; names that are not in the table are not kept
def verifier(name: str) -> SignatureScheme:
    """Return the object that does the arithmetic of a table entry: PyJWT's, where it has one.

    PyJWT's own table is wider than ours, hence the look-up in ours first.

    Raises:
        UnknownAlgorithm: if our table does not hold exactly this name.
    """
    entry = algorithm(name)
    return KEY_TYPES[entry.kty].scheme(entry)


# Verification time grows with both: bounds on what a foreign set may make us compute.
MAXIMUM_RSA_BITS = 8192
MAXIMUM_RSA_EXPONENT_OCTETS = 4

_MINIMUM_RSA_BITS = 2048  # RFC 7518 §3.3 and §3.5
_PUBLIC_EXPONENT = 65_537


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyType:
    """One JWK key type. Its functions take the keys of ``public`` and ``private`` and no others."""

    public: tuple[type[PublicKeyTypes], ...]
    private: tuple[type[PrivateKeyTypes], ...]
    """What a PKCS#8 PEM block of this type holds."""
    parse: Callable[[Mapping[str, object]], PublicKeyTypes]
    """Read the public members of a JWK, or raise InvalidJwk."""
    members: Callable[[Any], dict[str, str]]
    """Write the public members, beside ``kty`` and ``alg``."""
    check: Callable[[Any, Algorithm], None]
    """Raise InvalidJwk if a key is too weak for an algorithm, or another one's."""
    bits: Callable[[Any], int]
    generate: Callable[[Algorithm, int], PrivateKeyTypes]
    """Make a private key, of one of ``sizes`` if there are any."""
    sizes: tuple[int, ...] = ()
    """The sizes that can be chosen, in bits, the usual one first; none if the algorithm sets it."""
    scheme: Callable[[Algorithm], SignatureScheme]


def generate_private_key(alg: str, *, bits: int | None = None) -> PrivateKeyTypes:
    """Make a new private key for an algorithm, and for no other (RFC 8725 §3.1).

    Args:
        alg: the algorithm.
        bits: the size, of an RSA key; None for the usual one.

    Raises:
        UnknownAlgorithm: if ``alg`` is not in the table, or OpenSSL does not have it here.
        ValueError: if the algorithm has no key of so many bits.
    """
    entry = algorithm(alg)
    key_type = KEY_TYPES[entry.kty]
    if bits is not None and bits not in key_type.sizes:
        sizes = ", ".join(map(str, key_type.sizes))
        raise ValueError(f"a key for {alg} has {sizes or 'one size, which cannot be chosen'}")
    try:
        return key_type.generate(entry, bits or next(iter(key_type.sizes), 0))
    except UnsupportedAlgorithm:
        raise UnknownAlgorithm(
            f"the OpenSSL of this installation has no {alg}; install `cryptography` from PyPI"
        ) from None


# RSA -----------------------------------------------------------------------------------------


class _Rsa:
    """PyJWT's arithmetic, and the width of a signature."""

    def __init__(self, entry: Algorithm) -> None:
        scheme: SignatureScheme = get_algorithm_by_name(entry.name)
        self.sign, self._verify = scheme.sign, scheme.verify

    def verify(self, msg: bytes, key: rsa.RSAPublicKey, sig: bytes, /) -> bool:
        # RFC 8017 §8.1.2, §8.2.2, step 1. OpenSSL takes a PSS signature without a leading zero.
        return len(sig) == -(-key.key_size // 8) and self._verify(msg, key, sig)


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
    octets = _octets(members, name).removeprefix(b"\0")
    if not octets or octets[0] == 0 or len(octets) > maximum_octets:
        raise InvalidJwk(f"JWK member {name} is empty, too long or has leading zeros")
    return int.from_bytes(octets, "big")


def _octets(members: Mapping[str, object], name: str) -> bytes:
    value = members.get(name)
    if not isinstance(value, str):
        raise InvalidJwk(f"JWK member {name} is missing or not a string")
    try:
        return decode_base64url(value)
    except ValueError as error:
        raise InvalidJwk(f"JWK member {name} is not base64url") from error


def _rsa_members(key: rsa.RSAPublicKey) -> dict[str, str]:
    numbers = key.public_numbers()
    return {
        name: encode_base64url(value.to_bytes((value.bit_length() + 7) // 8, "big"))
        for name, value in (("n", numbers.n), ("e", numbers.e))
    }


def _check_rsa(key: rsa.RSAPublicKey, entry: Algorithm) -> None:
    if key.key_size < _MINIMUM_RSA_BITS:
        raise InvalidJwk(
            f"key of {key.key_size} bits is too weak for {entry.name}, "
            f"which needs {_MINIMUM_RSA_BITS}"
        )
    numbers = key.public_numbers()
    if (weakness := find_rsa_weakness(numbers.n, numbers.e)) is not None:
        raise InvalidJwk(f"key is too weak: {weakness}")


# EC -------------------------------------------------------------------------------------------

_CURVES: Mapping[str, ec.EllipticCurve] = {
    "P-256": ec.SECP256R1(),
    "P-384": ec.SECP384R1(),
    "P-521": ec.SECP521R1(),
}
CURVE_OCTETS = {crv: (curve.key_size + 7) // 8 for crv, curve in _CURVES.items()}
"""The width of a coordinate, leading zeros included (RFC 7518 §6.2.1.2)."""


def _parse_ec(members: Mapping[str, object]) -> ec.EllipticCurvePublicKey:
    crv = members.get("crv")
    curve = _CURVES.get(crv) if isinstance(crv, str) else None
    if not isinstance(crv, str) or curve is None:
        raise InvalidJwk("JWK crv is not a curve of ours")
    x, y = _octets(members, "x"), _octets(members, "y")
    if not len(x) == len(y) == CURVE_OCTETS[crv]:
        raise InvalidJwk("JWK coordinates do not have the width of their curve")
    numbers = ec.EllipticCurvePublicNumbers(int.from_bytes(x), int.from_bytes(y), curve)
    try:
        key = numbers.public_key()
    except ValueError as error:
        raise InvalidJwk("JWK is not a point of its curve") from error
    # OpenSSL takes x + p for x, for which P-521 leaves room: a second form of the same key.
    if key.public_numbers() != numbers:
        raise InvalidJwk("JWK is not a point of its curve")
    return key


def _ec_members(key: ec.EllipticCurvePublicKey) -> dict[str, str]:
    numbers = key.public_numbers()
    crv = _crv_of(key)
    width = CURVE_OCTETS[crv]
    return {
        "crv": crv,
        "x": encode_base64url(numbers.x.to_bytes(width)),
        "y": encode_base64url(numbers.y.to_bytes(width)),
    }


def _crv_of(key: ec.EllipticCurvePublicKey) -> str:
    for crv, curve in _CURVES.items():
        if key.curve.name == curve.name:
            return crv
    raise InvalidJwk("key is on no curve of ours")


def _check_ec(key: ec.EllipticCurvePublicKey, entry: Algorithm) -> None:
    if _crv_of(key) != entry.curve:
        raise InvalidJwk(f"key is not on the curve {entry.curve}, which {entry.name} needs")


# OKP ------------------------------------------------------------------------------------------


def _parse_okp(members: Mapping[str, object]) -> ed25519.Ed25519PublicKey:
    # RFC 9864 §2.2: of the curves that `EdDSA` may stand for, this one.
    if members.get("crv") != "Ed25519":
        raise InvalidJwk("JWK crv is not Ed25519")
    try:
        return ed25519.Ed25519PublicKey.from_public_bytes(_octets(members, "x"))
    except ValueError as error:
        raise InvalidJwk("JWK member x does not have 32 octets") from error


def _okp_members(key: ed25519.Ed25519PublicKey) -> dict[str, str]:
    return {"crv": "Ed25519", "x": encode_base64url(key.public_bytes_raw())}


def _check_okp(key: ed25519.Ed25519PublicKey, _: Algorithm) -> None:
    if (weakness := find_ed25519_weakness(key.public_bytes_raw())) is not None:
        raise InvalidJwk(f"key is too weak: {weakness}")


# AKP ------------------------------------------------------------------------------------------

_MlDsaPublicKey = mldsa.MLDSA44PublicKey | mldsa.MLDSA65PublicKey | mldsa.MLDSA87PublicKey
_MlDsaPrivateKey = mldsa.MLDSA44PrivateKey | mldsa.MLDSA65PrivateKey | mldsa.MLDSA87PrivateKey
_ML_DSA_PUBLIC: Mapping[str, type[_MlDsaPublicKey]] = {
    "ML-DSA-44": mldsa.MLDSA44PublicKey,
    "ML-DSA-65": mldsa.MLDSA65PublicKey,
    "ML-DSA-87": mldsa.MLDSA87PublicKey,
}
_ML_DSA_PRIVATE: Mapping[str, type[_MlDsaPrivateKey]] = {
    "ML-DSA-44": mldsa.MLDSA44PrivateKey,
    "ML-DSA-65": mldsa.MLDSA65PrivateKey,
    "ML-DSA-87": mldsa.MLDSA87PrivateKey,
}
_SEED_OF_MATRIX = 32  # FIPS 204 §7.2: a public key is this seed, then the vector t1


class _MlDsa:
    """Pure ML-DSA with an empty context (RFC 9964 §4), which PyJWT does not have."""

    def sign(self, msg: bytes, key: _MlDsaPrivateKey, /) -> bytes:
        return key.sign(msg)

    def verify(self, msg: bytes, key: _MlDsaPublicKey, sig: bytes, /) -> bool:
        try:
            key.verify(sig, msg)
        except InvalidSignature:
            return False
        return True


def _parse_akp(members: Mapping[str, object]) -> PublicKeyTypes:
    # RFC 9964 §3: `alg` is REQUIRED, for it alone says what the octets are.
    alg = members.get("alg")
    kind = _ML_DSA_PUBLIC.get(alg) if isinstance(alg, str) else None
    if kind is None:
        raise InvalidJwk("JWK of kty AKP has no alg of ours")
    try:
        return kind.from_public_bytes(_octets(members, "pub"))
    except ValueError as error:
        raise InvalidJwk(f"JWK member pub does not have the length of {alg}") from error


def _check_akp(key: _MlDsaPublicKey, entry: Algorithm) -> None:
    if not isinstance(key, _ML_DSA_PUBLIC[entry.name]):
        raise InvalidJwk(f"key is not of the parameter set {entry.name}")
    # Well-formed, but with t1 = 0 the secret is no part of what a verifier computes.
    if not any(key.public_bytes_raw()[_SEED_OF_MATRIX:]):
        raise InvalidJwk("key is too weak: its vector is zero")


KEY_TYPES: Mapping[str, KeyType] = MappingProxyType(
    {
        "RSA": KeyType(
            public=(rsa.RSAPublicKey,),
            private=(rsa.RSAPrivateKey,),
            parse=_parse_rsa,
            members=_rsa_members,
            check=_check_rsa,
            bits=lambda key: key.key_size,
            generate=lambda _, bits: rsa.generate_private_key(_PUBLIC_EXPONENT, bits),
            sizes=(2048, 3072, 4096),
            scheme=_Rsa,
        ),
        "EC": KeyType(
            public=(ec.EllipticCurvePublicKey,),
            private=(ec.EllipticCurvePrivateKey,),
            parse=_parse_ec,
            members=_ec_members,
            check=_check_ec,
            bits=lambda key: key.key_size,
            generate=lambda entry, _: ec.generate_private_key(_CURVES[str(entry.curve)]),
            scheme=lambda entry: get_algorithm_by_name(entry.name),
        ),
        "OKP": KeyType(
            public=(ed25519.Ed25519PublicKey,),
            private=(ed25519.Ed25519PrivateKey,),
            parse=_parse_okp,
            members=_okp_members,
            check=_check_okp,
            bits=lambda _: 256,
            generate=lambda *_: ed25519.Ed25519PrivateKey.generate(),
            scheme=lambda _: get_algorithm_by_name("EdDSA"),
        ),
        "AKP": KeyType(
            public=tuple(_ML_DSA_PUBLIC.values()),
            private=tuple(_ML_DSA_PRIVATE.values()),
            parse=_parse_akp,
            members=lambda key: {"pub": encode_base64url(key.public_bytes_raw())},
            check=_check_akp,
            bits=lambda key: len(key.public_bytes_raw()) * 8,
            generate=lambda entry, _: _ML_DSA_PRIVATE[entry.name].generate(),
            scheme=lambda _: _MlDsa(),
        ),
    }
)
"""The key types by ``kty``; what is not in the table does not exist."""
