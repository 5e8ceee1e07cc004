"""What all suites share: the messages, the form of the files, and seeded randomness."""

import base64
import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

SOURCE = {"name": "tests/signature_vectors", "version": "1"}
KID = "vector"
DIGESTS = ("sha1", "sha256", "sha384", "sha512")
# What `watchword.testing.forge` has for the good token; the tests compare them.
ISSUER, RESOURCE, NOW = "https://as.example", "https://api.example", 1_800_000_000


def randomness(label: str) -> random.Random:
    """Return the source of one purpose; the same label gives the same numbers."""
    return random.Random(f"signature vectors 1, {label}")


def base64url(data: bytes) -> str:
    """Encode without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def write_json(members: Mapping[str, object]) -> bytes:
    """Write compact JSON."""
    return json.dumps(members, separators=(",", ":")).encode()


def claims(**changed: object) -> Json:
    """Give the claims of an access token with which nothing is wrong (RFC 9068 section 2.2)."""
    good = {"iss": ISSUER, "sub": "svc-a", "client_id": "svc-a", "aud": RESOURCE}
    return good | {"iat": NOW, "exp": NOW + 300, "jti": "token-1", **changed}


def signing_input(alg: str, **changed: object) -> bytes:
    """Give the message: the signing input of that access token, so that a validator reads it."""
    header = write_json({"alg": alg, "typ": "at+jwt", "kid": KID})
    return f"{base64url(header)}.{base64url(write_json(claims(**changed)))}".encode()


@dataclass(slots=True)
class Group:
    """Tests with one key.

    Args:
        head: the members of the group beside its tests.
        message: what is signed in most of its tests.
    """

    head: Json
    message: bytes = b""
    tests: list[Json] = field(default_factory=list)

    def add(
        self,
        comment: str,
        signature: bytes,
        *flags: str,
        result: str = "invalid",
        message: bytes | None = None,
    ) -> None:
        """Add a test of a signature."""
        signed = self.message if message is None else message
        self.tests.append(
            {
                "comment": comment,
                "flags": list(flags),
                "msg": signed.hex(),
                "sig": signature.hex(),
                "result": result,
            }
        )

    def add_damaged(self, good: bytes, other: bytes) -> None:
        """Add what is wrong with a signature whatever the algorithm is.

        Args:
            good: the right signature.
            other: the right signature of another message.
        """
        self.add("the signature itself", good, "Valid", result="valid")
        self.add("of another message", other, "WrongMessage")
        self.add("with another message", good, "WrongMessage", message=self.message + b"A")
        self.add("empty", b"", "WrongLength")
        self.add("one octet", good[:1], "WrongLength")
        self.add("without its last octet", good[:-1], "WrongLength")
        self.add("without its first octet", good[1:], "WrongLength")
        self.add("half of it", good[: len(good) // 2], "WrongLength")
        self.add("with a zero octet behind it", good + b"\0", "WrongLength")
        self.add("with a zero octet before it", b"\0" + good, "WrongLength")
        self.add("twice", good + good, "WrongLength")
        self.add("all zero", bytes(len(good)), "Modified")
        self.add("all ones", b"\xff" * len(good), "Modified")
        self.add("its octets in reverse", good[::-1], "Modified")
        for place in (0, len(good) // 2 - 1, len(good) // 2, len(good) - 1):
            for bit in (0, 7):
                altered = bytearray(good)
                altered[place] ^= 1 << bit
                self.add(f"with bit {bit} of octet {place} changed", bytes(altered), "Modified")


NOTES = {
    "Valid": "A signature as its standard has it.",
    "WrongMessage": "The signature is of another message.",
    "WrongLength": "A signature has one length (RFC 7518 section 3, RFC 8032 section 5.1.6).",
    "Modified": "A signature with other bits.",
    "WrongKey": "Signed with another key.",
    "WrongHash": "Signed with another digest.",
}


def write_suite(algorithm: str, schema: str, groups: list[Group], notes: Mapping[str, str]) -> Json:
    """Write a file: tests get their numbers here."""
    number = 0
    written = []
    used: set[str] = set()
    for group in groups:
        tests = []
        for each in group.tests:
            number += 1
            used |= set(each["flags"])
            tests.append({"tcId": number, **each})
        written.append({**group.head, "source": SOURCE, "tests": tests})
    known = NOTES | dict(notes)
    return {
        "algorithm": algorithm,
        "schema": schema,
        "numberOfTests": number,
        "header": ["Written by scripts/vectors, in the form of the files of Project Wycheproof."],
        "notes": {name: {"description": known[name]} for name in sorted(used)},
        "testGroups": written,
    }
