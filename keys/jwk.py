"""Parse and write public JWKs (RFC 7517 §4) and their thumbprints (RFC 7638).

Pure. A ``PublicJwk`` is bound to one algorithm and strong enough for it; nothing else can exist.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes

from keys.encoding import decode_base64url, encode_base64url
from keys.errors import InvalidJwk, UnknownAlgorithm
from keys.key_types import ALGORITHMS, CURVE_OCTETS, KEY_TYPES, Algorithm, algorithm

# RFC 7518 §6.2.2, §6.3.2, §6.4 and RFC 9964: what a public key must never carry.
PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"})

# RFC 7638 §3.2, RFC 8037 §2, RFC 9964: the required members by key type, in lexicographic order.
REQUIRED_MEMBERS: Mapping[str, tuple[str, ...]] = {
    "RSA": ("e", "kty", "n"),
    "EC": ("crv", "kty", "x", "y"),
    "OKP": ("crv", "kty", "x"),
    "AKP": ("alg", "kty", "pub"),
}

_OCTET_STRINGS = frozenset({"e", "n", "x", "y", "pub"})

PUBLISHED_TEST_KEYS = {
    "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs": "RFC 7517 A.2 and RFC 7638 §3.1",
    "IsUn6_e04MaShXFIISMp4kG62LWzMIPy_MvSA5pJgX8": "RFC 7515 A.2",
    "9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI": "RFC 7520 §3.4",
    "cn-I_WNMClehiVp51i_0VpOENW1upEerA8sEam5hn-s": "RFC 7517 A.2",
    "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U": "RFC 7515 A.3",
    "DOvxvJiAdIqVWIkFt5hDtCunXLF0BV4-JGv4f-ALSm0": "RFC 6979 A.2.5",
    "l2tfkSzhekdOr24I18E1O_-49AlK14MTo7OxJMS7-HI": "RFC 6979 A.2.6",
    "YEV1EIv9vYLGY_GThCEOLkeymqP0eeXUU7MmlJhqgGA": "RFC 6979 A.2.7",
    "dHri3SADZkrush5HU_50AoRhcKFryN-PI6jPBtPL55M": "RFC 7520 §3.2",
    "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k": "RFC 8037 A.1 and RFC 8032 §7.1",
    "FtIu-VbGrfe_KB6CH7GNwODB72MNxj_ml11dEvO-7kk": "RFC 8032 §7.1",
    "FVV5umTuau890q59V-4Ga_R6qWb7ON_ivJc4EjvCwTM": "RFC 8032 §7.1",
    "lZI1vM7tnlYapaF5-cy86ptx0tT_8Av721hhiNB5ti4": "RFC 8032 §7.1",
    "iiDHHfFVNG6ICMUTsicgrWf1igtFYZEK73xlobt1ah4": "RFC 8032 §7.1",
    "T4xl70S7MT6Zeq6r9V9fPJGVn76wfnXJ21-gyo0Gu6o": "RFC 9964 for ML-DSA-44",
    "Suiu29qbfuaBaR4Ats-c6XQBePB_OpAxAwcTR_0KXVM": "RFC 9964 for ML-DSA-65",
    "tRn1JNIkgMsABVQBlXeDHxAIcclh-2IX0UdDEzPt5XU": "RFC 9964 for ML-DSA-87",
}
"""Thumbprints of key pairs whose private key is printed in an RFC; such a key is refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicJwk:
    """A signature verification key, bound to one algorithm (RFC 8725 §3.1)."""

    kid: str
    alg: str
    kty: str
    key: PublicKeyTypes

    def __hash__(self) -> int:
        """Hash by name, for the key object itself cannot be hashed."""
        return hash((self.kid, self.alg))

    @property
    def bits(self) -> int:
        """Return the size of the key."""
        return KEY_TYPES[self.kty].bits(self.key)

    def members(self) -> dict[str, str]:
        """Return what may be published: an allow-list, so that nothing private can slip in."""
        return {
            "kty": self.kty,
            "use": "sig",
            "alg": self.alg,
            "kid": self.kid,
            **KEY_TYPES[self.kty].members(self.key),
        }


