"""Two nodes on one PostgreSQL database with their keys in it: they act as one."""

from contextlib import contextmanager

import pytest

from tests.support.provider import Place, eventually, make_place, running

pytestmark = pytest.mark.alone

PASSPHRASE = "correct horse battery"


def settings_of_nodes(url):
    """Return what nodes on one database are told."""
    return {
        "WATCHWORD_DATABASE_URL": url,
        "WATCHWORD_KEY_STORE": "database",
        "WATCHWORD_KEY_PASSPHRASE": PASSPHRASE,
        "WATCHWORD_SIGNING_ALG": "ES256",
        "WATCHWORD_JWKS_MAX_AGE": "1",
    }


def make_nodes(folder, url):
    """Make two nodes of one issuer on one database, with the first key."""
    settings = settings_of_nodes(url)
    (folder / "one").mkdir()
    (folder / "two").mkdir()
    one = make_place(folder / "one", **settings)
    two = make_place(folder / "two", **settings, WATCHWORD_ISSUER=one.url)
    assert one.run("db", "upgrade").returncode == 0
    return one, two, one.json("keys", "generate")["kid"]


@contextmanager
def both(one, two):
    """Serve on both nodes."""
    with running(one, "--only", "issuer"), running(two, "--only", "issuer"):
        yield


def published(place: Place) -> set[str]:
    """Return what a node publishes."""
    return {each["kid"] for each in place.get("/jwks").json()["keys"]}


def test_nodes_agree_on_every_key_and_make_one_successor(tmp_path, postgres_url):
    """Whatever is done on one is in force on the other, which nobody told."""
    one, two, kid = make_nodes(tmp_path, postgres_url)
    with both(one, two):
        assert one.get("/jwks").json() == two.get("/jwks").json()
        assert eventually(lambda: len(published(one)) == len(published(two)) == 2)
        (successor,) = published(one) - {kid}
        assert published(two) == {kid, successor}
        assert one.run("keys", "revoke", kid, "--yes").returncode == 0
        assert eventually(lambda: kid not in published(one) | published(two), within=5)
        assert eventually(lambda: published(one) == published(two))
        made = [
            each["kid"]
            for each in one.json("keys", "list")["keys"]
            if each["kid"] not in (kid, successor)
        ]
        # The one that was prepared took over, and one was prepared in its place.
        assert len(made) == 1
        assert one.is_ready()
        assert two.is_ready()
    generated = [each["kid"] for each in one.log() + two.log() if each["event"] == "key.generated"]
    assert generated.count(successor) == 1


def test_nodes_sign_while_the_database_is_away(tmp_path, postgres, postgres_url):
    """With what they know; they look again when it is back."""
    one, two, kid = make_nodes(tmp_path, postgres_url)
    with both(one, two):
        client = one.json("clients", "create", "till", "--scope", "read")
        assert one.ask(client).status_code == two.ask(client).status_code == 200
        assert eventually(lambda: len(published(one)) == len(published(two)) == 2)
        postgres.stop()
        try:
            assert eventually(lambda: not one.is_ready())
            assert one.ask(client).status_code == two.ask(client).status_code == 200
            assert kid in published(two)
        finally:
            postgres.start()
        assert eventually(lambda: one.is_ready() and two.is_ready())
        assert one.run("keys", "revoke", kid, "--yes").returncode == 0
        assert eventually(lambda: kid not in published(one) | published(two), within=5)
        assert one.ask(client).status_code == two.ask(client).status_code == 200
