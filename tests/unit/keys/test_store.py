"""The key store: the port that it needs, and how many keys it publishes (roll-5)."""

from collections.abc import Hashable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from keys.errors import KeyStoreError
from keys.jwk import PublicJwk, public_jwk
from keys.jwks import MAXIMUM_KEYS, build_jwk_set, fit_jwk_set, fits_jwk_set
from keys.key_types import verifier
from keys.ring import RingKey, RingPolicy, derive_ring
from keys.stores.folder import KeyFolder
from keys.stores.key_file import StoredKey, render_key_file, render_private_pem
from keys.stores.store import KeyStore
from keys.weak_keys import find_rsa_weakness
from tests.support.cli import refused, run_in_empty_folder
from tests.support.keys import rsa_key
from watchword.clock import wall_clock
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
    assert run("keys", "generate").stderr == ""
    assert run("keys", "generate").stderr.startswith("warning: 40 keys are published")
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

    def names(self) -> list[str]:
        """List the names."""
        return sorted(self.held)

    def read(self, name: str) -> bytes:
        """Give what was written."""
        return self.held[name]

    def write_new(self, name: str, content: bytes) -> None:
        """Keep it."""
        self.held[name] = content

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
