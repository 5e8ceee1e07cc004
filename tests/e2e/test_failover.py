"""The PostgreSQL server of two nodes is killed, and a standby that lags takes over.

Replication is asynchronous here, and what the primary wrote last never reached the standby: the
worst that a failover can be.
"""

import threading
from collections import Counter
from contextlib import closing, contextmanager

import httpx
import pytest

from tests.e2e.test_revocation import REVOKED, VALID, claims_of, status_of
from tests.e2e.test_two_nodes import both, make_nodes
from tests.support.postgresql import PostgresServer
from tests.support.provider import eventually, make_place, running

pytestmark = pytest.mark.alone


@pytest.fixture
def pair():
    """Start a primary, and a standby that follows it."""
    with closing(PostgresServer()) as primary:
        primary.new_database()
        with closing(PostgresServer(standby_of=primary)) as standby:
            yield primary, standby


@contextmanager
def asked_all_the_time(nodes, client):
    """Ask both nodes for tokens until the block ends; give the statuses and the tokens."""
    ended, statuses, tokens = threading.Event(), Counter(), []

    def ask(node):
        with httpx.Client(trust_env=False, timeout=10) as session:
            while not ended.is_set():
                answer = session.post(
                    node.url + "/token",
                    auth=(client["client_id"], client["client_secret"]),
                    data={"grant_type": "client_credentials"},
                )
                statuses[answer.status_code] += 1
                if answer.is_success:
                    tokens.append(answer.json()["access_token"])
                ended.wait(0.01)

    threads = [threading.Thread(target=ask, args=(node,)) for node in nodes]
    for thread in threads:
        thread.start()
    try:
        yield statuses, tokens
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def issued(node, client):
    """Ask a node for a token, which it must give."""
    answer = node.ask(client)
    assert answer.status_code == 200, answer.text
    return answer.json()["access_token"]


def place_of(token):
    """Return where a token stands."""
    listed = claims_of(token)["status"]["status_list"]
    return listed["uri"], listed["idx"]


def test_nodes_outlive_a_failover_that_loses_the_last_writes(tmp_path, pair):
    """No token is refused, no place given twice, and nothing that was revoked is valid again."""
    primary, standby = pair
    one, two, _ = make_nodes(tmp_path, standby.url_after(primary, "test_1"))
    third = make_place(tmp_path, **two.settings)
    with both(one, two):
        till, late = (
            one.json("clients", "create", name, "--scope", "read", *options)
            for name, options in (("till", ()), ("late", ("--token-ttl", "40000")))
        )
        known = [issued(node, till) for node in (one, two)]
        standby.fall_behind(primary)
        lost = [issued(node, late) for node in (one, two)]
        assert one.ask(till, "/revoke", token=known[0]).status_code == 200
        assert eventually(lambda: {status_of(n, known[0]) for n in (one, two)} == {REVOKED})
        with asked_all_the_time((one, two), till) as (statuses, tokens):
            primary.stop("immediate")
            assert eventually(lambda: not (one.is_ready() or two.is_ready()))
            standby.promote()
            assert eventually(lambda: one.is_ready() and two.is_ready())
        assert set(statuses) == {200}
        with running(third, "--only", "issuer"):
            clients = (till, late) * 6
            tokens += [issued(node, each) for node in (one, two, third) for each in clients]
            # The third node never knew: the others have written to the standby what it had lost.
            assert eventually(lambda: status_of(third, known[0]) == REVOKED)
        tokens += known + lost
        assert len(set(map(place_of, tokens))) == len(tokens)

        assert [status_of(node, known[0]) for node in (one, two)] == [REVOKED] * 2
        assert [status_of(node, token) for node in (one, two) for token in lost] == [VALID] * 4
        jti = claims_of(lost[0])["jti"]
        assert eventually(lambda: one.run("token", "revoke", "--jti", jti).returncode == 0)
        assert eventually(lambda: len(owners(standby, "late")) >= len(lost))
        assert two.run("token", "revoke", "--client", "late", "--yes").returncode == 0
        assert eventually(
            lambda: {status_of(n, t) for n in (one, two) for t in lost} == {REVOKED}, within=1
        )
        assert one.run("clients", "disable", "till").returncode == 0
        assert eventually(lambda: {n.ask(till).status_code for n in (one, two)} == {401}, within=1)


def owners(server, client_id):
    """List the blocks of indexes that a server knows to be a client's."""
    sql = f"SELECT bucket, first FROM status_blocks WHERE client_id = '{client_id}'"
    return server.run_sql(sql, "test_1").splitlines()
