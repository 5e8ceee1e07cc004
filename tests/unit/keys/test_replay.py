"""Unit tests of `keys.replay`: what is remembered of proofs, and what is refused once it is not."""

import pytest

from keys.replay import PERIOD, RecentProofs
from tests.support.issuer import NOW

UNTIL = NOW + 120


class Turned:
    """A clock that is turned by hand."""

    now = float(NOW)

    def __call__(self):
        """Read it."""
        return self.now


@pytest.fixture
def clock():
    """Make one."""
    return Turned()


async def test_an_id_is_claimed_once_in_its_scope(clock):
    """Also where it is claimed until another time; another scope has ids of its own."""
    proofs = RecentProofs(clock=clock)
    assert await proofs.claim("key", "jti", UNTIL)
    assert not await proofs.claim("key", "jti", UNTIL)
    assert not await proofs.claim("key", "jti", UNTIL + PERIOD)
    assert await proofs.claim("key2", "jti", UNTIL)
    assert await proofs.claim("ke", "yjti", UNTIL)


async def test_a_claim_is_kept_until_it_expires_and_no_period_longer(clock):
    """What expires later stays; what has expired already is refused."""
    proofs = RecentProofs(clock=clock)
    await proofs.claim("key", "soon", UNTIL)
    await proofs.claim("key", "later", UNTIL + 2 * PERIOD)
    clock.now = UNTIL
    assert not await proofs.claim("key", "soon", UNTIL)
    assert len(proofs) == 2
    clock.now = UNTIL + PERIOD
    assert not await proofs.claim("key", "soon", UNTIL)
    assert not await proofs.claim("key", "later", UNTIL + 2 * PERIOD)
    assert len(proofs) == 1


async def test_a_full_store_never_takes_a_replay_for_the_first(clock):
    """It forgets what expires first, and refuses whatever expires no later than that."""
    proofs = RecentProofs(3, clock=clock)
    for number, until in enumerate((UNTIL, UNTIL, UNTIL + PERIOD)):
        assert await proofs.claim("key", str(number), until)
    assert not await proofs.claim("key", "new", UNTIL)
    assert len(proofs) == 3
    assert await proofs.claim("key", "new", UNTIL + PERIOD)
    assert len(proofs) == 2
    replays = [await proofs.claim("key", str(number), UNTIL) for number in range(2)]
    assert replays == [False, False]
    assert not await proofs.claim("key", "other", UNTIL)
    assert await proofs.claim("key", "other", UNTIL + PERIOD)


async def test_a_clock_that_is_set_back_frees_nothing(clock):
    """What was removed as expired stays refused."""
    proofs = RecentProofs(clock=clock)
    await proofs.claim("key", "jti", UNTIL)
    clock.now = UNTIL + 10 * PERIOD
    await proofs.claim("key", "other", UNTIL + 100 * PERIOD)
    clock.now = NOW
    assert not await proofs.claim("key", "jti", UNTIL)
