"""Ed25519 by plain arithmetic, with points of small order and numbers beyond the order.

RFC 8032 section 5.1.
"""

import hashlib

from tests.signature_vectors.suite import (
    KID,
    Group,
    Json,
    base64url,
    randomness,
    signing_input,
    write_suite,
)

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121_665 * pow(121_666, -1, P) % P
Point = tuple[int, int]
NEUTRAL: Point = (0, 1)


def add(a: Point, b: Point) -> Point:
    """Add two points."""
    product = D * a[0] * b[0] * a[1] * b[1]
    x = (a[0] * b[1] + b[0] * a[1]) * pow(1 + product, -1, P)
    y = (a[1] * b[1] + a[0] * b[0]) * pow(1 - product, -1, P)
    return x % P, y % P


def times(factor: int, point: Point) -> Point:
    """Multiply a point."""
    total = NEUTRAL
    while factor:
        if factor & 1:
            total = add(total, point)
        point = add(point, point)
        factor >>= 1
    return total


def point_at(y: int, sign: int = 0) -> Point | None:
    """Find the point with this y and this lowest bit of x (section 5.1.3)."""
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if (x * x - square) % P:
        return None
    return (P - x if x & 1 != sign else x) % P, y


def encode(point: Point) -> bytes:
    """Encode a point (section 5.1.2)."""
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")


def _base() -> Point:
    found = point_at(4 * pow(5, -1, P) % P)
    assert found is not None
    assert times(L, found) == NEUTRAL
    return found


BASE = _base()


def _torsion() -> list[Point]:
    """Return the eight points of small order."""
    y = 2
    while True:
        found = point_at(y)
        if found is not None:
            small = times(L, found)
            if times(4, small) != NEUTRAL:
                return [times(count, small) for count in range(8)]
        y += 1


class EdKey:
    """A key pair (section 5.1.5)."""

    def __init__(self, label: str) -> None:
        expanded = hashlib.sha512(randomness(f"Ed25519 {label}").randbytes(32)).digest()
        self.prefix = expanded[32:]
        clamped = int.from_bytes(expanded[:32], "little") & (1 << 254) - 8 | 1 << 254
        self.scalar = clamped
        self.public = encode(times(clamped, BASE))

    def sign(self, message: bytes, dom: bytes = b"", shift: Point = NEUTRAL) -> bytes:
        """Sign (section 5.1.6).

        Args:
            message: what is signed.
            dom: what is hashed in front (section 5.1): nothing for Ed25519.
            shift: is added to R.
        """
        r = int.from_bytes(hashlib.sha512(dom + self.prefix + message).digest(), "little") % L
        return self._finish(r, encode(add(times(r, BASE), shift)), message, dom)

    def finish(self, message: bytes, encoded: bytes) -> bytes:
        """Sign with an R that has no part in the group of the base point."""
        return self._finish(0, encoded, message, b"")

    def _finish(self, r: int, encoded: bytes, message: bytes, dom: bytes) -> bytes:
        hashed = hashlib.sha512(dom + encoded + self.public + message).digest()
        s = (r + int.from_bytes(hashed, "little") * self.scalar) % L
        return encoded + s.to_bytes(32, "little")


def jwk_of(alg: str, public: bytes, kid: str = KID) -> Json:
    """Write a public key."""
    return {"kty": "OKP", "crv": "Ed25519", "alg": alg, "kid": kid, "x": base64url(public)}


def _group(alg: str, public: bytes) -> Group:
    head = {
        "type": "EddsaVerify",
        "publicKey": {"type": "EDDSAPublicKey", "curve": "edwards25519", "pk": public.hex()},
        "publicKeyJwk": jwk_of(alg, public),
    }
    return Group(head, signing_input(alg))


_NOTES = {
    "SignatureMalleability": "Section 5.1.7: S is below L, or a signature has several forms.",
    "SmallOrder": "A point of small order: as a key it is in everybody's hands, and as R it takes"
    " away what is random.",
    "NonCanonical": "Section 5.1.3: y is below p, so that a point has one encoding.",
    "OtherScheme": "Sections 5.1 and 5.2: another scheme signs with another prefix.",
    "Cofactor": "Section 5.1.7: a verifier may multiply by the cofactor, and need not.",
}


