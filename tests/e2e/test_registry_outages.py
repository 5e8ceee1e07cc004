"""A running provider on PostgreSQL: changes elsewhere, and a database that comes and goes."""

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest

from issuer.registry.errors import RegistryError
from issuer.storage.registry import Registry
from tests.support.postgresql import PostgresServer
from tests.support.provider import Place, children, eventually, make_place, running
from tests.support.registry import SECRET, RegistryHarness, fast_hash, new_client

pytestmark = pytest.mark.alone

KNOWN = {"client_id": "known", "client_secret": SECRET}
UNKNOWN = {"client_id": "unknown", "client_secret": SECRET}


@contextmanager
def harness(url: str, **options: object) -> Iterator[RegistryHarness]:
    """Open the registry as an operator elsewhere."""
    registry = Registry.open(url, now=lambda: int(time.time()), **options)
    with closing(registry):
        yield RegistryHarness(registry)


AWAY = {"status": "unavailable", "failing": ["registry"]}
"""What `/readyz` answers while the database is away."""


@pytest.fixture
def place(tmp_path: Path, postgres_url: str) -> Place:
    """Prepare a provider on PostgreSQL with one client."""
    place = make_place(
        tmp_path, WATCHWORD_DATABASE_URL=postgres_url, WATCHWORD_REGISTRY_OUTAGE_SECONDS="60"
    )
    with harness(postgres_url, upgrade=True):
        pass
    place.add_key()
    return place


def add_client(place: Place, client_id: str) -> None:
    """Register a client with the secret of all."""
    with harness(place.settings["WATCHWORD_DATABASE_URL"]) as operator:
        operator.create_client(
            new_client(client_id, resources=(place.url,), secret_hash=fast_hash())
        )


def statuses(place: Place, client: dict[str, str], times: int = 12) -> set[int]:
    """Ask on so many connections, to meet every worker."""
    return {place.ask(client).status_code for _ in range(times)}


@contextmanager
def load(place: Place, client: dict[str, str]) -> Iterator[Counter[int]]:
    """Ask for tokens on several connections until the block ends; counts the answers."""
    ended, counted = threading.Event(), Counter[int]()

    def ask() -> None:
        with httpx.Client(trust_env=False, timeout=10) as session:
            while not ended.is_set():
                answer = session.post(
                    place.url + "/token",
                    auth=(client["client_id"], client["client_secret"]),
                    data={"grant_type": "client_credentials"},
                )
                counted[answer.status_code] += 1

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        yield counted
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def keep(client_ids: list[str], place: Place, stop: threading.Event) -> list[str]:
    """Register clients one after another; returns those that were confirmed."""
    confirmed = []
    for client_id in client_ids:
        if stop.is_set():
            break
        try:
            add_client(place, client_id)
        except RegistryError:
            continue
        confirmed.append(client_id)
    return confirmed


def test_known_clients_outlive_an_outage_and_nothing_needs_a_restart(
    place: Place, postgres: PostgresServer
) -> None:
    """The view serves, `/readyz` says so, the rest get 503; then all is as before."""
    with running(place, "--workers", "2"):
        add_client(place, "known")
        add_client(place, "unknown")
        assert statuses(place, KNOWN) == {200}
        postgres.stop("immediate")
        # Each request may reach another worker, which notices the outage at a time of its own.
        assert eventually(lambda: place.get("/readyz").json() == AWAY)
        assert statuses(place, KNOWN) == {200}
        refused = place.ask(UNKNOWN)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert refused.json() == {"error": "temporarily_unavailable"}
        assert place.ask(KNOWN | {"client_secret": "wrong"}).status_code == 503
        postgres.start()
        assert eventually(place.is_ready)
        assert eventually(lambda: place.ask(UNKNOWN).status_code == 200, within=5)
        with harness(place.settings["WATCHWORD_DATABASE_URL"]) as operator:
            operator.set_disabled("known", True)
        assert eventually(lambda: statuses(place, KNOWN) == {401}, within=2)
    told = Counter(line["event"] for line in place.log())
    assert 1 <= told["registry.unavailable"] <= 4
    assert told["registry.unavailable"] == told["registry.available"]


def test_a_worker_that_starts_in_an_outage_serves_the_rest_until_it_ends(
    place: Place, postgres: PostgresServer
) -> None:
    """Keys and documents at once, tokens when the database is back, without another restart."""
    with running(place, "--workers", "2") as process:
        add_client(place, "known")
        assert statuses(place, KNOWN) == {200}
        postgres.stop("immediate")
        for worker in children(process.pid):
            os.kill(worker, signal.SIGKILL)
        assert eventually(lambda: place.get("/readyz").status_code == 503)
        assert eventually(lambda: statuses(place, KNOWN) == {503})  # neither of those of before
        assert place.get("/readyz").json() == AWAY
        assert place.ask(KNOWN).json() == {"error": "temporarily_unavailable"}
        assert place.get("/jwks").json()["keys"]
        metadata = place.get("/.well-known/oauth-authorization-server")
        assert metadata.json()["jwks_uri"] == place.url + "/jwks"
        postgres.start()
        assert eventually(lambda: statuses(place, KNOWN) == {200})
        assert eventually(place.is_ready)
        within_a_second(place, lambda operator: operator.set_disabled("known", True), 401)
    told = Counter(line["event"] for line in place.log())
    assert (told["worker.restarted"], told["worker.failed"]) == (2, 0)


