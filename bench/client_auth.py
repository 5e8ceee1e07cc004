"""What a token costs by each method of client authentication, over one bare RSA-2048 signature.

Server CPU time through the real HTTP stack: one worker as shipped, SQLite, 32 kept-alive
connections, RS256 tokens. Each assertion and each proof counts once, so that every request has its
own, made before the load. Each round measures the bare signature just before and just after its
load, so that only ratios count. A federated client shows the same token each time, as a workload
does with the file of its platform.

Usage: bench/client_auth.py [--quick]. The last line is a JSON object; exit 1 if a bar is missed.
"""

# ruff: noqa: E402
import sys

sys.path[0] = sys.path[0].removesuffix("/bench")  # else bench/token.py hides the standard `token`

import json
import statistics
import tempfile
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from bench.loadgen import build_request
from bench.served import (
    CLIENT_ID,
    OPERATOR,
    RESOURCE,
    SCOPES,
    Prepared,
    Running,
    prepared,
    provider,
    run_command,
)
from bench.token import measure_round
from consumer.client_assertion import ClientSecretJwt, PrivateKeyJwt
from consumer.client_auth import ClientAuth, ClientSecretBasic
from consumer.dpop import DpopKey
from issuer.registry.auth_methods import AuthMethod
from issuer.registry.client import ClientRegistration
from issuer.registry.federated_identity import FederatedIdentity
from keys.encoding import encode_base64url
from keys.jwk import public_jwk
from keys.jwks import build_jwk_set
from keys.key_types import verifier
from tests.support.certificates import FOR_CLIENTS, Authority

LIMITS = {"private_key_jwt ES256": 1.9, "DPoP ES256": 2.1}
ISSUER = "http://127.0.0.1:8080"
PLATFORM = "https://platform.example"
Make = Callable[[], bytes]


def request(auth: ClientAuth | None, form: Mapping[str, str], more: Mapping[str, str]) -> bytes:
    """Write a token request."""
    fields = {"grant_type": "client_credentials", "scope": " ".join(SCOPES), **form}
    headers = {"content-type": "application/x-www-form-urlencoded", **more}
    if auth is not None:
        auth.apply(fields, headers, audience=ISSUER, now=time.time())
    return build_request("POST", "/token", headers, urlencode(fields).encode())


def register(data: Prepared, client_id: str, method: AuthMethod, **material: Any) -> None:
    """Register a client that needs no secret."""
    with closing(data.open_registry()) as registry:
        registry.change(
            lambda edit: edit.create_client(
                ClientRegistration(
                    client_id=client_id,
                    grants=edit.grants_for([RESOURCE], SCOPES),
                    token_endpoint_auth_method=method,
                    **material,
                ),
                [],
            ),
            by=OPERATOR,
        )


def own_keys(data: Prepared) -> dict[str, ClientAuth]:
    """Register a client of private_key_jwt for each algorithm."""
    keys: dict[str, PrivateKeyTypes] = {
        "ES256": ec.generate_private_key(ec.SECP256R1()),
        "RS256": rsa.generate_private_key(public_exponent=65_537, key_size=2048),
        "EdDSA": ed25519.Ed25519PrivateKey.generate(),
    }
    for alg, key in keys.items():
        jwks = build_jwk_set([public_jwk(key, alg)])
        register(data, f"key-{alg}", AuthMethod.PRIVATE_KEY_JWT, jwks=jwks)
    return {alg: PrivateKeyJwt(f"key-{alg}", key, alg) for alg, key in keys.items()}


def workload_token(key: ec.EllipticCurvePrivateKey, kid: str) -> str:
    """Sign a token of a platform."""
    now = int(time.time())
    claims = {"iss": PLATFORM, "sub": "job:1", "aud": ISSUER, "iat": now, "exp": now + 3600}
    parts = ({"alg": "ES256", "kid": kid, "typ": "JWT"}, claims)
    signing_input = ".".join(encode_base64url(json.dumps(each).encode()) for each in parts)
    signature = verifier("ES256").sign(signing_input.encode(), key)
    return f"{signing_input}.{encode_base64url(signature)}"


