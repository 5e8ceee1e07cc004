"""`GET /metrics` of real servers: several workers, a port of its own, restarts."""

import os
import signal
import socket
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.provider import (
    PATIENCE,
    Place,
    children,
    eventually,
    free_port,
    make_place,
    running,
)

REQUESTS = "watchword_token_requests_total"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Prepare a folder with a key."""
    place = make_place(tmp_path, WATCHWORD_DRAIN_SECONDS="0")
    place.add_key()
    return place


def scrape(place: Place, port: int | None = None) -> dict[tuple[str, ...], float]:
    """Ask for the metrics on a new connection: the values by name and labels."""
    url = f"http://127.0.0.1:{port or place.port}/metrics"
    answer = httpx.get(url, trust_env=False, timeout=PATIENCE)
    assert answer.status_code == 200
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def counters(values: dict[tuple[str, ...], float]) -> dict[tuple[str, ...], float]:
    """Pick what must never go back."""
    ends = ("_total", "_count", "_sum", "_bucket")
    return {key: value for key, value in values.items() if key[0].endswith(ends)}


def assert_not_behind(
    last: dict[tuple[str, ...], float], now: dict[tuple[str, ...], float]
) -> dict[tuple[str, ...], float]:
    """Compare every counter with what it was; return the later values."""
    assert [key for key, value in counters(last).items() if now.get(key, 0) < value] == []
    return now


def issued(values: dict[tuple[str, ...], float]) -> float:
    """Count the tokens."""
    return sum(n for key, n in values.items() if key[0] == REQUESTS and "issued" in key)


def test_token_requests_are_told_apart_by_grant_method_and_outcome(place: Place) -> None:
    """No stranger chooses the value of a label."""
    client = place.json("clients", "create", "billing", "--scope", "read")
    known, wrong = (client["client_id"], client["client_secret"]), (client["client_id"], "guess")
    granted = {"grant_type": "client_credentials"}
    in_form = {"client_id": known[0], "client_secret": known[1]}
    url = f"http://localhost:{place.port}/token"
    with running(place), httpx.Client(trust_env=False) as http:
        for form, auth in (
            (granted, known),
            (granted | in_form, None),
            (granted, wrong),
            ({"grant_type": "made_up"}, known),
            ({"grant_type": "guessed"}, wrong),
            ({"scope": "read"}, known),
            (granted, None),
        ):
            http.post(url, data=form, auth=auth)
        http.post(url, content=b"grant_type=client_credentials")
        requests = {key[1:]: n for key, n in scrape(place).items() if key[0] == REQUESTS}
    basic, post = "client_secret_basic", "client_secret_post"
    assert requests == {
        ("client_credentials", basic, "issued"): 1,
        ("client_credentials", post, "issued"): 1,
        ("client_credentials", basic, "wrong_secret"): 1,
        ("other", basic, "unsupported_grant"): 1,
        ("other", basic, "wrong_secret"): 1,
        ("", basic, "grant_type_missing"): 1,
        ("client_credentials", "", "no_credentials"): 1,
        ("", "", "media_type"): 1,
    }


def test_counters_never_go_back_when_a_worker_is_killed(place: Place) -> None:
    """Whichever worker answers; its successor goes on from where it was."""
    client = place.json("clients", "create", "billing", "--scope", "read")
    with running(place, "--workers", "2") as process:
        last: dict[tuple[str, ...], float] = {}
        for asked in (10, 20, 30):
            for _ in range(10):
                assert place.ask(client).status_code == 200
            assert eventually(lambda asked=asked: issued(scrape(place)) == asked)
            for _ in range(6):
                last = assert_not_behind(last, scrape(place))
            killed = children(process.pid)[0]
            os.kill(killed, signal.SIGKILL)
            assert eventually(lambda killed=killed: killed not in children(process.pid))
            assert eventually(lambda: len(children(process.pid)) == 2 and place.is_ready())
            last = assert_not_behind(last, scrape(place))
        # A worker that has just begun has not asked the database yet.
        assert eventually(lambda: scrape(place)["watchword_registry_up",] == 1)
    assert last["watchword_token_request_duration_seconds_count",] == asked
    assert last["watchword_events_total", "worker.restarted", ""] == 3


def test_a_port_of_its_own_serves_the_metrics_and_nothing_else(place: Place) -> None:
    """And the provider's port serves them no longer, with one worker or two."""
    place.settings["WATCHWORD_METRICS_PORT"] = str(port := free_port())
    for workers in ("1", "2"):
        with running(place, "--workers", workers):
            values = scrape(place, port)
            assert values["watchword_keys", "active"] == 1
            assert values["watchword_events_total", "server.started", ""] == 1
            assert place.get("/metrics").status_code == 404
            for path in ("/token", "/healthz", "/", "/metrics/"):
                answer = httpx.get(f"http://127.0.0.1:{port}{path}", trust_env=False)
                assert answer.status_code == 404


def test_a_metrics_port_that_is_in_use(place: Place) -> None:
    """The setting is named, for the provider has two ports, and nothing is served."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place.settings["WATCHWORD_METRICS_PORT"] = str(port := taken.getsockname()[1])
        done = place.run("serve")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"watchword: WATCHWORD_METRICS_PORT: cannot listen on 127.0.0.1 port {port}:"
        " address already in use\n"
    )


def test_a_metrics_port_that_is_the_providers(place: Place) -> None:
    """Two settings that contradict each other are wrong usage."""
    place.settings["WATCHWORD_METRICS_PORT"] = str(place.port)
    done = place.run("serve")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"watchword: WATCHWORD_METRICS_PORT: {place.port} is the port")
    assert len(done.stderr.splitlines()) == 1


def test_a_scrape_during_a_reload_is_answered(place: Place) -> None:
    """Old and new workers tell the same counts, and none is lost with the old ones."""
    client = place.json("clients", "create", "billing", "--scope", "read")
    with running(place, "--workers", "2") as process:
        for _ in range(10):
            assert place.ask(client).status_code == 200
        assert eventually(lambda: issued(scrape(place)) == 10)
        before = children(process.pid)
        process.send_signal(signal.SIGHUP)
        last = scrape(place)
        while set(before) & set(children(process.pid)):
            last = assert_not_behind(last, scrape(place))
        assert issued(scrape(place)) == 10
