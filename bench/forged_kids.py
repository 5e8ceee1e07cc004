"""What a flood of forged kids costs: fetches of the key set, and the wait of good requests.

An API with 10,000 tokens a second of unknown kids, each another one, and an issuer whose key set
takes a second to answer. The flood is made in the API's own event loop, from the ASGI call on,
since no HTTP server in Python takes as many; good requests come from a process of their own, over a
socket, one in 5 ms, each with another token. Phases take turns: quiet, a flood that is answered
with a fixed 401 at once, one of tokens that are refused before their kid is looked at, and the
flood of forged kids. 10,000 refusals a second take CPU whatever their reason; so the ratio is the
p99 of the good requests under forged kids over that under the flood of other refusals, of the same
round. The ones over the quiet phase and over the fixed answer, below which no API can be, are told
too, as is the CPU time of a refusal and of the fixed answer, and how many of both one process
answers in a second over HTTP.

Usage: bench/forged_kids.py [--quick]. The last line is a JSON object; exit 1 if a bar is missed.
"""

# ruff: noqa: E402
import sys

sys.path[0] = sys.path[0].removesuffix("/bench")  # else bench/token.py hides the standard `token`

import asyncio
import json
import multiprocessing
import socket
import statistics
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa

from bench.loadgen import build_request, free_port, run_load_apart, wait_for_port
from bench.validate import ISSUER, RESOURCE, make_token
from keys.encoding import encode_base64url
from keys.jwk import PublicJwk, public_jwk
from keys.jwks import build_jwk_set
from keys.remote.jwks_cache import CachePolicy
from resource_api import BearerMiddleware, Fetched, JwksClient

LIMIT = 1.2
FETCHES_A_MINUTE = 2
RATE = 10_000
GOOD_EVERY = 0.005
FETCH_SECONDS = 1.0
COOLDOWN = 30
BODY = b'{"resource":null}'
HTTP_REFUSALS = 8_000
FORGED = 20_000
"""Different tokens of a kind; an API remembers none of them for as long as they take."""
FIXED_HEADERS = [(b"www-authenticate", b"Bearer"), (b"content-length", b"0")]


def main() -> int:
    """Run the phases in turn, then a minute of forged kids."""
    quick = "--quick" in sys.argv[1:]
    private_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    jwk = public_jwk(private_key, "RS256")
    tokens = [make_token(private_key, jwk, number) for number in range(512)]
    # Half a minute for a cool-down would leave a short run with a single fetch.
    cooldown = 3 if quick else COOLDOWN
    port = free_port()
    api = multiprocessing.get_context("fork").Process(target=serve, args=(jwk, port, cooldown))
    api.start()
    try:
        wait_for_port(("127.0.0.1", port))
        result = measure(port, tokens, rounds=5 if quick else 15, window=2 * cooldown)
    finally:
        api.terminate()
        api.join()
    details = result["details"]
    print(
        f"p99 of good requests over that under another flood: {result['ratio']} (at most {LIMIT})"
    )
    print(f"over that without a flood: {details['over_quiet']:.2f}")
    print(f"over that under a flood that is answered at once: {details['over_fixed']:.2f}")
    print(f"CPU of a refusal: {details['refusal_cpu_us']} µs (fixed: {details['fixed_cpu_us']} µs)")
    print(f"fetches in two cool-downs: {details['fetches']} (at most {FETCHES_A_MINUTE})")
    print(
        f"over HTTP, one process: {details['http_refusals_a_second']} refusals a second "
        f"({details['http_fixed_a_second']} of the fixed answer)"
    )
    print(json.dumps(result))
    kept = result["ratio"] <= LIMIT and details["fetches"] <= FETCHES_A_MINUTE
    return 0 if kept else 1


