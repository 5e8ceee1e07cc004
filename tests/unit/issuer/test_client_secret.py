"""Unit tests of `issuer.registry.credentials`."""

import pytest

from issuer.registry.credentials import ClientSecret, NewSecret
from issuer.registry.errors import InvalidValue
from tests.support.registry import SECRET, fast_hash


def secret(*, starts_at: int = 100, expires_at: int | None = 200) -> ClientSecret:
    """Make a secret that is live from 100 to 200, changed as named."""
    return ClientSecret(
        secret_id="1",
        hash=fast_hash(),
        created_at=0,
        starts_at=starts_at,
        expires_at=expires_at,
    )


@pytest.mark.parametrize(
    ("now", "live", "ended"),
    [
        (99, False, False),
        (100, True, False),
        (199, True, False),
        (200, False, True),
        (10**12, False, True),
    ],
)
def test_a_secret_lives_from_its_start_to_just_before_its_end(now, live, ended):
    """The span is half open, so that a successor may start at the second the old one ends."""
    assert (secret().is_live(now), secret().has_ended(now)) == (live, ended)


def test_a_secret_without_end_lives_on():
    """A secret that never expires is live whenever it has started, and never ends."""
    endless = secret(expires_at=None)
    assert endless.is_live(10**12)
    assert not endless.has_ended(10**12)


@pytest.mark.parametrize(
    ("starts_at", "expires_at"), [(None, None), (None, 1), (0, 1), (100, 101), (100, None)]
)
def test_a_new_secret_may_start_and_end_whenever(starts_at, expires_at):
    """Left out, it starts at once and never ends."""
    new = NewSecret(hash=fast_hash(), starts_at=starts_at, expires_at=expires_at)
    assert (new.starts_at, new.expires_at) == (starts_at, expires_at)


@pytest.mark.parametrize(("starts_at", "expires_at"), [(100, 100), (100, 99), (None, 0), (0, 0)])
def test_a_new_secret_ends_after_it_starts(starts_at, expires_at):
    """A secret that is never live is a mistake."""
    with pytest.raises(InvalidValue, match="must end after it starts"):
        NewSecret(hash=fast_hash(), starts_at=starts_at, expires_at=expires_at)


@pytest.mark.parametrize("seconds", [-1, 253_402_300_800, 10**18])
@pytest.mark.parametrize("name", ["starts_at", "expires_at"])
def test_a_new_secret_has_times_that_can_be_shown(name, seconds):
    """What is stored once is listed ever after: no time beyond what RFC 3339 can write."""
    with pytest.raises(InvalidValue, match="from 1970 to the year 9999"):
        NewSecret(hash=fast_hash(), **{name: seconds})


def test_no_representation_shows_more_than_the_times():
    """Salt and digest stay out of tracebacks and logs, as the secret does."""
    shown = repr(secret()) + repr(NewSecret(hash=fast_hash()))
    hashed = fast_hash()
    for hidden in (SECRET, hashed.text, repr(hashed.salt), repr(hashed.digest)):
        assert hidden not in shown
