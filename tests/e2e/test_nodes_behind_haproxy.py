"""Two nodes of one issuer behind HAProxy, as the sample in `deploy/` has them."""

import signal
import time
from dataclasses import replace

import pytest

from tests.e2e.test_failover import asked_all_the_time, issued
from tests.e2e.test_revocation import REVOKED, status_of
from tests.e2e.test_two_nodes import make_nodes
from tests.support.haproxy import balancing_haproxy
from tests.support.provider import PATIENCE, eventually, running

pytestmark = pytest.mark.alone


def test_nodes_behind_haproxy_act_as_one_and_may_stop_one_by_one(tmp_path, postgres_url):
    """A change and a revocation are in force on both within a second; no request is refused."""
    one, two, _ = make_nodes(tmp_path, postgres_url)
    for node in (one, two):
        node.settings["WATCHWORD_DRAIN_SECONDS"] = "2"
    with balancing_haproxy(tmp_path, one.port, two.port) as url, running(one, "--only", "issuer"):
        front = replace(one, port=int(url.rpartition(":")[2]))
        assert eventually(front.is_ready)
        with running(two, "--only", "issuer") as process:
            till, other = (
                one.json("clients", "create", name, "--scope", "read") for name in ("till", "other")
            )
            assert eventually(lambda: both_answer((one, two), front, till))
            with asked_all_the_time((front, front), other) as (statuses, tokens):
                known = issued(front, till)
                assert front.ask(till, "/revoke", token=known).status_code == 200
                assert in_force((one, two), lambda node: status_of(node, known) == REVOKED)
                assert two.run("clients", "disable", "till").returncode == 0
                assert in_force((one, two), lambda node: node.ask(till).status_code == 401)
                process.send_signal(signal.SIGTERM)
                process.wait(timeout=PATIENCE)
                before = len(tokens)
                assert eventually(lambda: len(tokens) > before + 10)
            assert set(statuses) == {200}


def in_force(nodes, holds):
    """Tell whether it holds for each of the nodes within a second."""
    end = time.monotonic() + 1
    return all(eventually(lambda n=n: holds(n), within=end - time.monotonic()) for n in nodes)


def both_answer(nodes, front, client):
    """Tell whether a request through the front reached each of the nodes."""
    issued(front, client)
    return all(any(each["event"] == "token.issued" for each in node.log()) for node in nodes)
