"""Unit tests of `keys.replay`: what is remembered of proofs, and what is refused once it is not."""

import pytest

from keys.replay import PERIOD, RecentProofs, ReplayStoreUnavailable, claim_digest
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


@pytest.mark.rfc("9449-11.1-1")
async def test_one_caller_takes_half_of_the_memory_at_most(clock):
    """Others go on, and no replay of anybody is taken for the first."""
    proofs = RecentProofs(100, clock=clock)
    assert await fill(proofs, "flood") == 50
    assert await fill(proofs, "flood too") == 25
    assert [await proofs.claim("key", str(number), UNTIL) for number in range(12)] == 12 * [True]
    for scope, number in (("flood", 0), ("flood too", 24), ("key", 11)):
        assert not await proofs.claim(scope, str(number), UNTIL)
    with pytest.raises(ReplayStoreUnavailable):
        await proofs.claim("flood", "new", UNTIL + PERIOD)


async def test_there_is_room_again_once_claims_expire(clock):
    """For those who had used theirs up."""
    proofs = RecentProofs(100, clock=clock)
    assert await fill(proofs, "flood") == 50
    clock.now = UNTIL + PERIOD
    assert await fill(proofs, "flood", UNTIL + 2 * PERIOD) == 50
    assert len(proofs) == 50


async def fill(proofs, scope, until=UNTIL):
    """Claim as much as one caller can; return how much that is."""
    for number in range(1000):
        try:
            assert await proofs.claim(scope, str(number), until)
        except ReplayStoreUnavailable:
            return number
    raise AssertionError("there is no bound")


async def test_a_clock_that_is_set_back_frees_nothing(clock):
    """What was removed as expired stays refused."""
    proofs = RecentProofs(clock=clock)
    await proofs.claim("key", "jti", UNTIL)
    clock.now = UNTIL + 10 * PERIOD
    await proofs.claim("key", "other", UNTIL + 100 * PERIOD)
    clock.now = NOW
    assert not await proofs.claim("key", "jti", UNTIL)
    for periods in (10, 9):
        clock.now = UNTIL + periods * PERIOD
        assert not await proofs.claim("key", "of the last period", UNTIL + 9 * PERIOD)


async def test_claims_of_one_period_are_forgotten_together_at_its_end(clock):
    """Not one by one, which would keep a set for each second; and in the first period after it."""
    proofs = RecentProofs(clock=clock)
    start = UNTIL // PERIOD * PERIOD
    for offset in range(PERIOD):
        assert await proofs.claim("key", str(offset), start + offset)
    assert len(proofs._periods) == 1
    clock.now = start + PERIOD - 0.5
    assert not await proofs.claim("key", "0", start)
    assert len(proofs) == PERIOD
    clock.now = start + PERIOD
    assert not await proofs.claim("key", "new", start + PERIOD - 1)
    assert len(proofs) == 0
    await proofs.claim("key", "next", start + PERIOD)
    clock.now = start + 2 * PERIOD
    assert not await proofs.claim("key", "next", start + PERIOD)
    assert len(proofs) == 0


def test_sixteen_bytes_are_kept_of_a_claim():
    """Those that other nodes keep of the same one; any text is one."""
    assert claim_digest("key", "jti").hex() == "05b3705ebdd94e4332b14fc7855fccae"
    assert len(claim_digest("key", "\ud800")) == 16
