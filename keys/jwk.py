"""Own public JWKs (RFC 7517 §4, RFC 7518 §6.3): strict parse, and an allow-list on the way out.

Pure. A ``PublicJwk`` is bound to one algorithm and strong enough for it; nothing else can exist.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.rsa import (
    RSAPrivateKey,
    RSAPublicKey,
    RSAPublicNumbers,
)

from keys import base64url
from keys.algorithms import ALGORITHMS, Algorithm, algorithm
from keys.errors import InvalidJwk, UnknownAlgorithm
from keys.thumbprint import thumbprint
from keys.weak_rsa import find_weakness

# RFC 7518 §6.2.2, §6.3.2, §6.4 and RFC 9964: what a public key must never carry.
PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"})

# Verification time grows with both: bounds on what a foreign set may make us compute.
MAXIMUM_RSA_BITS = 8192
MAXIMUM_RSA_EXPONENT_OCTETS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicJwk:
    """A signature verification key, bound to one algorithm (RFC 8725 §3.1)."""

    kid: str
    alg: str
    kty: str
    key: RSAPublicKey

    def __hash__(self) -> int:
        """Hash by name, for the key object itself cannot be hashed."""
        return hash((self.kid, self.alg))

    @property
    def bits(self) -> int:
        """Return the size of the modulus."""
        return self.key.key_size

    def members(self) -> dict[str, str]:
        """Return what may be published: an allow-list, so that nothing private can slip in."""
        return {
            "kty": self.kty,
            "use": "sig",
            "alg": self.alg,
            "kid": self.kid,
            **_rsa_members(self.key),
        }


def public_jwk(key: RSAPrivateKey | RSAPublicKey, alg: str) -> PublicJwk:
    """Build the JWK of a key of ours; its ``kid`` is the RFC 7638 thumbprint.

    Raises:
        UnknownAlgorithm: if ``alg`` is not in the table.
        InvalidJwk: if the key is too small for the algorithm (RFC 7518 §3.3) or of a weak kind.
    """
    public = key.public_key() if isinstance(key, RSAPrivateKey) else key
    entry = algorithm(alg)
    _check_strength(public, entry)
    kid = thumbprint({"kty": entry.kty, **_rsa_members(public)})
    return PublicJwk(kid=kid, alg=alg, kty=entry.kty, key=public)


def parse_public_jwk(members: Mapping[str, object]) -> PublicJwk:
    """Read a JWK that is to verify signatures.

    A JWK without ``alg`` is bound to the first algorithm of its key type in the table, for one key
    serves one algorithm (RFC 8725 §3.1). Unknown members are ignored (RFC 7517 §4), and so is one
    that is null: writers of JSON put it where there is no value.

    Raises:
        InvalidJwk: if the key is private, symmetric, not meant for verification, malformed, or
            weaker than its algorithm asks for.
    """
    members = {name: value for name, value in members.items() if value is not None}
    if PRIVATE_MEMBERS & members.keys():
        raise InvalidJwk("JWK holds private members")
    _check_purpose(members)
    kid = members.get("kid")
    if not isinstance(kid, str) or not kid:
        raise InvalidJwk("JWK has no kid")  # RFC 7517 §4.5 leaves it open; our selection needs it
    entry = _bound_algorithm(members)
    key = _parse_rsa(members)
    _check_strength(key, entry)
    return PublicJwk(kid=kid, alg=entry.name, kty=entry.kty, key=key)


def _check_purpose(members: Mapping[str, object]) -> None:
    """RFC 7517 §4.2, §4.3: ``use`` and ``key_ops``, when present, must allow verification."""
    if "use" in members and members["use"] != "sig":
        raise InvalidJwk("JWK use is not sig")
    if "key_ops" in members:
        operations = members["key_ops"]
        if not isinstance(operations, list) or "verify" not in operations:
            raise InvalidJwk("JWK key_ops does not contain verify")


def _bound_algorithm(members: Mapping[str, object]) -> Algorithm:
    kty = members.get("kty")
    alg = members.get("alg")
    if "alg" not in members:
        for entry in ALGORITHMS.values():
            if entry.kty == kty:
                return entry
        raise InvalidJwk("JWK kty fits no algorithm of ours")
    if not isinstance(alg, str):
        raise InvalidJwk("JWK alg is not a string")
    try:
        entry = algorithm(alg)
    except UnknownAlgorithm as error:
        raise InvalidJwk("JWK alg is not one of ours") from error
    if entry.kty != kty:
        raise InvalidJwk("JWK kty does not fit its alg")
    return entry


def _parse_rsa(members: Mapping[str, object]) -> RSAPublicKey:
    exponent = _unsigned(members, "e", maximum_octets=MAXIMUM_RSA_EXPONENT_OCTETS)
    modulus = _unsigned(members, "n", maximum_octets=MAXIMUM_RSA_BITS // 8)
    if modulus % 2 == 0:
        raise InvalidJwk("JWK modulus is even")
    try:
        return RSAPublicNumbers(exponent, modulus).public_key()
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
        octets = base64url.decode(value)
    except ValueError as error:
        raise InvalidJwk(f"JWK member {name} is not base64url") from error
    octets = octets.removeprefix(b"\0")
    if not octets or octets[0] == 0 or len(octets) > maximum_octets:
        raise InvalidJwk(f"JWK member {name} is empty, too long or has leading zeros")
    return int.from_bytes(octets, "big")


def _check_strength(key: RSAPublicKey, entry: Algorithm) -> None:
    if key.key_size < entry.minimum_bits:
        raise InvalidJwk(
            f"key of {key.key_size} bits is too weak for {entry.name}, "
            f"which needs {entry.minimum_bits}"
        )
    numbers = key.public_numbers()
    if (weakness := find_weakness(numbers.n, numbers.e)) is not None:
        raise InvalidJwk(f"key is too weak: {weakness}")


def _rsa_members(key: RSAPublicKey) -> dict[str, str]:
    numbers = key.public_numbers()
    return {"n": _encode_unsigned(numbers.n), "e": _encode_unsigned(numbers.e)}


def _encode_unsigned(value: int) -> str:
    return base64url.encode(value.to_bytes((value.bit_length() + 7) // 8, "big"))
