"""Client assertions, good ones and ill-formed ones, and the clients that they are for."""

import json
import secrets
from dataclasses import replace
from itertools import count
from typing import Any

import jwt

from issuer.client_auth.assertion import JWT_ASSERTION, claim_assertion
from issuer.client_auth.secret_jwt import SecretJwtVerifier
from issuer.client_request import Evidence
from issuer.registry.auth_methods import AuthMethod
from issuer.registry.client import Client
from issuer.registry.credentials import ClientSecret
from issuer.registry.secret_seal import SecretSeal
from keys.encoding import encode_base64url
from keys.jwk import public_jwk
from keys.key_types import verifier
from tests.support.issuer import ISSUER, NOW, make_client, make_secret
from watchword.testing.forge import DROP
from watchword.testing.keys import private_key

_ids = count()


def jwk_of(alg: str = "ES256", n: int = 0) -> dict[str, str]:
    """Give the public JWK of a client's n-th key for an algorithm."""
    return public_jwk(private_key(alg, n), alg).members()


def asserting_client(client_id: str = "svc-a", **changes: Any) -> Client:
    """Make a client of private_key_jwt whose only key is of ES256, changed as named."""
    decided = {"jwks": {"keys": [jwk_of()]}, "secrets": ()} | changes
    return make_client(client_id, token_endpoint_auth_method=AuthMethod.PRIVATE_KEY_JWT, **decided)


def make_assertion(
    alg: str = "ES256", n: int = 0, *, header: dict[str, Any] | None = None, **claims: Any
) -> str:
    """Sign the assertion of `svc-a` with its n-th key for an algorithm, changed as named."""
    members: dict[str, Any] = {
        "alg": alg,
        "typ": "client-authentication+jwt",
        "kid": jwk_of(alg, n)["kid"],
    } | (header or {})
    said = {
        "iss": "svc-a",
        "sub": "svc-a",
        "aud": ISSUER,
        "iat": NOW,
        "exp": NOW + 60,
        "jti": f"jti-{next(_ids)}",
    } | claims
    signing_input = ".".join(
        encode_base64url(json.dumps({k: v for k, v in part.items() if v is not DROP}).encode())
        for part in (members, said)
    )
    signature = verifier(alg).sign(signing_input.encode(), private_key(alg, n))
    return f"{signing_input}.{encode_base64url(signature)}"


GENERATED = "wws_" + "k" * 43
SEAL = SecretSeal(bytes(range(32)), random_bytes=secrets.token_bytes)


def secret_jwt(seal: SecretSeal | None = SEAL) -> SecretJwtVerifier:
    """Give what switches client_secret_jwt on."""
    return SecretJwtVerifier(ISSUER, lambda: seal)


def secret_asserting_client(client_id: str = "svc-a", *texts: str, **changes: Any) -> Client:
    """Make a client of client_secret_jwt that has these secrets, changed as named."""
    known = tuple(
        sealed_secret(text, client_id, secret_id=f"s{number}")
        for number, text in enumerate(texts or (GENERATED,), 1)
    )
    decided = {"secrets": known} | changes
    return make_client(
        client_id, token_endpoint_auth_method=AuthMethod.CLIENT_SECRET_JWT, **decided
    )


def sealed_secret(text: str = GENERATED, client_id: str = "svc-a", **changes: Any) -> ClientSecret:
    """Make a secret that can be recovered, changed as named."""
    known = make_secret(text, **changes)
    return replace(known, hash=replace(known.hash, sealed=SEAL.seal(client_id, text)))


def make_hmac_assertion(
    key: bytes, alg: str = "HS256", *, header: dict[str, Any] | None = None, **claims: Any
) -> str:
    """Authenticate an assertion by HMAC, be it with a public key that is taken for a secret."""
    said = {"alg": alg, "kid": DROP} | (header or {})
    header_segment, claims_segment, _ = make_assertion(header=said, **claims).split(".")
    signing_input = f"{header_segment}.{claims_segment}"
    scheme = jwt.algorithms.HMACAlgorithm(getattr(jwt.algorithms.HMACAlgorithm, f"SHA{alg[2:]}"))
    return f"{signing_input}.{encode_base64url(scheme.sign(signing_input.encode(), key))}"


def form_of(assertion: str, **fields: str) -> dict[str, str]:
    """Give the form fields that send an assertion (RFC 7521 §4.2)."""
    return {"client_assertion_type": JWT_ASSERTION, "client_assertion": assertion, **fields}


def evidence_of(assertion: str, client_id: str | None = None) -> Evidence:
    """Give what a request with an assertion shows."""
    return Evidence(
        client_id=client_id, assertion=claim_assertion(JWT_ASSERTION, assertion, client_id)
    )