def measure(port: int, tokens: list[bytes], *, rounds: int, window: float) -> dict[str, Any]:
    """Give the result of all phases."""
    requests = [
        build_request("GET", "/protected", {"authorization": f"Bearer {token.decode()}"})
        for token in tokens
    ]
    p99: dict[str, list[float]] = {"none": [], "fixed": [], "type": [], "kid": []}
    with socket.create_connection(("127.0.0.1", port)) as peer:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        ask_paced(peer, requests, seconds=1)
        for _ in range(rounds):
            for flood, found in p99.items():
                control(port, flood)
                found.append(ask_paced(peer, requests, seconds=2))
        control(port, "kid")
        before = control(port, "kid")
        ask_paced(peer, requests, seconds=window)
        after = control(port, "none")
    rate = (after["flooded"] - before["flooded"]) / window
    # Of the wrong type: forged kids would wait for the fetch that the first of them may cause.
    forged = [{"authorization": f"Bearer {make_forged(number, 'JWT')}"} for number in range(512)]
    rps = {
        path: run_load_apart(
            ("127.0.0.1", port),
            [build_request("GET", path, headers) for headers in forged],
            connections=16,
            total=HTTP_REFUSALS,
            expect=401,
        ).rps
        for path in ("/fixed", "/protected")
    }

    def over(phase: str) -> float:
        ratios = [kid / other for kid, other in zip(p99["kid"], p99[phase], strict=True)]
        return round(statistics.median(ratios), 3)

    return {
        "name": "forged_kids",
        "ratio": over("type"),
        "against": "p99 of the same requests while as many tokens are refused for their type",
        "limit": LIMIT,
        "details": {
            "fetches": after["fetches"] - before["fetches"],
            "fetches_limit": FETCHES_A_MINUTE,
            "window_seconds": window,
            "flood_a_second": round(rate),
            "over_quiet": over("none"),
            "over_fixed": over("fixed"),
            "http_fixed_a_second": round(rps["/fixed"]),
            "http_refusals_a_second": round(rps["/protected"]),
            "refusal_cpu_us": after["refusal_ns"] / 1e3,
            "fixed_cpu_us": after["fixed_ns"] / 1e3,
            **{f"p99_ms_{name}": round(statistics.median(x) * 1e3, 2) for name, x in p99.items()},
        },
    }


def ask_paced(peer: socket.socket, requests: list[bytes], *, seconds: float) -> float:
    """Ask at a fixed pace, one after another; give the p99 in seconds."""
    latencies: list[float] = []
    due = time.perf_counter()
    end = due + seconds
    while (began := time.perf_counter()) < end:
        if began < due:
            time.sleep(due - began)
            began = time.perf_counter()
        peer.sendall(requests[len(latencies) % len(requests)])
        answer = b""
        while not answer.endswith(BODY):
            answer += peer.recv(65_536)
            assert answer.startswith(b"HTTP/1.1 200"), answer
        latencies.append(time.perf_counter() - began)
        due = max(due + GOOD_EVERY, began)
    return statistics.quantiles(latencies, n=100)[-1]


def control(port: int, flood: str) -> dict[str, int]:
    """Switch the flood, and give the counters."""
    with socket.create_connection(("127.0.0.1", port)) as peer:
        peer.sendall(build_request("GET", f"/flood/{flood}", {"connection": "close"}))
        answer = b""
        while chunk := peer.recv(65_536):
            answer += chunk
    return dict(json.loads(answer.partition(b"\r\n\r\n")[2]))


