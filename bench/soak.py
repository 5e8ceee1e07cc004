"""Serve under steady load while everything around the issuer fails, and see that nothing is lost.

Two workers on a PostgreSQL server of the bench's own, and two APIs. Callers ask for tokens at an
even pace and show each to an API. Meanwhile, in an order drawn from a seed: a worker is killed, the
database stopped and started, the signing key rotated, clients made, changed and deleted; and all
the time slow and hostile connections are held. Every client of a caller may have its token at all
times, so any other answer than a token, and any refusal of one, is wrong. A connection that a
killed worker took with it is made anew, and the request sent again.

One worker is never killed: its memory and descriptors are followed. In the end the clients in the
registry are compared with what the audit trail says of each, and its length with what was done.

Usage: bench/soak.py [--quick] [--seed N]. The last line is a JSON object; exit 1 if a bar is
missed.
"""

# ruff: noqa: E402
import sys

sys.path[0] = sys.path[0].removesuffix("/bench")  # else bench/token.py hides the standard `token`

import argparse
import json
import multiprocessing
import os
import random
import signal
import socket
import statistics
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field, replace
from itertools import pairwise
from multiprocessing.synchronize import Event as ProcessEvent
from pathlib import Path
from threading import Event, Thread

from bench.attacks import fields, pipeline, trailers
from bench.crowd import fill, member, resident_mb, start_postgresql
from bench.loadgen import ask, free_port
from bench.served import (
    OPERATOR,
    RESOURCE,
    SCOPES,
    Prepared,
    Running,
    prepared,
    provider,
    run_command,
)
from bench.validators import Connection, Trust, validator, wait_until_ready
from issuer.registry.client import ClientRegistration
from issuer.registry.schema import same_json, write
from issuer.storage.edit import RegistryEdit
from issuer.storage.registry import Registry
from tests.support.postgresql import PostgresServer

CALLERS = 8
PACE = 0.05
"""Seconds between two requests of a caller."""

DESCRIPTORS_LIMIT = 8
"""By so many the most of the second half may exceed that of the first: connections come and go."""

SETTINGS = {
    "WATCHWORD_JWKS_MAX_AGE": "1",
    "WATCHWORD_TOKEN_TTL": "300",
    "WATCHWORD_MAX_TOKEN_TTL": "300",
}
"""A new key signs after 3 s; 6 minutes later, as tokens live 5, the one before is in no set."""

MANY = 1_000_000
_SLOW = b"POST /token HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"
_ATTACKS = (pipeline, fields, trailers)


@dataclass(slots=True)
class Found:
    """What callers saw."""

    tokens: int = 0
    accepted: int = 0
    broken: int = 0
    """Connections that ended with a worker, whose request was sent again."""
    wrong: list[str] = field(default_factory=list)


class Caller(Thread):
    """Asks for a token and shows it to an API, again and again, until told to stop."""

    def __init__(
        self, issuer: tuple[str, int], api: tuple[str, int], request: bytes, stop: Event
    ) -> None:
        super().__init__()
        self.found = Found()
        self._issuer, self._api, self._request = issuer, api, request
        self._ended = stop
        self._connection: socket.socket | None = None

    def run(self) -> None:
        """Ask; what ends it before it is told to stop is wrong too, such as a server that hangs."""
        try:
            self._go_on()
        except Exception as error:
            self.found.wrong.append(f"{time.time():.3f} caller: {error!r}")

    def _go_on(self) -> None:
        with closing(Connection(self._api)) as api:
            while not self._ended.wait(PACE):
                answer = self._ask()
                if not answer.startswith(b"HTTP/1.1 200 "):
                    self.found.wrong.append(f"{time.time():.3f} issuer: {answer[:300]!r}")
                    continue
                self.found.tokens += 1
                token = json.loads(answer.partition(b"\r\n\r\n")[2])["access_token"]
                status = api.show(token).status
                self.found.accepted += status == 200
                if status != 200:
                    self.found.wrong.append(f"{time.time():.3f} API: {status}")

    def _ask(self) -> bytes:
        for _ in range(3):
            try:
                if self._connection is None:
                    self._connection = socket.create_connection(self._issuer, timeout=30)
                return ask(self._connection, self._request)
            except ConnectionError:
                pass
            self.found.broken += 1
            self._connection = None
        return b"no answer in three tries"


