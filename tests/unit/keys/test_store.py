"""The key store: the port that it needs, and how many keys it publishes (roll-5)."""

from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from keys.errors import KeyStoreError
from keys.events import KeyEvent
from keys.jwk import PublicJwk, public_jwk
from keys.jwks import MAXIMUM_KEYS, build_jwk_set, fit_jwk_set, fits_jwk_set
from keys.key_types import verifier
from keys.lifecycle import Plan, plan_deletion, plan_upkeep, plan_withdrawal
from keys.ring import KeyState, RingKey, RingPolicy, derive_ring
from keys.signers.local import LocalSigner
from keys.stores.folder import KeyFolder
from keys.stores.key_file import StoredKey, render_key_file, render_private_pem
from keys.stores.store import KeyStore
from keys.weak_keys import find_rsa_weakness
from tests.support.cli import refused, run_in_empty_folder
from tests.support.keys import rsa_key
from watchword.ambient import wall_clock
from watchword.provider.key_ring import published_set

POLICY = RingPolicy()
NOW = 1_800_000_000


def made_up_keys(count: int, *, bits: int = 2048) -> list[PublicJwk]:
    """Make public keys that nobody has the private half of; real ones would take a minute."""
    modulus = rsa_key().public_key().public_numbers().n << (bits - 2048) | 1
    found: list[PublicJwk] = []
    while len(found) < count:
        modulus += 2
        if find_rsa_weakness(modulus, 65_537) is None:
            found.append(public_jwk(rsa.RSAPublicNumbers(65_537, modulus).public_key(), "RS256"))
    return found


def stored(jwk: PublicJwk, signs_from: int) -> StoredKey:
    """Place a key in the ring."""
    times = {"published_at": signs_from, "signs_from": signs_from}
    return StoredKey(ring_key=RingKey(kid=jwk.kid, alg="RS256", **times), jwk=jwk)


def fill(folder: Path, count: int, *, bits: int = 2048, end: int = NOW) -> KeyStore:
    """Make a store of so many keys, the last of which signs from `end` on."""
    folder.mkdir(mode=0o700, parents=True)
    folder.parent.chmod(0o700)
    for number, jwk in enumerate(made_up_keys(count, bits=bits), 1 - count):
        path = folder / f"{jwk.kid}.pem"
        path.touch(mode=0o600)
        path.write_bytes(render_key_file(stored(jwk, end + number), render_private_pem(rsa_key())))
    return KeyStore(KeyFolder(folder))


@pytest.mark.rfc("roll-5")
def test_the_key_that_no_validator_would_take_is_not_made(tmp_path: Path) -> None:
    """The 50th is made, the 51st refused, and nothing is left of it."""
    store = fill(tmp_path / "keys", MAXIMUM_KEYS - 1)
    store.generate(alg="RS256", now=NOW, policy=POLICY)
    before = store.stamp()
    with pytest.raises(KeyStoreError, match="the published set is full"):
        store.generate(alg="RS256", now=NOW, policy=POLICY)
    assert store.stamp() == before
    assert len(store.records()) == MAXIMUM_KEYS


def test_the_command_says_when_the_set_nears_its_bound(tmp_path: Path, monkeypatch, capsys) -> None:
    """With ten left it warns; at the end it refuses in one line."""
    run = run_in_empty_folder(tmp_path, monkeypatch, capsys)
    fill(tmp_path / "watchword-data" / "keys", MAXIMUM_KEYS - 12, end=wall_clock())
    assert "warning" not in run("keys", "generate").stderr
    assert "\nwarning: 40 keys are published" in run("keys", "generate").stderr
    for path in list((tmp_path / "watchword-data" / "keys").glob("*.pem")):
        path.unlink()
    (tmp_path / "watchword-data" / "keys" / ".lock").unlink()
    (tmp_path / "watchword-data" / "keys").rmdir()
    fill(tmp_path / "watchword-data" / "keys", MAXIMUM_KEYS, end=wall_clock())
    assert "the published set is full" in refused(run("keys", "generate"))


@pytest.mark.rfc("roll-5")
def test_keys_that_are_gone_take_no_room(tmp_path: Path) -> None:
    """They are not published any more."""
    store = fill(tmp_path / "keys", MAXIMUM_KEYS + 5)
    store.generate(alg="RS256", now=NOW + POLICY.keep + 1, policy=POLICY)
    assert len(store.records()) == MAXIMUM_KEYS + 6


