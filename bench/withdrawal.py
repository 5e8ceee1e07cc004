"""Withdraw keys: how long until the last of twenty validators refuses the tokens of such a key.

An issuer with two workers, and APIs in processes of their own that have verified a token of the key
before and remember it. An operator runs `watchword keys revoke KID --yes`. The time is from the
moment at which the store was changed to the answer 401 of the last API. Meanwhile every API is
shown tokens of the key that took over: none may be refused.

Usage: bench/withdrawal.py [--quick]. The last line is a JSON object; exit 1 if a bar was missed.
"""

# ruff: noqa: E402
import sys

sys.path[0] = sys.path[0].removesuffix("/bench")  # else bench/token.py hides the standard `token`

import argparse
import json
import random
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from bench.loadgen import free_port
from bench.served import Prepared, Running, prepared, provider, run_command
from bench.validators import (
    Prober,
    Shown,
    Trust,
    get_token,
    kid_of,
    validator,
    wait_until_ready,
)

VALIDATORS = 20
STATUS_LIST_TTL = 15
MARGIN = 1
"""Seconds that may be added to `WATCHWORD_STATUS_LIST_TTL`."""


class Bench:
    """An issuer, its validators, and an operator."""

    def __init__(self, ttl: int) -> None:
        self.ttl = ttl
        self.port = free_port()
        self.issuer = f"http://127.0.0.1:{self.port}"
        self.settings = {
            "WATCHWORD_ISSUER": self.issuer,
            "WATCHWORD_STATUS_LIST_TTL": str(ttl),
        }

    def measure(self, withdrawals: int) -> list[dict[str, object]]:
        """Withdraw one key after the other."""
        with ExitStack() as stack:
            data = stack.enter_context(prepared())
            server = stack.enter_context(
                provider(data, port=self.port, workers=2, settings=self.settings)
            )
            trust = Trust(issuer=self.issuer)
            addresses = [stack.enter_context(validator(trust)) for _ in range(VALIDATORS)]
            wait_until_ready(addresses)
            return [self._withdraw(data, server, addresses) for _ in range(withdrawals)]

    def _withdraw(
        self, data: Prepared, server: Running, addresses: list[tuple[str, int]]
    ) -> dict[str, object]:
        self._wait_for_successor(data)
        old = get_token(data, server.address)
        shown = Shown([old])
        probers = [Prober(address, shown) for address in addresses]
        for prober in probers:
            prober.start()
        for prober in probers:
            prober.wait_for_first_look(old)
        kid = kid_of(old)
        with ThreadPoolExecutor() as apart:
            revoke = ["keys", "revoke", kid, "--yes"]
            done = apart.submit(run_command, data, self.settings, *revoke)
            shown.good = self._new_token(data, server, kid)
            promoted = time.time()
        if done.result().returncode:
            raise AssertionError(done.result().stderr)
        changed = (data.folder / "keys" / f"{kid}.pem").stat().st_mtime
        while not all(prober.refused_at and prober.good > 2 for prober in probers):
            if time.time() > changed + 3 * self.ttl + 30:
                break
            time.sleep(Prober.PACE)
        shown.stop.set()
        for prober in probers:
            prober.join()
        return self._judge(probers, changed, promoted)

    def _judge(self, probers: list[Prober], changed: float, promoted: float) -> dict[str, object]:
        times = [
            max(prober.refused_at.values(), default=float("inf")) - changed for prober in probers
        ]
        found = {
            "last": round(max(times), 2),
            "median": round(statistics.median(times), 2),
            "successor_signs": round(promoted - changed, 2),
            "good_tokens_shown": sum(prober.good for prober in probers),
            "wrong": [wrong for prober in probers for wrong in prober.wrong],
        }
        print(found, flush=True)
        return found

    def _new_token(self, data: Prepared, server: Running, withdrawn: str) -> str:
        """Get a token of the key that took over; workers know of it a moment later."""
        end = time.monotonic() + 30
        while time.monotonic() < end:
            token = get_token(data, server.address)
            if kid_of(token) != withdrawn:
                return token
            time.sleep(0.05)
        raise AssertionError("no other key signs")

    def _wait_for_successor(self, data: Prepared) -> None:
        """Wait until there is a prepared key that every validator has had the time to see."""
        end = time.monotonic() + 90
        while time.monotonic() < end:
            listed = run_command(data, self.settings, "keys", "list", "--json")
            keys = json.loads(listed.stdout)["keys"]
            pending = [key for key in keys if key["state"] == "pending"]
            if pending:
                # A prepared key is hours old, usually. Here it is as young as it may be, and at any
                # moment of the validators' intervals.
                time.sleep(self.ttl + 1 + random.random() * self.ttl)
                return
            time.sleep(0.2)
        raise AssertionError("no successor was prepared")


def main() -> int:
    """Measure, print, and tell by the exit code whether every bar was met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="within 45 s on two cores")
    quick = parser.parse_args().quick
    ttl, withdrawals = (1, 4) if quick else (STATUS_LIST_TTL, 8)
    rounds = Bench(ttl).measure(withdrawals)
    last = sorted(float(str(each["last"])) for each in rounds)
    p99 = last[min(len(last) - 1, int(0.99 * len(last)))]
    wrong = [line for each in rounds for line in each["wrong"]]
    limit = ttl + MARGIN
    missed = [*(["p99"] if p99 > limit else []), *(["wrong answers"] if wrong else [])]
    result = {
        "name": "withdrawal",
        "ratio": p99,
        "against": f"a second: p99 of the time until the last of {VALIDATORS} validators refuses",
        "limit": limit,
        "details": {
            "status_list_ttl": ttl,
            "withdrawals": withdrawals,
            "p50": round(statistics.median(last), 2),
            "p99": p99,
            "good_tokens_shown": sum(each["good_tokens_shown"] for each in rounds),
            "wrong": wrong,
            "missed": missed,
        },
    }
    print(json.dumps(result))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
