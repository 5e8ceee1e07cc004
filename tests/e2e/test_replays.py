"""The same assertion at the same instant: of all workers and nodes, one takes it."""

import json
import re
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import cycle, islice
from threading import Barrier

import httpx
import pytest

from tests.e2e.test_two_nodes import make_nodes
from tests.support.assertions import form_of, jwk_of, make_assertion
from tests.support.provider import PATIENCE, eventually, make_place, running
from tests.support.redis_server import PASSWORD, RedisServer

AT_ONCE = 12


def add_client(place):
    """Register a client by its public key."""
    file = place.folder / "jwks.json"
    file.write_text(json.dumps({"keys": [jwk_of()]}))
    method = ("--auth", "private_key_jwt", "--jwks", str(file))
    assert place.run("clients", "create", "svc-a", *method, "--scope", "read").returncode == 0


def fresh_assertion(place):
    """Sign an assertion for this issuer, now."""
    now = int(time.time())
    return make_assertion(aud=place.url, iat=now, exp=now + 60)


def send(place, assertion):
    """Ask for a token, by a connection of its own."""
    form = {"grant_type": "client_credentials", **form_of(assertion)}
    return httpx.post(f"{place.url}/token", data=form, trust_env=False, timeout=PATIENCE)


def show_to_all(*nodes):
    """Send one assertion to all nodes at the same instant; count the answers."""
    assertion, ready = fresh_assertion(nodes[0]), Barrier(AT_ONCE)

    def show(node):
        ready.wait(PATIENCE)
        return send(node, assertion).status_code

    with ThreadPoolExecutor(AT_ONCE) as threads:
        return Counter(threads.map(show, islice(cycle(nodes), AT_ONCE)))


def claims(*nodes):
    """Add up what the nodes count."""
    counts = Counter()
    for node in nodes:
        text = node.get("/metrics").text
        for outcome, count in re.findall(r'^watchword_replay_claims.*"(\w+)"} (\d+)', text, re.M):
            counts[outcome] += int(count)
    return +counts


@pytest.mark.attack("T16")
def test_one_of_two_workers_takes_an_assertion(tmp_path):
    """They share the file of the registry, and nothing else."""
    place = make_place(tmp_path)
    place.add_key()
    add_client(place)
    with running(place, "--only", "issuer", "--workers", "2"):
        for _ in range(3):
            assert show_to_all(place) == {200: 1, 401: AT_ONCE - 1}
        assert eventually(lambda: claims(place) == {"claimed": 3, "replayed": 3 * AT_ONCE - 3})
    refused = {line["reason"] for line in place.log() if line["event"] == "token.refused"}
    assert refused == {"assertion_replayed"}


@pytest.mark.attack("T16")
def test_one_of_two_nodes_takes_an_assertion(tmp_path, postgres_url):
    """They share a database; then claims are in Redis, whose outage is of assertions alone."""
    one, two, _ = make_nodes(tmp_path, postgres_url)
    two.settings["WATCHWORD_ISSUER"] = one.url
    add_client(one)
    plain = one.json("clients", "create", "till", "--scope", "read")
    with running(one, "--only", "issuer"), running(two, "--only", "issuer"):
        assert show_to_all(one, two) == {200: 1, 401: AT_ONCE - 1}
    redis = RedisServer(tmp_path)
    for node in (one, two):
        node.settings["WATCHWORD_REPLAY_STORE"] = redis.url
    with ExitStack() as stack:
        stack.callback(redis.stop)
        for node in (one, two):
            stack.enter_context(running(node, "--only", "issuer"))
        assert show_to_all(one, two) == {200: 1, 401: AT_ONCE - 1}
        assert claims(one, two) == {"claimed": 1, "replayed": AT_ONCE - 1}
        redis.stop()
        answer = send(two, fresh_assertion(one))
        assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
        assert two.ask(plain).status_code == 200
        assert two.is_ready()
        assert eventually(lambda: "replays.unavailable" in {line["event"] for line in two.log()})
        redis.start()
        assert show_to_all(one, two) == {200: 1, 401: AT_ONCE - 1}
    logged = (two.folder / "log").read_text()
    assert PASSWORD not in logged


def test_serve_and_doctor_say_that_the_replay_store_is_away(tmp_path):
    """In one line each; nothing is served that could take an assertion twice."""
    place = make_place(tmp_path, WATCHWORD_REPLAY_STORE="redis://:s3cret@127.0.0.1:1/0")
    place.add_key()
    done = place.run("serve", "--only", "issuer")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "WATCHWORD_REPLAY_STORE: the replay store:" in line
    assert "s3cret" not in line
    (found,) = [
        each
        for each in json.loads(place.run("doctor", "--json").stdout)["findings"]
        if each["check"] == "replays"
    ]
    assert found["remedy"] == "start the replay store, or set WATCHWORD_REPLAY_STORE to it"
