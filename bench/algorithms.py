"""What the algorithms cost: issuing over RS256, cold validation over the bare verification.

Issuing is CPU time of one worker as shipped, through the real HTTP stack, with a resource, a key
and a client for each algorithm in one provider; rounds of the algorithms alternate. Validation is
what the middleware calls for a token that it has not seen, over `cryptography` verifying the
decoded signature with the key at hand, measured just before and just after.

Usage: bench/algorithms.py [--quick]. The last line is a JSON object; exit 1 if a bar is missed.
"""

# ruff: noqa: E402
import sys

sys.path[0] = sys.path[0].removesuffix("/bench")  # else bench/token.py hides the standard `token`

import asyncio
import gc
import json
import statistics
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from bench.loadgen import cpu_seconds, run_load_apart
from bench.served import OPERATOR, SCOPES, Prepared, Running, new_secret, prepared, provider
from bench.validate import ISSUER, RESOURCE, cpu_time, key_client, make_token, validate_all
from issuer.config import MAX_TOKEN_TTL
from issuer.registry.client import ClientRegistration
from issuer.registry.resource import Resource
from issuer.storage.edit import RegistryEdit
from keys.encoding import decode_base64url
from keys.jwk import PublicJwk, public_jwk
from keys.key_types import ALGORITHMS, algorithm, generate_private_key
from keys.ring import RingPolicy
from keys.stores.folder import KeyFolder
from keys.stores.store import KeyStore
from resource_api import ResourcePolicy
from resource_api.validator import TokenValidator, TrustedIssuer
from watchword.ambient import wall_clock

ISSUING_LIMIT = 0.40
ISSUED = ("ES256", "Ed25519")
ALSO_ISSUED = ("ML-DSA-44",)  # told, without a bar
VALIDATION_LIMIT = 1.6
STRICT = {"Ed25519": 1.3, "ES256": 1.3, "ML-DSA-44": 1.3}
CONNECTIONS = 32
TOKENS = 128

Hash = hashes.SHA256 | hashes.SHA384 | hashes.SHA512
HASHES: dict[str, type[Hash]] = {
    "256": hashes.SHA256,
    "384": hashes.SHA384,
    "512": hashes.SHA512,
}


def main() -> int:
    """Measure both, print, and tell by the exit code whether every bar was met."""
    quick = "--quick" in sys.argv[1:]
    issuing = measure_issuing(rounds=3 if quick else 9, tokens=1_600 if quick else 3_000)
    validation = {
        alg: asyncio.run(measure_validation(alg, rounds=15 if quick else 61)) for alg in ALGORITHMS
    }
    missed = [f"issuing {alg}" for alg in ISSUED if issuing[alg] > ISSUING_LIMIT]
    for alg, ratio in validation.items():
        if ratio > STRICT.get(alg, VALIDATION_LIMIT):
            missed.append(f"validation {alg}")
    print(f"CPU time of a token over that of an RS256 token: {issuing}")
    print(f"cold validation over the bare verification: {validation}")
    details = {"issuing": issuing, "validation": validation, "missed": missed}
    result = {
        "name": "algorithms",
        "ratio": max(issuing[alg] for alg in ISSUED),
        "against": "CPU time of an RS256 token",
        "limit": ISSUING_LIMIT,
        "details": details | {"validation_limit": VALIDATION_LIMIT, "validation_strict": STRICT},
    }
    print(json.dumps(result))
    return 1 if missed else 0


# ---- issuing ----