@dataclass(slots=True)
class Operations:
    """What goes wrong and what is changed, one after the other."""

    data: Prepared
    issuer: str
    server: Running
    postgres: PostgresServer
    registry: Registry
    draw: random.Random
    done: Counter[str] = field(default_factory=Counter)
    made: list[str] = field(default_factory=list)
    changes: int = 0

    def run(self, end: float, pause: float) -> None:
        """Do one after the other until the time has come."""
        actions: list[Callable[[], None]] = [
            self.kill_a_worker,
            self.restart_the_database,
            self.rotate,
            *[self.change_clients] * 5,
        ]
        while time.monotonic() < end:
            # Each once in a round, so that even a short run has all of them.
            for action in self.draw.sample(actions, len(actions)):
                if time.monotonic() >= end:
                    return
                action()
                self.done[action.__name__] += 1
                time.sleep(self.draw.uniform(0.5, 1.5) * pause)

    def kill_a_worker(self) -> None:
        """Kill the worker that is not followed; the parent starts another."""
        survivor = self.server.workers[0]
        (victim,) = (each for each in children(self.server.pid) if each != survivor)
        os.kill(victim, signal.SIGKILL)
        wait_for(lambda: len(set(children(self.server.pid)) - {survivor, victim}) == 1)
        time.sleep(2)  # it serves again, and knows the clients of the callers

    def restart_the_database(self) -> None:
        """Crash the database and start it again; tokens go on meanwhile."""
        self.postgres.stop(self.draw.choice(("fast", "immediate")))
        time.sleep(self.draw.uniform(0.2, 2))
        self.postgres.start()
        wait_for(lambda: self.registry.schema_revision() is not None)

    def rotate(self) -> None:
        """Make the successor of the signing key, as `watchword keys rotate` does."""
        result = run_command(
            self.data, SETTINGS | {"WATCHWORD_ISSUER": self.issuer}, "keys", "rotate"
        )
        if result.returncode:
            raise RuntimeError(result.stderr)

    def change_clients(self) -> None:
        """Make a client, disable or enable one, or delete one."""
        kind = self.draw.choice(("make", "turn", "delete")) if len(self.made) > 5 else "make"
        name = f"made-{self.changes}" if kind == "make" else self.draw.choice(self.made)

        def change(edit: RegistryEdit) -> None:
            if kind == "make":
                grants = edit.grants_for([RESOURCE], SCOPES)
                edit.create_client(ClientRegistration(client_id=name, grants=grants))
            elif kind == "delete":
                edit.delete_client(name)
            else:
                now = edit.require_client(name).registration
                edit.replace_client(replace(now, disabled=not now.disabled))

        self.registry.change(change, by=OPERATOR)
        self.changes += 1
        if kind == "make":
            self.made.append(name)
        elif kind == "delete":
            self.made.remove(name)

    def disagreements(self) -> list[str]:
        """Compare the registry with the audit trail, and that with what was done."""
        said: dict[str, object] = {}
        entries = [
            entry
            for entry in self.registry.read(lambda reading: reading.list_audit(limit=MANY))
            if entry.actor.name == OPERATOR.name and entry.action.startswith("client.")
        ]
        for entry in sorted(entries, key=lambda each: each.number):
            said[entry.target] = entry.after
        clients = self.registry.read(lambda reading: reading.list_clients())
        are = {each.client_id: write(each.registration) for each in clients}
        wrong = [
            name
            for name, after in said.items()
            if name.startswith("made-") and not same_json(after, are.get(name))
        ]
        wrong += sorted(set(self.made) ^ {name for name in are if name.startswith("made-")})
        count = sum(entry.target.startswith("made-") for entry in entries)
        if count != self.changes:
            wrong.append(f"{self.changes} changes, {count} entries")
        return wrong


@dataclass(slots=True)
class Followed:
    """Memory and descriptors of one process over time."""

    pid: int
    moments: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    descriptors: list[int] = field(default_factory=list)

    def look(self) -> None:
        """Note what they are now."""
        self.moments.append(time.monotonic())
        self.memory.append(resident_mb(self.pid))
        self.descriptors.append(len(os.listdir(f"/proc/{self.pid}/fd")))

    def result(self) -> dict[str, float]:
        """Fit a line to the memory of the second half, and compare descriptors of both halves."""
        first = int(len(self.moments) * 0.5)
        moments, memory = self.moments[first:], self.memory[first:]
        slope, _ = statistics.linear_regression(moments, memory)
        # Samples hang together, so the noise is taken from ten means rather than from each.
        means = [statistics.mean(part) for part in _tenths(memory)]
        steps = [after - before for before, after in pairwise(means)]
        noise = statistics.stdev(steps) * 2.26 / len(steps) ** 0.5  # Student, 9 degrees
        return {
            "slope_mb_an_hour": round(slope * 3_600, 2),
            "step_mb": round(statistics.mean(steps), 4),
            "noise_mb": round(noise, 4),
            "memory_mb": round(memory[-1], 1),
            "descriptors_first": max(self.descriptors[: first or 1]),
            "descriptors_last": max(self.descriptors[first:]),
        }


