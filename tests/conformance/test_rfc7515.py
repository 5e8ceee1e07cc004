"""RFC 7515, 7520 and 7797 vectors: read as published, judged as an access-token validator must."""

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers

from keys.encoding import decode_base64url
from keys.errors import InvalidJws
from keys.jwk import public_jwk
from keys.jwks import JwkSet
from keys.jws import parse_compact
from keys.key_types import verifier
from resource_api import InvalidToken, ResourcePolicy, verify

VECTORS = Path(__file__).resolve().parent.parent / "vectors"


def load(name: str) -> list[dict[str, Any]]:
    """Read the vectors of one file."""
    return json.loads((VECTORS / f"{name}.json").read_text())["vectors"]


PUBLISHED = load("rfc7515-appendix-a") + load("rfc7520-jws")
RS256 = [vector for vector in PUBLISHED if vector["alg"] == "RS256" and "compact" in vector]


def rsa_jwk(members: dict[str, str]) -> Any:
    """Read the key of a vector."""
    numbers = [int.from_bytes(decode_base64url(members[name])) for name in ("e", "n")]
    return public_jwk(RSAPublicNumbers(*numbers).public_key(), "RS256")


@pytest.mark.rfc("7515-5.2-1", "9068-2.1-1")
@pytest.mark.parametrize("vector", RS256, ids=lambda vector: vector["id"])
def test_rs256_signatures_verify(vector: dict[str, Any]) -> None:
    """The published signatures are good over the bytes as published."""
    jws = parse_compact(vector["compact"])
    key = rsa_jwk(vector["jwk"]).key
    assert verifier("RS256").verify(jws.signing_input, key, jws.signature)
    assert not verifier("RS256").verify(jws.signing_input + b"x", key, jws.signature)


@pytest.mark.rfc("8725-3.12-1", "none-1")
@pytest.mark.parametrize(
    "vector", [vector for vector in PUBLISHED if "compact" in vector], ids=lambda v: v["id"]
)
def test_no_vector_is_an_access_token(vector: dict[str, Any]) -> None:
    """Well-signed or not, none of them is an access token of anybody."""
    rsa = vector.get("jwk", {}).get("kty") == "RSA"
    keys = JwkSet(keys=(rsa_jwk(vector["jwk"]),) if rsa else ())
    policy = ResourcePolicy(issuer="https://joe.example", resource="https://api.example")
    with pytest.raises(InvalidToken):
        verify(vector["compact"].encode(), keys, policy, now=1_300_819_370)


@pytest.mark.rfc("7797-7-1")
@pytest.mark.parametrize("vector", load("rfc7797-b64-false"))
def test_unencoded_payload_is_refused(vector: dict[str, Any]) -> None:
    """The `b64: false` vector is refused, detached and with its payload in place."""
    detached = vector["detached_compact"]
    attached = detached.replace("..", f".{vector['payload_utf8']}.")
    for token in (detached, attached):
        with pytest.raises(InvalidJws):
            parse_compact(token)
