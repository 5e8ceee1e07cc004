"""Unit tests of `watchword.provider.key_ring`: the store as the running provider sees it."""

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from keys.errors import KeyStoreError, NoSigningKey
from keys.lifecycle import plan_deletion, plan_withdrawal
from keys.ring import RingPolicy
from keys.signers.batch import BatchingSigner
from keys.signers.threads import ThreadedSigner
from keys.stores.folder import KeyFolder
from keys.stores.key_file import StoredKey
from keys.stores.store import KeyStore
from watchword.provider import key_ring
from watchword.provider.key_ring import GONE_KEPT, KeyRing, published_set

POLICY = RingPolicy()


@pytest.fixture(scope="module")
def made_keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make two keys once, to be copied: one from the start, its successor from second 1360 on."""
    folder = tmp_path_factory.mktemp("made") / "keys"
    for _ in range(2):
        KeyStore(KeyFolder(folder)).generate(alg="RS256", bits=2048, now=1_000, policy=POLICY)
    return folder


@pytest.fixture
def store(made_keys: Path, tmp_path: Path) -> KeyStore:
    """Give a store of its own with the two keys."""
    return KeyStore(KeyFolder(shutil.copytree(made_keys, tmp_path / "keys")))


def test_the_successor_takes_over_at_its_time_and_gives_back_if_the_clock_jumps(
    store: KeyStore,
) -> None:
    """State follows the time given, forwards and backwards; there is always a signer."""
    ring = KeyRing(store, POLICY, alg="RS256")
    ring.refresh(2_000)
    first, second = (ring.signer(now).kid for now in (1_359, 1_360))
    assert first != second
    assert [ring.signer(now).kid for now in (2_000, 1_000, 5, 1_360)] == [
        second,
        first,
        first,
        second,
    ]


def test_a_clock_that_was_far_ahead_leaves_a_signer_when_it_is_right_again(
    store: KeyStore,
) -> None:
    """The key that was gone by that clock signs again after the next look at the store."""
    ring = KeyRing(store, POLICY, alg="RS256")
    ring.refresh(1_000 + 31_536_000)
    ring.refresh(1_000)

    assert ring.signer(1_000).kid != ring.signer(1_360).kid
    assert not ring.refresh(1_000)


def test_a_store_that_is_read_while_the_clock_is_far_ahead_takes_no_signer_away(
    store: KeyStore,
) -> None:
    """The key that is gone by that clock signs as soon as it is right again, without a look."""
    ring = KeyRing(store, POLICY, alg="RS256")
    ring.refresh(1_100)
    before = ring.signer(1_100)
    year_ahead = 1_100 + 31_536_000
    store.generate(alg="RS256", bits=2048, now=year_ahead, policy=POLICY)
    assert ring.refresh(year_ahead)
    assert ring.signer(year_ahead).kid != before.kid
    assert ring.signer(1_100) is before


def test_a_process_does_not_keep_the_private_keys_of_all_that_ever_signed(tmp_path: Path) -> None:
    """Of those that are gone only the latest stay, also if nobody removes them from the store."""
    policy = RingPolicy(jwks_max_age=1, longest_token=5, leeway=0)
    store, now = KeyStore(KeyFolder(tmp_path / "keys")), 2_000
    ring = KeyRing(store, policy, alg="ES256")
    for _ in range(GONE_KEPT + 4):
        store.generate(alg="ES256", now=now, policy=policy)
        ring.refresh(now)
        now += 10
    kids = [entry.key.kid for entry in ring.entries(now)]
    # At the last look the newest was pending, and the one before it signed.
    assert list(ring._reading.signers) == kids[-(GONE_KEPT + 2) :]


def test_a_successor_made_while_the_clock_is_far_ahead_signs_at_its_time(store: KeyStore) -> None:
    """Another node made it, and it is long gone by that clock; the next look gives it a signer."""
    ring = KeyRing(store, POLICY, alg="RS256")
    ring.refresh(1_400)
    successor = store.generate(alg="RS256", bits=2048, now=1_400, policy=POLICY).kid
    later = store.generate(alg="RS256", bits=2048, now=1_400, policy=POLICY, activate_in=7_200)
    assert ring.refresh(1_400 + 31_536_000)
    assert ring.signer(1_400 + 31_536_000).kid == later.kid
    assert ring.refresh(1_400)
    assert ring.signer(1_400 + POLICY.publish_ahead).kid == successor


def test_all_keys_but_those_gone_are_published(store: KeyStore) -> None:
    """The set holds both keys until no token of the first can still live."""
    ring = KeyRing(store, POLICY, alg="RS256")
    ring.refresh(1_000)
    gone_at = 1_360 + POLICY.keep
    counts = [
        len(json.loads(ring.document(now).body)["keys"]) for now in (1_000, gone_at - 1, gone_at)
    ]
    assert counts == [2, 2, 1]


def test_the_public_keys_are_those_of_the_published_set(store: KeyStore) -> None:
    """Each until no token of it can still live, and none that was withdrawn."""
    ring = KeyRing(store, POLICY, alg="RS256")
    ring.refresh(1_000)
    first, second = (ring.signer(now).kid for now in (1_000, 1_360))
    found = ring.public_key(first, 1_000)
    assert found is not None
    assert (found.kid, found.alg) == (first, "RS256")
    assert ring.public_key(first, 1_360 + POLICY.keep) is None
    assert ring.public_key("another", 1_000) is None
    store.apply(lambda keys: plan_withdrawal(keys, second, 1_000, POLICY), now=1_000, policy=POLICY)
    ring.refresh(1_000)
    assert ring.public_key(second, 1_000) is None


def test_a_store_is_read_again_only_when_it_changed(store: KeyStore) -> None:
    """The stamp decides."""
    ring = KeyRing(store, POLICY, alg="RS256")
    assert [ring.refresh(1_000), ring.refresh(1_000)] == [True, False]
    store.generate(alg="RS256", bits=2048, now=1_000, policy=POLICY)
    assert ring.refresh(1_000) is True


def test_a_damaged_store_is_reported_and_the_old_keys_serve(
    store: KeyStore, tmp_path: Path
) -> None:
    """What was known stays in force."""
    ring = KeyRing(store, POLICY, alg="RS256")
    ring.refresh(1_000)
    kid = ring.signer(1_000).kid
    (tmp_path / "keys" / f"{kid}.pem").write_text("damaged")
    with pytest.raises(KeyStoreError):
        ring.refresh(1_000)
    assert ring.signer(1_000).kid == kid


def test_an_empty_store_after_a_full_one_is_refused(store: KeyStore, tmp_path: Path) -> None:
    """A folder that was emptied, or another one mounted in its place: the old keys serve."""
    ring = KeyRing(store, POLICY, alg="RS256")
    ring.refresh(1_000)
    published = ring.document(1_000).body
    for path in (tmp_path / "keys").glob("*.pem"):
        path.unlink()
    for _ in range(2):
        with pytest.raises(KeyStoreError, match="the key store is empty"):
            ring.refresh(1_000)
    assert ring.document(1_000).body == published


def test_a_store_that_changes_while_it_is_read_is_read_again(store: KeyStore, monkeypatch) -> None:
    """A key that is deleted between listing and reading it is no damage."""
    ring, records, deleted = KeyRing(store, POLICY, alg="RS256"), store.records, []

    def delete_first() -> tuple[StoredKey, ...]:
        if not deleted:
            kid = max(records(), key=lambda each: each.ring_key.signs_from or 0).kid
            store.apply(lambda keys: plan_deletion(keys, kid, 1_000, POLICY), now=1, policy=POLICY)
            deleted.append(kid)
            raise KeyStoreError("no such file")
        return records()

    monkeypatch.setattr(store, "records", delete_first)
    assert ring.refresh(1_000)
    assert deleted[0] not in str(ring.document(1_000).body)
    monkeypatch.setattr(store, "stamp", iter(range(100)).__next__)
    with pytest.raises(KeyStoreError, match="changes while it is read"):
        ring.refresh(1_000)


def test_a_withdrawn_key_signs_and_is_published_no_more(store: KeyStore) -> None:
    """From the next look on; its successor signs."""
    ring = KeyRing(store, POLICY, alg="RS256")
    ring.refresh(1_000)
    kid = ring.signer(1_000).kid
    store.apply(lambda keys: plan_withdrawal(keys, kid, 1_000, POLICY), now=1_000, policy=POLICY)
    ring.refresh(1_000)
    for now in (5, 999, 1_000, 2_000):
        assert ring.signer(now).kid != kid
        assert kid not in str(ring.document(now).body)


def test_a_key_withdrawn_while_the_loop_derives_the_set_is_not_kept(
    store: KeyStore, monkeypatch
) -> None:
    """Another thread reads the store, and may be done before what was begun with the old keys."""
    ring = KeyRing(store, POLICY, alg="RS256")
    ring.refresh(1_000)
    kid = ring.signer(1_000).kid
    store.apply(lambda keys: plan_withdrawal(keys, kid, 1_000, POLICY), now=1_000, policy=POLICY)

    def build(*arguments: Any) -> Any:
        monkeypatch.undo()
        assert ring.refresh(1_000)
        return published_set(*arguments)

    monkeypatch.setattr(key_ring, "published_set", build)
    ring.document(2_000)
    assert kid not in str(ring.document(2_000).body)
    assert ring.signer(2_000).kid != kid


@pytest.mark.attack("T23")
def test_no_key_signs_with_an_algorithm_before_its_first_is_known(store: KeyStore) -> None:
    """The reason says from when on; another algorithm does not stand in."""
    store.generate(alg="ES256", now=2_000_000_000, policy=POLICY)
    ring = KeyRing(store, POLICY, alg="ES256")
    ring.refresh(2_000_000_000)
    with pytest.raises(NoSigningKey, match="no key signs with ES256 before 2033-05-18T03:39:20Z"):
        ring.signer(2_000_000_000)
    assert ring.signer(2_000_000_360).alg == "ES256"


def test_an_empty_store_signs_nothing(tmp_path: Path) -> None:
    """There is no token without a key."""
    ring = KeyRing(KeyStore(KeyFolder(tmp_path / "none")), POLICY, alg="RS256")
    with pytest.raises(NoSigningKey):
        ring.signer(1_000)


def test_the_key_of_the_named_algorithm_signs(store: KeyStore) -> None:
    """A resource may ask for an algorithm; none means the configured one, at the same turns."""
    ring = KeyRing(store, POLICY, alg="RS256")
    ring.refresh(1_000)
    for now in (1_000, 1_360):
        assert ring.signer(now, "RS256") is ring.signer(now) is ring.signer(now, None)


@pytest.mark.parametrize("alg", ["ES256", "rs256", "none"])
def test_no_other_key_stands_in_for_a_missing_algorithm(store: KeyStore, alg: str) -> None:
    """A token is not signed in another way than was asked for."""
    ring = KeyRing(store, POLICY, alg="RS256")
    ring.refresh(1_000)
    with pytest.raises(NoSigningKey):
        ring.signer(1_000, alg)


def test_an_algorithm_that_is_not_the_configured_one_is_served_by_its_key(
    store: KeyStore,
) -> None:
    """The settings choose for who does not; they take nothing away."""
    ring = KeyRing(store, POLICY, alg="ES256")
    ring.refresh(1_000)
    assert ring.signer(1_000, "RS256").alg == "RS256"
    with pytest.raises(NoSigningKey):
        ring.signer(1_000)


async def test_threads_help_with_rsa_keys_alone(tmp_path: Path) -> None:
    """A signature by another key takes no longer than handing it to a thread and back."""
    store = KeyStore(KeyFolder(tmp_path / "keys"))
    for alg in ("RS256", "ES256"):
        store.generate(alg=alg, now=1_000, policy=POLICY)
    ring = KeyRing(store, POLICY, alg="RS256", threads=1)
    ring.refresh(2_000)
    try:
        rsa, other = ring.signer(2_000), ring.signer(2_000, "ES256")
        assert (type(rsa), type(other)) == (ThreadedSigner, BatchingSigner)
        assert len(await rsa.sign(b"header.payload")) == 256
    finally:
        ring.close()


def test_the_next_step_is_when_a_key_begins_to_sign_or_goes(store: KeyStore) -> None:
    """After the last one there is none."""
    ring = KeyRing(store, POLICY, alg="RS256")
    ring.refresh(1_000)
    assert ring.next_step(1_000) == 1_360
    goes = ring.next_step(1_360)
    assert goes == 1_360 + POLICY.keep
    assert ring.next_step(int(goes)) == float("inf")


@pytest.mark.parametrize("threads", [0, 1])
async def test_signatures_that_wait_are_counted_whatever_makes_them(
    store: KeyStore, threads: int
) -> None:
    """Until each is made."""
    ring = KeyRing(store, POLICY, alg="RS256", threads=threads)
    ring.refresh(2_000)
    waiting = [asyncio.ensure_future(ring.signer(2_000).sign(b"text")) for _ in range(3)]
    await asyncio.sleep(0)
    assert ring.waiting == 3
    await asyncio.gather(*waiting)
    assert ring.waiting == 0
    ring.close()
