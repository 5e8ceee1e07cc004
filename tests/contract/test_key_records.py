"""Signing keys in the database, on every engine: one writer at a time, all of it or nothing."""

import secrets
from contextlib import closing
from threading import Barrier, Thread

import pytest

from issuer.storage.registry import Registry
from keys.errors import KeyStoreError
from keys.lifecycle import plan_upkeep
from keys.ring import RingPolicy
from keys.stores.sealed import SealedBytes, Sealer
from keys.stores.store import KeyStore
from tests.support.registry import NOW, orders

POLICY = RingPolicy()
PASSPHRASE = b"correct horse"
ES256 = {"alg": "ES256", "now": NOW, "policy": POLICY}


def records_of(registry):
    """Give the rows of a registry's keys."""
    return registry.registry.key_records("the database")


_SEALER = Sealer(PASSPHRASE, random_bytes=secrets.token_bytes)
"""One for all: its key is made once."""


def store_of(registry, sealer=_SEALER):
    """Give the key store in a registry's database."""
    return KeyStore(SealedBytes(records_of(registry), sealer), passphrase=PASSPHRASE)


def test_sealed_keys_change_with_their_place(registry):
    """Whoever has read them sees by the stamp of the place that others were written."""
    sealed = SealedBytes(records_of(registry), _SEALER)
    before = sealed.stamp()
    assert before == sealed.stamp() == records_of(registry).stamp()
    sealed.write({"a-kid.pem": b"text"})
    assert sealed.stamp() != before


def run(registry, statement):
    """Change rows by hand."""
    registry.registry._database.change(lambda connection: connection.exec_driver_sql(statement))


def refusal(store):
    """Read a store that must not be read, and return what is said."""
    with pytest.raises(KeyStoreError) as caught:
        store.records()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_key_that_one_node_makes_signs_on_another(registry, another):
    """The rows are all that they share; nothing in them is readable."""
    stored = store_of(registry).generate(**ES256)
    fresh = store_of(another, Sealer(PASSPHRASE, random_bytes=secrets.token_bytes))
    assert fresh.records() == (stored,)
    assert stored.encrypted
    assert fresh.signer(stored.kid).kid == stored.kid
    (name,) = records_of(another).names()
    content = records_of(another).read(name)
    assert name == f"{stored.kid}.pem"
    assert stored.kid.encode() not in content
    assert b"PRIVATE" not in content


def test_the_stamp_changes_with_every_write_and_with_nothing_else(registry, another):
    """It is asked for on another node, where nothing was written."""
    records, seen = records_of(another), [records_of(another).stamp()]
    written = records_of(registry)
    first, again = {"a.pem": b"1"}, {"b.pem": b"2", "a.pem": None}
    for changes in (first, first, again):
        with written.lock():
            written.write(changes)
        seen.append(records.stamp())
    registry.create_resource(orders(identifier="urn:other"))
    assert len(set(seen)) == 4
    assert records.stamp() == seen[-1]


def test_what_is_written_under_a_lock_that_fails_is_not_there(registry, another):
    """Nor seen by others before the end; the writer itself sees it."""
    records = records_of(registry)

    def fail():
        with records.lock():
            records.write({"a.pem": b"1"})
            assert records.names() == ["a.pem"]
            assert records.read("a.pem") == b"1"
            assert records_of(another).names() == []
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert records.names() == []
    with records.lock():
        records.write({"a.pem": b"1"})
    assert records_of(another).names() == ["a.pem"]


