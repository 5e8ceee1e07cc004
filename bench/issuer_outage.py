"""Take the issuer away for ten stale bounds: good tokens are accepted to the bound, then 503.

The stale bound is compressed to seconds; processes, sockets and files are real. The issuer is
killed. Three validators go on. Three are restarted at once, with what they left on disk, and one is
started after the bound with such a copy. At the end the issuer comes back, and all have to accept
again.

Each answer is judged by when it was asked for: 200 as long as the set must be in force, counted
from the last answer that the issuer will have given, and 503 with `Retry-After` once it cannot be,
counted from the moment at which the issuer was gone.

Usage: bench/issuer_outage.py [--quick]. The last line is a JSON object; exit 1 if an answer was
wrong.
"""

# ruff: noqa: E402
import sys

sys.path[0] = sys.path[0].removesuffix("/bench")  # else bench/token.py hides the standard `token`

import argparse
import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from threading import Event, Thread

from bench.loadgen import free_port
from bench.served import prepared, provider
from bench.validators import Answer, Connection, Trust, get_token, validator, wait_until_ready
from keys.remote.jwks_cache import CachePolicy

LIMIT = 0
BOUNDS = 10
EACH = 3
"""Validators that go on, and as many that are restarted."""

MAX_AGE = 1
TOLERANCE = 1.0
"""Seconds that a look at the key set may be late and take, on a busy machine."""

BACK_WITHIN = 3.0
"""Seconds after which all must accept again once the issuer answers: its pause is at most one."""

_COPY_SHARE = 0.1
"""The share of the bound by which a copy on disk may be older than the set in memory."""

_PACE = 0.05


class Caller(Thread):
    """Shows a good token to one API, again and again, from its first moment to the end."""

    def __init__(self, kind: str, address: tuple[str, int], token: str, stop: Event) -> None:
        super().__init__()
        self.kind = kind
        self.answers: list[tuple[float, float, Answer]] = []
        """When it was asked for, when it came, and what it was."""
        self._address = address
        self._token = token
        self._stop_asking = stop

    def run(self) -> None:
        """Ask until told to stop."""
        with closing(Connection(self._address)) as connection:
            while not self._stop_asking.is_set():
                asked = time.monotonic()
                answer = connection.show(self._token)
                self.answers.append((asked, time.monotonic(), answer))
                time.sleep(_PACE)

    def last(self, since: float) -> Answer | None:
        """Give the latest answer, if it was asked for since then."""
        asked, _, answer = self.answers[-1] if self.answers else (0.0, 0.0, None)
        return answer if asked >= since else None