def suite(alg: str) -> Json:
    """Make the suite under one of the two names."""
    key = EdKey("key")
    group = _group(alg, key.public)
    good, message = key.sign(group.message), group.message
    group.add_damaged(good, key.sign(signing_input(alg, jti="token-2")))
    group.add("of another key", EdKey("another").sign(message), "WrongKey")
    _add_numbers(group, good)
    _add_schemes(group, key)
    small = _torsion()
    for order, point in enumerate(small[1:], 1):
        comment = f"with point {order} of small order added to R"
        group.add(comment, key.sign(message, shift=point), "Cofactor", result="acceptable")
    for order, point in enumerate(small):
        comment = f"R is point {order} of small order"
        result = "acceptable" if order else "valid"
        group.add(comment, key.finish(message, encode(point)), "SmallOrder", result=result)
        group.add(f"{comment}, S is 0", encode(point) + bytes(32), "SmallOrder")
    for y in (P, P + 1, 2**255 - 1):
        for sign in (0, 1):
            encoded = (y | sign << 255).to_bytes(32, "little")
            comment = f"R has y = p + {y - P} and sign {sign}"
            group.add(comment, key.finish(message, encoded), "NonCanonical")
    return write_suite(
        "EDDSA", "eddsa_verify_schema_v1.json", [group, *_weak_keys(alg, small)], _NOTES
    )


def _add_numbers(group: Group, good: bytes) -> None:
    s = int.from_bytes(good[32:], "little")
    for factor in (1, 2, 3, 7, 14):
        altered = s + factor * L
        if altered < 1 << 256:
            encoded = good[:32] + altered.to_bytes(32, "little")
            group.add(f"S + {factor}·L", encoded, "SignatureMalleability")
    for comment, number in (
        ("0", 0),
        ("1", 1),
        ("L - 1", L - 1),
        ("L", L),
        ("L + 1", L + 1),
        ("L - S", L - s),
        ("2^252", 1 << 252),
        ("2^255 - 1", (1 << 255) - 1),
        ("2^256 - 1", (1 << 256) - 1),
    ):
        flag = "Modified" if number < L else "SignatureMalleability"
        group.add(f"S is {comment}", good[:32] + number.to_bytes(32, "little"), flag)
    for bit in (253, 254, 255):
        encoded = good[:32] + (s | 1 << bit).to_bytes(32, "little")
        group.add(f"S with bit {bit} set", encoded, "SignatureMalleability")
    group.add("S in the other order of octets", good[:32] + good[:31:-1], "Modified")
    group.add("R and S exchanged", good[32:] + good[:32], "Modified")
    group.add("R with the other sign", good[:31] + bytes([good[31] ^ 0x80]) + good[32:], "Modified")


def _add_schemes(group: Group, key: EdKey) -> None:
    start = b"SigEd25519 no Ed25519 collisions"
    hashed = hashlib.sha512(group.message).digest()
    for comment, message, dom in (
        ("Ed25519ph", hashed, start + b"\1\0"),
        ("Ed25519ph with a context", hashed, start + b"\1\4text"),
        ("Ed25519ctx", group.message, start + b"\0\4text"),
        ("of the digest", hashed, b""),
    ):
        group.add(comment, key.sign(message, dom), "OtherScheme")


def _weak_keys(alg: str, small: list[Point]) -> list[Group]:
    """Keys with which anybody signs: every point of small order, in each of its encodings."""
    encodings = {encode(point) for point in small}
    for y in (0, 1, P - 1, P, P + 1):
        encodings |= {(y | sign << 255).to_bytes(32, "little") for sign in (0, 1)}
    groups = []
    for public in sorted(encodings):
        group = _group(alg, public)
        for order, point in enumerate(small):
            comment = f"R is point {order} of small order, S is 0"
            group.add(comment, encode(point) + bytes(32), "SmallOrder")
        groups.append(group)
    return groups