def public_jwk(key: PrivateKeyTypes | PublicKeyTypes, alg: str) -> PublicJwk:
    """Build the JWK of one of our keys; its ``kid`` is the RFC 7638 thumbprint.

    Raises:
        UnknownAlgorithm: if ``alg`` is not in the table.
        InvalidJwk: if the key is of another type than the algorithm asks for, too small for it
            (RFC 7518 §3.3) or of a weak kind.
    """
    entry = algorithm(alg)
    key_type = KEY_TYPES[entry.kty]
    public = key.public_key() if isinstance(key, key_type.private) else key
    if not isinstance(public, key_type.public):
        raise InvalidJwk(f"key is not an {entry.kty} key, which {alg} needs")
    key_type.check(public, entry)
    kid = thumbprint({"kty": entry.kty, "alg": alg, **key_type.members(public)})
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
    # RFC 7517 §9.2: private and symmetric keys must not be disclosed. One that was is no longer
    # secret, and `k` would let its readers sign.
    if PRIVATE_MEMBERS & members.keys():
        raise InvalidJwk("JWK holds private members")
    _check_purpose(members)
    kid = members.get("kid")
    if not isinstance(kid, str) or not kid:
        raise InvalidJwk("JWK has no kid")  # RFC 7517 §4.5 leaves it open; our selection needs it
    entry = _bound_algorithm(members)
    try:
        key = KEY_TYPES[entry.kty].parse(members)
    except UnsupportedAlgorithm as error:
        raise InvalidJwk(f"the OpenSSL of this installation has no {entry.name}") from error
    KEY_TYPES[entry.kty].check(key, entry)
    return PublicJwk(kid=kid, alg=entry.name, kty=entry.kty, key=key)


def thumbprint(members: Mapping[str, object]) -> str:
    """Compute the SHA-256 thumbprint of a public or private JWK, base64url encoded.

    Args:
        members: the JWK; members that the thumbprint does not cover are ignored.

    Raises:
        InvalidJwk: if a covered member is missing or not in its one canonical form, for two forms
            of one key would give two thumbprints (RFC 7638 §3, §7).
    """
    kty = members.get("kty")
    required = REQUIRED_MEMBERS.get(kty) if isinstance(kty, str) else None
    # RFC 7638 §7: never `oct`, whose thumbprint would be a hash of the secret.
    if required is None:
        raise InvalidJwk("a thumbprint needs a kty of " + ", ".join(REQUIRED_MEMBERS))
    covered = {name: _canonical(name, members) for name in required}
    # RFC 7638 §3.3: no whitespace, names in lexicographic order, UTF-8.
    text = json.dumps(covered, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
    return encode_base64url(hashlib.sha256(text.encode()).digest())


def _check_purpose(members: Mapping[str, object]) -> None:
    # RFC 7517 §4.2, §4.3: `use` and `key_ops`, when present, must allow verification.
    if "use" in members and members["use"] != "sig":
        raise InvalidJwk("JWK use is not sig")
    if "key_ops" in members:
        operations = members["key_ops"]
        if not isinstance(operations, list) or "verify" not in operations:
            raise InvalidJwk("JWK key_ops does not contain verify")


def _bound_algorithm(members: Mapping[str, object]) -> Algorithm:
    kty = members.get("kty")
    alg = members.get("alg")
    # RFC 7517 §4.4: `alg` is optional. RFC 8725 §3.1: a key is used with one algorithm only.
    if "alg" not in members:
        crv = members.get("crv")
        for entry in ALGORITHMS.values():
            if entry.kty == kty and entry.curve in (None, crv):
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


def _canonical(name: str, members: Mapping[str, object]) -> str:
    """Return one covered member after checking that it has its one canonical form."""
    value = members.get(name)
    if not isinstance(value, str) or not value.isascii() or not value:
        raise InvalidJwk(f"JWK member {name} is missing or not a plain string")
    if name in _OCTET_STRINGS:
        _check_octets(name, value, members)
    return value


def _check_octets(name: str, value: str, members: Mapping[str, object]) -> None:
    try:
        octets = decode_base64url(value)
    except ValueError as error:
        raise InvalidJwk(f"JWK member {name} is not base64url") from error
    # RFC 7518 §2, Base64urlUInt: the minimum number of octets.
    if name in ("e", "n") and octets[0] == 0:
        raise InvalidJwk(f"JWK member {name} has leading zero octets")
    if members["kty"] == "EC" and len(octets) != CURVE_OCTETS.get(str(members.get("crv"))):
        raise InvalidJwk(f"JWK member {name} does not have the width of its curve")