def federated(data: Prepared) -> dict[str, str]:
    """Register a workload; give the form fields that it authenticates with."""
    key = ec.generate_private_key(ec.SECP256R1())
    jwk = public_jwk(key, "ES256")
    rule = FederatedIdentity(issuer=PLATFORM, subject="job:1", jwks=build_jwk_set([jwk]))
    register(data, "workload", AuthMethod.FEDERATED, federated_identities=(rule,))
    return {
        "client_id": "workload",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": workload_token(key, jwk.kid),
    }


def shared_secret(data: Prepared, settings: Mapping[str, str]) -> ClientAuth:
    """Register a client of client_secret_jwt."""
    run_command(data, settings, "db", "set-issuer", ISSUER)
    create = ("clients", "create", "shared", "--auth", "client_secret_jwt")
    done = run_command(data, settings, *create, "--grant", f"{RESOURCE} read write", "--json")
    if done.returncode:
        raise RuntimeError(done.stderr)
    return ClientSecretJwt("shared", json.loads(done.stdout)["client_secret"])


def methods(data: Prepared, authority: Authority, settings: Mapping[str, str]) -> dict[str, Make]:
    """Register the clients; give what makes a request of each method."""
    basic = ClientSecretBasic(CLIENT_ID, data.client_secret)
    secret = shared_secret(data, settings)
    keys = own_keys(data)
    workload = federated(data)
    own = authority.issue("bench", FOR_CLIENTS)
    register(data, "certified", AuthMethod.TLS_CLIENT_AUTH, tls_client_auth_subject_dn="CN=bench")
    shown = {"client-cert": f":{b64encode(own.chain[0]).decode()}:"}
    sender = DpopKey()

    def proof() -> dict[str, str]:
        return {"dpop": sender.prove("POST", f"{ISSUER}/token", now=time.time())}

    return {
        "client_secret_basic": lambda: request(basic, {}, {}),
        "client_secret_jwt": lambda: request(secret, {}, {}),
        **{
            f"private_key_jwt {alg}": lambda auth=auth: request(auth, {}, {})  # type: ignore[misc]
            for alg, auth in keys.items()
        },
        "federated": lambda: request(None, workload, {}),
        "tls_client_auth": lambda: request(None, {"client_id": "certified"}, shown),
        "DPoP ES256": lambda: request(basic, {}, proof()),
        "private_key_jwt ES256, DPoP ES256": lambda: request(keys["ES256"], {}, proof()),
    }


def measure(server: Running, make: Make, rounds: int, tokens: int) -> dict[str, float]:
    """Return the median of each figure over several rounds."""
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
    measured = [
        measure_round([make() for _ in range(count)], server, key, count)
        for count in (tokens // 4, *[tokens] * rounds)  # the first warms caches and connections
    ][1:]
    names = list(measured[0])
    return {name: round(statistics.median(each[name] for each in measured), 3) for name in names}


def main() -> int:
    """Measure, print, and tell by the exit code whether every bar was met."""
    rounds, tokens = (3, 1_000) if "--quick" in sys.argv[1:] else (7, 3_000)
    found = {}
    with tempfile.TemporaryDirectory() as folder, prepared() as data:
        authority = Authority(Path(folder))
        settings = {
            "WATCHWORD_TRUSTED_PROXIES": "127.0.0.1",
            "WATCHWORD_TLS_CLIENT_CA": str(authority.file),
            "WATCHWORD_CLIENT_SECRET_JWT": "on",
            "WATCHWORD_KEY_PASSPHRASE": "only for this bench, and no other",
        }
        makers = methods(data, authority, settings)
        with provider(data, settings=settings) as server:
            for name, make in makers.items():
                found[name] = measure(server, make, rounds, tokens)
                print(f"{name}: {found[name]}", flush=True)
    missed = [name for name, limit in LIMITS.items() if found[name]["cpu"] > limit]
    result = {
        "name": "client_auth",
        "ratio": found["private_key_jwt ES256"]["cpu"],
        "against": "CPU time of one RSA-2048 signature",
        "limit": LIMITS["private_key_jwt ES256"],
        "details": {"methods": found, "limits": LIMITS, "missed": missed},
    }
    print(json.dumps(result))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
