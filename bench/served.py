"""A real provider for benches: its own data folder, one client, started by the real command."""

import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from types import MappingProxyType

from bench.loadgen import build_request, free_port, wait_for_port
from consumer.client_auth import ClientSecretBasic
from issuer.config import MAX_TOKEN_TTL
from issuer.registry.audit import Actor, Via
from issuer.registry.client import ClientRegistration
from issuer.registry.credentials import NewSecret, generate_secret, hash_secret
from issuer.registry.resource import Resource
from issuer.storage.edit import RegistryEdit
from issuer.storage.registry import Registry
from keys.ring import RingPolicy
from keys.stores.folder import KeyFolder
from keys.stores.store import KeyStore
from watchword.ambient import wall_clock

CLIENT_ID = "bench-client"
RESOURCE = "https://api.example"
SCOPES = ("read", "write")
OPERATOR = Actor(name="bench", via=Via.CLI)
_ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A data folder with a key, and a registry with a client, in the folder or on a server."""

    folder: Path
    client_id: str
    client_secret: str
    database_url: str | None = None

    @property
    def registry_url(self) -> str:
        """Where the registry is."""
        return self.database_url or f"sqlite:///{self.folder / 'registry.db'}"

    def environment(self) -> dict[str, str]:
        """Return the environment of a provider, whichever port it listens on."""
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith("WATCHWORD_")
        }
        return inherited | {
            "WATCHWORD_DATA_DIR": str(self.folder),
            "WATCHWORD_DATABASE_URL": self.registry_url,
            # The same whatever the port: a registry remembers its issuer, one client serves every
            # provider, and none has to write its own resources first.
            "WATCHWORD_ISSUER": "http://127.0.0.1:8080",
            "WATCHWORD_API_RESOURCE": RESOURCE,
            "WATCHWORD_ADMIN_RESOURCE": "https://admin.example",
            "WATCHWORD_DRAIN_SECONDS": "0",  # nobody is left to be served
        }

    def token_request(self, client_id: str | None = None, secret: str | None = None) -> bytes:
        """Return a token request by client_secret_basic, ready to be sent."""
        form = b"grant_type=client_credentials&scope=read%20write"
        return self._request("/token", form, client_id, secret)

    def revocation_request(self, token: str) -> bytes:
        """Return a request by which the client revokes a token of its own."""
        return self._request("/revoke", b"token=" + token.encode())

    def _request(
        self, path: str, form: bytes, client_id: str | None = None, secret: str | None = None
    ) -> bytes:
        basic = ClientSecretBasic(client_id or self.client_id, secret or self.client_secret)
        headers = {"content-type": "application/x-www-form-urlencoded"}
        basic.apply({}, headers, audience="", now=0.0)
        return build_request("POST", path, headers, form)

    def open_registry(self) -> Registry:
        """Open the registry as an operator beside the provider does; the caller closes it."""
        return Registry.open(self.registry_url, now=wall_clock, upgrade=True)


@contextmanager
def prepared(database_url: str | None = None) -> Iterator[Prepared]:
    """Make a data folder with a key and a client.

    Args:
        database_url: an empty database for the registry; SQLite in the folder if None.
    """
    with tempfile.TemporaryDirectory() as name:
        data = Prepared(
            folder=Path(name),
            client_id=CLIENT_ID,
            client_secret=generate_secret(secrets.token_bytes),
            database_url=database_url,
        )
        policy = RingPolicy(jwks_max_age=300, longest_token=MAX_TOKEN_TTL)
        KeyStore(KeyFolder(data.folder / "keys")).generate(
            alg="RS256", now=wall_clock(), policy=policy
        )
        with closing(data.open_registry()) as registry:
            registry.change(lambda edit: _register(edit, data), by=OPERATOR)
        yield data


def new_secret(secret: str) -> NewSecret:
    """Hash a secret for the registry, with a salt of its own."""
    return NewSecret(hash=hash_secret(secret, secrets.token_bytes))


def _register(edit: RegistryEdit, data: Prepared) -> None:
    edit.create_resource(Resource(resource=RESOURCE, scopes=SCOPES))
    registration = ClientRegistration(
        client_id=data.client_id, grants=edit.grants_for([RESOURCE], SCOPES)
    )
    edit.create_client(registration, [new_secret(data.client_secret)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A provider that answers; `seconds_to_ready` is from process start to a good `/readyz`."""

    pid: int
    workers: tuple[int, ...]
    address: tuple[str, int]
    seconds_to_ready: float


@contextmanager
def provider(
    data: Prepared,
    *options: str,
    workers: int = 1,
    program: tuple[str, ...] = ("-m", "watchword"),
    settings: Mapping[str, str] = MappingProxyType({}),
    port: int | None = None,
) -> Iterator[Running]:
    """Start `watchword serve` as shipped, its log going to a file; stop it by SIGTERM.

    Args:
        data: what it serves.
        options: further ones of `serve`.
        workers: how many processes.
        program: what Python runs instead of the command.
        settings: further variables of its environment.
        port: where it listens; a free one if None.
    """
    address = ("127.0.0.1", port or free_port())
    command = [sys.executable, *program, "serve", "--port", str(address[1]), *options]
    begun = time.perf_counter()
    with open(data.folder / "provider.log", "wb") as log:
        process = subprocess.Popen(
            [*command, "--workers", str(workers)],
            cwd=_ROOT,
            env=data.environment() | settings,
            stdout=log,
            stderr=log,
        )
        try:
            wait_for_port(address)
            _wait_until_ready(address)
            ready = time.perf_counter() - begun
            yield Running(
                pid=process.pid,
                workers=_children(process.pid) if workers > 1 else (process.pid,),
                address=address,
                seconds_to_ready=ready,
            )
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)


def _wait_until_ready(address: tuple[str, int]) -> None:
    """Wait for a good `/readyz`, on one connection.

    Raises:
        TimeoutError: there is none in time.
    """
    probe = HTTPConnection(*address, timeout=30)
    deadline = time.perf_counter() + 30
    with closing(probe):
        while time.perf_counter() < deadline:
            probe.request("GET", "/readyz")
            answer = probe.getresponse()
            answer.read()
            if answer.status == HTTPStatus.OK:
                return
            time.sleep(0.01)
    raise TimeoutError("the provider is not ready")


def run_command(
    data: Prepared, settings: Mapping[str, str], *arguments: str
) -> "subprocess.CompletedProcess[str]":
    """Run a command of `watchword` beside a provider, as an operator does.

    Args:
        data: what the provider serves.
        settings: further variables of its environment, those of the provider.
        arguments: the command.
    """
    return subprocess.run(
        [sys.executable, "-m", "watchword", *arguments],
        cwd=_ROOT,
        env=data.environment() | settings,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def _children(pid: int) -> tuple[int, ...]:
    time.sleep(1)  # the parent binds before it forks
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return tuple(int(each) for each in listed.split())
