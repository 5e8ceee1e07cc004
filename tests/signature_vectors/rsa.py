"""RSA by plain arithmetic: keys, EMSA-PKCS1-v1_5 and EMSA-PSS with every part of them to choose.

RFC 8017 sections 5.2, 8, 9.
"""

import hashlib
from dataclasses import dataclass
from functools import cache
from math import gcd

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

_SMALL_PRIMES = [n for n in range(3, 2000) if all(n % d for d in range(2, int(n**0.5) + 1))]
# RFC 8017 section 9.2, note 1: DER of the algorithm identifier, with its NULL.
_IDENTIFIERS = {"sha256": 1, "sha384": 2, "sha512": 3}


@dataclass(frozen=True, slots=True)
class RsaKey:
    """A key pair."""

    n: int
    e: int
    d: int
    p: int
    q: int

    @property
    def octets(self) -> int:
        """The length of the modulus."""
        return -(-self.n.bit_length() // 8)

    def sign(self, block: bytes) -> bytes:
        """Apply the private key to an encoded message (section 5.2.1)."""
        value, p, q = int.from_bytes(block), self.p, self.q
        a, b = pow(value, self.d % (p - 1), p), pow(value, self.d % (q - 1), q)
        return (b + q * ((a - b) * pow(q, -1, p) % p)).to_bytes(self.octets)

    def head(self, alg: str, kind: str, **more: object) -> Json:
        """Write the group's part about the key."""
        jwk = {
            "kty": "RSA",
            "alg": alg,
            "kid": KID,
            "n": base64url(self.n.to_bytes(self.octets)),
            "e": base64url(self.e.to_bytes(-(-self.e.bit_length() // 8))),
        }
        return {
            "type": kind,
            "publicKey": {"modulus": f"{self.n:x}", "publicExponent": f"{self.e:x}"},
            "publicKeyJwk": jwk,
            "keySize": self.n.bit_length(),
            "sha": f"SHA-{alg[2:]}",
            **more,
        }


@cache
def make_key(label: str, bits: int = 2048, e: int = 65_537) -> RsaKey:
    """Make a key pair from a label."""
    source = randomness(f"RSA {label}")

    def prime(size: int) -> int:
        while True:
            candidate = source.getrandbits(size) | 1 | 3 << size - 2
            if gcd(candidate - 1, e) == 1 and _is_prime(candidate):
                return candidate

    while True:
        p, q = prime(bits - bits // 2), prime(bits // 2)
        if p != q and (p * q).bit_length() == bits:
            return RsaKey(p * q, e, pow(e, -1, (p - 1) * (q - 1)), p, q)


def _is_prime(number: int) -> bool:
    if any(number % each == 0 for each in _SMALL_PRIMES):
        return False
    twos = (number - 1 & -(number - 1)).bit_length() - 1
    for base in (2, 3, 5, 7, 11, 13, 17, 19):
        x = pow(base, number - 1 >> twos, number)
        if x not in (1, number - 1):
            for _ in range(twos - 1):
                x = x * x % number
                if x == number - 1:
                    break
            else:
                return False
    return True


def digest_info(name: str, digest: bytes) -> bytes:
    """Write a DigestInfo (section 9.2)."""
    identifier = bytes.fromhex("300d06096086480165030402") + bytes([_IDENTIFIERS[name]]) + b"\5\0"
    inner = identifier + b"\4" + bytes([len(digest)]) + digest
    return b"\x30" + bytes([len(inner)]) + inner


def pkcs1(octets: int, info: bytes, *, start: bytes = b"\0\1", fill: bytes = b"\xff") -> bytes:
    """Encode with these parts (section 9.2)."""
    return start + fill * (octets - len(start) - 1 - len(info)) + b"\0" + info


def mask(seed: bytes, length: int, name: str) -> bytes:
    """Generate a mask (MGF1, section B.2.1)."""
    blocks = (
        hashlib.new(name, seed + count.to_bytes(4)).digest() for count in range(length // 20 + 1)
    )
    return b"".join(blocks)[:length]


def pss(
    key: RsaKey,
    message: bytes,
    name: str,
    *,
    salt: bytes,
    mgf: str = "",
    trailer: bytes = b"\xbc",
    separator: bytes = b"\1",
    filled: bool = False,
    top_bits: bool = False,
) -> bytes:
    """Encode with these parts (section 9.1.1).

    Args:
        key: whose modulus sets the length.
        message: what is signed.
        name: the digest.
        salt: of any length.
        mgf: the digest of the mask; the same if left out.
        trailer: the last octet.
        separator: what stands between the padding and the salt.
        filled: put an octet that is not zero into the padding.
        top_bits: leave the bits set that are beyond the length.
    """
    bits = key.n.bit_length() - 1
    octets = -(-bits // 8)
    digest = hashlib.new(name, message).digest()
    hashed = hashlib.new(name, bytes(8) + digest + salt).digest()
    padding = bytearray(octets - len(salt) - len(hashed) - 2)
    if filled:
        padding[len(padding) // 2] = 1
    block = bytes(padding) + separator + salt
    masked = bytearray(
        a ^ b for a, b in zip(block, mask(hashed, len(block), mgf or name), strict=True)
    )
    spare = 8 * octets - bits
    masked[0] &= 0xFF >> spare
    if top_bits:
        masked[0] |= 0x100 - (0x100 >> spare) & 0xFF
    return bytes(masked) + hashed + trailer


def _numbers(group: Group, key: RsaKey, good: bytes, foreign: bytes) -> None:
    """Add what is wrong with the number, whatever the padding (section 5.2.2)."""
    value = int.from_bytes(good)
    group.add("of another key", foreign, "WrongKey")
    for comment, number in (
        ("0", 0),
        ("1", 1),
        ("n - 1", key.n - 1),
        ("n", key.n),
        ("n + 1", key.n + 1),
        ("the largest number of this length", (1 << 8 * key.octets) - 1),
        ("n - s", key.n - value),
        ("s + n", value + key.n),
    ):
        if number < 1 << 8 * key.octets:
            group.add(f"the number {comment}", number.to_bytes(key.octets), "OutOfRange")
    longer = (value + key.n).to_bytes(key.octets + 1)
    group.add("the number s + n in one more octet", longer, "OutOfRange", "WrongLength")


def _with_leading_zero(alg: str, sign: "Signer") -> tuple[bytes, bytes]:
    """Find a message whose signature begins with a zero octet."""
    for count in range(10_000):
        message = signing_input(alg, jti=f"token-{count}")
        if (signature := sign(message))[0] == 0:
            return message, signature
    raise AssertionError("every second one has it")


class Signer:
    """Signs with one key."""

    def __init__(self, key: RsaKey, name: str, *, salted: bool) -> None:
        self.key, self.name, self._salted = key, name, salted

    def __call__(self, message: bytes) -> bytes:
        """Return the right signature, with a salt that follows from the message."""
        digest = hashlib.new(self.name, message).digest()
        if not self._salted:
            return self.key.sign(pkcs1(self.key.octets, digest_info(self.name, digest)))
        salt = hashlib.new(self.name, b"salt" + message).digest()
        return self.key.sign(pss(self.key, message, self.name, salt=salt))


def _group(alg: str, kind: str, key: RsaKey, sign: Signer, **head: object) -> Group:
    group = Group(key.head(alg, kind, **head), signing_input(alg))
    good = sign(group.message)
    group.add_damaged(good, sign(signing_input(alg, jti="token-2")))
    other = Signer(make_key("another"), sign.name, salted=sign._salted)
    _numbers(group, key, good, other(group.message).rjust(key.octets, b"\0")[-key.octets :])
    if key.n.bit_length() % 8 == 1:  # every second signature has it
        message, padded = _with_leading_zero(alg, sign)
        group.add("beginning with a zero octet", padded, "Valid", result="valid", message=message)
        group.add("without its leading zero octet", padded[1:], "WrongLength", message=message)
    return group


_NOTES = {
    "OutOfRange": "Section 5.2.2: a signature is a number below the modulus.",
    "Padding": "Section 8.2.2: the encoded message is compared whole, not parsed (CVE-2006-4339).",
    "Forged": "Made without the private key: with e = 3 a cube root, if what follows is not read.",
    "Parameters": "RFC 7518 section 3.5: a salt as long as the digest, and MGF1 with the same.",
}


def pkcs1_suite(alg: str) -> Json:
    """Make the suite of an RSASSA-PKCS1-v1_5 algorithm."""
    name = f"sha{alg[2:]}"
    groups = []
    for label, bits, e in (("first", 2048, 65_537), ("odd", 2049, 65_537), ("three", 2048, 3)):
        key = make_key(label, bits, e)
        group = _group(alg, "RsassaPkcs1Verify", key, Signer(key, name, salted=False))
        groups.append(group)
        if label != "odd":
            _add_paddings(group, key, name)
    _add_forgeries(groups[-1], make_key("three", 2048, 3), name)
    return write_suite("RSASSA-PKCS1-v1_5", "rsassa_pkcs1_verify_schema_v1.json", groups, _NOTES)


def _add_paddings(group: Group, key: RsaKey, name: str) -> None:
    digest = hashlib.new(name, group.message).digest()
    info = digest_info(name, digest)
    without_null = bytes([0x30, len(info) - 4, 0x30, 11]) + info[4:15] + info[17:]
    wrong_null = info[:15] + b"\5\1" + info[17:]
    ber = b"\x30\x81" + info[1:]
    other = {"sha256": "sha384", "sha384": "sha512", "sha512": "sha256"}[name]
    for comment, block in (
        ("without the NULL", pkcs1(key.octets, without_null)),
        ("with a NULL that has a length", pkcs1(key.octets, wrong_null)),
        ("with a length in BER", pkcs1(key.octets, ber)),
        ("with garbage behind the digest", pkcs1(key.octets, info + b"garbage!")),
        ("with garbage in the DigestInfo", pkcs1(key.octets, _lengthened(info))),
        ("the digest alone", pkcs1(key.octets, digest)),
        ("the name of another digest", pkcs1(key.octets, _renamed(info, other))),
        ("a shorter digest", pkcs1(key.octets, digest_info(name, digest[:-1]))),
        ("block type 0", pkcs1(key.octets, info, start=b"\0\0", fill=b"\0")),
        ("block type 2", pkcs1(key.octets, info, start=b"\0\2")),
        ("a first octet that is not zero", pkcs1(key.octets, info, start=b"\1\1")),
        ("padding of zeros", pkcs1(key.octets, info, fill=b"\0")),
        ("padding of 0xFE", pkcs1(key.octets, info, fill=b"\xfe")),
        ("no padding", b"\0\1\0" + info + bytes(key.octets - 3 - len(info))),
        (
            "8 octets of padding",
            b"\0\1" + b"\xff" * 8 + b"\0" + info + bytes(key.octets - 11 - len(info)),
        ),
        (
            "no zero before the DigestInfo",
            pkcs1(key.octets - 1, info)[: -1 - len(info)] + b"\xff\xff" + info,
        ),
        ("as EMSA-PSS", pss(key, group.message, name, salt=digest)),
    ):
        value = int.from_bytes(block) % key.n
        group.add(comment, key.sign(value.to_bytes(key.octets)), "Padding")
    wrong = digest_info(other, hashlib.new(other, group.message).digest())
    group.add(f"with {other}", key.sign(pkcs1(key.octets, wrong)), "WrongHash")


def _lengthened(info: bytes) -> bytes:
    return bytes([0x30, info[1] + 4]) + info[2:] + b"\5\2\0\0"


def _renamed(info: bytes, other: str) -> bytes:
    return info[:14] + bytes([_IDENTIFIERS[other]]) + info[15:]


def _add_forgeries(group: Group, key: RsaKey, name: str) -> None:
    """Add Bleichenbacher's of 2006: a cube whose first octets are what a careless reader reads."""
    info = digest_info(name, hashlib.new(name, group.message).digest())
    for padding in (1, 8):
        head = b"\0\1" + b"\xff" * padding + b"\0" + info
        target = int.from_bytes(head + b"\xff" * (key.octets - len(head)))
        root = _cube_root(target)
        comment = f"a cube with {padding} octets of padding and garbage at the end"
        if (root**3).to_bytes(key.octets).startswith(head):  # else the digest is too long for it
            group.add(comment, root.to_bytes(key.octets), "Forged")


def _cube_root(number: int) -> int:
    low, high = 0, 1 << -(-number.bit_length() // 3) + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if middle**3 <= number else (low, middle)
    return low


def pss_suite(alg: str) -> Json:
    """Make the suite of an RSASSA-PSS algorithm."""
    name = f"sha{alg[2:]}"
    size = int(alg[2:]) // 8
    groups = []
    for label, bits in (("first", 2048), ("odd", 2049)):
        key = make_key(label, bits)
        head = {"mgf": "MGF1", "mgfSha": f"SHA-{alg[2:]}", "sLen": size}
        group = _group(alg, "RsassaPssVerify", key, Signer(key, name, salted=True), **head)
        groups.append(group)
        _add_parameters(group, key, name, size)
    return write_suite("RSASSA-PSS", "rsassa_pss_verify_schema_v1.json", groups, _NOTES)


def _add_parameters(group: Group, key: RsaKey, name: str, size: int) -> None:
    message = group.message
    salt = bytes(range(size))
    spare = (1 - key.n.bit_length()) % 8
    longest = key.octets - size - 2 - (spare == 0)
    for length in (0, 1, 20, size - 1, size + 1, longest):
        block = pss(key, message, name, salt=bytes(range(length)))
        group.add(f"with {length} octets of salt", key.sign(block), "Parameters")
    for other in DIGESTS:
        if other == name:
            continue
        masked = key.sign(pss(key, message, name, salt=salt, mgf=other))
        group.add(f"with MGF1 of {other}", masked, "Parameters")
        hashed = key.sign(pss(key, message, other, salt=salt, mgf=name))
        group.add(f"with {other} and MGF1 of {name}", hashed, "WrongHash")
        group.add(f"with {other}", key.sign(pss(key, message, other, salt=salt)), "WrongHash")
    for comment, block in (
        ("with another trailer", pss(key, message, name, salt=salt, trailer=b"\xcc")),
        ("with a zero trailer", pss(key, message, name, salt=salt, trailer=b"\0")),
        ("with another separator", pss(key, message, name, salt=salt, separator=b"\2")),
        ("without a separator", pss(key, message, name, salt=salt, separator=b"\0")),
        ("with padding that is not zero", pss(key, message, name, salt=salt, filled=True)),
        ("with bits beyond the length", pss(key, message, name, salt=salt, top_bits=True)),
    ):
        if int.from_bytes(block) < key.n and (spare or "beyond" not in comment):
            group.add(comment, key.sign(block), "Padding")
    digest = hashlib.new(name, message).digest()
    as_pkcs1 = key.sign(pkcs1(key.octets, digest_info(name, digest)))
    group.add("as EMSA-PKCS1-v1_5", as_pkcs1, "Padding")
