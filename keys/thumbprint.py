"""Own the JWK thumbprint (RFC 7638), which is the ``kid`` of every key of ours.

Pure. Covers RSA, EC (RFC 7638 §3.2), OKP (RFC 8037 §2) and AKP (RFC 9964); never ``oct``, whose
thumbprint would be a hash of the secret (RFC 7638 §7).
"""

import hashlib
import json
from collections.abc import Mapping

from keys import base64url
from keys.errors import InvalidJwk

# RFC 7638 §3.2, RFC 8037 §2, RFC 9964: the required members by key type, in lexicographic order.
REQUIRED_MEMBERS: Mapping[str, tuple[str, ...]] = {
    "RSA": ("e", "kty", "n"),
    "EC": ("crv", "kty", "x", "y"),
    "OKP": ("crv", "kty", "x"),
    "AKP": ("alg", "kty", "pub"),
}

# RFC 7518 §6.2.1.2: a coordinate has the full width of the field, leading zeros included.
_COORDINATE_OCTETS = {"P-256": 32, "P-384": 48, "P-521": 66}
_OCTET_STRINGS = frozenset({"e", "n", "x", "y", "pub"})


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
    if required is None:
        raise InvalidJwk("a thumbprint needs a kty of " + ", ".join(REQUIRED_MEMBERS))
    covered = {name: _canonical(name, members) for name in required}
    # RFC 7638 §3.3: no whitespace, names in lexicographic order, UTF-8.
    text = json.dumps(covered, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
    return base64url.encode(hashlib.sha256(text.encode()).digest())


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
        octets = base64url.decode(value)
    except ValueError as error:
        raise InvalidJwk(f"JWK member {name} is not base64url") from error
    # RFC 7518 §2, Base64urlUInt: the minimum number of octets.
    if name in ("e", "n") and octets[0] == 0:
        raise InvalidJwk(f"JWK member {name} has leading zero octets")
    if members["kty"] == "EC" and len(octets) != _COORDINATE_OCTETS.get(str(members.get("crv"))):
        raise InvalidJwk(f"JWK member {name} does not have the width of its curve")
