"""`issuer.client_auth.client_keys`: what is parsed and kept, and when it is given up."""

import pytest

from issuer.client_auth import client_keys
from issuer.client_auth.client_keys import ClientKeys
from keys.errors import NoKeySet, UnknownKey
from keys.jwk import PublicJwk, parse_public_jwk
from keys.jwks import JwkSet
from tests.support.assertions import asserting_client, jwk_of
from tests.support.issuer import NOW

URI = "https://keys.example/jwks"
KEY = parse_public_jwk(jwk_of())


class Published:
    """A key set that is published, and can be fetched unless it is away."""

    def __init__(self, *keys: PublicJwk) -> None:
        self.keys = JwkSet(keys=keys) if keys else None
        self.have: JwkSet | None = None
        self.fetches = 0

    def current(self) -> JwkSet | None:
        """Give what was fetched."""
        return self.have

    async def warm(self) -> bool:
        """Fetch if there is nothing."""
        if self.have is None:
            self.fetches += 1
            self.have = self.keys
        return self.have is not None

    async def key(self, kid: str, alg: str) -> PublicJwk:
        """Give a key, fetching."""
        if not await self.warm() or self.have is None:
            raise NoKeySet(1)
        if (found := self.have.select(kid, alg)) is None:
            raise UnknownKey(kid)
        return found


async def test_a_published_key_is_known_once_it_was_fetched() -> None:
    """The look that waits for nothing finds it afterwards."""
    published = Published(KEY)
    keys = ClientKeys({URI: published}.__getitem__)
    client = asserting_client(jwks=None, jwks_uri=URI)
    assert keys.known(client, KEY.kid, "ES256", NOW) is None
    assert await keys.find(client, KEY.kid, "ES256", NOW) == KEY
    assert keys.known(client, KEY.kid, "ES256", NOW) == KEY
    assert await keys.find(client, "another", "ES256", NOW) is None
    assert published.fetches == 1


async def test_without_a_kid_the_only_published_key_of_the_algorithm_counts() -> None:
    """The sender leaves no choice then."""
    keys = ClientKeys(lambda uri: Published(KEY))
    client = asserting_client(jwks=None, jwks_uri=URI)
    assert await keys.find(client, "", "ES256", NOW) == KEY
    assert await keys.find(client, "", "RS256", NOW) is None


async def test_a_set_that_is_away_has_no_key() -> None:
    """Whichever way it is asked for."""
    keys = ClientKeys(lambda uri: Published())
    client = asserting_client(jwks=None, jwks_uri=URI)
    for kid in (KEY.kid, ""):
        assert await keys.find(client, kid, "ES256", NOW) is None
    assert keys.current_set(client, NOW) is None


async def test_a_registered_set_is_parsed_once_for_each_state_of_the_client() -> None:
    """Every request asks for it."""
    keys = ClientKeys(lambda uri: Published())
    client = asserting_client()
    first = keys.current_set(client, NOW)
    assert first is not None
    assert keys.current_set(client, NOW) is first
    assert keys.current_set(asserting_client(), NOW) is not first
    assert await keys.find(client, KEY.kid, "ES256", NOW) == KEY


def test_registered_sets_that_are_kept_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The least recently used goes."""
    monkeypatch.setattr(client_keys, "PARSED", 2)
    keys = ClientKeys(lambda uri: Published())
    clients = [asserting_client(name) for name in "abc"]
    kept = [keys.current_set(each, NOW) for each in clients[:2]]
    assert keys.current_set(clients[0], NOW) is kept[0]
    keys.current_set(clients[2], NOW)
    assert keys.current_set(clients[0], NOW) is kept[0]
    assert keys.current_set(clients[1], NOW) is not kept[1]


def test_published_sets_that_are_kept_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was not used for an hour, or least recently, is dropped, and asked for no more."""
    monkeypatch.setattr(client_keys, "PUBLISHED", 2)
    opened: list[str] = []

    def open_set(uri: str) -> Published:
        opened.append(uri[-1])
        return Published(KEY)

    keys = ClientKeys(open_set)
    for name, now in (("a", 0), ("b", 1), ("a", 2), ("c", 3), ("a", 4), ("b", 5)):
        keys.current_set(asserting_client(jwks=None, jwks_uri=f"{URI}/{name}"), NOW + now)
    assert opened == ["a", "b", "c", "b"]
    later = NOW + 5 + client_keys.IDLE_SECONDS
    for name in "ba":
        keys.current_set(asserting_client(jwks=None, jwks_uri=f"{URI}/{name}"), later)
    assert opened == ["a", "b", "c", "b", "a"]


def test_a_set_of_keys_that_sign_no_assertion_is_none() -> None:
    """Such as one on a curve of another algorithm, where the key itself names none."""
    key = {name: value for name, value in jwk_of("ES384").items() if name != "alg"}
    client = asserting_client(jwks={"keys": [key]})
    assert ClientKeys(lambda uri: Published()).current_set(client, NOW) is None
