"""The pages on deployment can be typed as they stand, and end with a token.

What is not on every machine has a stand-in (tests/support/deployment.py); the product is real, and
so is PostgreSQL. `scripts/deploy-check` proves image, chart and unit with the real tools.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from tests.support.command import clean_environment
from tests.support.forked import ROOT
from tests.support.provider import PATIENCE, eventually, free_port

HOW_TO = ROOT / "docs" / "how-to"
PRELUDE = """
set -eu
sudo() { if [ "$1" = -u ]; then shift 2; fi; "$@"; }
useradd() { :; }
openssl() { echo "$SECRET"; }
install() { # leaves owners out
    set -- "$@" --
    while [ "$1" != -- ]; do
        case $1 in -o | -g) shift 2 ;; *) set -- "$@" "$1"; shift ;; esac
    done
    shift
    command install "$@"
}
stand_in() { "$PYTHON" -m tests.support.deployment "$STAND" "$@"; }
systemctl() { stand_in systemctl "$@"; }
docker() { stand_in docker "$@"; }
helm() { stand_in helm "$@"; }
kubectl() {
    # In the background it is killed by its number, so nothing is to be between.
    if [ "$1" = port-forward ]; then exec "$PYTHON" -c 'import signal; signal.pause()'; fi
    stand_in kubectl "$@"
}
"""

pytestmark = pytest.mark.skipif(
    shutil.which("curl") is None and "CI" not in os.environ, reason="the pages use curl"
)


class Machine:
    """Where a page is typed; its server listens on a port of the test's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        overrides = {"WATCHWORD_HOST": "127.0.0.1", "WATCHWORD_PORT": str(self.port)}
        # Nothing is to be made there by those whose keys and registry are in the database.
        overrides |= {"WATCHWORD_DATA_DIR": str(folder / "data")}
        overrides |= {"WATCHWORD_METRICS_PORT": str(free_port())}
        (folder / "overrides.json").write_text(json.dumps(overrides))

    def type(self, blocks: list[str], places: dict[str, str], secret: str) -> Any:
        """Type the blocks of a page; return the token response, which is the last line printed.

        Args:
            blocks: as they stand in the page.
            places: what stands there, and what stands for it here.
            secret: what `openssl rand` is to make.
        """
        text = "".join(blocks)
        for place, here in places.items():
            assert place in text
            text = text.replace(place, here)
        text = text.replace("127.0.0.1:8080", f"127.0.0.1:{self.port}")
        own = {"STAND": str(self.folder), "PYTHON": sys.executable, "SECRET": secret}
        done = subprocess.run(
            ["sh", "-c", PRELUDE + text],
            cwd=self.folder,
            env=clean_environment() | own | {"NO_PROXY": "*", "no_proxy": "*"},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        log = self.folder / "log"
        assert done.returncode == 0, done.stderr + (log.read_text() if log.exists() else "")
        return json.loads(re.findall(r'\{"access_token".*\}', done.stdout)[-1])

    def logged(self, event: str) -> bool:
        """Tell whether the server logged an event."""
        lines = (self.folder / "log").read_text().splitlines()
        return any(json.loads(line)["event"] == event for line in lines if line.startswith("{"))

    def close(self) -> None:
        """Stop the server, if one was started."""
        pid = self.folder / "pid"
        if pid.exists():
            os.kill(int(pid.read_text()), signal.SIGTERM)
            assert eventually(lambda: self.logged("server.stopped"), within=PATIENCE)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """Give one, whose server is stopped at the end."""
    machine = Machine(tmp_path)
    yield machine
    machine.close()


def blocks_of(page: str) -> list[str]:
    """Return what a page tells to type."""
    found = re.findall(
        r"^ *```sh\n.*?^ *```$", (HOW_TO / page).read_text(), flags=re.DOTALL | re.MULTILINE
    )
    return [dedent(block).split("\n", 1)[1].removesuffix("```") for block in found]


def test_the_page_on_systemd(machine: Machine) -> None:
    """With SQLite; then a reload and an upgrade. The program is the one of this environment."""
    install, *steps = blocks_of("deploy-with-systemd.md")
    assert "--require-hashes --requirement requirements/server.lock" in install
    etc = machine.folder / "etc"
    (etc / "systemd" / "system").mkdir(parents=True)
    unit = (ROOT / "deploy/systemd/watchword.service").read_text()
    (machine.folder / "watchword.service").write_text(
        unit.replace("/opt/watchword", sys.prefix).replace("/etc/", f"{etc}/")
    )

    response = machine.type(
        steps,
        {
            "/opt/watchword": sys.prefix,
            "/etc/": f"{etc}/",
            "/var/lib/watchword": str(machine.folder / "data"),
            "deploy/systemd/watchword.service": "watchword.service",
        },
        "correct horse battery staple",
    )

    assert response["expires_in"] == 3600
    assert eventually(lambda: machine.logged("server.reloaded"))
    keys = list((machine.folder / "data" / "keys").glob("*.pem"))
    assert keys
    assert all("ENCRYPTED" in key.read_text() for key in keys)


def test_the_page_on_containers(machine: Machine, postgres_url: str) -> None:
    """What the compose file says, as processes, with a real database."""
    shutil.copytree(
        ROOT / "deploy", machine.folder / "deploy", ignore=shutil.ignore_patterns(".env")
    )
    (_, _, password, place) = re.split("://|:|@", postgres_url, maxsplit=3)

    response = machine.type(
        blocks_of("deploy-with-containers.md")[:5], {"database/watchword": place}, password
    )

    assert response["expires_in"] == 3600
    assert not (machine.folder / "data").exists()


def test_the_page_on_kubernetes(machine: Machine, postgres_url: str) -> None:
    """What the chart renders to, as processes, with a real database."""
    place = postgres_url.partition("@")[2]
    password = postgres_url.split(":")[2].partition("@")[0]

    response = machine.type(
        blocks_of("deploy-on-kubernetes.md"),
        {"PASSWORD@db.example.com/watchword?sslmode=verify-full": f"{password}@{place}"},
        "correct horse battery staple",
    )

    assert response["expires_in"] == 3600
    assert not (machine.folder / "data").exists()