class Outage:
    """An issuer that is killed, its validators, and when what happened; times are monotonic."""

    def __init__(self, stale_for: int) -> None:
        self.bound = MAX_AGE + stale_for
        self.port = free_port()
        self.issuer = f"http://127.0.0.1:{self.port}"
        self.settings = {
            "WATCHWORD_ISSUER": self.issuer,
            "WATCHWORD_JWKS_MAX_AGE": str(MAX_AGE),
            "WATCHWORD_STATUS_LIST_TTL": "2",
        }
        # Compressed as the bound is: an hour has 120 of the pauses that are 30 s as shipped.
        self.policy = CachePolicy(minimum_lifetime=1, cooldown=1, stale_for=stale_for)
        self.callers: list[Caller] = []
        self.dying = self.gone = self.returning = self.back = 0.0

    def run(self, bounds: int) -> None:
        """Play it."""
        stop = Event()
        with ExitStack() as stack:
            data = stack.enter_context(prepared())
            stack.callback(self._stop, stop)

            def start(kind: str, number: int) -> tuple[str, int]:
                copy = data.folder / f"{kind}-{number}" / "jwks.json"
                trust = Trust(issuer=self.issuer, policy=self.policy, copy=copy)
                return stack.enter_context(validator(trust))

            def call(kind: str, address: tuple[str, int]) -> None:
                self.callers.append(Caller(kind, address, token, stop))
                self.callers[-1].start()

            with (
                provider(data, port=self.port, settings=self.settings) as server,
                ExitStack() as old,
            ):
                token = get_token(data, server.address)
                staying = [start("stays", number) for number in range(EACH)]
                for number in range(EACH + 1):
                    kind = "restarted" if number < EACH else "started late"
                    copy = data.folder / f"{kind}-{number}" / "jwks.json"
                    trust = Trust(issuer=self.issuer, policy=self.policy, copy=copy)
                    _run_until_copied(old.enter_context(validator(trust)), copy, token)
                wait_until_ready(staying)
                for address in staying:
                    call("stays", address)
                time.sleep(2)
                self.dying = time.monotonic()
                os.kill(server.pid, signal.SIGKILL)
            self.gone = time.monotonic()
            old.close()
            for number in range(EACH):
                call("restarted", start("restarted", number))
            _sleep_until(self.gone + self.bound + TOLERANCE)
            call("started late", start("started late", EACH))
            _sleep_until(self.gone + bounds * self.bound)
            self.returning = time.monotonic()
            with provider(data, port=self.port, settings=self.settings):
                self.back = time.monotonic()
                self._wait_for(lambda caller: caller.last(self.back), 200)
                time.sleep(1)
                self._stop(stop)

    def _wait_for(self, answer: Callable[[Caller], Answer | None], status: int) -> None:
        end = time.monotonic() + 30
        while time.monotonic() < end:
            answers = [answer(caller) for caller in self.callers]
            if all(each is not None and each.status == status for each in answers):
                return
            time.sleep(_PACE)

    def _stop(self, stop: Event) -> None:
        stop.set()
        for caller in self.callers:
            caller.join()

    def wrong(self) -> list[str]:
        """List the answers that must not be."""
        return [
            f"{caller.kind}: {fault} {asked - self.gone:+.2f} s after the issuer was gone"
            for caller in self.callers
            for asked, answered, answer in caller.answers
            if (fault := self._fault(caller.kind, asked, answered, answer)) is not None
        ]

    def _fault(self, kind: str, asked: float, answered: float, answer: Answer) -> str | None:
        if answer.status not in (200, 503):
            return f"{answer.status}"
        if answer.status == 503 and not answer.retry_after:
            return "503 without Retry-After"
        older = _COPY_SHARE * self.bound if kind == "restarted" else 0
        surely_good = self.dying - MAX_AGE - older - TOLERANCE + self.bound
        if answer.status == 503 and kind != "started late" and answered < surely_good:
            return "503 within the bound"
        if answer.status == 503 and asked > self.back + BACK_WITHIN > BACK_WITHIN:
            return "503 though the issuer was back"
        if answer.status == 200 and self.gone + self.bound < asked and answered < self.returning:
            return "200 beyond the bound"
        return None

    def figures(self) -> dict[str, dict[str, list | Counter]]:
        """Say what was seen of each kind: in seconds since the issuer was killed, or was back."""
        found: dict[str, dict[str, list | Counter]] = {}
        for kind in dict.fromkeys(caller.kind for caller in self.callers):
            those = [caller.answers for caller in self.callers if caller.kind == kind]
            before = [[each for each in answers if each[1] < self.returning] for answers in those]
            accepted = [_last(answers, 200) for answers in before]
            again = [
                next((a[1] for a in answers if a[0] > self.back and a[2].status == 200), None)
                for answers in those
            ]
            found[kind] = {
                "statuses": Counter(each[2].status for answers in those for each in answers),
                "accepted_until": [each and round(each - self.dying, 2) for each in accepted],
                "accepted_again_after": [each and round(each - self.back, 2) for each in again],
            }
        return found


def _last(answers: list[tuple[float, float, Answer]], status: int) -> float | None:
    return max((asked for asked, _, answer in answers if answer.status == status), default=None)


def _run_until_copied(address: tuple[str, int], copy: Path, token: str) -> None:
    wait_until_ready([address])
    with closing(Connection(address)) as connection:
        connection.show(token)
    lists = copy.with_name(f"{copy.name}.lists")
    end = time.monotonic() + 10
    while not (copy.exists() and any(lists.glob("*.jwt"))):
        if time.monotonic() > end:
            raise TimeoutError("a validator left no copies")
        time.sleep(0.02)


def _sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))


def main() -> int:
    """Measure, print, and tell by the exit code whether every answer was right."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="within 45 s on two cores")
    quick = parser.parse_args().quick
    bounds = 3 if quick else BOUNDS
    outage = Outage(stale_for=4 if quick else 5)
    outage.run(bounds)
    wrong, figures = outage.wrong(), outage.figures()
    missed = [
        *(["wrong answers"] if wrong else []),
        *([] if all(figures["restarted"]["accepted_until"]) else ["recovery from the copy"]),
        *(
            f"{kind} after the outage"
            for kind, found in figures.items()
            if not all(found["accepted_again_after"])
        ),
    ]
    result = {
        "name": "issuer_outage",
        "ratio": len(wrong),
        "against": f"wrong answers in {bounds} stale bounds of {outage.bound} s without the issuer",
        "limit": LIMIT,
        "details": {
            "seconds_away": round(outage.returning - outage.gone, 1),
            **figures,
            "wrong": wrong[:20],
            "missed": missed,
        },
    }
    print(json.dumps(result))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
