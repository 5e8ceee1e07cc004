"""A real provider for benches: its own data folder, one client, started by the real command."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.loadgen import build_request, free_port, wait_for_port

CLIENT_ID = "bench-client"
_ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A data folder with a key and a client in it."""

    folder: Path
    client_id: str
    client_secret: str

    def environment(self, port: int) -> dict[str, str]:
        """Return the environment of a provider that listens on this port."""
        return {
            **{
                name: value
                for name, value in os.environ.items()
                if not name.startswith("WATCHWORD_")
            },
            "WATCHWORD_DATA_DIR": str(self.folder),
            "WATCHWORD_ISSUER": f"http://127.0.0.1:{port}",
            # The same audience whatever the port, so that one client serves every provider.
            "WATCHWORD_API_RESOURCE": "https://api.example",
        }

    def token_request(self) -> bytes:
        """Return a token request by client_secret_basic, ready to be sent."""
        from consumer.client_auth import ClientSecretBasic

        headers = ClientSecretBasic(self.client_id, self.client_secret).headers()
        headers = {**headers, "content-type": "application/x-www-form-urlencoded"}
        body = b"grant_type=client_credentials&scope=read%20write"
        return build_request("POST", "/token", headers, body)


@contextmanager
def prepared() -> Iterator[Prepared]:
    """Make a data folder with a key and a client, by the real command."""
    with tempfile.TemporaryDirectory() as name:
        bare = Prepared(folder=Path(name), client_id=CLIENT_ID, client_secret="")
        run_command(bare, "keys", "generate", "--json")
        made = json.loads(run_command(bare, "clients", "create", CLIENT_ID, "--json"))
        yield Prepared(folder=Path(name), client_id=CLIENT_ID, client_secret=made["client_secret"])


def run_command(data: Prepared, *arguments: str) -> str:
    """Run `watchword` and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "watchword", *arguments],
        cwd=_ROOT,
        env=data.environment(8080),
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    return done.stdout


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A provider that answers."""

    pid: int
    workers: tuple[int, ...]
    address: tuple[str, int]
    seconds_to_listen: float


@contextmanager
def provider(data: Prepared, *, workers: int = 1) -> Iterator[Running]:
    """Start `watchword serve` as shipped, its log going to a file; stop it by SIGTERM."""
    address = ("127.0.0.1", free_port())
    command = [sys.executable, "-m", "watchword", "serve", "--port", str(address[1])]
    begun = time.perf_counter()
    with open(data.folder / "provider.log", "wb") as log:
        process = subprocess.Popen(
            [*command, "--workers", str(workers)],
            cwd=_ROOT,
            env=data.environment(address[1]),
            stdout=log,
            stderr=log,
        )
        try:
            wait_for_port(address)
            listening = time.perf_counter() - begun
            children = _children(process.pid) if workers > 1 else (process.pid,)
            yield Running(
                pid=process.pid, workers=children, address=address, seconds_to_listen=listening
            )
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)


def _children(pid: int) -> tuple[int, ...]:
    time.sleep(1)  # the parent binds before it forks
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return tuple(int(each) for each in listed.split())