@pytest.mark.rfc("roll-5")
def test_large_keys_fill_the_set_earlier(tmp_path: Path) -> None:
    """The bound of 64 KB counts too."""
    keys = made_up_keys(45, bits=8192)
    assert not fits_jwk_set(keys)
    kept = fit_jwk_set(keys, around=44)
    assert 30 < len(kept) < 45
    assert kept[-1] == keys[-1]


@pytest.mark.rfc("roll-5")
@pytest.mark.parametrize("active", [0, 30, 59])
def test_what_is_published_can_be_read(active: int) -> None:
    """Of too many keys those stay that are nearest to the one that signs, and their order."""
    records = {
        jwk.kid: stored(jwk, NOW + number - active) for number, jwk in enumerate(made_up_keys(60))
    }
    ring = derive_ring([each.ring_key for each in records.values()], NOW, POLICY)
    document = published_set(ring, records)
    kids = [key["kid"] for key in document["keys"]]
    assert len(kids) == MAXIMUM_KEYS
    assert list(records)[active] in kids
    start = list(records).index(kids[0])
    assert kids == list(records)[start : start + MAXIMUM_KEYS]
    assert document == build_jwk_set(records[kid].jwk for kid in kids)


class Memory:
    """The named bytes of a store that has no file system."""

    place = "memory"

    def __init__(self) -> None:
        """Hold nothing."""
        self.held: dict[str, bytes] = {}
        self.writes: list[set[str]] = []

    def names(self) -> list[str]:
        """List the names."""
        return sorted(self.held)

    def read(self, name: str) -> bytes:
        """Give what was written."""
        return self.held[name]

    def write(self, changes: Mapping[str, bytes | None]) -> None:
        """Keep all of it."""
        self.writes.append(set(changes))
        left = {name: held for name, held in self.held.items() if name not in changes}
        self.held = left | {name: new for name, new in changes.items() if new is not None}

    def stamp(self) -> Hashable:
        """Change with every name."""
        return tuple(self.names())

    def lock(self) -> AbstractContextManager[None]:
        """Have no other writer."""
        return nullcontext()


async def test_a_store_asks_for_named_bytes_only():
    """Keys can be kept anywhere: the text describes itself, and private keys stay in signers."""
    memory = Memory()
    store = KeyStore(memory, passphrase=b"correct horse battery staple")
    before = store.stamp()
    stored = store.generate(alg="RS256", now=NOW, policy=POLICY)

    assert store.records() == (stored,)
    assert store.stamp() != before
    assert b"ENCRYPTED PRIVATE KEY" in memory.held[f"{stored.kid}.pem"]
    signer = store.signer(stored.kid)
    signature = await signer.sign(b"input")
    assert verifier("RS256").verify(b"input", stored.jwk.key, signature)
    memory.held["other.pem"] = memory.held.pop(f"{stored.kid}.pem")
    with pytest.raises(KeyStoreError, match=r"memory/other\.pem must be named"):
        store.records()


def keep(ring: tuple[RingKey, ...]) -> Plan:
    """Plan what upkeep does."""
    return plan_upkeep(ring, NOW, POLICY, ["RS256"])


def test_a_plan_is_carried_out_in_one_write() -> None:
    """What happened is told key by key; nothing to do is no write."""
    memory = Memory()
    store = KeyStore(memory)
    first = store.generate(alg="RS256", bits=3072, now=NOW, policy=POLICY)
    (made,) = store.apply(keep, now=NOW, policy=POLICY)
    memory.writes.clear()

    assert store.apply(keep, now=NOW, policy=POLICY) == ()
    assert memory.writes == []
    done = store.apply(
        lambda ring: plan_withdrawal(ring, first.kid, NOW + 9, POLICY), now=NOW + 9, policy=POLICY
    )
    assert [(each.event, each.key.kid) for each in done[:2]] == [
        (KeyEvent.SCHEDULED, made.key.kid),
        (KeyEvent.REVOKED, first.kid),
    ]
    assert (done[1].before, done[2].event) == (first.ring_key, KeyEvent.GENERATED)
    assert memory.writes == [{f"{each.key.kid}.pem" for each in done}]
    held = {each.kid: each for each in store.records()}
    assert {held[each.key.kid].ring_key for each in done} == {each.after for each in done}
    assert {each.bits for each in held.values()} == {3072}  # as large as the one that signed
    later = NOW + 9 + POLICY.slack
    (gone,) = store.apply(
        lambda ring: plan_deletion(ring, first.kid, later, POLICY), now=later, policy=POLICY
    )
    assert (gone.event, gone.key, gone.after) == (KeyEvent.DELETED, done[1].after, None)
    assert first.kid not in {each.kid for each in store.records()}


