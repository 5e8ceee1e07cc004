"""Measure validation: CPU time over one verification, a protected endpoint over an open one.

Besides, what looking up the status of a remembered token adds, in microseconds.

Usage: bench/validate.py [--quick]. The last line is a JSON object; exit 1 if a bar is missed.
"""

# ruff: noqa: E402
import sys

sys.path[0] = sys.path[0].removesuffix("/bench")  # else bench/token.py hides the standard `token`

import asyncio
import gc
import json
import multiprocessing
import statistics
import time
import zlib
from collections.abc import Awaitable, Callable

import httpx
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from bench.loadgen import build_request, free_port, run_load_apart, wait_for_port
from keys.encoding import decode_base64url, encode_base64url
from keys.jwk import PublicJwk, public_jwk
from keys.jwks import build_jwk_set
from keys.key_types import verifier
from resource_api import BearerMiddleware, Fetched, JwksClient, ResourcePolicy
from resource_api.status_lists import StatusListClient
from resource_api.validator import TokenValidator, TrustedIssuer

LIMIT_COLD = 1.8
LIMIT_CACHED = 0.06
LIMIT_SERVED = 0.80
LIMIT_STATUS = 2.0
ISSUER = "https://as.example"
RESOURCE = "https://api.example"
TOKENS = 512
LIST_URI = f"{ISSUER}/status-lists/1-0"


def main() -> int:
    """Run all measurements."""
    quick = "--quick" in sys.argv[1:]
    private_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    jwk = public_jwk(private_key, "RS256")
    tokens = [make_token(private_key, jwk, n) for n in range(TOKENS)]
    cold, cached = asyncio.run(measure_cpu(jwk, tokens, rounds=101 if quick else 301))
    status = asyncio.run(measure_status(private_key, jwk, rounds=101 if quick else 301))
    served, rps = measure_served(jwk, tokens, rounds=7 if quick else 15)
    passed = cold <= LIMIT_COLD and cached <= LIMIT_CACHED and served >= LIMIT_SERVED
    passed = passed and status <= LIMIT_STATUS
    details = {
        "cold_over_verify": round(cold, 3),
        "cold_limit": LIMIT_COLD,
        "cached_over_verify": round(cached, 4),
        "cached_limit": LIMIT_CACHED,
        "status_microseconds": round(status, 2),
        "status_limit": LIMIT_STATUS,
        "protected_over_open_rps": round(served, 3),
        "protected_over_open_least": LIMIT_SERVED,
        "tokens": TOKENS,
        "token_bytes": len(tokens[0]),
        **rps,
    }
    print(f"one strict validation, cold: {cold:.2f} verifications (at most {LIMIT_COLD})")
    print(f"one that is remembered: {cached:.3f} verifications (at most {LIMIT_CACHED})")
    print(f"looking up a status adds {status:.2f} µs (at most {LIMIT_STATUS})")
    print(f"protected over open endpoint: {served:.2f} (at least {LIMIT_SERVED})")
    result = {
        "name": "validate",
        "ratio": round(cold, 3),
        "against": "one bare RSA-2048 verification by cryptography",
        "limit": LIMIT_COLD,
        "details": details,
    }
    print(json.dumps(result))
    return 0 if passed else 1


def make_token(
    private_key: PrivateKeyTypes,
    jwk: PublicJwk,
    number: int,
    *,
    listed: bool = False,
    **more: object,
) -> bytes:
    """Sign a token as the issuer writes it, with the algorithm of the key.

    Args:
        private_key: signs.
        jwk: its public half.
        number: makes the token differ from others, and is its index on the list.
        listed: whether it has a status.
        more: further claims.
    """
    now = int(time.time())
    claims = {
        "iss": ISSUER,
        "sub": "service-orders",
        "client_id": "service-orders",
        "aud": RESOURCE,
        "iat": now,
        "exp": now + 3600,
        "jti": f"{number:022d}",
        "scope": "read write",
        **more,
    }
    if listed:
        claims["status"] = {"status_list": {"idx": number, "uri": LIST_URI}}
    return sign(private_key, jwk, "at+jwt", claims)


def make_list(private_key: PrivateKeyTypes, jwk: PublicJwk) -> bytes:
    """Sign a list as the issuer writes it, of a million tokens that are valid."""
    now = int(time.time())
    packed = encode_base64url(zlib.compress(bytes(2**18), 9))
    claims = {
        "sub": LIST_URI,
        "iat": now,
        "exp": now + 3600,
        "ttl": 3600,
        "status_list": {"bits": 2, "lst": packed},
    }
    return sign(private_key, jwk, "statuslist+jwt", claims)


def sign(
    private_key: PrivateKeyTypes, jwk: PublicJwk, typ: str, claims: dict[str, object]
) -> bytes:
    """Sign claims as a JWT of this type."""
    parts = ({"alg": jwk.alg, "typ": typ, "kid": jwk.kid}, claims)
    encoded = [encode_base64url(json.dumps(part, separators=(",", ":")).encode()) for part in parts]
    signing_input = ".".join(encoded).encode()
    signature = verifier(jwk.alg).sign(signing_input, private_key)
    return signing_input + b"." + encode_base64url(signature).encode()


def key_client(jwk: PublicJwk) -> JwksClient:
    """Hold the key set without a network."""
    document = json.dumps(build_jwk_set([jwk])).encode()

    async def fetch(etag: str | None) -> Fetched:
        return Fetched(status=200, headers={"cache-control": "max-age=3600"}, body=document)

    return JwksClient(fetch)


