"""Tokens revoked by operators: two nodes on one PostgreSQL database tell of it within a second."""

import zlib

import jwt
import pytest

from keys.encoding import decode_base64url
from tests.e2e.test_two_nodes import both, make_nodes
from tests.support.cli import refused
from tests.support.provider import Place, eventually

pytestmark = pytest.mark.alone

REVOKED, SUSPENDED, VALID = 1, 2, 0
UNVERIFIED = {"verify_signature": False}


def claims_of(token: str) -> dict:
    """Return the claims of a JWT."""
    return jwt.decode(token, options=UNVERIFIED)


def list_of(node: Place, token: str) -> dict:
    """Fetch the list of a token from a node, whichever node its URI leads to."""
    uri = claims_of(token)["status"]["status_list"]["uri"]
    answer = node.get("/status-lists/" + uri.rpartition("/")[2])
    assert answer.status_code == 200
    claims = claims_of(answer.text)
    assert claims["sub"] == uri
    return claims | {"etag": answer.headers["etag"]}


def status_of(node: Place, token: str) -> int:
    """Look a token up in the list that a node tells."""
    index = claims_of(token)["status"]["status_list"]["idx"]
    packed = zlib.decompress(decode_base64url(list_of(node, token)["status_list"]["lst"]))
    return packed[index // 4] >> 2 * (index % 4) & 3


def test_what_is_revoked_beside_one_node_is_told_by_the_other_within_a_second(
    tmp_path, postgres, postgres_url
):
    """One token, then all of the client; while the database is away nothing changes."""
    one, two, _ = make_nodes(tmp_path, postgres_url)
    with both(one, two):
        client = one.json("clients", "create", "till", "--scope", "read")
        tokens = [node.ask(client).json()["access_token"] for node in (one, one, two)]
        places = [claims_of(token)["status"]["status_list"] for token in tokens]
        assert len({(place["uri"], place["idx"]) for place in places}) == 3
        assert [status_of(node, tokens[0]) for node in (one, two)] == [VALID, VALID]
        assert list_of(one, tokens[0])["etag"] == list_of(two, tokens[0])["etag"]

        jti = claims_of(tokens[0])["jti"]
        assert one.run("token", "revoke", "--jti", jti).returncode == 0
        assert eventually(lambda: status_of(two, tokens[0]) == REVOKED, within=1)
        assert eventually(lambda: status_of(one, tokens[0]) == REVOKED, within=1)
        assert [status_of(two, token) for token in tokens[1:]] == [VALID, VALID]
        assert list_of(one, tokens[0])["etag"] == list_of(two, tokens[0])["etag"]

        postgres.stop()
        try:
            told = refused(two.run("token", "revoke", "--client", "till", "--yes"))
            assert "not revoked yet: " in told
            before = [list_of(node, tokens[1])["iat"] for node in (one, two)]
            assert status_of(two, tokens[1]) == VALID
        finally:
            postgres.start()
        assert eventually(lambda: one.is_ready() and two.is_ready())

        assert two.run("token", "revoke", "--client", "till", "--yes").returncode == 0
        told = [
            eventually(lambda n=node, t=token: status_of(n, t) == REVOKED, within=1)
            for node in (one, two)
            for token in tokens
        ]
        assert all(told)
        after = [list_of(node, tokens[1])["iat"] for node in (one, two)]
        assert all(late > early for late, early in zip(after, before, strict=True))

        # The client itself goes on; its next tokens are of blocks that nothing was said of.
        fresh = [node.ask(client).json()["access_token"] for node in (one, two)]
        assert [status_of(one, token) for token in fresh] == [VALID, VALID]
    log = [each for each in one.log() + two.log() if each["event"] == "job.failed"]
    assert log == []