def measure_issuing(*, rounds: int, tokens: int) -> dict[str, float]:
    """Return CPU time of a token over that of an RS256 token, by algorithm, and RS256's in µs."""
    measured = ("RS256", *ISSUED, *ALSO_ISSUED)
    with prepared() as data:
        requests = {alg: prepare_client(data, alg) for alg in measured}
        with provider(data) as server:
            for alg in measured:
                cpu_of_a_token(server, requests[alg], tokens // 4)  # warm caches and connections
            seconds: dict[str, list[float]] = {alg: [] for alg in measured}
            for _ in range(rounds):
                for alg in measured:
                    seconds[alg].append(cpu_of_a_token(server, requests[alg], tokens))
    ratios = {
        alg: round(
            statistics.median(
                own / base for own, base in zip(seconds[alg], seconds["RS256"], strict=True)
            ),
            3,
        )
        for alg in (*ISSUED, *ALSO_ISSUED)
    }
    return ratios | {"RS256, µs": round(statistics.median(seconds["RS256"]) * 1e6, 1)}


def prepare_client(data: Prepared, alg: str) -> bytes:
    """Make a key, a resource and a client for an algorithm; returns the client's token request."""
    if alg != "RS256":  # of which there is a key
        KeyStore(KeyFolder(data.folder / "keys")).generate(
            alg=alg,
            now=wall_clock(),
            policy=RingPolicy(jwks_max_age=300, longest_token=MAX_TOKEN_TTL),
            activate_in=0,
        )
    resource, client_id = f"https://{alg.lower()}.example", f"bench-{alg}"

    def register(edit: RegistryEdit) -> None:
        edit.create_resource(Resource(resource=resource, scopes=SCOPES, signing_alg=alg))
        grants = edit.grants_for([resource], SCOPES)
        edit.create_client(
            ClientRegistration(client_id=client_id, grants=grants),
            [new_secret(data.client_secret)],
        )

    with closing(data.open_registry()) as registry:
        registry.change(register, by=OPERATOR)
    return data.token_request(client_id)


def cpu_of_a_token(server: Running, request: bytes, tokens: int) -> float:
    """Run one load; returns CPU seconds of the server for each token."""
    before = sum(cpu_seconds(pid) for pid in server.workers)
    run_load_apart(server.address, [request], connections=CONNECTIONS, total=tokens)
    return (sum(cpu_seconds(pid) for pid in server.workers) - before) / tokens


# ---- validation ----


async def measure_validation(alg: str, *, rounds: int) -> float:
    """Return the cost of a cold validation over one bare verification."""
    private_key = generate_private_key(alg)
    jwk = public_jwk(private_key, alg)
    tokens = [make_token(private_key, jwk, number) for number in range(TOKENS)]
    jwks = key_client(jwk)
    await jwks.warm()
    policy = ResourcePolicy(issuer=ISSUER, resource=RESOURCE, algorithms=(alg,))
    validator = TokenValidator([TrustedIssuer(policy, jwks)], clock=time.time, cache_size=0)
    verify = bare_verification(jwk)
    pairs = [(signed, signature_of(alg, text)) for signed, _, text in map(_parted, tokens)]

    def bare() -> None:
        for message, signature in pairs:
            verify(signature, message)

    await validate_all(validator, tokens)
    gc.collect()
    ratios = []
    before = cpu_time(bare)
    for _ in range(rounds):
        own = await validate_all(validator, tokens)
        after = cpu_time(bare)
        # The machine's speed drifts: what came before and after brackets what lies between.
        ratios.append(2 * own / (before + after))
        before = after
    await jwks.aclose()
    return round(statistics.median(ratios), 3)


def _parted(token: bytes) -> tuple[bytes, bytes, bytes]:
    return token.rpartition(b".")


def signature_of(alg: str, text: bytes) -> bytes:
    """Decode a signature as `cryptography` takes it."""
    raw = decode_base64url(text)
    if algorithm(alg).kty != "EC":
        return raw
    width = len(raw) // 2
    return encode_dss_signature(int.from_bytes(raw[:width]), int.from_bytes(raw[width:]))


def bare_verification(jwk: PublicJwk) -> Callable[[bytes, bytes], object]:
    """Return what verifies signature and message with `cryptography` alone."""
    key: Any = jwk.key
    verify = key.verify
    if jwk.kty in ("OKP", "AKP"):
        return lambda signature, message: verify(signature, message)
    hash_ = HASHES[jwk.alg[2:]]
    if jwk.kty == "EC":
        return lambda signature, message: verify(signature, message, ec.ECDSA(hash_()))
    if jwk.alg.startswith("RS"):
        return lambda signature, message: verify(signature, message, padding.PKCS1v15(), hash_())
    return lambda signature, message: verify(
        signature, message, padding.PSS(padding.MGF1(hash_()), hash_.digest_size), hash_()
    )


if __name__ == "__main__":
    sys.exit(main())
