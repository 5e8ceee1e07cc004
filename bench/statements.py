"""Count the database statements of a token in steady state: there should be none.

Counted from outside the provider: PostgreSQL logs every statement, and SQLite's own trace of every
connection is written down by bench/counted_watchword.py. A worker that issues tokens as fast as it
can is compared with the same worker left alone for a second more, which looks for changes of the
registry four times a second; whatever statement comes more often with tokens than without counts.
Tokens cause two things: each client's last use is written, in batches, at most once a minute; and
whose the next indexes on status lists are, up to 1,024 of a client at once. Those writes are
counted apart and have bars of their own.

Usage: bench/statements.py [--quick]. The last line is a JSON object; exit 1 if a bar is missed.
"""

# ruff: noqa: E402
import sys

sys.path[0] = sys.path[0].removesuffix("/bench")  # else bench/token.py hides the standard `token`

import argparse
import json
import math
import re
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.crowd import ENGINES, fill, member, new_url, start_postgresql
from bench.loadgen import run_load_apart
from bench.served import SCOPES, Prepared, Running, prepared, provider
from tests.support.postgresql import PostgresServer

LIMIT = 0.001
"""Statements a token, beside those that follow a write."""

OWNERS_LIMIT = 0.01
"""Writes a token of whose indexes of status lists are."""

LOOK = 6
"""Statements of a worker that looks at the change feed once more, as after each write to SQLite."""

CLIENTS = 10
CONNECTIONS = 32
PATIENCE = 30.0
CHUNK = 500
_LITERAL = re.compile(r"'[^']*'|\b\d+\b")
# Not the one that goes with each writing of an owner: whether the client has ended meanwhile.
_LOOK_UP = re.compile(r"FROM clients\b(?!.*AND NOT disabled)")
_OWNER = re.compile(r"INSERT INTO (status_blocks|counters)\b")
_USE = re.compile(r"UPDATE \w+ SET last_used_at")
# Every ten seconds, with or without tokens; and what only frames other statements.
_ASIDE = re.compile(r"UPDATE \w+ SET expiry_announced|BEGIN|COMMIT|ROLLBACK")
# What stands before a statement in the log of PostgreSQL, where further lines begin with a tab.
_BEGINNING = re.compile(r"LOG: (?:statement|execute [^:]*): ")


@dataclass(slots=True)
class Counted:
    """A worker, and the log of its statements as far as it has been read."""

    data: Prepared
    server: Running
    log: Path
    _read: int = field(default=0, init=False)

    def ask(self, tokens: int) -> int:
        """Ask for so many tokens, for all clients in turn."""
        requests = [self.data.token_request(member(number + 1)) for number in range(CLIENTS)]
        load = run_load_apart(
            self.server.address, requests, connections=min(CONNECTIONS, tokens), total=tokens
        )
        return load.requests

    def take(self) -> Counter[str]:
        """Count the statements since the last time, without their values."""
        with open(self.log, "rb") as log:
            log.seek(self._read)
            new = log.read()
        new = new[: new.rfind(b"\n") + 1]
        self._read += len(new)
        return Counter(_LITERAL.sub("?", each) for each in self._statements(new.decode()))

    def _statements(self, text: str) -> list[str]:
        lines = [" ".join(line.split()) for line in text.replace("\n\t", " ").splitlines()]
        if self.data.database_url is None:
            return lines
        return [line[found.end() :] for line in lines if (found := _BEGINNING.search(line))]


@contextmanager
def counted(engine: str, postgres: PostgresServer) -> Iterator[Counted]:
    """Start one worker whose statements are written down."""
    with prepared(new_url(engine, postgres)) as data:
        fill(data, CLIENTS, postgres)
        if data.database_url is None:
            log, program = data.folder / "statements.log", ("bench/counted_watchword.py",)
        else:
            log, program = postgres.folder / "log", ("-m", "watchword")
            name = data.database_url.rpartition("/")[2]
            postgres.run_sql(f"ALTER DATABASE {name} SET log_statement = 'all'")
        with provider(data, "--only", "issuer", program=program) as server:
            yield Counted(data, server, log)


