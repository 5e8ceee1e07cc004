"""JWK thumbprints (RFC 7638) over the published examples, RSA to ML-DSA."""

import json
from pathlib import Path

import pytest

from keys.errors import InvalidJwk
from keys.jwk import REQUIRED_MEMBERS, thumbprint
from tests.support.keys import public_rsa_jwk

FILE = Path(__file__).parent.parent / "vectors" / "rfc7638-thumbprints.json"
VECTORS = json.loads(FILE.read_text())["vectors"]


@pytest.mark.rfc("7638-3-1")
@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["id"])
def test_3_1_the_published_thumbprints(vector):
    """The digest covers the required members alone, in order, without whitespace."""
    assert vector["sha256_thumbprint"] == thumbprint(vector["jwk"])
    assert tuple(vector["required_members"]) == REQUIRED_MEMBERS[vector["jwk"]["kty"]]


@pytest.mark.rfc("7638-3-1")
@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["id"])
def test_3_2_every_required_member_is_required(vector):
    """Leaving one out gives no thumbprint."""
    for name in vector["required_members"]:
        members = {key: value for key, value in vector["jwk"].items() if key != name}
        with pytest.raises(InvalidJwk):
            thumbprint(members)


@pytest.mark.rfc("7638-3-1")
def test_7_a_symmetric_key_has_no_thumbprint():
    """It would be a hash of the secret."""
    with pytest.raises(InvalidJwk):
        thumbprint({"kty": "oct", "k": "c2VjcmV0"})


@pytest.mark.rfc("7638-3-1", "roll-3")
def test_our_kid_is_the_thumbprint():
    """A kid names one key for ever, for it is computed from the key."""
    assert public_rsa_jwk(0).kid == thumbprint(public_rsa_jwk(0).members())
    assert public_rsa_jwk(0).kid != public_rsa_jwk(1).kid