def _tenths(values: list[float]) -> list[list[float]]:
    size = len(values) / 11
    return [values[int(n * size) : int((n + 1) * size)] for n in range(11)]


def children(pid: int) -> tuple[int, ...]:
    """Return the processes that this one has started."""
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return tuple(map(int, listed.split()))


def wait_for(holds: Callable[[], bool]) -> None:
    """Return once it holds; raise TimeoutError if it does not within a minute."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with suppress(Exception):
            if holds():
                return
        time.sleep(0.1)
    raise TimeoutError("what the bench waits for did not come")


def annoy(address: tuple[str, int], stop: ProcessEvent) -> None:
    """Hold slow connections, and attack now and then for a moment, until told to stop."""
    slow: list[socket.socket] = []
    turn = 0
    while not stop.is_set():
        with suppress(OSError):
            peer = socket.create_connection(address, timeout=1)
            peer.sendall(_SLOW)
            slow.append(peer)
        for peer in slow[:-20]:
            peer.close()
        slow = slow[-20:]
        for peer in slow:
            with suppress(OSError):
                peer.send(b"x")
        if turn % 20 == 10:
            moment = multiprocessing.get_context("fork").Event()
            attack = Thread(target=_ATTACKS[turn // 20 % len(_ATTACKS)], args=(address, moment))
            attack.start()
            stop.wait(0.5)
            moment.set()
            attack.join()
        turn += 1
        stop.wait(0.5)


def soak(seconds: float, pause: float, seed: int) -> dict[str, object]:
    """Run it all; give what was found."""
    with ExitStack() as stack:
        postgres = stack.enter_context(closing(start_postgresql()))
        data = stack.enter_context(prepared(postgres.new_database()))
        fill(data, CALLERS, postgres)
        port = free_port()
        issuer = f"http://127.0.0.1:{port}"
        settings = SETTINGS | {"WATCHWORD_ISSUER": issuer}
        server = stack.enter_context(provider(data, workers=2, settings=settings, port=port))
        trust = Trust(issuer=issuer)
        apis = [stack.enter_context(validator(trust)) for _ in range(2)]
        wait_until_ready(apis)
        registry = stack.enter_context(closing(data.open_registry()))
        stop, ended = Event(), multiprocessing.get_context("fork").Event()
        annoying = multiprocessing.get_context("fork").Process(
            target=annoy, args=(server.address, ended)
        )
        annoying.start()
        callers = [
            Caller(server.address, apis[n % 2], data.token_request(member(n + 1)), stop)
            for n in range(CALLERS)
        ]
        for caller in callers:
            caller.start()
        followed, parent = Followed(server.workers[0]), Followed(server.pid)
        operations = Operations(data, issuer, server, postgres, registry, random.Random(seed))
        end = time.monotonic() + seconds
        with ThreadPoolExecutor(1) as pool:
            operating = pool.submit(operations.run, end, pause)
            while not operating.done():
                for each in (followed, parent):
                    each.look()
                wait((operating,), timeout=0.2)
        stop.set()
        ended.set()
        for caller in callers:
            caller.join()
        annoying.join()
        operating.result()  # raises what has ended it early
        return {
            "seed": seed,
            "tokens": sum(each.found.tokens for each in callers),
            "accepted": sum(each.found.accepted for each in callers),
            "broken_connections": sum(each.found.broken for each in callers),
            "wrong": [line for each in callers for line in each.found.wrong],
            "done": dict(operations.done),
            "worker": followed.result(),
            "parent": parent.result(),
            "registry_against_audit": operations.disagreements(),
        }


def main() -> int:
    """Soak, print, and tell by the exit code whether every bar was met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="within 45 s on two cores")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    seconds, pause = (25.0, 0.3) if options.quick else (1_800.0, 4.0)
    found = soak(seconds, pause, options.seed)
    bars = {"wrong": not found["wrong"], "audit": not found["registry_against_audit"]}
    for name in ("worker", "parent"):
        each: dict = found[name]
        # In 45 s memory still grows to what it needs.
        bars[f"memory of the {name}"] = options.quick or each["step_mb"] <= each["noise_mb"]
        growth = each["descriptors_last"] - each["descriptors_first"]
        bars[f"descriptors of the {name}"] = growth <= DESCRIPTORS_LIMIT
    missed = [name for name, met in bars.items() if not met]
    result = {
        "name": "soak",
        "ratio": len(found["wrong"]),
        "against": "good requests that were refused, or whose token was",
        "limit": 0,
        "details": {**found, "wrong": found["wrong"][:20], "missed": missed},
    }
    print(json.dumps(result))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
