"""A Flask API under gunicorn, which forks its workers after the application was made."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.support.command import clean_environment
from tests.support.provider import PATIENCE, children, eventually, free_port
from watchword.testing import listening

ORDERS = "https://orders.example.com"
WORKERS = 2
API = """
import os

from flask import Flask, request

from resource_api import require
from resource_api.wsgi import ENVIRON_KEY, BearerWsgiMiddleware

app = Flask(__name__)
app.wsgi_app = BearerWsgiMiddleware(
    app.wsgi_app,
    issuer=os.environ["ISSUER"],
    resource="https://orders.example.com",
    readiness_path="/readyz",
)


@app.get("/orders")
@require("orders:read")
def orders():
    return {"for": request.environ[ENVIRON_KEY].client_id, "worker": os.getpid()}
"""


@contextmanager
def serving(folder: Path, issuer: str) -> Iterator[str]:
    """Serve the API as `--preload` has it; give its address."""
    (folder / "orders.py").write_text(API)
    port = free_port()
    options = ["--preload", "--workers", str(WORKERS), "--threads", "8", "--log-level", "error"]
    command = [sys.executable, "-m", "gunicorn", *options, "--bind", f"127.0.0.1:{port}"]
    environment = clean_environment() | {"ISSUER": issuer}
    with subprocess.Popen([*command, "orders:app"], cwd=folder, env=environment) as process:
        try:
            assert eventually(lambda: len(children(process.pid)) == WORKERS)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(PATIENCE)
    assert process.returncode == 0


def test_each_worker_gets_the_keys_for_itself(tmp_path: Path) -> None:
    """Threads of both workers validate tokens from the first request on."""
    with listening(audience=ORDERS) as issuer, serving(tmp_path, issuer.url) as url:
        headers = issuer.headers(scope="orders:read", client_id="billing")

        def ask(_: int) -> httpx.Response:
            # A connection for each, so that the kernel chooses the worker anew.
            return httpx.get(f"{url}/orders", headers=headers, trust_env=False, timeout=PATIENCE)

        seen: set[int] = set()

        def both_answered() -> bool:
            with ThreadPoolExecutor(16) as pool:
                answers = list(pool.map(ask, range(32)))
            assert {each.status_code for each in answers} == {200}
            assert {each.json()["for"] for each in answers} == {"billing"}
            seen.update(each.json()["worker"] for each in answers)
            return len(seen) == WORKERS

        assert eventually(both_answered)
        assert httpx.get(f"{url}/readyz", trust_env=False).status_code == 200
        refused = issuer.headers(scope="orders:write")
        answers = [
            httpx.get(f"{url}/orders", headers=each, trust_env=False) for each in (refused, {})
        ]
        assert [each.status_code for each in answers] == [403, 401]