def test_a_key_is_withdrawn_whatever_the_set_has_room_for(tmp_path: Path) -> None:
    """An emergency is no time to count keys."""
    store = fill(tmp_path / "keys", MAXIMUM_KEYS)
    (signing,) = [
        entry.key.kid
        for entry in derive_ring([each.ring_key for each in store.records()], NOW, POLICY)
        if entry.state is KeyState.ACTIVE
    ]
    store.apply(lambda ring: plan_withdrawal(ring, signing, NOW, POLICY), now=NOW, policy=POLICY)
    withdrawn = {each.kid for each in store.records() if each.ring_key.withdrawn_at}
    assert withdrawn == {signing}


class Vault:
    """A holder of private keys that gives away none."""

    kind = "vault"

    def __init__(self) -> None:
        """Hold nothing."""
        self.held: dict[str, RSAPrivateKey] = {}

    def generate(
        self, alg: str, bits: int | None, name: str
    ) -> tuple[RSAPublicKey, dict[str, str]]:
        """Make a key."""
        self.held[name] = rsa.generate_private_key(65_537, bits or 2048)
        return self.held[name].public_key(), {"kind": "vault", "name": name}

    def signer(self, stored: StoredKey) -> LocalSigner:
        """Sign with the key that the reference names."""
        assert stored.reference is not None
        return LocalSigner(stored.kid, stored.jwk.alg, self.held[stored.reference["name"]])

    def delete(self, reference: Mapping[str, str]) -> None:
        """Destroy it."""
        self.held.pop(reference["name"], None)


async def test_private_keys_may_be_kept_by_something_else() -> None:
    """The store has the public side and a reference; signing and destroying are the holder's."""
    memory, vault = Memory(), Vault()
    store = KeyStore(memory, passphrase=b"unused", holder=vault)
    stored = store.generate(alg="RS256", now=NOW, policy=POLICY)

    assert stored.reference == {"kind": "vault", "name": next(iter(vault.held))}
    assert not stored.encrypted
    assert memory.held[f"{stored.kid}.pem"] == render_key_file(stored)  # and no block
    signature = await store.signer(stored.kid).sign(b"input")
    assert verifier("RS256").verify(b"input", stored.jwk.key, signature)
    with pytest.raises(KeyStoreError, match="is kept by vault and cannot leave it"):
        store.export_private(stored.kid)
    with pytest.raises(KeyStoreError, match="not configured; set WATCHWORD_KEY_SIGNER=vault"):
        KeyStore(memory).signer(stored.kid)
    store.apply(keep, now=NOW, policy=POLICY)
    (prepared,) = [each for each in store.records() if each.ring_key.signs_from is None]
    store.apply(lambda ring: plan_deletion(ring, prepared.kid, NOW, POLICY), now=NOW, policy=POLICY)
    assert list(vault.held) == [stored.reference["name"]]


def test_a_key_that_could_not_be_recorded_is_destroyed_where_it_was_made() -> None:
    """Nothing refers to it. If it cannot be, what is told is still why it was not recorded."""

    class Full(Memory):
        def write(self, changes: Mapping[str, bytes | None]) -> None:
            raise KeyStoreError("no space left")

    class Away(Vault):
        def delete(self, reference: Mapping[str, str]) -> None:
            raise KeyStoreError("the vault is away")

    for vault, left in ((Vault(), 0), (Away(), 1)):
        with pytest.raises(KeyStoreError, match="no space left"):
            KeyStore(Full(), holder=vault).generate(alg="RS256", now=NOW, policy=POLICY)
        assert len(vault.held) == left


