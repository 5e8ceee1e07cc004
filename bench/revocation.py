"""Revoke tokens: how long until each of twenty validators refuses them.

An issuer with two workers, and APIs in processes of their own that have verified the token before
and remember it. An operator runs `watchword token revoke`. The time is from the moment at which the
change is in the database, as another reader of it sees it, to the first answer 401 of each API;
also from the start of the command, which takes a moment to come to that. Meanwhile every API is
shown a good token, which may never be refused. Then the same once more while a client revokes
10,000 of its tokens a minute by `/revoke`; some of those are shown to every API in the end.

Usage: bench/revocation.py [--quick]. The last line is a JSON object; exit 1 if a bar was missed.
"""

# ruff: noqa: E402
import sys

sys.path[0] = sys.path[0].removesuffix("/bench")  # else bench/token.py hides the standard `token`

import argparse
import json
import random
import sqlite3
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, field

from bench.loadgen import free_port, run_load
from bench.served import Prepared, Running, prepared, provider, run_command
from bench.validators import (
    Connection,
    Prober,
    Shown,
    Trust,
    get_token,
    jti_of,
    validator,
    wait_until_ready,
)
from issuer.status.positions import read_jti

VALIDATORS = 20
MARGIN = 1
"""Seconds that may be added to `WATCHWORD_STATUS_LIST_TTL`."""

A_MINUTE = 10_000
"""Revocations by `/revoke`."""

BURST = 0.1
"""Seconds between two lots of them."""

LOOK = 0.01
"""Seconds between two looks whether a change was committed."""

SAMPLE = 10
_COMMITTED = "SELECT 1 FROM status_changes WHERE bucket = ? AND first = ?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What is done with one `status_list_ttl`."""

    ttl: int
    at_once: int
    """Tokens that are revoked one after the other before the first has to be refused."""
    rounds: int
    load_seconds: float
    """How long the load of revocations goes on; 0 for none."""

    @property
    def limit(self) -> int:
        """Seconds within which a token must be refused."""
        return self.ttl + MARGIN


FULL = (
    Stage(ttl=15, at_once=5, rounds=3, load_seconds=60),
    Stage(ttl=1, at_once=1, rounds=15, load_seconds=60),
)
QUICK = (
    Stage(ttl=15, at_once=2, rounds=1, load_seconds=0),
    Stage(ttl=1, at_once=1, rounds=2, load_seconds=6),
)


@dataclass(slots=True)
class Times:
    """Seconds until APIs refused, of each token and API; infinite if one never did."""

    from_commit: list[float] = field(default_factory=list)
    from_start: list[float] = field(default_factory=list)

    def figures(self) -> dict[str, float | int]:
        """Sum up."""
        found: dict[str, float | int] = {"samples": len(self.from_commit)}
        for name in ("from_commit", "from_start"):
            ordered = sorted(getattr(self, name))
            p99 = ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]
            found |= {
                f"{name}_p50": round(statistics.median(ordered), 2),
                f"{name}_p99": round(p99, 2),
            }
        return found


