"""HS256, which clients authenticate with (client_secret_jwt): tags of assertions."""

import hashlib
import hmac

from tests.signature_vectors.suite import NOW, Group, Json, base64url, write_json, write_suite

ISSUER = "https://auth.example"
SECRET = "wws_" + "k" * 43
"""As `tests.support` has issuer and secret; the tests compare them."""
_NOTES = {
    "Truncated": "RFC 7518 section 3.2: a tag is as long as the digest.",
    "WrongAlgorithm": "Another MAC, or the digest of key and message in another order.",
}


def _signing_input(jti: str) -> bytes:
    header = write_json({"alg": "HS256", "typ": "client-authentication+jwt"})
    said = {"iss": "svc-a", "sub": "svc-a", "aud": ISSUER, "iat": NOW, "exp": NOW + 60, "jti": jti}
    return f"{base64url(header)}.{base64url(write_json(said))}".encode()


def suite() -> Json:
    """Make the suite."""
    key = SECRET.encode()
    group = Group({"type": "MacTest", "keySize": 8 * len(key), "tagSize": 256, "key": key.hex()})
    group.message = _signing_input("1")

    def tag(message: bytes, key: bytes = key, digest: str = "sha256") -> bytes:
        return hmac.digest(key, message, digest)

    good = tag(group.message)
    group.add_damaged(good, tag(_signing_input("2")))
    for octets in (4, 8, 10, 12, 20):
        group.add(f"its first {octets} octets", good[:octets], "Truncated", "WrongLength")
    for comment, other in (
        ("the empty key", b""),
        ("a zero octet", b"\0"),
        ("the key in lower case", key.lower() + b""),
        ("the key without its prefix", key[4:]),
        ("the key with a line feed", key + b"\n"),
        ("the digest of the key", hashlib.sha256(key).digest()),
    ):
        if other != key:
            group.add(f"with {comment}", tag(group.message, other), "WrongKey")
    # HMAC fills the key with zeros: with one more, it is the same key.
    group.add(
        "with the key and a zero octet", tag(group.message, key + b"\0"), "Valid", result="valid"
    )
    for digest in ("sha1", "sha384", "sha512"):
        group.add(f"with {digest}", tag(group.message, digest=digest), "WrongHash")
        cut = tag(group.message, digest=digest)[:32]
        group.add(f"with {digest}, as long as the right one", cut, "WrongHash")
    for comment, text in (
        ("key then message", key + group.message),
        ("message then key", group.message + key),
        ("the message alone", group.message),
    ):
        group.add(f"the digest of {comment}", hashlib.sha256(text).digest(), "WrongAlgorithm")
    group.add("in hexadecimal", good.hex().encode(), "WrongLength")
    return write_suite("HMACSHA256", "mac_test_schema_v1.json", [group], _NOTES)
