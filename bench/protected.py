"""Measure what protection costs a server: its CPU time at a protected endpoint over an open one.

The tokens are remembered, as those of a caller at work are. Beside it, the dependency that one
writes by hand with PyJWT's `PyJWKClient`, and fastapi-azure-auth, the keys of both at hand as well;
and Flask behind the WSGI middleware, on gunicorn. Of each application the fastest tenth of many
short rounds counts: what other work on the machine adds to the rest is not its own.

Usage: bench/protected.py [--quick]. The last line is a JSON object; exit 1 if a bar is missed.
"""

# ruff: noqa: E402
import sys

sys.path[0] = sys.path[0].removesuffix("/bench")  # else bench/token.py hides the standard `token`


import json
import multiprocessing
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Any

import jwt
import uvicorn
from cryptography.hazmat.primitives.asymmetric import rsa
from fastapi import Depends, FastAPI, HTTPException, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from fastapi_azure_auth import SingleTenantAzureAuthorizationCodeBearer
from flask import Flask
from gunicorn.app.base import BaseApplication

from bench.loadgen import (
    build_request,
    free_port,
    run_load,
    running_seconds,
    wait_for_port,
)
from bench.validate import ISSUER, RESOURCE, key_client, make_token
from keys.jwk import PublicJwk, public_jwk
from keys.jwks import build_jwk_set
from resource_api import AccessToken, BearerMiddleware, require
from resource_api.fastapi import Bearer
from resource_api.wsgi import BearerWsgiMiddleware

LIMIT = 1.15
TOKENS = 64
CONNECTIONS = 8
PER_ROUND = 128
PATIENCE = 20.0
HTTP = "h11"
# What fastapi-azure-auth wants besides.
AS_ENTRA = {"ver": "2.0", "nbf": 0, "scp": "read"}
BODY = b'{"resource":null}'


