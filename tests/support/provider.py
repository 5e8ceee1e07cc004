"""The real provider, started by the real command on a free loopback port."""

import json
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.support.command import Done, clean_environment, document, run_command
from tests.support.forked import start_process
from tests.support.keys import key_file, write_key_file

PATIENCE = 30.0


def free_port() -> int:
    """Find a port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def eventually(holds: Callable[[], bool], *, within: float = PATIENCE) -> bool:
    """Look again and again until it holds; False if it never did in time."""
    end = time.monotonic() + within
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.02)
    return holds()


@dataclass(slots=True)
class Place:
    """A data folder and the settings of a provider in it."""

    folder: Path
    port: int
    settings: dict[str, str]

    @property
    def url(self) -> str:
        """Where the provider answers."""
        return f"http://127.0.0.1:{self.port}"

    def own_settings(self) -> dict[str, str]:
        """Return the settings of every command here."""
        own = {
            "WATCHWORD_DATA_DIR": str(self.folder / "data"),
            "WATCHWORD_ISSUER": self.url,
            # Not the default one, which another test may listen on.
            "WATCHWORD_PORT": str(self.port),
        }
        return own | self.settings

    def add_key(self) -> str:
        """Put a signing key of the session's into the data folder; return its kid.

        As `watchword keys generate` does, without making one.
        """
        data = self.folder / "data"
        data.mkdir(mode=0o700, exist_ok=True)
        return write_key_file(data / "keys", key_file()).stem

    def run(self, *arguments: str, cold: bool = False) -> Done:
        """Run one command to its end."""
        return run_command(self.folder, *arguments, cold=cold, **self.own_settings())

    def json(self, *arguments: str) -> Any:
        """Run one command that must succeed and return its JSON."""
        return document(self.run(*arguments, "--json"))

    def start(self, *arguments: str, cold: bool = False) -> subprocess.Popen[str]:
        """Start `watchword serve`; its log goes to a file."""
        with open(self.folder / "log", "a") as log:
            return start_process(
                ["watchword", "serve", "--port", str(self.port), *arguments],
                cold=cold,
                cwd=self.folder,
                env=clean_environment() | self.own_settings(),
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def log(self) -> list[dict[str, Any]]:
        """Return the events logged so far."""
        return [json.loads(line) for line in (self.folder / "log").read_text().splitlines()]

    def get(self, path: str, **options: Any) -> httpx.Response:
        """Fetch a path."""
        return httpx.get(self.url + path, trust_env=False, **options)

    def is_ready(self) -> bool:
        """Tell whether `/readyz` says so."""
        try:
            return self.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def ask(self, client: dict[str, Any], path: str = "/token", **form: str) -> httpx.Response:
        """Ask for a token as this client."""
        return httpx.post(
            self.url + path,
            auth=(client["client_id"], client["client_secret"]),
            data={"grant_type": "client_credentials", **form},
            trust_env=False,
            timeout=PATIENCE,
        )


def children(pid: int) -> list[int]:
    """List the children of a process."""
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def make_place(folder: Path, **settings: str) -> Place:
    """Choose a port for a provider in this folder."""
    return Place(folder=folder, port=free_port(), settings=settings)


@contextmanager
def running(place: Place, *arguments: str, cold: bool = False) -> Iterator[subprocess.Popen[str]]:
    """Serve until the block ends, then stop by SIGTERM and expect a clean end."""
    process = place.start(*arguments, cold=cold)
    try:
        assert eventually(lambda: place.is_ready() or process.poll() is not None)
        assert process.poll() is None, (place.folder / "log").read_text()
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        code = process.wait(timeout=PATIENCE)
        if process.stdout:
            process.stdout.close()
    assert code == 0
