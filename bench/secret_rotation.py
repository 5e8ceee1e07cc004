"""Change secrets under steady load: no token request may fail.

Callers ask for tokens at an even pace, on connections to two workers. Beside them operators change
the secrets, each of one client, as an operator does, in another process than the provider: add a
secret, switch the callers to it at once, and revoke the old one as soon as what was under way with
it is answered. On both engines.

Usage: bench/secret_rotation.py [--quick]. The last line is a JSON object; exit 1 if one failed.
"""

# ruff: noqa: E402
import sys

sys.path[0] = sys.path[0].removesuffix("/bench")  # else bench/token.py hides the standard `token`

import argparse
import json
import random
import secrets
import socket
import statistics
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from threading import Event, Thread

from bench.crowd import ENGINES, fill, member, new_url, start_postgresql
from bench.loadgen import cpu_seconds
from bench.served import OPERATOR, Prepared, Running, new_secret, prepared, provider
from issuer.registry.credentials import generate_secret
from issuer.storage.registry import Registry
from tests.support.postgresql import PostgresServer

LIMIT = 0
CLIENTS = 4
CALLERS_EACH = 4
WORKERS = 2
PACE = 0.05
"""Seconds between two requests of a caller."""

COUNTS_WITHIN = 1.0
"""Seconds after which a revoked secret must be refused."""


@dataclass(slots=True)
class Account:
    """A client, and the request that its callers send now."""

    client_id: str
    secret: str
    request: bytes
    callers: list["Caller"] = field(default_factory=list)

    def switch(self, data: Prepared, secret: str) -> None:
        """Give all callers a new secret; return when none waits for an answer to the old one."""
        self.secret, self.request = secret, data.token_request(self.client_id, secret)
        while any(caller.sent is not self.request for caller in self.callers):
            time.sleep(0.001)


class Caller(Thread):
    """Asks for tokens, one after the other at an even pace, over one connection."""

    def __init__(self, account: Account, address: tuple[str, int], stop: Event) -> None:
        super().__init__()
        self.sent = b""
        self.latencies: list[float] = []
        self.failures: list[str] = []
        self._account = account
        self._address = address
        self._stop_asking = stop

    def run(self) -> None:
        """Ask until told to stop."""
        connection = socket.create_connection(self._address, timeout=30)
        due = time.perf_counter()
        while not self._stop_asking.is_set():
            # The answer to what was sent before is there, so the old secret is not under way.
            self.sent = self._account.request
            begun = time.perf_counter()
            answer = exchange(connection, self.sent)
            self.latencies.append(time.perf_counter() - begun)
            if not answer.startswith("HTTP/1.1 200 "):
                self.failures.append(answer.partition("\r\n")[0])
            due = max(due + PACE, time.perf_counter() - PACE)
            time.sleep(max(0.0, due - time.perf_counter()))
        connection.close()


def exchange(connection: socket.socket, request: bytes) -> str:
    """Send a request; give the answer, or what went wrong instead."""
    try:
        connection.sendall(request)
        return connection.recv(65_536).decode("ascii") or "closed"
    except OSError as error:
        return str(error)


def change_secrets(
    account: Account, data: Prepared, registry: Registry, *, changes: int, seed: int
) -> list[str]:
    """Replace the secret of one client again and again; return those that were revoked."""
    pauses = random.Random(seed)
    revoked = []
    for _ in range(changes):
        old, new = account.secret, generate_secret(secrets.token_bytes)
        registry.change(
            lambda edit, new=new: edit.add_secret(account.client_id, new_secret(new)), by=OPERATOR
        )
        account.switch(data, new)
        (ended,) = (
            each.secret_id
            for each in registry.find_client(account.client_id).secrets
            if each.hash.verify(old)
        )
        registry.change(
            lambda edit, ended=ended: edit.revoke_secret(account.client_id, ended), by=OPERATOR
        )
        revoked.append(old)
        # Everything that a worker does at its own pace is met at another moment each time.
        time.sleep(pauses.uniform(0, 0.4))
    return revoked


