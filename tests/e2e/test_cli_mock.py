"""`watchword mock`, as a process: what it prints, serves and refuses."""

import json
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from tests.support.command import clean_environment, run_command
from tests.support.forked import start_process


@contextmanager
def mocked(folder: Path, *arguments: str, cold: bool = False) -> Iterator[dict[str, Any]]:
    """Serve a mock on a free port; give what it printed, and stop it by SIGTERM."""
    process = start_process(
        ["watchword", "mock", "--port", "0", "--json", *arguments],
        cold=cold,
        cwd=folder,
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stderr is not None
        printed = ""
        while not printed.endswith("\n}\n"):
            line = process.stdout.readline()
            assert line, process.stderr.read()
            printed += line
        try:
            yield json.loads(printed)
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=20) == 0
        assert "This is a mock" in process.stderr.read()


def test_any_client_gets_a_token_that_its_keys_verify(tmp_path: Path) -> None:
    """For the API, the scope and the claims that are asked for, with one fixed secret."""
    options = ["--secret", "s3cret", "--token-ttl", "60", "--alg", "ES256"]
    claims = ["--claim", "tenant=shop", "--claim", 'groups=["a","b"]']
    with mocked(tmp_path, *options, *claims, "--audience", "orders-api", cold=True) as mock:
        assert mock["issuer"] == f"http://localhost:{mock['port']}"
        form = {"grant_type": "client_credentials", "scope": "read"}
        answer = httpx.post(mock["token_endpoint"], data=form, auth=("till", "s3cret"))
        refused = httpx.post(mock["token_endpoint"], data=form, auth=("till", "wrong"))
        keys = jwt.PyJWKSet.from_dict(httpx.get(mock["jwks_uri"]).json())
    assert (answer.status_code, answer.json()["expires_in"], refused.status_code) == (200, 60, 401)
    token = answer.json()["access_token"]
    key = keys[jwt.get_unverified_header(token)["kid"]]
    told = jwt.decode(token, key, algorithms=["ES256"], audience="orders-api")
    assert (told["iss"], told["client_id"], told["scope"]) == (mock["issuer"], "till", "read")
    assert (told["tenant"], told["groups"]) == ("shop", ["a", "b"])


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (["--claim", "tenant"], 2, "watchword: --claim: must be NAME=VALUE"),
        (["--profile", "ping"], 2, "watchword: --profile: profile must be one of rfc9068, "),
        (["--alg", "none"], 2, "watchword: --alg: unknown algorithm"),
        (["--issuer", "http://auth.example.com"], 2, "watchword: --issuer: plain http"),
        (["--host", "192.0.2.1"], 1, "watchword: cannot listen on 192.0.2.1 port"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(
    tmp_path: Path, arguments: list[str], code: int, line: str
) -> None:
    """It names the option."""
    done = run_command(tmp_path, "mock", "--port", "0", *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith(line)
    assert done.stderr.count("\n") == 1


def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    """Exit code 1, as for `serve`."""
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = str(taken.getsockname()[1])
        done = run_command(tmp_path, "mock", "--port", port)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert f"port {port}: address already in use" in done.stderr
