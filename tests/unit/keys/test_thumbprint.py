"""Thumbprints: only of canonical members, never of secrets."""

import pytest

from keys.errors import InvalidJwk
from keys.thumbprint import thumbprint
from tests.support.keys import public_rsa_jwk

P256 = {
    "kty": "EC",
    "crv": "P-256",
    "x": "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
    "y": "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA",
}


@pytest.mark.rfc("7638-3-1")
def test_members_that_are_not_required_do_not_count():
    """use, alg and kid leave the thumbprint alone."""
    members = public_rsa_jwk().members()
    bare = {name: members[name] for name in ("n", "kty", "e")}

    assert thumbprint(bare) == thumbprint(members)


@pytest.mark.rfc("7638-3-1")
@pytest.mark.parametrize("kty", ["oct", "rsa", "", None, 1, ["RSA"]])
def test_other_key_types_have_no_thumbprint(kty):
    """A thumbprint of a symmetric key would be a hash of the secret."""
    with pytest.raises(InvalidJwk):
        thumbprint({"kty": kty, "k": "c2VjcmV0"})


@pytest.mark.rfc("7638-3-1")
@pytest.mark.parametrize(
    ("good", "changes"),
    [
        (public_rsa_jwk().members(), {"e": "AAEAAQ"}),
        (public_rsa_jwk().members(), {"e": "AQAB="}),
        (public_rsa_jwk().members(), {"e": ""}),
        (public_rsa_jwk().members(), {"e": 65537}),
        (public_rsa_jwk().members(), {"n": "ÄÖÜ"}),
        (P256, {"x": "AQAB"}),
        (P256, {"crv": "P-384"}),
        (P256, {"crv": "secp256k1"}),
        (P256, {"crv": None}),
    ],
)
def test_a_form_that_is_not_canonical_has_no_thumbprint(good, changes):
    """One key has one thumbprint, so any second form of it is refused."""
    with pytest.raises(InvalidJwk):
        thumbprint({**good, **changes})