async def measure_cpu(jwk: PublicJwk, tokens: list[bytes], *, rounds: int) -> tuple[float, float]:
    """Give cold and remembered validation over a bare verification, in interleaved rounds.

    What is timed is what the middleware calls, the look at the key set's age included.
    """
    jwks = key_client(jwk)
    await jwks.warm()
    policy = ResourcePolicy(issuer=ISSUER, resource=RESOURCE)
    trusted = [TrustedIssuer(policy, jwks)]
    cold = TokenValidator(trusted, clock=time.time, cache_size=0)
    warm = TokenValidator(trusted, clock=time.time)
    signed = [token.rpartition(b".") for token in tokens]
    pairs = [(message, decode_base64url(signature)) for message, _, signature in signed]

    def bare() -> None:
        for message, signature in pairs:
            jwk.key.verify(signature, message, padding.PKCS1v15(), hashes.SHA256())

    for token in tokens:
        await warm.validate(token)
    assert all(warm.cached(token) for token in tokens)
    ratios_cold, ratios_cached = [], []
    gc.collect()
    gc.freeze()
    before = cpu_time(bare)
    for _ in range(rounds):
        own_cold = await validate_all(cold, tokens)
        own_cached = cpu_time(lambda: look_up_all(warm, tokens, 8)) / 8
        after = cpu_time(bare)
        # The machine's speed drifts: what came before and after brackets what lies between.
        ratios_cold.append(2 * own_cold / (before + after))
        ratios_cached.append(2 * own_cached / (before + after))
        before = after
    return statistics.median(ratios_cold), statistics.median(ratios_cached)


async def measure_status(private_key: PrivateKeyTypes, jwk: PublicJwk, *, rounds: int) -> float:
    """Give the CPU microseconds by which a status lengthens one remembered validation."""
    jwks = key_client(jwk)
    await jwks.warm()
    body = make_list(private_key, jwk)
    answer = httpx.Response(
        200, headers={"content-type": "application/statuslist+jwt"}, content=body
    )
    async with httpx.AsyncClient(transport=httpx.MockTransport(lambda request: answer)) as http:
        lists = StatusListClient(jwks, client=http)
        policy = ResourcePolicy(issuer=ISSUER, resource=RESOURCE)
        validator = TokenValidator([TrustedIssuer(policy, jwks, lists)], clock=time.time)
        plain, listed = (
            [make_token(private_key, jwk, n, listed=listed) for n in range(TOKENS)]
            for listed in (False, True)
        )
        for token in (*plain, *listed):
            await validator.validate(token)
        assert all(validator.cached(token) for token in listed)
        added = []
        for _ in range(rounds):
            without = cpu_time(lambda: look_up_all(validator, plain, 8))
            added.append(cpu_time(lambda: look_up_all(validator, listed, 8)) - without)
        await lists.aclose()
    return statistics.median(added) / (8 * TOKENS) * 1e6


def cpu_time(work: Callable[[], object]) -> float:
    """Give the CPU seconds of one call."""
    start = time.process_time()
    work()
    return time.process_time() - start


async def validate_all(validator: TokenValidator, tokens: list[bytes]) -> float:
    """Give the CPU seconds of validating every token once."""
    validate = validator.validate
    start = time.process_time()
    for token in tokens:
        await validate(token)
    return time.process_time() - start


def look_up_all(validator: TokenValidator, tokens: list[bytes], times: int) -> None:
    """Ask for every token again, so many times."""
    cached = validator.cached
    for _ in range(times):
        for token in tokens:
            cached(token)


def measure_served(
    jwk: PublicJwk, tokens: list[bytes], *, rounds: int
) -> tuple[float, dict[str, float]]:
    """Give requests per second of a protected endpoint over the same endpoint open."""
    port = free_port()
    server = multiprocessing.get_context("fork").Process(target=serve, args=(jwk, port))
    server.start()
    try:
        address = ("127.0.0.1", port)
        wait_for_port(address)
        bearer = [{"authorization": f"Bearer {token.decode()}"} for token in tokens]
        protected = [build_request("GET", "/protected", headers) for headers in bearer]
        # The open endpoint gets the same bytes, so that only the check differs.
        open_ = [build_request("GET", "/open", headers) for headers in bearer]
        total = 24 * len(tokens)
        for warm_up in (open_, protected):
            run_load_apart(address, warm_up, connections=16, total=2048)
        ratios, open_rps, protected_rps = [], [], []
        for _ in range(rounds):
            open_rps.append(run_load_apart(address, open_, connections=16, total=total).rps)
            protected_rps.append(
                run_load_apart(address, protected, connections=16, total=total).rps
            )
            ratios.append(protected_rps[-1] / open_rps[-1])
    finally:
        server.terminate()
        server.join()
    rps = {
        "open_rps": round(statistics.median(open_rps)),
        "protected_rps": round(statistics.median(protected_rps)),
    }
    return statistics.median(ratios), rps


def serve(jwk: PublicJwk, port: int) -> None:
    """Serve one endpoint twice, open and protected, behind the middleware."""
    import uvicorn

    body = b'{"resource":null}'
    headers = [(b"content-type", b"application/json"), (b"content-length", b"17")]

    async def endpoint(
        scope: object, receive: object, send: Callable[[dict[str, object]], Awaitable[None]]
    ) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    app = BearerMiddleware(
        endpoint,
        issuer=ISSUER,
        resource=RESOURCE,
        jwks=key_client(jwk),
        open_routes=[("GET", "/open")],
    )
    uvicorn.run(app, port=port, log_level="error", access_log=False, lifespan="off")


if __name__ == "__main__":
    sys.exit(main())
