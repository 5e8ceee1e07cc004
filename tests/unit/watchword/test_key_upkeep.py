"""Unit tests of `watchword.provider.key_upkeep`: what a running provider does about its keys."""

from collections import deque
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from issuer.registry.errors import StoreUnavailable
from issuer.storage.registry import Registry
from keys.errors import KeyStoreError
from keys.lifecycle import plan_rotation
from keys.ring import KeyState, RingPolicy
from keys.stores.folder import KeyFolder
from keys.stores.store import KeyStore
from watchword.provider.key_ring import KeyRing
from watchword.provider.key_upkeep import EVERY_SECONDS, FIRST_SECONDS, KeyUpkeep

NOW = 1_800_000_000
POLICY = RingPolicy()
BY_TIME = RingPolicy(rotate_every=10_000)


class Node:
    """A provider's part in the upkeep, under a clock that is turned by hand."""

    def __init__(self, folder: Path, registry: Registry, policy: RingPolicy = POLICY) -> None:
        self.monotonic = 0.0
        self.now = NOW
        self.log: list[tuple[str, dict[str, object]]] = []
        self.store = KeyStore(KeyFolder(folder))
        self.keys = KeyRing(self.store, policy, alg="ES256")
        self.keys.refresh(NOW)
        self.upkeep = KeyUpkeep(
            self.keys,
            self.store,
            policy,
            algorithms=lambda: {"ES256"},
            registry=registry,
            events=lambda event, /, **fields: self.log.append((event, fields)),
            monotonic=lambda: self.monotonic,
        )

    def look(self, later: int = 0) -> None:
        """Let time pass, look, and record."""
        self.now += later
        self.monotonic += later
        self.upkeep.look(self.now)
        self.upkeep.record()

    def states(self) -> list[KeyState]:
        """Return the states of the keys."""
        return [entry.state for entry in self.keys.entries(self.now)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a store with one key."""
    KeyStore(KeyFolder(tmp_path / "keys")).generate(alg="ES256", now=NOW - 500, policy=POLICY)
    return tmp_path / "keys"


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    """Give an empty registry."""
    with closing(Registry.open(f"sqlite:///{tmp_path}/r.db", now=lambda: NOW)) as opened:
        yield opened


def trail(registry: Registry) -> list[str]:
    """Return the actions of the trail about keys, the first one first."""
    entries = registry.read(lambda reading: reading.list_audit())
    assert {entry.actor.name for entry in entries} <= {"watchword"}
    return [entry.action.value for entry in reversed(entries) if entry.action.startswith("key.")]


def test_a_successor_is_prepared_soon_after_the_start(folder: Path, registry: Registry) -> None:
    """Not during the start, which it would slow down; once for all nodes, in log and trail."""
    nodes = [Node(folder, registry) for _ in range(3)]
    for node in nodes:
        node.look()
    assert len(nodes[0].store.records()) == 1
    for node in nodes:
        node.look(int(FIRST_SECONDS))
    for node in nodes:
        node.look()
        assert node.states() == [KeyState.ACTIVE, KeyState.PENDING]
    assert [event for event, _ in nodes[0].log] == ["key.generated", "key.activated"]
    assert [event for event, _ in nodes[1].log] == ["key.activated"]
    assert sorted(trail(registry)) == ["key.activated", "key.generated"]


@pytest.mark.rfc("roll-1", "roll-2")
def test_keys_are_rotated_by_time(folder: Path, registry: Registry) -> None:
    """Every term one takes over, is logged by each node, and recorded once."""
    node, other = Node(folder, registry, BY_TIME), Node(folder, registry, BY_TIME)
    for _ in range(60):
        for each in (node, other):
            each.look(1_000)
    assert node.states().count(KeyState.ACTIVE) == node.states().count(KeyState.PENDING) == 1
    log = [event for event, _ in node.log]
    assert log.count("key.activated") == 1 + 60_000 // 10_000
    assert log.count("key.retired") == 60_000 // 10_000
    assert trail(registry).count("key.retired") == 60_000 // 10_000
    assert len(node.store.records()) == 2 + 60_000 // 10_000


def test_a_key_that_took_over_by_time_is_followed_up_at_once(
    folder: Path, registry: Registry
) -> None:
    """Its own successor is prepared then, so that keys can be rotated as often as the rule lets."""
    policy = RingPolicy(jwks_max_age=1, longest_token=5, rotate_every=3)
    node = Node(folder, registry, policy)
    node.look(int(FIRST_SECONDS))
    for _ in range(30):
        node.look(1)
    log = [event for event, _ in node.log]
    assert log.count("key.activated") >= 30 // (policy.rotate_every + 1)
    assert node.states().count(KeyState.PENDING) == 1


def test_a_change_by_a_command_is_followed_up_at_once(folder: Path, registry: Registry) -> None:
    """A rotation that was asked for needs a new successor."""
    node = Node(folder, registry)
    node.look(int(FIRST_SECONDS))
    node.look(1_000)
    policy, now = POLICY, node.now
    node.store.apply(
        lambda ring: plan_rotation(ring, now, policy, "ES256")[:1], now=now, policy=policy
    )
    node.monotonic -= EVERY_SECONDS / 2
    node.look()
    assert node.states() == [KeyState.RETIRING, KeyState.ACTIVE, KeyState.PENDING]


def test_a_store_that_cannot_be_written_is_told_once(
    folder: Path, registry: Registry, monkeypatch
) -> None:
    """The keys that are there go on signing."""
    node = Node(folder, registry)

    def refuse(*arguments: object, **named: object) -> None:
        raise KeyStoreError("cannot write keys: read-only file system")

    with monkeypatch.context() as patch:
        patch.setattr(node.store, "apply", refuse)
        for _ in range(3):
            node.look(int(EVERY_SECONDS))
    refusals = [fields for event, fields in node.log if event == "key.upkeep_refused"]
    assert refusals == [{"reason": "cannot write keys: read-only file system"}]
    assert node.keys.signer(node.now).alg == "ES256"
    node.look(int(EVERY_SECONDS))
    assert node.states() == [KeyState.ACTIVE, KeyState.PENDING]


def test_upkeep_that_a_date_ahead_stops_is_told_once_each_time(
    folder: Path, registry: Registry
) -> None:
    """A clock that is behind, or a key made while one was ahead; the remedy is in the log."""
    node = Node(folder, registry)
    for _ in range(2):
        node.now -= 3_600
        for _ in range(3):
            node.look(int(EVERY_SECONDS))
        node.now = NOW
        node.look(int(EVERY_SECONDS))
    refusals = [
        str(fields["reason"]) for event, fields in node.log if event == "key.upkeep_refused"
    ]
    (kid,) = {key.kid for key in node.store.records() if key.ring_key.published_at < NOW}
    assert len(refusals) == 2
    assert refusals[0] == refusals[1]
    assert refusals[0].startswith(f"key {kid} is dated 2027-01-15T07:51:40Z, after this machine's")
    assert "correct the clock" in refusals[0]
    assert node.states() == [KeyState.ACTIVE, KeyState.PENDING]


@pytest.mark.parametrize("fault", [StoreUnavailable("away"), ValueError("a bug")])
def test_what_the_registry_could_not_take_is_recorded_later(
    folder: Path, registry: Registry, monkeypatch, fault: Exception
) -> None:
    """In its order, with the time at which it happened; a bug is left to the job to report."""
    node = Node(folder, registry)

    def refuse(entries: object) -> None:
        raise fault

    with monkeypatch.context() as patch:
        patch.setattr(registry, "record_once", refuse)
        with suppress(ValueError):
            node.look(int(FIRST_SECONDS))
    assert trail(registry) == []
    node.look(100)
    assert trail(registry) == ["key.generated", "key.activated"]
    entries = registry.read(lambda reading: reading.list_audit())
    assert {entry.at for entry in entries} == {NOW + int(FIRST_SECONDS)}


def test_of_more_changes_than_can_wait_the_oldest_are_lost(
    folder: Path, registry: Registry, monkeypatch
) -> None:
    """Also where some happen while the registry is asked to take those before."""
    node = Node(folder, registry)
    monkeypatch.setattr("watchword.provider.key_upkeep._UNWRITTEN", 3)
    node.upkeep._unwritten = deque("abc", maxlen=3)

    def refuse(entries):
        assert entries == ["a", "b", "c"]
        node.upkeep._unwritten.extend("de")
        raise StoreUnavailable("away")

    monkeypatch.setattr(registry, "record_once", refuse)
    node.upkeep.record()

    assert list(node.upkeep._unwritten) == ["c", "d", "e"]


def test_a_damaged_store_is_refused_and_what_was_known_signs(
    folder: Path, registry: Registry
) -> None:
    """The job's failure is what the log says; nothing is made beside a damaged key."""
    node = Node(folder, registry)
    (path,) = folder.glob("*.pem")
    content = path.read_bytes()
    path.write_bytes(content[:-100])
    with pytest.raises(KeyStoreError, match="damaged or only half written"):
        node.look(int(FIRST_SECONDS))
    assert node.keys.signer(node.now)
    assert len(list(folder.glob("*.pem"))) == 1
    path.write_bytes(content)
    node.look()
    assert node.states() == [KeyState.ACTIVE, KeyState.PENDING]
