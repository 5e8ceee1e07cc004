"""PyJWT and Watchword read each other's keys and tokens, for every algorithm that both have."""

import json

import jwt
import pytest
from jwt.algorithms import get_default_algorithms

from keys.jwk import parse_public_jwk
from keys.jwks import build_jwk_set
from keys.key_types import ALGORITHMS
from resource_api import ResourcePolicy, verify
from tests.support.keys import public_key_of
from watchword.testing.forge import ISSUER, NOW, RESOURCE, TokenForge
from watchword.testing.keys import private_key

SHARED = sorted(ALGORITHMS.keys() & get_default_algorithms().keys())
UNTIMED = {"verify_exp": False, "verify_iat": False}


def test_pyjwt_has_all_but_the_newest() -> None:
    """When it learns one of these, it is tested here."""
    assert ALGORITHMS.keys() - SHARED == {"Ed25519", "ML-DSA-44", "ML-DSA-65", "ML-DSA-87"}


@pytest.mark.parametrize("alg", SHARED)
def test_pyjwt_reads_our_key_set_and_accepts_our_token(alg: str) -> None:
    """Nothing of ours takes part in the checking."""
    forge = TokenForge(private_key(alg), alg=alg)
    document = json.loads(json.dumps(build_jwk_set([forge.jwk])))
    (key,) = jwt.PyJWKSet.from_dict(document).keys
    checks = {"algorithms": [alg], "audience": RESOURCE, "issuer": ISSUER, "options": UNTIMED}
    assert (key.key_id, key.algorithm_name) == (forge.jwk.kid, alg)
    assert jwt.decode(forge.token(), key, **checks)["client_id"] == "svc-a"
    foreign = jwt.PyJWK(public_key_of(alg, 1).members())
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(forge.token(), foreign, **checks)


@pytest.mark.parametrize("alg", SHARED)
def test_we_read_pyjwts_key_and_accept_its_token(alg: str) -> None:
    """A foreign issuer's token, under our strict checks."""
    forge = TokenForge(private_key(alg), alg=alg)
    token = jwt.encode(
        forge.good_claims, private_key(alg), alg, headers=forge.good_header | {"alg": alg}
    )
    implementation = jwt.get_algorithm_by_name(alg)
    members = implementation.to_jwk(private_key(alg).public_key(), as_dict=True)
    members.pop("key_ops", None)
    assert parse_public_jwk({**members, "kid": forge.jwk.kid, "alg": alg}) == forge.jwk
    policy = ResourcePolicy(issuer=ISSUER, resource=RESOURCE, algorithms=(alg,))
    assert verify(token.encode(), forge.keys, policy, now=NOW).client_id == "svc-a"