def test_a_database_that_hangs_is_no_different(place: Place, postgres: PostgresServer) -> None:
    """A server that takes connections and says nothing keeps nobody waiting for long."""
    with running(place):
        add_client(place, "known")
        add_client(place, "unknown")
        assert place.ask(KNOWN).status_code == 200
        postgres.freeze()
        try:
            assert eventually(lambda: place.get("/readyz").status_code == 503)
            assert place.ask(KNOWN).status_code == 200
            assert place.ask(UNKNOWN).status_code == 503
        finally:
            postgres.thaw()
        assert eventually(place.is_ready)
        assert eventually(lambda: place.ask(UNKNOWN).status_code == 200)


def test_an_outage_is_outlived_for_a_bounded_time(place: Place, postgres: PostgresServer) -> None:
    """What could not be checked for too long does not count any more."""
    place.settings["WATCHWORD_REGISTRY_OUTAGE_SECONDS"] = "1"
    with running(place):
        add_client(place, "known")
        assert place.ask(KNOWN).status_code == 200
        postgres.stop("immediate")
        assert eventually(lambda: place.ask(KNOWN).status_code == 503, within=10)
        postgres.start()
        assert eventually(lambda: place.ask(KNOWN).status_code == 200, within=10)


def test_a_restart_under_load_costs_no_known_client_a_token(
    place: Place, postgres: PostgresServer
) -> None:
    """Nor does it lose a client that was confirmed to the operator."""
    stop, confirmed = threading.Event(), list[str]()
    names = [f"new-{number}" for number in range(500)]

    def administer() -> None:
        confirmed.extend(keep(names, place, stop))

    with running(place, "--workers", "2"):
        add_client(place, "known")
        assert statuses(place, KNOWN) == {200}
        operator = threading.Thread(target=administer)
        operator.start()
        with load(place, KNOWN) as counted:
            assert eventually(lambda: counted[200] > 200)
            for mode in ("fast", "immediate"):
                postgres.stop(mode)
                before = counted[200]
                assert eventually(lambda before=before: counted[200] > before + 200)
                postgres.start()
                assert eventually(place.is_ready)
        stop.set()
        operator.join()
        assert set(counted) == {200}, counted
    with harness(place.settings["WATCHWORD_DATABASE_URL"]) as registry:
        found = {client.client_id for client in registry.list_clients()}
        assert set(confirmed) <= found
        assert len(confirmed) > 0
        # Each is whole: a client without its secret or grant would be half a client.
        assert all(len(c.secrets) == len(c.grants) == 1 for c in registry.list_clients())


def within_a_second(place: Place, change: Callable[[RegistryHarness], object], status: int) -> None:
    """Make a change elsewhere and expect each worker to act on it in time."""
    with harness(place.settings["WATCHWORD_DATABASE_URL"]) as operator:
        change(operator)
        assert eventually(lambda: statuses(place, KNOWN) == {status}, within=1.0)


def test_every_worker_learns_of_a_change_within_a_second(
    place: Place, postgres: PostgresServer
) -> None:
    """Whether it is told, or its listening connection is cut again and again."""
    with running(place, "--workers", "2"):
        add_client(place, "known")
        assert statuses(place, KNOWN) == {200}
        within_a_second(place, lambda operator: operator.set_disabled("known", True), 401)
        within_a_second(place, lambda operator: operator.set_disabled("known", False), 200)
        cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        name = place.settings["WATCHWORD_DATABASE_URL"].rpartition("/")[2]
        postgres.run_sql(f"{cut} WHERE datname = '{name}'")
        within_a_second(place, lambda operator: operator.set_disabled("known", True), 401)
        assert eventually(place.is_ready)


def test_an_outdated_schema_is_refused_with_the_command_to_run(
    tmp_path: Path, postgres_url: str
) -> None:
    """On a server nobody upgrades by accident; after the command it serves."""
    place = make_place(tmp_path, WATCHWORD_DATABASE_URL=postgres_url)
    place.add_key()
    process = place.start()
    assert process.wait(timeout=30) == 1
    assert process.stdout is not None
    process.stdout.close()
    said = (tmp_path / "log").read_text()
    assert said.endswith("run: watchword db upgrade\n")
    assert said.count("\n") == 1
    assert postgres_url not in said
    assert place.run("db", "upgrade").returncode == 0
    (tmp_path / "log").unlink()
    with running(place):
        assert place.is_ready()
