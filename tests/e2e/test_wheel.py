"""The wheel in empty environments: the light install validates, the full one serves.

`scripts/release-check` names a wheel that is built already in RELEASE_WHEEL, and has each extra
tried by itself; else it is none and all of them.
"""

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
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

import pytest

from tests.support import authorities

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("consumer", "issuer", "keys", "resource_api", "watchword")
SERVER_ONLY = ("alembic", "pydantic", "sqlalchemy", "starlette", "typer", "uvicorn")
EXTRAS = ("server", "postgresql", "hsm", "aws", "redis", "httpx2")
RELEASED = os.environ.get("RELEASE_WHEEL")
NEEDS = {
    "postgresql": ("db status", {"DATABASE_URL": "postgresql://127.0.0.1:1/x"}),
    "hsm": (
        "keys generate",
        {
            "KEY_SIGNER": "pkcs11",
            "PKCS11_MODULE": "/none.so",
            "PKCS11_TOKEN": "t",
            "PKCS11_PIN": "1",
        },
    ),
    "aws": ("keys generate", {"KEY_SIGNER": "aws-kms"}),
    "redis": ("serve --port 0", {"REPLAY_STORE": "redis://127.0.0.1:1"}),
}
"""Commands that fail for want of a server or device, and without the extra for want of that."""
# What the machine or the test runner sets must not reach the installed product.
ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("WATCHWORD_", "COVERAGE_", "PYTHON", "CLIENT_", "VIRTUAL_ENV"))
    and name != authorities.VARIABLE
} | {"NO_PROXY": "*"}
if authorities.PUBLIC is not None:
    ENVIRONMENT[authorities.VARIABLE] = authorities.PUBLIC


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel of the checkout, with the build backend of the lock."""
    if RELEASED:
        return Path(RELEASED)
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    subprocess.run([*command, str(ROOT)], check=True, capture_output=True)
    [built] = folder.glob("*.whl")
    return built


def install(folder: Path, requirement: str) -> Path:
    """Install in a new environment, at locked versions; return the folder of its programs."""
    programs = folder / "venv" / "bin"
    uv = shutil.which("uv", path=str(Path(sys.executable).parent))
    lock = (ROOT / "requirements/dev.lock").read_text()
    pins = re.findall(r"^([\w.-]+)(?:\[\S+\])?(==\S+)", lock, re.MULTILINE)
    constraints = folder / "constraints.txt"
    constraints.write_text("\n".join(map("".join, pins)))
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


def run(
    *command: str | Path, cwd: Path, settings: Mapping[str, str] = MappingProxyType({})
) -> subprocess.CompletedProcess[str]:
    """Run a command away from the checkout, so that nothing is imported from there."""
    return subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=ENVIRONMENT | {f"WATCHWORD_{name}": value for name, value in settings.items()},
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
    deadline = time.monotonic() + 60
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


def test_the_wheel_holds_every_file_of_the_packages(wheel: Path) -> None:
    """What git knows of them, templates, styles and scripts of pages included, and no more."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", *PACKAGES]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    kept = {name for name in listed.split("\0") if name and (ROOT / name).exists()}
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert packed == kept


@pytest.mark.parametrize("extra", ["", "httpx2"][: 2 if RELEASED else 1])
def test_the_light_install_validates_and_consumes(wheel: Path, tmp_path: Path, extra: str) -> None:
    """API, consumer and test kit work, and nothing of the issuer's storage is installed."""
    programs = install(tmp_path, f"watchword[{extra}] @ {wheel.as_uri()}")
    code = f"""
from importlib.util import find_spec
print([name for name in {SERVER_ONLY!r} if find_spec(name)])
{use_library(extra or "httpx")}
"""
    done = run(programs / "python", "-c", code, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\nused\n", "")


def use_library(library: str) -> str:
    """Return a program that gets a token with an HTTP library, from the issuer of the test kit."""
    home = {"httpx": "consumer", "httpx2": "consumer.httpx2_auth"}[library]
    return f"""
from resource_api import BearerMiddleware
from {home} import ClientCredentials
from watchword.testing import listening
import {library}
import keys
with listening() as issuer:
    credentials = ClientCredentials(issuer.url, "billing", "s3cret")
    with {library}.Client(auth=credentials, trust_env=False) as client:
        assert client.get(issuer.url + "/jwks").status_code == 200
    assert credentials.token()
print("used")
"""


def test_the_command_of_the_light_install_says_what_to_install(wheel: Path, tmp_path: Path) -> None:
    """One line names the extra; no traceback."""
    programs = install(tmp_path, str(wheel))
    for command in ([programs / "watchword", "serve"], [programs / "python", "-m", "watchword"]):
        done = run(*command, cwd=tmp_path)
        assert done.returncode == 1
        assert "watchword[server]" in done.stderr
        assert done.stderr.count("\n") == 1


ALONE = [("server", extra) for extra in NEEDS] if RELEASED else []


@pytest.mark.parametrize("extras", [("server",), EXTRAS, *ALONE], ids=",".join)
def test_the_server_extra_serves(wheel: Path, tmp_path: Path, extras: tuple[str, ...]) -> None:
    """With it ``watchword serve --dev`` needs no more to publish a key and become ready.

    Whatever needs another extra names it in one line where that is not installed.
    """
    programs = install(tmp_path, f"watchword[{','.join(extras)}] @ {wheel.as_uri()}")
    with serving(programs / "watchword", "--dev", cwd=tmp_path) as address:
        with urllib.request.urlopen(f"{address}/jwks", timeout=10) as answer:
            [key] = json.load(answer)["keys"]
        assert (key["kty"], key["alg"], key["use"]) == ("RSA", "RS256", "sig")
        with urllib.request.urlopen(f"{address}/public", timeout=10) as answer:
            assert answer.read() == b"moo"
    for extra, (words, settings) in NEEDS.items():
        done = run(programs / "watchword", *words.split(), cwd=tmp_path, settings=settings)
        assert done.returncode in (1, 2), done.stderr
        assert (done.stdout, done.stderr.count("\n")) == ("", 1), done.stderr
        named = re.search(r"install watchword\[([\w,]+)\]", done.stderr)
        assert extra in named[1].split(",") if named else extra in extras, done.stderr
    if "httpx2" in extras:
        done = run(programs / "python", "-c", use_library("httpx2"), cwd=tmp_path)
        assert (done.returncode, done.stdout, done.stderr) == (0, "used\n", "")