def measure(data: Prepared, server: Running, changes: int) -> dict[str, object]:
    """Change secrets of all clients at once while their callers go on."""
    stop = Event()
    accounts = [
        Account(member(number + 1), data.client_secret, data.token_request(member(number + 1)))
        for number in range(CLIENTS)
    ]
    for account in accounts:
        account.callers = [Caller(account, server.address, stop) for _ in range(CALLERS_EACH)]
    callers = [caller for account in accounts for caller in account.callers]
    cpu = [cpu_seconds(pid) for pid in server.workers]
    begun = time.monotonic()
    for caller in callers:
        caller.start()
    revoked = operate(accounts, data, changes)
    stop.set()
    for caller in callers:
        caller.join()
    elapsed = time.monotonic() - begun
    time.sleep(COUNTS_WITHIN)
    latencies = [latency for caller in callers for latency in caller.latencies]
    return {
        "requests": len(latencies),
        "failed": [failure for caller in callers for failure in caller.failures],
        "changes": len(revoked),
        "seconds": round(elapsed, 1),
        "revoked_but_accepted": count_accepted(data, server, revoked),
        "median_ms": round(statistics.median(latencies) * 1000, 1),
        "p99_ms": round(sorted(latencies)[int(0.99 * len(latencies))] * 1000, 1),
        "worst_ms": round(max(latencies) * 1000, 1),
        "cpu_seconds_of_workers": [
            round(cpu_seconds(pid) - before, 2)
            for pid, before in zip(server.workers, cpu, strict=True)
        ],
    }


def operate(accounts: list[Account], data: Prepared, changes: int) -> list[tuple[str, str]]:
    """Let an operator a client work; return which secrets of which clients were revoked."""
    revoked: list[tuple[str, str]] = []
    with closing(data.open_registry()) as registry:

        def work(account: Account, seed: int) -> None:
            each = changes // len(accounts)
            ended = change_secrets(account, data, registry, changes=each, seed=seed)
            revoked.extend((account.client_id, secret) for secret in ended)

        operators = [Thread(target=work, args=(each, n)) for n, each in enumerate(accounts)]
        for operator in operators:
            operator.start()
        for operator in operators:
            operator.join()
    return revoked


def count_accepted(data: Prepared, server: Running, revoked: list[tuple[str, str]]) -> int:
    """Count the revoked secrets that still get a token: else nothing was really changed."""
    with socket.create_connection(server.address, timeout=30) as connection:
        answers = [
            exchange(connection, data.token_request(client_id, secret))
            for client_id, secret in revoked
        ]
    return sum(not answer.startswith("HTTP/1.1 401 ") for answer in answers)


def measure_engine(engine: str, postgres: PostgresServer, changes: int) -> dict[str, object]:
    """Measure on a registry in one engine."""
    with ExitStack() as stack:
        data = stack.enter_context(prepared(new_url(engine, postgres)))
        fill(data, CLIENTS, postgres)
        server = stack.enter_context(provider(data, "--only", "issuer", workers=WORKERS))
        return measure(data, server, changes)


def main() -> int:
    """Measure, print, and tell by the exit code whether every bar was met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="within 45 s on two cores")
    changes = 40 if parser.parse_args().quick else 100
    details: dict[str, dict] = {}
    with closing(start_postgresql()) as postgres:
        for engine in ENGINES:
            details[engine] = measure_engine(engine, postgres, changes)
            print(f"{engine}: {details[engine]}", flush=True)
    missed = [f"{engine} failed" for engine, found in details.items() if found["failed"]]
    missed += [
        f"{engine} {name}"
        for engine, found in details.items()
        for name, met in {
            "changes": found["changes"] == changes,
            "revoked": found["revoked_but_accepted"] == 0,
            "workers": all(found["cpu_seconds_of_workers"]),
        }.items()
        if not met
    ]
    result = {
        "name": "secret_rotation",
        "ratio": sum(len(found["failed"]) for found in details.values()),
        "against": f"failed token requests during {changes} changes of secrets on each engine",
        "limit": LIMIT,
        "details": {**details, "missed": missed},
    }
    print(json.dumps(result))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