class Flood:
    """Tokens that are refused, at a fixed rate, and as many requests as they make."""

    def __init__(self, app: Callable[..., Any]) -> None:
        """Prepare."""
        self.app = app
        self.kind = "none"
        self.sent = 0
        self._tasks: set[asyncio.Task[None]] = set()
        # Made in advance: what making them costs is the caller's, not the API's.
        self._made = {
            kind: [
                [(b"authorization", b"Bearer " + make_forged(number, typ).encode())]
                for number in range(FORGED)
            ]
            for kind, typ in (("kid", "at+jwt"), ("type", "JWT"), ("fixed", "at+jwt"))
        }

    async def cost(self, kind: str) -> int:
        """Give the CPU nanoseconds of one refusal, called one after another."""
        app = self._app_of(kind)
        start = time.process_time_ns()
        for headers in self._made[kind]:
            await app(_scope_of(headers), None, ignore)
        return (time.process_time_ns() - start) // FORGED

    async def run(self) -> None:
        """Send what is due, a few in a turn of the loop."""
        due = time.perf_counter()
        while True:
            await asyncio.sleep(0.0005)
            if self.kind == "none":
                due = time.perf_counter()
                continue
            while self.kind != "none" and (now := time.perf_counter()) >= due:
                self._send()
                due += 1 / RATE
                if self.sent % 5 == 0:
                    await asyncio.sleep(0)
                if now - due > 1:  # the machine was away
                    due = now

    def _send(self) -> None:
        headers = self._made[self.kind][self.sent % FORGED]
        self.sent += 1
        refused = self._app_of(self.kind)(_scope_of(headers), None, ignore)
        task = asyncio.get_running_loop().create_task(refused)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _app_of(self, kind: str) -> Callable[..., Any]:
        return refuse_at_once if kind == "fixed" else self.app


def make_forged(number: int, typ: str = "at+jwt") -> str:
    """Write a token with a kid of its own, and with no signature that could be right."""
    header = {"alg": "RS256", "typ": typ, "kid": f"{number:032x}"}
    parts = (json.dumps(part, separators=(",", ":")).encode() for part in (header, {"iss": ISSUER}))
    return ".".join(map(encode_base64url, parts)) + ".AAAA"


def _scope_of(headers: list[tuple[bytes, bytes]]) -> dict[str, Any]:
    return {"type": "http", "method": "GET", "path": "/protected", "headers": headers}


async def refuse_at_once(scope: object, receive: object, send: Callable[..., Any]) -> None:
    """Answer 401 without a look at the request: what no check can be cheaper than."""
    await send({"type": "http.response.start", "status": 401, "headers": FIXED_HEADERS})
    await send({"type": "http.response.body", "body": b""})


async def ignore(message: object) -> None:
    """Drop an answer."""


def serve(jwk: PublicJwk, port: int, cooldown: float) -> None:
    """Run the API, its flood and its issuer."""
    import uvicorn

    document = json.dumps(build_jwk_set([jwk])).encode()
    fetches = 0
    costs: dict[str, int] = {}

    async def fetch(etag: str | None) -> Fetched:
        nonlocal fetches
        fetches += 1
        if etag is not None:
            await asyncio.sleep(FETCH_SECONDS)
        headers = {"cache-control": "max-age=3600", "etag": '"1"'}
        return Fetched(status=200 if etag is None else 304, headers=headers, body=document)

    async def endpoint(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            return
        body = BODY
        if scope["path"].startswith("/flood/"):
            flood.kind = scope["path"].removeprefix("/flood/")
            body = json.dumps({"fetches": fetches, "flooded": flood.sent, **costs}).encode()
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def protect() -> BearerMiddleware:
        return BearerMiddleware(
            endpoint,
            issuer=ISSUER,
            resource=RESOURCE,
            jwks=JwksClient(fetch, policy=CachePolicy(cooldown=cooldown)),
            open_routes=[("GET", "/flood/*")],
        )

    async def serve_all(scope: Any, receive: Any, send: Any) -> None:
        await (refuse_at_once if scope["path"] == "/fixed" else app)(scope, receive, send)

    app = protect()
    flood = Flood(app)

    async def run() -> None:
        await app.warm()
        costs["fixed_ns"] = await flood.cost("fixed")
        apart = protect()  # whose fetch for a forged kid does not use up the cool-down of the other
        await apart.warm()
        costs["refusal_ns"] = await Flood(apart).cost("kid")
        await apart.aclose()
        config = uvicorn.Config(
            serve_all, port=port, log_level="error", access_log=False, lifespan="off"
        )
        flooding = asyncio.create_task(flood.run())
        await uvicorn.Server(config).serve()
        flooding.cancel()

    with suppress(KeyboardInterrupt):
        asyncio.run(run())


if __name__ == "__main__":
    sys.exit(main())