class Transactions(Memory):
    """Named bytes that others see once the lock has ended."""

    def __init__(self) -> None:
        """Hold nothing."""
        super().__init__()
        self.committed: dict[str, bytes] = {}
        self.before_lock: list[Callable[[], object]] = []

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Commit at the end."""
        if self.before_lock:
            self.before_lock.pop()()
        yield
        self.committed = dict(self.held)


@pytest.mark.parametrize("is_prepared", [True, False])
def test_a_withdrawal_is_committed_before_anything_outside_is_asked(is_prepared: bool) -> None:
    """A module may take a minute to make a key, and the connection may be lost meanwhile."""
    memory, vault = Transactions(), Vault()
    store = KeyStore(memory, holder=vault)
    leaked = store.generate(alg="RS256", now=NOW, policy=POLICY).kid
    if is_prepared:
        store.apply(keep, now=NOW, policy=POLICY)
    seen: list[tuple[bool, int | None]] = []
    make = vault.generate

    def watched(alg: str, bits: int | None, name: str) -> tuple[RSAPublicKey, dict[str, str]]:
        seen.append((b'"withdrawn_at"' in memory.committed[f"{leaked}.pem"], bits))
        return make(alg, None, name)

    vault.generate = watched  # type: ignore[method-assign]
    done = store.apply(
        lambda ring: plan_withdrawal(ring, leaked, NOW + 1, POLICY),
        now=NOW + 1,
        policy=POLICY,
        bits=3072,
    )
    assert set(seen) == {(True, 3072)}
    ring = derive_ring([each.ring_key for each in store.records()], NOW + 1, POLICY)
    assert [entry.state.value for entry in ring] == ["revoked", "active", "pending"]
    assert len(done) == 3


def test_a_successor_that_another_node_made_meanwhile_is_not_made_again() -> None:
    """A node sees the withdrawal at once, and looks what is missing."""
    memory, vault = Transactions(), Vault()
    store = KeyStore(memory, holder=vault)
    leaked = store.generate(alg="RS256", now=NOW, policy=POLICY).kid
    store.apply(keep, now=NOW, policy=POLICY)
    other = KeyStore(memory, holder=vault)
    memory.before_lock = [lambda: other.apply(keep, now=NOW, policy=POLICY), lambda: None]
    store.apply(lambda ring: plan_withdrawal(ring, leaked, NOW, POLICY), now=NOW, policy=POLICY)
    assert len(store.records()) == len(vault.held) == 3


@pytest.mark.parametrize("stale", [b"old", None])
def test_no_key_is_made_under_another_passphrase_than_those_that_are_there(
    stale: bytes | None,
) -> None:
    """A node that was not restarted after the change would leave a key that no other opens."""
    memory = Memory()
    KeyStore(memory, passphrase=b"new").generate(alg="RS256", now=NOW, policy=POLICY)
    node = KeyStore(memory, passphrase=stale)
    with pytest.raises(KeyStoreError, match="WATCHWORD_KEY_PASSPHRASE"):
        node.apply(keep, now=NOW, policy=POLICY)
    assert len(memory.held) == 1
    assert len(KeyStore(memory, passphrase=b"new").apply(keep, now=NOW, policy=POLICY)) == 1


def test_a_key_whose_private_key_cannot_be_destroyed_stays(monkeypatch) -> None:
    """It is refused as a whole, and can be deleted when what keeps the private key is back."""
    memory, vault = Memory(), Vault()
    store = KeyStore(memory, holder=vault)
    store.generate(alg="RS256", now=NOW, policy=POLICY)
    (made,) = store.apply(keep, now=NOW, policy=POLICY)
    before = store.records()

    def away(reference: Mapping[str, str]) -> None:
        raise KeyStoreError("the vault is away")

    def delete() -> None:
        kid = made.key.kid
        store.apply(lambda ring: plan_deletion(ring, kid, NOW, POLICY), now=NOW, policy=POLICY)

    with monkeypatch.context() as patch:
        patch.setattr(vault, "delete", away)
        with pytest.raises(KeyStoreError, match="the vault is away"):
            delete()
    assert set(store.records()) == set(before)
    assert len(vault.held) == 2
    delete()
    assert len(store.records()) == len(vault.held) == 1
