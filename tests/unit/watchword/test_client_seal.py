"""Unit tests of `watchword.client_seal`: the key of sealed secrets, and its passphrase."""

import secrets
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from issuer.registry.auth_methods import AuthMethod
from issuer.registry.client import ClientRegistration
from issuer.registry.credentials import NewSecret, generate_secret
from issuer.registry.secret_seal import KEY_BYTES, SecretSeal
from issuer.storage.registry import Registry
from tests.support.registry import TESTER, fast_hash
from watchword.ambient import wall_clock
from watchword.client_seal import open_seal, seal_key_under
from watchword.errors import ClientSealError
from watchword.registry import open_registry
from watchword.settings import Settings, load_settings

FIRST, SECOND = "correct horse battery", "another staple"
SECRET = generate_secret(secrets.token_bytes)


def under(passphrase: str, folder: Path) -> Settings:
    """Give the settings of the registry in a folder, which open no seal by themselves."""
    return load_settings(data_dir=folder, key_passphrase=passphrase)


@pytest.fixture
def first(tmp_path: Path) -> Settings:
    """Give the settings under the first passphrase."""
    return under(FIRST, tmp_path)


@pytest.fixture
def second(tmp_path: Path) -> Settings:
    """Give the settings under the second one."""
    return under(SECOND, tmp_path)


@pytest.fixture
def registry(first: Settings) -> Iterator[Registry]:
    """Open a new registry."""
    with closing(open_registry(first, now=wall_clock)) as opened:
        yield opened


def kept_key(registry: Registry) -> str | None:
    """Read the key as it is kept."""
    return registry.read(lambda known: known.identity().seal_key)


def add_client(registry: Registry, seal: SecretSeal) -> None:
    """Register a client that signs with its secret."""
    client = ClientRegistration(
        client_id="till", token_endpoint_auth_method=AuthMethod.CLIENT_SECRET_JWT
    )
    registry.seal = seal
    new = NewSecret(hash=fast_hash(SECRET), text=SECRET)
    registry.change(lambda edit: edit.create_client(client, [new]), by=TESTER)


def test_the_key_is_made_once_and_random(first: Settings, registry: Registry) -> None:
    """What one process has sealed every other one opens, and nobody without the passphrase."""
    made = open_seal(first, registry).seal("till", SECRET)
    kept = kept_key(registry)
    for reading in (False, True):
        found = open_seal(first, registry, reading=reading)
        assert found.open("till", made) == SECRET.encode()
    assert kept_key(registry) == kept
    known_to_all = SecretSeal(bytes(KEY_BYTES), random_bytes=secrets.token_bytes)
    assert known_to_all.open("till", made) is None


def test_who_reads_makes_no_key(first: Settings, registry: Registry) -> None:
    """Nothing is written by a look at a registry."""
    open_seal(first, registry, reading=True)
    assert kept_key(registry) is None


def test_a_key_that_another_process_makes_meanwhile_counts(
    first: Settings, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two that start at the same moment have the same key, or secrets of one would be lost."""
    read, others = registry.read, []

    def read_before_another(work):  # type: ignore[no-untyped-def]
        found = read(work)
        monkeypatch.undo()
        others.append(open_seal(first, registry).seal("till", SECRET))
        return found

    monkeypatch.setattr(registry, "read", read_before_another)
    seal = open_seal(first, registry)
    assert [seal.open("till", each) for each in others] == [SECRET.encode()]


@pytest.mark.parametrize("reading", [False, True])
def test_a_key_that_does_not_open_is_replaced_only_if_no_secret_needs_it(
    first: Settings, second: Settings, registry: Registry, reading: bool
) -> None:
    """A lost passphrase must not cost the secrets that are there."""
    lost = open_seal(first, registry)
    kept = kept_key(registry)
    seal = open_seal(second, registry, reading=reading)
    assert seal.open("till", lost.seal("till", SECRET)) is None
    assert (kept_key(registry) == kept) is reading
    seal = open_seal(second, registry)
    add_client(registry, seal)
    kept = kept_key(registry)
    with pytest.raises(ClientSealError, match="revoke them: watchword clients secrets revoke"):
        open_seal(first, registry, reading=reading)
    assert kept_key(registry) == kept
    assert open_seal(second, registry).open("till", seal.seal("till", "x")) == b"x"


def test_the_key_goes_under_another_passphrase(
    first: Settings, second: Settings, registry: Registry
) -> None:
    """The same key, so that no secret is sealed anew; the former passphrase opens nothing."""
    seal = open_seal(first, registry)
    add_client(registry, seal)
    with seal_key_under(first, second.passphrase):
        assert open_seal(second, registry).open("till", seal.seal("till", "x")) == b"x"
    assert open_seal(second, registry).open("till", seal.seal("till", "x")) == b"x"
    with pytest.raises(ClientSealError, match="do not open"):
        open_seal(first, registry)
    with pytest.raises(ClientSealError, match="do not open"), seal_key_under(first, b"third"):
        pytest.fail("the present passphrase is another one")


def test_the_former_passphrase_counts_again_if_what_follows_fails(
    first: Settings, second: Settings, registry: Registry
) -> None:
    """Also where the process is told to end: one passphrase has to open everything."""
    seal = open_seal(first, registry)
    with pytest.raises(KeyboardInterrupt), seal_key_under(first, second.passphrase):
        raise KeyboardInterrupt
    assert open_seal(first, registry).open("till", seal.seal("till", "x")) == b"x"


def test_without_a_next_passphrase_the_key_stays_as_it_is(
    first: Settings, registry: Registry
) -> None:
    """It is never kept in the clear; where there is none, nothing is in the way."""
    with seal_key_under(first, None):
        assert kept_key(registry) is None
    seal = open_seal(first, registry)
    with pytest.raises(ClientSealError, match="always sealed"), seal_key_under(first, None):
        pytest.fail("the key would be in the clear")
    assert open_seal(first, registry).open("till", seal.seal("till", "x")) == b"x"


def test_a_registry_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    """Its keys may be in a folder, and the next command makes it."""
    with seal_key_under(under(FIRST, tmp_path), SECOND.encode()):
        pass
    assert list(tmp_path.iterdir()) == []
