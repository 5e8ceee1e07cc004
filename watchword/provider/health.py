"""How the provider fares, for administrators: what `/readyz`, `/metrics` and `doctor` know.

Counters are those of all workers; the rest is as the worker sees it that answers.
"""

from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from math import isfinite
from shutil import disk_usage

from issuer.registry.schema import Json, write_time
from issuer.storage.database_url import SqliteFile
from issuer.storage.reading import RegistryReading
from issuer.storage.schema import HEAD
from keys.ring import published
from watchword import doctor
from watchword.doctor import Finding
from watchword.metrics import LIMITED, REQUESTS, Metrics, Series
from watchword.provider.issuer import IssuerApp
from watchword.provider.key_ring import ring_policy
from watchword.provider.shared_limits import RecentlyLimited
from watchword.settings import Settings

_REMEDIES = {
    "serving": "nothing: this process is being stopped, and serves what it has begun",
    "keys": "run: watchword doctor; it says which key cannot be used, and why",
    "registry": "start the database, or see the log for registry.unavailable",
    "jwks": "see the log for jwks.stale",
}
"""What mends a check of `/readyz` that fails."""


class Health:
    """Measures the provider.

    Args:
        settings: all settings, checked.
        issuer: of this worker.
        metrics: count what all workers do.
        checks: those of `/readyz` by name.
        started: when the server was started, in seconds since the epoch.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        settings: Settings,
        issuer: IssuerApp,
        metrics: Metrics,
        *,
        checks: Mapping[str, Callable[[], bool]],
        started: int,
        clock: Callable[[], int],
    ) -> None:
        self._settings = settings
        self._issuer = issuer
        self._metrics = metrics
        self._checks = checks
        self._started = started
        self._clock = clock

    def __call__(self, reading: RegistryReading | None) -> Json:
        """Measure it now, given a reading of the registry, None if that is away."""
        now = self._clock()
        checks = {name: holds() for name, holds in self._checks.items()}
        database = self._measure_database(reading, now)
        counts = self._metrics.count()
        findings = [*self._find(checks, now), *_find_in_database(database, reading, now)]
        return {
            "at": write_time(now),
            "version": version("watchword"),
            "started_at": write_time(self._started),
            "checks": checks,
            "findings": [each._asdict() for each in findings],
            "database": database,
            "keys": self._measure_keys(now),
            "clients_in_memory": len(self._issuer.view),
            "secrets_ending_30d": self._issuer.secrets_ending,
            **self._measure_tokens(now, counts),
            **self._measure_limits(now, counts),
        }

    def _measure_database(self, reading: RegistryReading | None, now: int) -> Json:
        lag = self._issuer.follower.lag
        return {
            "engine": "sqlite" if isinstance(self._settings.database, SqliteFile) else "postgresql",
            "answers": reading is not None,
            "schema": None if reading is None else reading.schema(),
            "expected_schema": HEAD,
            "clock_ahead": None if reading is None else now - reading.clock(),
            "change_lag": round(lag, 3) if isfinite(lag) else None,
        }

    def _measure_keys(self, now: int) -> Json:
        keys = self._issuer.keys
        step = keys.next_step(now)
        return {
            "alg": self._settings.signing_alg,
            "signing_queue": keys.waiting,
            "published": len(published(keys.entries(now))),
            "next_step_at": write_time(int(step)) if isfinite(step) else None,
        }

    def _measure_tokens(self, now: int, counts: Mapping[Series, float]) -> Json:
        as_of = self._issuer.statuses.lists.as_of
        requests: dict[str, int] = {}
        for series, count in counts.items():
            if series[0] == REQUESTS:
                requests[series[-1]] = requests.get(series[-1], 0) + int(count)
        return {
            "token_requests": [
                {"outcome": outcome, "requests": count}
                for outcome, count in sorted(requests.items(), key=lambda each: -each[1])
            ],
            "status_list_age": None if as_of is None else max(0, now - as_of),
            "withdrawal_seconds": self._issuer.config.withdrawal_seconds,
        }

    def _measure_limits(self, now: int, counts: Mapping[Series, float]) -> Json:
        beyond = {series[1]: int(count) for series, count in counts.items() if series[0] == LIMITED}
        settings = self._settings
        enforced = settings.token_quota_mode == "refuse"  # noqa: S105 - a mode
        return {
            "limits": [
                {
                    "limit": name,
                    "per_minute": most or None,
                    "refuses": refuses,
                    "requests_beyond": beyond.get(name, 0),
                }
                for name, most, refuses in (
                    ("failed_auth", settings.failed_auth_limit, True),
                    ("token_quota", settings.token_quota, enforced),
                )
            ],
            "limited": [_describe_limited(each) for each in self._issuer.shared_limits.recent(now)],
        }

    def _find(self, checks: Mapping[str, bool], now: int) -> Iterator[Finding]:
        for name, holds in checks.items():
            if not holds:
                yield Finding(name, f"the check {name} of /readyz fails", _REMEDIES[name])
        ring, policy = self._issuer.keys.entries(now), ring_policy(self._settings)
        yield from doctor.check_keys([entry.state for entry in ring])
        yield from doctor.check_successors(ring, now, policy)
        folder = self._settings.data_dir
        if folder.exists():
            yield from doctor.check_space(disk_usage(folder).free, str(folder.absolute()))


def _find_in_database(
    database: Json, reading: RegistryReading | None, now: int
) -> Iterator[Finding]:
    if reading is not None:
        yield from doctor.check_schema(database["schema"], HEAD)
        yield from doctor.check_clock(now, now - database["clock_ahead"])


def _describe_limited(each: RecentlyLimited) -> Json:
    return {
        "limit": each.limited.limit.value,
        "client_id": each.limited.client_id,
        "address": each.limited.address,
        "requests": each.requests,
        "last_at": write_time(each.last_at),
    }