def settle(worker: Counted) -> int:
    """Wait until the first uses are written; count the look-ups that they took."""
    seen = worker.take()
    end = time.monotonic() + PATIENCE
    while not _count(seen, _USE):
        if time.monotonic() > end:
            raise RuntimeError("no use was written")
        time.sleep(0.1)
        seen += worker.take()
    look_ups = _count(seen, _LOOK_UP)
    if look_ups < CLIENTS:
        raise RuntimeError(f"{CLIENTS} first uses and {look_ups} look-ups: miscounted")
    return look_ups


def load(worker: Counted, seconds: float) -> tuple[int, Counter[str]]:
    """Ask for tokens as fast as they come; give how many there were, and the statements."""
    begun = time.monotonic()
    tokens = 0
    worker.take()
    while time.monotonic() - begun < seconds:
        tokens += worker.ask(CHUNK)
    return tokens, worker.take()


def compare(
    tokens: int, busy: Counter[str], alone: Counter[str], seconds: float
) -> dict[str, object]:
    """Tell what came more often with tokens than without."""
    more = busy - alone  # of each statement, and none below zero
    extra = more.total() - sum(_count(more, each) for each in (_USE, _OWNER, _ASIDE))
    owners = _count(busy, _OWNER)
    return {
        "tokens": tokens,
        "statements_with_tokens": busy.total(),
        "statements_without_tokens": alone.total(),
        "more_with_tokens": max(0, extra - LOOK * owners),
        "looks_after_owners_at_most": LOOK * owners,
        "look_ups_with_tokens": _count(busy, _LOOK_UP),
        "owners_written": owners,
        "uses_written": _count(busy, _USE),
        "uses_at_most": CLIENTS * (1 + len(SCOPES)) * (1 + math.ceil(seconds / 60)),
    }


def _count(statements: Counter[str], kind: re.Pattern[str]) -> int:
    return sum(count for statement, count in statements.items() if kind.search(statement))


def measure(workers: dict[str, Counted], seconds: float) -> dict[str, dict]:
    """Count with tokens, one engine after the other, then without, both at once."""
    for worker in workers.values():
        worker.ask(CLIENTS)
    first = {engine: settle(worker) for engine, worker in workers.items()}
    for worker in workers.values():
        worker.ask(CLIENTS * 250)  # blocks of indexes grow
    time.sleep(1)  # whoever looks for changes has seen what was written
    busy = {engine: load(worker, seconds) for engine, worker in workers.items()}
    for worker in workers.values():
        worker.take()
    time.sleep(seconds + 1)
    return {
        engine: compare(*busy[engine], worker.take(), seconds)
        | {"look_ups_of_first_uses": first[engine]}
        for engine, worker in workers.items()
    }


def missed_bars(engine: str, found: dict) -> list[str]:
    """Name what is above its bar."""
    bars = {
        "statements": found["more_with_tokens"] <= LIMIT * found["tokens"],
        "owners": found["owners_written"] / found["tokens"] <= OWNERS_LIMIT,
        "look-ups": found["look_ups_with_tokens"] == 0,
        "uses": found["uses_written"] <= found["uses_at_most"],
    }
    return [f"{engine} {name}" for name, met in bars.items() if not met]


def main() -> int:
    """Measure, print, and tell by the exit code whether every bar was met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="within 45 s on two cores")
    seconds = 5.0 if parser.parse_args().quick else 90.0
    with ExitStack() as stack:
        postgres = stack.enter_context(closing(start_postgresql()))
        workers = {engine: stack.enter_context(counted(engine, postgres)) for engine in ENGINES}
        details = measure(workers, seconds)
    for engine, found in details.items():
        print(f"{engine}: {found}")
    missed = [line for engine, found in details.items() for line in missed_bars(engine, found)]
    ratios = [found["more_with_tokens"] / found["tokens"] for found in details.values()]
    result = {
        "name": "statements",
        "ratio": round(max(ratios), 6),
        "against": "tokens issued; statements beyond those without tokens, and looks after writes",
        "limit": LIMIT,
        "details": {**details, "missed": missed},
    }
    print(json.dumps(result))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
