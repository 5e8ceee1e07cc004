"""Unit tests of `watchword.provider.published_keys`: the provider's APIs know its keys at once."""

import pytest

from issuer.endpoints.document import Document
from keys.errors import NoKeySet, UnknownKey
from tests.support.keys import rsa_key
from watchword.provider.published_keys import PublishedKeys
from watchword.testing.clock import Clock
from watchword.testing.forge import TokenForge

OLD, NEW = TokenForge(), TokenForge(rsa_key(1))


class Published:
    """A document that changes."""

    body = OLD.jwks_document

    def __call__(self) -> Document:
        """Give it."""
        return Document(self.body, 300)


@pytest.mark.attack("V40")
async def test_a_withdrawn_key_is_unknown_at_once():
    """Nothing is fetched, and nothing is kept for longer than a quarter of a second."""
    published, clock = Published(), Clock(0)
    keys = PublishedKeys(published, clock=clock)
    assert await keys.warm()
    assert (await keys.key(OLD.jwk.kid, "RS256")).kid == OLD.jwk.kid
    before = keys.current()
    published.body = NEW.jwks_document
    assert keys.current() is before
    clock.advance(0.25)
    assert keys.current().select(OLD.jwk.kid, "RS256") is None
    with pytest.raises(UnknownKey):
        await keys.key(OLD.jwk.kid, "RS256")
    assert (await keys.key(NEW.jwk.kid, "RS256")).kid == NEW.jwk.kid
    await keys.aclose()


async def test_a_key_that_was_published_a_moment_ago_is_found():
    """A request with a kid that is not known looks again."""
    published = Published()
    keys = PublishedKeys(published, clock=Clock(0))
    assert await keys.warm()
    published.body = NEW.jwks_document
    assert (await keys.key(NEW.jwk.kid, "RS256")).kid == NEW.jwk.kid


async def test_an_equal_set_stays_the_same_object():
    """What was verified under it stays verified."""
    published, clock = Published(), Clock(0)
    keys = PublishedKeys(published, clock=clock)
    before = keys.current()
    published.body = published.body + b" "
    clock.advance(1)
    assert keys.current() is before


async def test_without_a_key_there_is_no_set():
    """Tokens cannot be judged: 503, not 401."""
    published = Published()
    published.body = b'{"keys":[]}'
    keys = PublishedKeys(published)
    assert not keys.ready
    with pytest.raises(NoKeySet):
        await keys.key(OLD.jwk.kid, "RS256")
