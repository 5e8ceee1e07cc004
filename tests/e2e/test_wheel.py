"""The wheel in empty environments: the light install validates, the full one serves."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("consumer", "issuer", "keys", "resource_api", "watchword")
SERVER_ONLY = ("alembic", "pydantic", "sqlalchemy", "starlette", "typer", "uvicorn")
# What the machine or the test runner sets must not reach the installed product.
ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("WATCHWORD_", "COVERAGE_", "PYTHON", "CLIENT_", "VIRTUAL_ENV"))
} | {"NO_PROXY": "*"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel of the checkout, with the build backend of the lock."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    subprocess.run([*command, str(ROOT)], check=True, capture_output=True)
    [built] = folder.glob("*.whl")
    return built


def install(folder: Path, requirement: str) -> Path:
    """Install in a new environment, at locked versions; return the folder of its programs."""
    programs = folder / "venv" / "bin"
    uv = shutil.which("uv", path=str(Path(sys.executable).parent))
    pins = re.findall(r"^(\S+==\S+)", (ROOT / "requirements/server.lock").read_text(), re.MULTILINE)
    constraints = folder / "constraints.txt"
    constraints.write_text("\n".join(pins))
    make = [sys.executable, "-m", "venv", str(folder / "venv")]
    subprocess.run(make + ["--without-pip"] * bool(uv), check=True)
    pip = (
        [uv, "pip", "install", "--python", str(programs / "python")]
        if uv
        else [str(programs / "python"), "-m", "pip", "install"]
    )
    command = [*pip, "--quiet", "--constraint", str(constraints), requirement]
    subprocess.run(command, check=True, env=ENVIRONMENT, cwd=folder)
    return programs


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command away from the checkout, so that nothing is imported from there."""
    return subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@contextmanager
def serving(watchword: Path, *flags: str, cwd: Path) -> Iterator[str]:
    """Run ``watchword serve`` on a free port until the block ends; yield its address."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    log = cwd / "server.log"
    command = [str(watchword), "serve", *flags, "--port", str(port)]
    with log.open("wb") as out:
        server = subprocess.Popen(command, cwd=cwd, env=ENVIRONMENT, stdout=out, stderr=out)
    try:
        address = f"http://127.0.0.1:{port}"
        wait_ready(address, server, log)
        yield address
    finally:
        server.terminate()
        server.wait(timeout=30)


def wait_ready(address: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    """Return as soon as ``/readyz`` says yes; fail with the server's own words if it never does."""
    deadline = time.monotonic() + 30
    while server.poll() is None and time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"{address}/readyz", timeout=2).close()
            return
        except OSError:
            time.sleep(0.05)
    pytest.fail(f"not ready: {log.read_text()}")


def test_the_wheel_holds_the_packages_and_nothing_else(wheel: Path) -> None:
    """Each package is typed, the migrations travel with the issuer, tests and tools stay behind."""
    names = set(zipfile.ZipFile(wheel).namelist())
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(PACKAGES)
    assert {f"{package}/py.typed" for package in PACKAGES} <= names
    assert any(re.fullmatch(r"issuer/storage/migrations/versions/\w+\.py", name) for name in names)
    assert any(name.endswith("/licenses/LICENSE") for name in names)


def test_the_light_install_validates_and_consumes(wheel: Path, tmp_path: Path) -> None:
    """API, consumer and test kit work, and nothing of the issuer's storage is installed."""
    programs = install(tmp_path, str(wheel))
    code = f"""
from importlib.util import find_spec
from resource_api import BearerMiddleware
from consumer import ClientCredentials
from watchword.testing import Issuer
import keys
with Issuer().serving() as issuer:
    assert ClientCredentials(issuer.url, "billing", "s3cret").token()
    issuer.protection_settings()
print([name for name in {SERVER_ONLY!r} if find_spec(name)])
"""
    done = run(programs / "python", "-c", code, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")


def test_the_command_of_the_light_install_says_what_to_install(wheel: Path, tmp_path: Path) -> None:
    """One line names the extra; no traceback."""
    programs = install(tmp_path, str(wheel))
    for command in ([programs / "watchword", "serve"], [programs / "python", "-m", "watchword"]):
        done = run(*command, cwd=tmp_path)
        assert done.returncode == 1
        assert "watchword[server]" in done.stderr
        assert done.stderr.count("\n") == 1


def test_the_server_extra_serves(wheel: Path, tmp_path: Path) -> None:
    """With the extra, ``watchword serve --dev`` needs no more to publish a key and become ready."""
    programs = install(tmp_path, f"watchword[server] @ {wheel.as_uri()}")
    with serving(programs / "watchword", "--dev", cwd=tmp_path) as address:
        with urllib.request.urlopen(f"{address}/jwks", timeout=10) as answer:
            [key] = json.load(answer)["keys"]
        assert (key["kty"], key["alg"], key["use"]) == ("RSA", "RS256", "sig")
        with urllib.request.urlopen(f"{address}/public", timeout=10) as answer:
            assert answer.read() == b"moo"