def test_two_nodes_that_make_the_first_key_at_once_make_one(registry, another):
    """Each plans under the lock, so the second finds the work of the first."""
    begin, made = Barrier(2), []

    def keep(registry):
        begin.wait(timeout=30)
        made.append(
            store_of(registry).apply(
                lambda ring: plan_upkeep(ring, NOW, POLICY, ["ES256"]), now=NOW, policy=POLICY
            )
        )

    store_of(registry).generate(**ES256)
    threads = [Thread(target=keep, args=(each,)) for each in (registry, another)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert sorted(len(each) for each in made) == [0, 1]
    assert len(store_of(another).records()) == 2


def test_readers_do_not_wait_for_a_writer(registry, another):
    """A key may take seconds to make, and requests need the keys meanwhile."""
    stored = store_of(registry).generate(**ES256)
    with records_of(registry).lock():
        assert store_of(another).records() == (stored,)
        assert records_of(another).stamp() == records_of(registry).stamp()


def test_a_second_writer_waits_and_gives_up_in_time(registry, database_url):
    """In one line, and nothing is half done."""
    with (
        closing(Registry.open(database_url, now=lambda: NOW, timeout=0.3)) as impatient,
        records_of(registry).lock(),
        pytest.raises(KeyStoreError, match="try again"),
    ):
        KeyStore(impatient.key_records("the database")).generate(**ES256)
    assert store_of(registry).records() == ()


ALTERED = {
    "a wrong passphrase": (None, "does not open"),
    "one bit altered": ("UPDATE signing_keys SET content = {flipped}", "does not open"),
    "cut short": ("UPDATE signing_keys SET content = substr(content, 1, 400)", "does not open"),
    "emptied": ("UPDATE signing_keys SET content = substr(content, 1, 0)", "restore it"),
    "a forged cost": ("UPDATE signing_keys SET content = {forged}", "is damaged"),
    "two swapped": (
        "UPDATE signing_keys SET content ="
        " (SELECT content FROM signing_keys AS other WHERE other.name <> signing_keys.name)",
        "does not open",
    ),
    "renamed": ("UPDATE signing_keys SET name = 'other.pem' WHERE name = '{name}'", "not open"),
    "a foreign row": (
        "INSERT INTO signing_keys SELECT 'x.pem', {key_file}, '1'",
        "is damaged",
    ),
    "a strange name": ("UPDATE signing_keys SET name = '../x.pem' WHERE name = '{name}'", "name"),
    "far too large": ("UPDATE signing_keys SET content = {large}", "is none"),
}


@pytest.mark.parametrize("fault", ALTERED)
def test_rows_that_were_altered_by_hand_are_refused(registry, another, fault):
    """The whole store is, in one line that says what to do."""
    statement, words = ALTERED[fault]
    store = store_of(registry)
    for _ in range(2):
        stored = store.generate(**ES256)
    name = f"{stored.kid}.pem"
    content = records_of(registry).read(name)
    texts = {
        "flipped": content[:-5] + bytes([content[-5] ^ 1]) + content[-4:],
        "forged": content.replace(b"n=32768", b"n=1048576", 1),
        "key_file": b"Watchword-Key: {}",
        "large": b"x" * 70_000,
    }
    sqlite = registry.registry._database.dialect == "sqlite"
    literal = {
        key: f"x'{text.hex()}'" if sqlite else f"'\\x{text.hex()}'::bytea"
        for key, text in texts.items()
    }
    if statement is not None:
        run(registry, statement.format(name=name, **literal))
        sealer = _SEALER
    else:
        sealer = Sealer(b"wrong", random_bytes=secrets.token_bytes)
    assert words in refusal(store_of(another, sealer))


def test_a_genuine_text_under_the_name_of_another_key_is_refused(registry):
    """Somebody who has the passphrase sealed it; what it says of itself counts."""
    stored = store_of(registry).generate(**ES256)
    records = SealedBytes(records_of(registry), _SEALER)
    text = records.read(f"{stored.kid}.pem")
    with records.lock():
        records.write({"other.pem": text})
    assert f"must be named {stored.kid}.pem" in refusal(store_of(registry))


def test_a_row_that_goes_while_the_store_is_read_is_said_so(registry):
    """The next look finds the store as it is."""
    with pytest.raises(KeyStoreError, match="removed at this moment"):
        records_of(registry).read("a.pem")


def test_a_server_that_is_away_says_so(postgres):
    """The store is refused in one line, and answers again when the database does."""
    postgres.start()
    url = postgres.new_database()
    with closing(Registry.open(url, now=lambda: NOW, upgrade=True, timeout=5)) as registry:
        store = KeyStore(registry.key_records("the database"))
        assert store.records() == ()
        postgres.stop()
        for use in (store.records, store.stamp, lambda: store.generate(**ES256)):
            with pytest.raises(KeyStoreError, match="cannot be reached"):
                use()
        postgres.start()
        assert store.records() == ()


def test_a_database_that_was_not_opened_yet_says_so():
    """A worker starts while the database is away."""
    registry = Registry(None, now=lambda: NOW)
    with pytest.raises(KeyStoreError, match="has not answered"):
        registry.key_records("the database").names()
