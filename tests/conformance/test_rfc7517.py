"""JSON Web Key (RFC 7517), on its own example and on ours."""

import json
from pathlib import Path

import pytest

from keys.errors import InvalidJwk
from keys.jwk import parse_public_jwk
from keys.jwks import build_jwk_set, parse_jwk_set
from tests.support.keys import public_rsa_jwk

VECTORS = Path(__file__).parent.parent / "vectors"
JWS_EXAMPLES = json.loads((VECTORS / "rfc7520-jws.json").read_text())
# RFC 7517 A.1 prints the RSA key that RFC 7638 §3.1 takes the thumbprint of.
RSA_EXAMPLE = json.loads((VECTORS / "rfc7638-thumbprints.json").read_text())["vectors"][0]["jwk"]


@pytest.mark.rfc("7517-4-1")
def test_4_the_printed_rsa_key_is_read_to_the_last_bit():
    """The public members of RFC 7517 A.1 come back unchanged."""
    members = parse_public_jwk(RSA_EXAMPLE).members()

    assert members == {**RSA_EXAMPLE, "use": "sig"}


@pytest.mark.rfc("7517-4-1")
@pytest.mark.parametrize(
    "changes",
    [{"use": "enc"}, {"key_ops": ["encrypt"]}, {"alg": "RSA-OAEP-256"}, {"alg": "ES256"}],
)
def test_4_2_to_4_4_a_key_for_something_else_does_not_verify(changes):
    """use must be sig, key_ops contain verify, and alg be the one that the key is for."""
    with pytest.raises(InvalidJwk):
        parse_public_jwk({**RSA_EXAMPLE, **changes})


@pytest.mark.rfc("7517-5-1")
def test_5_keys_that_are_not_understood_are_ignored():
    """EC and oct are not ours, and the RSA key that RFC 7520 prints is everybody's."""
    examples = [vector["jwk"] for vector in JWS_EXAMPLES["vectors"][1:4]]
    ours = public_rsa_jwk()
    document = json.dumps({"keys": [{"kty": "made-up"}, *examples, ours.members()]}).encode()

    assert parse_jwk_set(document).keys == (ours,)


@pytest.mark.rfc("7517-8-1")
def test_8_a_private_jwk_is_no_verification_key():
    """The private key printed in RFC 7520 §3.4 is refused, not stripped."""
    with pytest.raises(InvalidJwk, match="private"):
        parse_public_jwk(JWS_EXAMPLES["rsa_private_jwk_3_4"])


@pytest.mark.rfc("7517-8-1")
def test_8_the_published_set_holds_public_members_alone():
    """No member of a private key appears in the document, nor any that is not on the list."""
    (members,) = build_jwk_set([public_rsa_jwk()])["keys"]

    assert sorted(members) == ["alg", "e", "kid", "kty", "n", "use"]
    assert (members["kty"], members["use"], members["alg"]) == ("RSA", "sig", "RS256")
