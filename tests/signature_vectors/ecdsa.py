"""ECDSA by plain arithmetic: keys and signatures that no library would make.

RFC 7518 section 3.4, FIPS 186-5 section 6.
"""

import hashlib
from functools import cache

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from tests.signature_vectors.suite import (
    DIGESTS,
    KID,
    Group,
    Json,
    base64url,
    randomness,
    signing_input,
    write_suite,
)

Point = tuple[int, int] | None
"""In affine coordinates; None for the point at infinity."""


class Curve:
    """One of the curves y² = x³ - 3x + b."""

    def __init__(self, name: str, kind: ec.EllipticCurve, p: int, digest: str) -> None:
        self.name, self.kind, self.p, self.digest = name, kind, p, digest
        self.n = kind.group_order
        numbers = ec.derive_private_key(1, kind).public_key().public_numbers()
        self.base = (numbers.x, numbers.y)
        self.b = (numbers.y**2 - numbers.x**3 + 3 * numbers.x) % p
        self.width = -(-p.bit_length() // 8)
        assert self.times(self.n, self.base) is None

    def add(self, a: Point, b: Point) -> Point:
        """Add two points."""
        if a is None or b is None:
            return a or b
        if a[0] == b[0]:
            if (a[1] + b[1]) % self.p == 0:
                return None
            slope = 3 * (a[0] ** 2 - 1) * pow(2 * a[1], -1, self.p)
        else:
            slope = (b[1] - a[1]) * pow(b[0] - a[0], -1, self.p)
        x = (slope * slope - a[0] - b[0]) % self.p
        return x, (slope * (a[0] - x) - a[1]) % self.p

    def times(self, factor: int, point: Point) -> Point:
        """Multiply a point."""
        total: Point = None
        while factor:
            if factor & 1:
                total = self.add(total, point)
            point = self.add(point, point)
            factor >>= 1
        return total

    def hashed(self, message: bytes, digest: str = "") -> int:
        """Hash a message to a number, cut to the length of the order."""
        octets = hashlib.new(digest or self.digest, message).digest()
        return int.from_bytes(octets) >> max(0, 8 * len(octets) - self.n.bit_length())

    def point_at(self, x: int) -> Point:
        """Find a point with this x, if there is one."""
        square = (x**3 - 3 * x + self.b) % self.p
        y = pow(square, (self.p + 1) // 4, self.p)  # p = 3 mod 4
        return (x, y) if y * y % self.p == square else None

    def raw(self, r: int, s: int, width: int = 0) -> bytes:
        """Write a signature (RFC 7518 section 3.4)."""
        return r.to_bytes(width or self.width) + s.to_bytes(width or self.width)


CURVES = {
    "ES256": lambda: Curve("P-256", ec.SECP256R1(), 2**256 - 2**224 + 2**192 + 2**96 - 1, "sha256"),
    "ES384": lambda: Curve("P-384", ec.SECP384R1(), 2**384 - 2**128 - 2**96 + 2**32 - 1, "sha384"),
    "ES512": lambda: Curve("P-521", ec.SECP521R1(), 2**521 - 1, "sha512"),
}


@cache
def curve_of(alg: str) -> Curve:
    """Return the curve of an algorithm."""
    return CURVES[alg]()


def secret_of(alg: str, label: str) -> int:
    """Make a private key or a nonce from a label."""
    return randomness(f"{alg} {label}").randrange(1, curve_of(alg).n)


def sign(alg: str, message: bytes, d: int, digest: str = "", k: int = 0) -> tuple[int, int]:
    """Sign, with a nonce that follows from the message unless it is given."""
    curve = curve_of(alg)
    k = k or secret_of(alg, f"nonce {d} {digest} {message.hex()}")
    point = curve.times(k, curve.base)
    assert point is not None
    r = point[0] % curve.n
    return r, pow(k, -1, curve.n) * (curve.hashed(message, digest) + r * d) % curve.n


def jwk_of(alg: str, point: Point, kid: str = KID) -> Json:
    """Write a public key."""
    curve = curve_of(alg)
    assert point is not None
    x, y = (base64url(each.to_bytes(curve.width)) for each in point)
    return {"kty": "EC", "crv": curve.name, "alg": alg, "kid": kid, "x": x, "y": y}


def _group(alg: str, point: Point) -> Group:
    curve = curve_of(alg)
    assert point is not None
    head = {
        "type": "EcdsaP1363Verify",
        "publicKey": {
            "type": "EcPublicKey",
            "curve": curve.kind.name,
            "keySize": curve.kind.key_size,
            "wx": f"{point[0]:x}",
            "wy": f"{point[1]:x}",
        },
        "publicKeyJwk": jwk_of(alg, point),
        "sha": f"SHA-{alg[2:]}",
    }
    return Group(head, signing_input(alg))


def suite(alg: str) -> Json:
    """Make the suite of an algorithm."""
    curve = curve_of(alg)
    d = secret_of(alg, "key")
    group = _group(alg, curve.times(d, curve.base))
    r, s = sign(alg, group.message, d)
    other = sign(alg, signing_input(alg, jti="token-2"), d)
    group.add_damaged(curve.raw(r, s), curve.raw(*other))
    group.add("of another key", curve.raw(*sign(alg, group.message, d + 1)), "WrongKey")
    for digest in DIGESTS:
        if digest != curve.digest:
            altered = curve.raw(*sign(alg, group.message, d, digest))
            group.add(f"with {digest}", altered, "WrongHash")
    group.add("with -s for s", curve.raw(r, curve.n - s), "Malleable", result="valid")
    _add_numbers(group, curve, r, s)
    _add_widths(group, curve, r, s)
    # u1·G + u2·Q is the point at infinity, whatever s is: r = -e/d.
    r = -curve.hashed(group.message) * pow(d, -1, curve.n) % curve.n
    group.add("with which the point is at infinity", curve.raw(r, 1), "EdgeCase")
    group.add("with which the point is at infinity, s too", curve.raw(r, r), "EdgeCase")
    groups = [group, *_large_x(alg), *_chosen_s(alg)]
    return write_suite("ECDSA", "ecdsa_p1363_verify_schema_v1.json", groups, _NOTES)


_NOTES = {
    "Malleable": "RFC 7518 section 3.4 asks for no low s: of r and s, -s mod n is as good.",
    "OutOfRange": "r and s are in 1 to n - 1.",
    "Encoding": "RFC 7518 section 3.4: both numbers in the width of the order, and no DER.",
    "EdgeCase": "Numbers at which arithmetic goes wrong easily.",
}


def _add_numbers(group: Group, curve: Curve, r: int, s: int) -> None:
    n, p = curve.n, curve.p
    largest = (1 << 8 * curve.width) - 1
    odd = {"0": 0, "1": 1, "n - 1": n - 1, "n": n, "n + 1": n + 1, "p": p, "the largest": largest}
    for comment, number in odd.items():
        flag = "EdgeCase" if 0 < number < n else "OutOfRange"
        group.add(f"r is {comment}", curve.raw(number, s), flag)
        group.add(f"s is {comment}", curve.raw(r, number), flag)
        for second, value in odd.items():
            group.add(f"r is {comment}, s is {second}", curve.raw(number, value), flag)
    for comment, pair in (
        ("r + n", (r + n, s)),
        ("s + n", (r, s + n)),
        ("n - r", (n - r, s)),
        ("r and s exchanged", (s, r)),
    ):
        if max(pair) <= largest:
            group.add(comment, curve.raw(*pair), "OutOfRange" if max(pair) >= n else "EdgeCase")


def _add_widths(group: Group, curve: Curve, r: int, s: int) -> None:
    group.add("in DER", encode_dss_signature(r, s), "Encoding")
    for name, width in (("P-256", 32), ("P-384", 48), ("P-521", 66), ("one octet more", 0)):
        width = width or curve.width + 1
        if width > curve.width:
            group.add(f"in the width of {name}", curve.raw(r, s, width), "Encoding", "WrongLength")
    text = f"{r:x}{s:x}".encode()
    group.add("in hexadecimal", text, "Encoding", "WrongLength")
    order = r.to_bytes(curve.width, "little") + s.to_bytes(curve.width, "little")
    group.add("the octets of both in reverse", order, "Encoding")


def _large_x(alg: str) -> list[Group]:
    """The x of k·G is beyond the order, so that r is x - n: the key follows from the signature."""
    curve, message = curve_of(alg), signing_input(alg)
    x = next(x for x in range(curve.n, curve.p) if x != curve.n and curve.point_at(x))
    point, r, s = curve.point_at(x), x - curve.n, secret_of(alg, "large x")
    inverse = pow(r, -1, curve.n)
    rest = curve.times(-curve.hashed(message) * inverse % curve.n, curve.base)
    group = _group(alg, curve.add(curve.times(s * inverse % curve.n, point), rest))
    group.add("x of the point is beyond the order", curve.raw(r, s), "EdgeCase", result="valid")
    group.add("r is that x itself", curve.raw(x, s), "OutOfRange")
    group.add("r is one more", curve.raw(r + 1, s), "EdgeCase")
    return [group]


def _chosen_s(alg: str) -> list[Group]:
    """s is chosen, and the key follows from it: the first and the last value, and a short one."""
    curve, message = curve_of(alg), signing_input(alg)
    k = secret_of(alg, "chosen s")
    point = curve.times(k, curve.base)
    assert point is not None
    r = point[0] % curve.n
    groups = []
    for comment, s in (("1", 1), ("n - 1", curve.n - 1), ("short", 1 << 64)):
        d = (s * k - curve.hashed(message)) * pow(r, -1, curve.n) % curve.n
        group = _group(alg, curve.times(d, curve.base))
        group.add(f"s is {comment}", curve.raw(r, s), "EdgeCase", result="valid")
        group.add(f"s is {comment}, one more", curve.raw(r, s + 1), "EdgeCase")
        if comment == "short":
            short = r.to_bytes(curve.width) + s.to_bytes(9)
            group.add("s without its leading zeros", short, "Encoding", "WrongLength")
        groups.append(group)
    return groups