async def endpoint(scope: Any, receive: Any, send: Any) -> None:
    """Answer any request."""
    headers = [(b"content-type", b"application/json"), (b"content-length", b"17")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": BODY})


def asgi_open(jwk: PublicJwk) -> Any:
    """Serve the endpoint as it is."""
    return endpoint


def asgi_protected(jwk: PublicJwk) -> Any:
    """Serve it behind the middleware."""
    return BearerMiddleware(endpoint, issuer=ISSUER, resource=RESOURCE, jwks=key_client(jwk))


def fastapi_open(jwk: PublicJwk) -> Any:
    """Serve a route without dependencies."""
    app = FastAPI()

    @app.get("/")
    async def route() -> dict[str, None]:
        return {"resource": None}

    return app


def fastapi_protected(jwk: PublicJwk) -> Any:
    """Serve it with a token and a scope needed."""
    app = FastAPI()
    bearer = Bearer(issuer=ISSUER, resource=RESOURCE, jwks=key_client(jwk))

    @app.get("/")
    async def route(
        token: Annotated[AccessToken, bearer.protected("read")],
    ) -> dict[str, None]:
        return {"resource": None}

    return app


def fastapi_by_hand(jwk: PublicJwk) -> Any:
    """Serve it with the dependency that most write, its keys at hand."""
    app = FastAPI()
    keys = jwt.PyJWKClient("https://as.example/jwks")
    document = build_jwk_set([jwk])
    keys.fetch_data = lambda: document  # type: ignore[method-assign]
    scheme = HTTPBearer()

    def verified(
        sent: Annotated[HTTPAuthorizationCredentials, Depends(scheme)],
    ) -> dict[str, Any]:
        try:
            claims: dict[str, Any] = jwt.decode(
                sent.credentials,
                keys.get_signing_key_from_jwt(sent.credentials),
                algorithms=["RS256"],
                audience=RESOURCE,
                issuer=ISSUER,
            )
        except jwt.PyJWTError:
            raise HTTPException(401) from None
        if "read" not in claims["scope"].split():
            raise HTTPException(403)
        return claims

    @app.get("/")
    async def route(claims: Annotated[dict[str, Any], Depends(verified)]) -> dict[str, None]:
        return {"resource": None}

    return app


def fastapi_azure_auth(jwk: PublicJwk) -> Any:
    """Serve it with fastapi-azure-auth, as for a tenant whose keys are at hand."""
    app = FastAPI()
    scheme = SingleTenantAzureAuthorizationCodeBearer(RESOURCE, "tenant")

    async def nothing_to_load() -> None: ...

    known: Any = scheme.openid_config
    known.issuer, known.load_config = ISSUER, nothing_to_load
    known.signing_keys = {jwk.kid: jwt.PyJWK(build_jwk_set([jwk])["keys"][0], "RS256").key}

    @app.get("/")
    async def route(user: Annotated[Any, Security(scheme, scopes=["read"])]) -> dict[str, None]:
        return {"resource": None}

    return app


def flask_open(jwk: PublicJwk) -> Any:
    """Serve a view."""
    app = Flask(__name__)

    @app.get("/")
    def view() -> dict[str, None]:
        return {"resource": None}

    return app


def flask_protected(jwk: PublicJwk) -> Any:
    """Serve it behind the middleware, with a scope needed."""
    app = flask_open(jwk)
    app.view_functions["view"] = require("read")(app.view_functions["view"])
    app.wsgi_app = BearerWsgiMiddleware(
        app.wsgi_app, issuer=ISSUER, resource=RESOURCE, jwks=key_client(jwk)
    )
    return app


APPS: Mapping[str, Callable[[PublicJwk], Any]] = {
    "asgi_open": asgi_open,
    "asgi_protected": asgi_protected,
    "fastapi_open": fastapi_open,
    "fastapi_protected": fastapi_protected,
    "fastapi_by_hand": fastapi_by_hand,
    "fastapi_azure_auth": fastapi_azure_auth,
    "flask_open": flask_open,
    "flask_protected": flask_protected,
}
PAIRS = {
    "asgi": ("asgi_protected", "asgi_open"),
    "fastapi": ("fastapi_protected", "fastapi_open"),
    "by_hand": ("fastapi_by_hand", "fastapi_open"),
    "azure_auth": ("fastapi_azure_auth", "fastapi_open"),
    "flask": ("flask_protected", "flask_open"),
}


def main() -> int:
    """Serve every application, and load one after another in short rounds."""
    quick = "--quick" in sys.argv[1:]
    private_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    jwk = public_jwk(private_key, "RS256")
    sent = [make_token(private_key, jwk, n, **AS_ENTRA).decode() for n in range(TOKENS)]
    # Open endpoints get the same bytes, so that only the protection differs.
    requests = [build_request("GET", "/", {"authorization": f"Bearer {each}"}) for each in sent]
    with ExitStack() as stack:
        servers = {name: stack.enter_context(serving(make(jwk))) for name, make in APPS.items()}
        for port, _ in servers.values():
            load(port, requests, 8 * TOKENS)
        rounds = [
            {name: cost(*server, requests) for name, server in servers.items()}
            for _ in range(75 if quick else 600)
        ]
    microseconds = {
        name: statistics.quantiles((each[name] for each in rounds), n=10)[0] * 1e6 for name in APPS
    }
    return report(microseconds)


def report(microseconds: Mapping[str, float]) -> int:
    """Print what was measured, and give the exit code."""
    ratios = {
        name: microseconds[over] / microseconds[under] for name, (over, under) in PAIRS.items()
    }
    for name, (over, under) in PAIRS.items():
        print(
            f"{name}: {microseconds[over]:.0f} µs of CPU a request over {microseconds[under]:.0f} "
            f"open, {ratios[name]:.2f}"
        )
    worst = max(ratios["asgi"], ratios["fastapi"])
    details = {f"{name}_ratio": round(each, 3) for name, each in ratios.items()}
    details |= {f"{name}_microseconds": round(each, 1) for name, each in microseconds.items()}
    result = {
        "name": "protected",
        "ratio": round(worst, 3),
        "against": "the same endpoint open, plain ASGI or FastAPI, whichever is worse",
        "limit": LIMIT,
        "details": details,
    }
    print(json.dumps(result))
    others = min(ratios["by_hand"], ratios["azure_auth"])
    return 0 if worst <= LIMIT and ratios["fastapi"] < others else 1


@contextmanager
def serving(app: Any) -> Iterator[tuple[int, int]]:
    """Serve an application in a process of its own; give its port and process."""
    port = free_port()
    server = multiprocessing.get_context("fork").Process(target=serve, args=(app, port))
    server.start()
    try:
        wait_for_port(("127.0.0.1", port))
        assert server.pid is not None
        yield port, worker_of(server.pid) if isinstance(app, Flask) else server.pid
    finally:
        server.terminate()
        server.join()


class Gunicorn(BaseApplication):  # type: ignore[misc]
    """One worker with threads, for an application that exists already."""

    def __init__(self, app: Flask, port: int) -> None:
        self.flask, self.port = app, port
        super().__init__()

    def load_config(self) -> None:
        """Have connections kept on threads."""
        wanted = {"bind": f"127.0.0.1:{self.port}", "worker_class": "gthread", "threads": 4}
        for name, value in {**wanted, "loglevel": "error"}.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """Give the application."""
        return self.flask


def worker_of(arbiter: int) -> int:
    """Give the process of the only worker."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        children = Path(f"/proc/{arbiter}/task/{arbiter}/children").read_text().split()
        if children:
            return int(children[0])
        time.sleep(0.02)
    raise TimeoutError("gunicorn started no worker")


def serve(app: Any, port: int) -> None:
    """Run the server as the how-to has it: with h11, which keeps trailer fields apart."""
    if isinstance(app, Flask):
        Gunicorn(app, port).run()
        return
    uvicorn.run(app, port=port, log_level="error", access_log=False, lifespan="off", http=HTTP)


def load(port: int, requests: list[bytes], total: int) -> None:
    """Send requests, each of which must be answered with 200."""
    run_load(("127.0.0.1", port), requests, connections=CONNECTIONS, total=total)


def cost(port: int, pid: int, requests: list[bytes]) -> float:
    """Give the CPU seconds that the server needs for one request."""
    before = running_seconds(pid)
    load(port, requests, PER_ROUND)
    return (running_seconds(pid) - before) / PER_ROUND


if __name__ == "__main__":
    sys.exit(main())
