"""Measure one protected request with a DPoP proof: CPU time over what nobody could leave out.

That is one bare ES256 verification, of the proof by `cryptography`, and the look-up of a token that
is remembered. Of ours, everything counts that stands between the header fields and the verified
token: the proof, its key that was seen before, `ath`, the claim of its `jti`. Beside it, what a
million remembered proofs take in memory, and a claim among them.

Usage: bench/bound.py [--quick]. The last line is a JSON object; exit 1 if the bar is missed.
"""

# ruff: noqa: E402
import sys

sys.path[0] = sys.path[0].removesuffix("/bench")  # else bench/token.py hides the standard `token`

import asyncio
import gc
import json
import os
import statistics
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from bench.validate import ISSUER, RESOURCE, cpu_time, key_client, make_token
from keys.encoding import decode_base64url, encode_base64url
from keys.jwk import public_jwk
from keys.key_types import verifier
from keys.replay import RecentProofs
from resource_api import ResourcePolicy
from resource_api.bearer import find_bearer
from resource_api.middleware import presented_by
from resource_api.protection import Protection

LIMIT = 1.6
PROOFS = 256
REMEMBERED = 1_000_000
Headers = list[tuple[bytes, bytes]]


def main() -> int:
    """Run both measurements."""
    quick = "--quick" in sys.argv[1:]
    rounds = 31 if quick else 201
    ratio, microseconds = asyncio.run(measure_requests(rounds))
    memory = measure_memory()
    print(f"one request with a proof: {ratio:.2f} of what it cannot do without (at most {LIMIT})")
    print(f"a million remembered proofs: {memory['megabytes']:.0f} MB")
    details = {f"{name}_microseconds": round(each, 1) for name, each in microseconds.items()}
    details |= {f"remembered_{name}": round(each, 2) for name, each in memory.items()}
    result = {
        "name": "bound",
        "ratio": round(ratio, 3),
        "against": "one ES256 verification by bare cryptography and the look-up of a known token",
        "limit": LIMIT,
        "details": {**details, "remembered": REMEMBERED},
    }
    print(json.dumps(result))
    return 0 if ratio <= LIMIT else 1


async def measure_requests(rounds: int) -> tuple[float, dict[str, float]]:
    """Give the ratio, and the CPU microseconds of a request, a verification and a look-up."""
    key = ec.generate_private_key(ec.SECP256R1())
    jwk = public_jwk(key, "ES256")
    sender = ec.generate_private_key(ec.SECP256R1())
    public = sender.public_key()
    policy = ResourcePolicy(issuer=ISSUER, resource=RESOURCE, algorithms=("ES256",))
    protection = Protection(issuer=ISSUER, resource=RESOURCE, jwks=key_client(jwk), policy=policy)
    await protection.warm()
    bound = make_token(key, jwk, 1, cnf={"jkt": public_jwk(sender, "ES256").kid})
    plain = [(b"host", b"api.example"), (b"authorization", b"Bearer " + make_token(key, jwk, 2))]
    await protection.authenticate(plain)
    es256 = ec.ECDSA(hashes.SHA256())
    own, bare, looked_up = [], [], []
    gc.collect()
    gc.freeze()
    for number in range(rounds):
        proofs = [make_proof(sender, bound, f"{number}-{each}") for each in range(PROOFS)]
        signed = [proof.rpartition(b".") for proof in proofs]
        pairs = [(message, der_of(decode_base64url(each))) for message, _, each in signed]

        def verify_all(pairs: list[tuple[bytes, bytes]] = pairs) -> None:
            for message, signature in pairs:
                public.verify(signature, message, es256)

        before = cpu_time(verify_all)
        own.append(await authenticate_all(protection, bound, proofs))
        looked_up.append(cpu_time(lambda: look_up_all(protection, plain)))
        # The machine's speed drifts: what came before and after brackets what lies between.
        bare.append((before + cpu_time(verify_all)) / 2)
    await protection.aclose()
    triples = list(zip(own, bare, looked_up, strict=True))[1:]
    ratio = statistics.median(ours / (least + found) for ours, least, found in triples)
    medians = [statistics.median(each) / PROOFS * 1e6 for each in zip(*triples, strict=True)]
    return ratio, dict(zip(("request", "verification", "look_up"), medians, strict=True))


def make_proof(sender: ec.EllipticCurvePrivateKey, token: bytes, jti: str) -> bytes:
    """Sign a proof as a client does."""
    jwk = public_jwk(sender, "ES256").members()
    header = {
        "typ": "dpop+jwt",
        "alg": "ES256",
        "jwk": {name: jwk[name] for name in ("kty", "crv", "x", "y")},
    }
    claims = {
        "jti": jti,
        "htm": "GET",
        "htu": f"{RESOURCE}/orders",
        "iat": int(time.time()),
        "ath": encode_base64url(sha256(token).digest()),
    }
    encoded = [encode_base64url(json.dumps(part).encode()) for part in (header, claims)]
    signing_input = ".".join(encoded).encode()
    signature = verifier("ES256").sign(signing_input, sender)
    return signing_input + b"." + encode_base64url(signature).encode()


def der_of(signature: bytes) -> bytes:
    """Write a signature of a JWS as `cryptography` takes it (RFC 7518 §3.4)."""
    r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
    return encode_dss_signature(r, s)


def scope_of(token: bytes, proof: bytes) -> dict[str, Any]:
    """Write the ASGI scope of a request as uvicorn does."""
    headers = [
        (b"host", b"api.example"),
        (b"user-agent", b"bench"),
        (b"accept", b"*/*"),
        (b"authorization", b"DPoP " + token),
        (b"dpop", proof),
    ]
    path = {"method": "GET", "path": "/orders", "raw_path": b"/orders", "root_path": ""}
    return {"type": "http", **path, "headers": headers, "client": ("127.0.0.1", 40_000)}


async def authenticate_all(protection: Protection, token: bytes, proofs: list[bytes]) -> float:
    """Give the CPU seconds of judging a request with each proof, as the middleware does."""
    scopes = [scope_of(token, proof) for proof in proofs]
    start = time.process_time()
    for scope in scopes:
        headers = scope["headers"]
        if protection.cached(find_bearer(headers)) is None:
            await protection.authenticate(headers, presented_by(scope))
    return time.process_time() - start


def look_up_all(protection: Protection, headers: Headers) -> None:
    """Find the token of a plain request as often as there are proofs."""
    for _ in range(PROOFS):
        assert protection.cached(find_bearer(headers))


def measure_memory() -> dict[str, float]:
    """Give what a million remembered proofs take, in MB, and a claim among them in µs."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:  # a process of its own, so that nothing that was freed before counts
        os.write(writer, json.dumps(asyncio.run(remember())).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        told: dict[str, float] = json.load(answer)
    os.waitpid(child, 0)
    return told


async def remember() -> dict[str, float]:
    """Claim the proofs of a minute and a half, as they come, and look at this process."""
    now = 1_800_000_000
    store = RecentProofs(2 * REMEMBERED, clock=lambda: now)
    before = resident_bytes()
    for number in range(REMEMBERED):
        await store.claim("dpop:key", f"proof-{number:016d}", now + 1 + number * 90 // REMEMBERED)
    grown = resident_bytes() - before
    assert len(store) == REMEMBERED
    start = time.process_time()
    for number in range(PROOFS):
        assert not await store.claim("dpop:key", f"proof-{number:016d}", now + 90)
    claim = (time.process_time() - start) / PROOFS
    return {"megabytes": grown / 1e6, "claim_microseconds": claim * 1e6}


def resident_bytes() -> int:
    """Give the memory that this process holds."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    sys.exit(main())
