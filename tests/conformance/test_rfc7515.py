"""RFC 7515, 7520 and 7797 vectors: read as published, judged as an access-token validator must."""

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import mldsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from keys.encoding import decode_base64url, encode_base64url
from keys.errors import InvalidJws
from keys.jwk import PublicJwk, parse_public_jwk, public_jwk
from keys.jwks import JwkSet
from keys.jws import parse_compact
from keys.key_types import ALGORITHMS, verifier
from resource_api import InvalidToken, ResourcePolicy, verify
from tests.support.keys import public_key_of

VECTORS = Path(__file__).resolve().parent.parent / "vectors"


def load(name: str) -> list[dict[str, Any]]:
    """Read the vectors of one file."""
    return json.loads((VECTORS / f"{name}.json").read_text())["vectors"]


PUBLISHED = load("rfc7515-appendix-a") + load("rfc7520-jws")
COMPACT = [vector for vector in PUBLISHED if "compact" in vector]


def signed() -> list[tuple[str, dict[str, Any], str]]:
    """Give algorithm, public JWK and JWS of every vector that an algorithm of ours signed."""
    found = [(v["alg"], v["jwk"], v["compact"]) for v in COMPACT if v["alg"] in ALGORITHMS]
    found += [("EdDSA", v["public_jwk"], v["compact"]) for v in load("rfc8037-ed25519")]
    found += [(v["alg"], v["private_jwk"], v["compact"]) for v in load("rfc9964-ml-dsa-44")]
    return found + [("ES256", v["header"]["jwk"], v["compact"]) for v in load("rfc9449-dpop")]


SIGNED = signed()


def read(jwk: dict[str, Any], alg: str) -> PublicJwk:
    """Read the public key of a vector, for its algorithm."""
    public = {name: value for name, value in jwk.items() if name != "priv"}
    return parse_public_jwk({"kid": "k", **public, "alg": alg})


@pytest.mark.rfc("7515-5.2-1", "9068-2.1-1", "7518-3-1", "8037-2-1", "9964-1", "9964-2")
@pytest.mark.parametrize(("alg", "jwk", "compact"), SIGNED, ids=[alg for alg, *_ in SIGNED])
def test_published_signatures_verify(alg: str, jwk: dict[str, Any], compact: str) -> None:
    """The published signatures are good over the bytes as published, under that name alone."""
    jws, key = parse_compact(compact), read(jwk, alg).key
    assert verifier(alg).verify(jws.signing_input, key, jws.signature)
    assert not verifier(alg).verify(jws.signing_input + b"x", key, jws.signature)
    assert not verifier(alg).verify(jws.signing_input, public_key_of(alg).key, jws.signature)


def test_the_printed_ed25519_key_signs_as_printed() -> None:
    """RFC 8037 A.4: the scheme is deterministic, so the signature comes out to the last bit."""
    (vector,) = load("rfc8037-ed25519")
    key = Ed25519PrivateKey.from_private_bytes(decode_base64url(vector["private_jwk"]["d"]))
    signing_input, _, signature = vector["compact"].rpartition(".")
    for alg in ("EdDSA", "Ed25519"):
        assert encode_base64url(verifier(alg).sign(signing_input.encode(), key)) == signature
    assert public_jwk(key, "Ed25519").kid == vector["sha256_thumbprint"]


@pytest.mark.rfc("9964-1")
def test_the_printed_seed_gives_the_printed_ml_dsa_key() -> None:
    """RFC 9964: `priv` is the seed of 32 octets."""
    (vector,) = load("rfc9964-ml-dsa-44")
    jwk = vector["private_jwk"]
    key = mldsa.MLDSA44PrivateKey.from_seed_bytes(decode_base64url(jwk["priv"]))
    assert public_jwk(key, "ML-DSA-44").members()["pub"] == jwk["pub"]
    assert public_jwk(key, "ML-DSA-44").kid == jwk["kid"]


@pytest.mark.rfc("8725-3.12-1", "none-1")
@pytest.mark.parametrize("compact", [v["compact"] for v in COMPACT] + [c for *_, c in SIGNED])
def test_no_vector_is_an_access_token(compact: str) -> None:
    """Well-signed or not, none of them is an access token of anybody."""
    keys = JwkSet(keys=tuple(read(jwk, alg) for alg, jwk, _ in SIGNED))
    policy = ResourcePolicy(
        issuer="https://joe.example",
        resource="https://api.example",
        algorithms=tuple(ALGORITHMS),
    )
    with pytest.raises(InvalidToken):
        verify(compact.encode(), keys, policy, now=1_300_819_370)


@pytest.mark.rfc("7797-7-1")
@pytest.mark.parametrize("vector", load("rfc7797-b64-false"))
def test_unencoded_payload_is_refused(vector: dict[str, Any]) -> None:
    """The `b64: false` vector is refused, detached and with its payload in place."""
    detached = vector["detached_compact"]
    attached = detached.replace("..", f".{vector['payload_utf8']}.")
    for token in (detached, attached):
        with pytest.raises(InvalidJws):
            parse_compact(token)