class Bench:
    """An issuer, its validators, an operator, and a client that revokes its tokens."""

    def __init__(self, stage: Stage, stack: ExitStack) -> None:
        self.wrong: list[str] = []
        self._stage = stage
        self._data: Prepared = stack.enter_context(prepared())
        port = free_port()
        issuer = f"http://127.0.0.1:{port}"
        self._settings = {
            "WATCHWORD_ISSUER": issuer,
            "WATCHWORD_STATUS_LIST_TTL": str(stage.ttl),
        }
        self._server: Running = stack.enter_context(
            provider(self._data, port=port, workers=2, settings=self._settings)
        )
        trust = Trust(issuer=issuer)
        self._addresses = [stack.enter_context(validator(trust)) for _ in range(VALIDATORS)]
        wait_until_ready(self._addresses)
        database = sqlite3.connect(self._data.folder / "registry.db")
        self._database = stack.enter_context(closing(database))

    def measure(self) -> dict[str, object]:
        """Revoke by the command, alone and under load."""
        alone = Times()
        for _ in range(self._stage.rounds):
            self._revoke_some(alone)
        found: dict[str, object] = {"alone": alone.figures()}
        if self._stage.load_seconds:
            found["under_load"] = self._measure_under_load()
        return {**found, "wrong": self.wrong}

    def _measure_under_load(self) -> dict[str, object]:
        """Revoke by the command while a client revokes as fast as the bar says."""
        count = int(self._stage.load_seconds * A_MINUTE / 60)
        with ThreadPoolExecutor(8) as apart:
            tokens = list(apart.map(lambda _: self._get_token(), range(count)))
        loaded = Times()
        with ThreadPoolExecutor(1) as apart:
            load = apart.submit(self._load, tokens)
            while not load.done():
                self._revoke_some(loaded)
            seconds = load.result()
        time.sleep(self._stage.limit)
        sample = random.sample(tokens, SAMPLE)
        self._show_ended(sample)
        return {**loaded.figures(), "revoked": count, "a_minute": round(count / seconds * 60)}

    def _load(self, tokens: Sequence[str]) -> float:
        """Revoke all of them by the clock; give the seconds that it took."""
        requests = [self._data.revocation_request(token) for token in tokens]
        begun = time.monotonic()
        sent = 0
        while sent < len(requests):
            due = min(len(requests), int((time.monotonic() - begun + BURST) * A_MINUTE / 60))
            some = requests[sent:due]
            if some:
                run_load(self._server.address, some, connections=len(some), total=len(some))
            sent = due
            time.sleep(max(0.0, begun + sent * 60 / A_MINUTE - time.monotonic()))
        return time.monotonic() - begun

    def _revoke_some(self, times: Times) -> None:
        """Revoke a few tokens at random moments, and see them refused everywhere."""
        tokens = [self._get_token() for _ in range(self._stage.at_once)]
        shown = Shown(tokens, good=self._get_token())
        probers = [Prober(address, shown) for address in self._addresses]
        for prober in probers:
            prober.start()
        try:
            for prober in probers:
                prober.wait_for_first_look(tokens[-1])
            moments = {token: self._revoke(token) for token in tokens}
            end = time.time() + self._stage.limit + 10
            while time.time() < end:
                if all(len(prober.refused_at) == len(tokens) for prober in probers):
                    break
                time.sleep(Prober.PACE)
        finally:
            shown.stop.set()
            for prober in probers:
                prober.join()
        for token, (started, committed) in moments.items():
            for prober in probers:
                refused = prober.refused_at.get(token, float("inf"))
                times.from_start.append(refused - started)
                times.from_commit.append(refused - committed)
        self.wrong += [wrong for prober in probers for wrong in prober.wrong]

    def _revoke(self, token: str) -> tuple[float, float]:
        """Run the command; give when it was started, and when its change was committed."""
        time.sleep(random.random() * min(self._stage.ttl, 1.5))
        position = read_jti(jti_of(token))
        assert position is not None
        with ThreadPoolExecutor(1) as apart:
            started = time.time()
            done: Future = apart.submit(
                run_command, self._data, self._settings, "token", "revoke", token
            )
            while not self._database.execute(_COMMITTED, position).fetchone():
                if done.done() and done.result().returncode:
                    raise AssertionError(done.result().stderr)
                time.sleep(LOOK)
            committed = time.time()
        return started, committed

    def _get_token(self) -> str:
        return get_token(self._data, self._server.address)

    def _show_ended(self, tokens: Sequence[str]) -> None:
        """Show revoked tokens to every API, which has not seen them before."""
        for address in self._addresses:
            with closing(Connection(address)) as connection:
                statuses = [connection.show(token).status for token in tokens]
            self.wrong += [f"{each} for a revoked token" for each in statuses if each != 401]


def missed_bars(stage: Stage, found: dict) -> list[str]:
    """Name what is above its bar."""
    name = f"status_list_ttl {stage.ttl}"
    missed = [f"{name}: wrong answers"] if found["wrong"] else []
    for when in ("alone", "under_load"):
        if when in found and found[when]["from_commit_p99"] > stage.limit:
            missed.append(f"{name} {when}: p99")
    if "under_load" in found and found["under_load"]["a_minute"] < 0.95 * A_MINUTE:
        missed.append(f"{name}: revocations a minute")
    return missed


def main() -> int:
    """Measure, print, and tell by the exit code whether every bar was met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="within 45 s on two cores")
    stages = QUICK if parser.parse_args().quick else FULL
    details: dict[str, dict] = {}
    missed, ratios = [], []
    for stage in stages:
        with ExitStack() as stack:
            found = details[f"ttl_{stage.ttl}"] = Bench(stage, stack).measure()
        print(f"status_list_ttl {stage.ttl}: {found}", flush=True)
        missed += missed_bars(stage, found)
        p99s = [found[each]["from_commit_p99"] for each in ("alone", "under_load") if each in found]
        ratios.append(max(p99s) / stage.limit)
    result = {
        "name": "revocation",
        "ratio": round(max(ratios), 2),
        "against": f"status_list_ttl + {MARGIN} s: p99 from the commit to refusal at each API",
        "limit": 1.0,
        "details": {**details, "validators": VALIDATORS, "missed": missed},
    }
    print(json.dumps(result))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
