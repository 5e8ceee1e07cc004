"""Secrets and what was used, on every engine: overlaps, bounds, notices, times of use."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from issuer.registry.credentials import MAXIMUM_SECRETS
from issuer.registry.errors import (
    InvalidValue,
    TooManySecrets,
    UnknownSecret,
)
from issuer.registry.permission import ResourcePermission
from issuer.storage import statements
from tests.support.registry import (
    NOW,
    RESOURCE,
    new_client,
    new_secret,
    use,
)

DAY = 86_400

# ---- secrets ----


def test_secrets_overlap_and_are_ended_one_by_one(registry):
    """A client has as many as it needs to replace one by another."""
    registry.create_client(new_client())
    added = registry.add_secret("till", new_secret(1, starts_at=NOW + 5, expires_at=NOW + 9))
    assert (added.created_at, added.starts_at, added.expires_at) == (NOW, NOW + 5, NOW + 9)
    first, second = registry.find_client("till").secrets
    assert second == added
    registry.revoke_secret("till", first.secret_id)
    assert registry.find_client("till").secrets == (added,)
    with pytest.raises(UnknownSecret):
        registry.revoke_secret("till", first.secret_id)


def test_the_number_of_secrets_is_bounded(registry, clock):
    """Those that have ended do not count."""
    registry.create_client(new_client())
    for number in range(MAXIMUM_SECRETS - 1):
        registry.add_secret("till", new_secret(number, expires_at=NOW + 10))
    with pytest.raises(TooManySecrets, match="revoke one first"):
        registry.add_secret("till", new_secret(99))
    clock.now += 10
    registry.add_secret("till", new_secret(99))


def test_a_secret_must_end_after_it_starts():
    """One that is never live helps nobody."""
    with pytest.raises(InvalidValue):
        new_secret(1, starts_at=10, expires_at=10)


def test_a_secret_about_to_end_is_announced_once_a_day(registry, another, clock, events):
    """Whichever process looks, and however often, until it has ended."""
    made = registry.create_client(new_client())
    soon = registry.add_secret("till", new_secret(1, expires_at=NOW + 100))
    registry.add_secret("till", new_secret(2, expires_at=NOW + 5000))
    events.clear()
    registry.announce_expiring(within=50, started=NOW)
    assert events == []
    for looks in (registry, another, registry):
        looks.announce_expiring(within=200, started=NOW)
    told = {"client_id": made.client_id, "secret_id": soon.secret_id, "expires_in": 100}
    assert events == [("secret.expiring", told)]
    clock.now += 100
    registry.announce_expiring(within=200, started=clock.now + 1)
    assert len(events) == 1  # what has ended already is not about to end


def times_announced(registry, clock, events, *, started, looks):
    """Look at times after `NOW`, and return at which of them something was announced."""
    told = []
    for after in looks:
        clock.now, before = NOW + after, len(events)
        registry.announce_expiring(within=10 * DAY, started=NOW + started)
        told += [after] * (len(events) - before)
    return told


def test_a_secret_about_to_end_is_announced_every_day_until_it_is_gone(registry, clock, events):
    """An operator who missed it once is told again."""
    registry.create_client(new_client())
    soon = registry.add_secret("till", new_secret(1, expires_at=NOW + 9 * DAY))
    looks = (0, 10, DAY - 1, DAY, DAY + 10, 2 * DAY, 2 * DAY + 10, 5 * DAY)
    told = times_announced(registry, clock, events, started=-5, looks=looks)
    assert told == [0, DAY, 2 * DAY, 5 * DAY]
    registry.revoke_secret("till", soon.secret_id)
    assert times_announced(registry, clock, events, started=-5, looks=[7 * DAY]) == []


def test_a_server_that_starts_announces_again_once(registry, clock, events):
    """Once, however many workers it has, and however often one of them is replaced."""
    registry.create_client(new_client())
    registry.add_secret("till", new_secret(1, expires_at=NOW + 9 * DAY))
    assert times_announced(registry, clock, events, started=-5, looks=(0, 10)) == [0]
    assert times_announced(registry, clock, events, started=15, looks=(20, 20, 30)) == [20]
    assert times_announced(registry, clock, events, started=-5, looks=[50]) == []


def test_an_announcement_of_a_clock_that_was_wrong_silences_nothing(registry, clock, events):
    """One of years ahead is due at once when the clock is right again."""
    registry.create_client(new_client())
    registry.add_secret("till", new_secret(1, expires_at=NOW + 900 * DAY))
    told = times_announced(registry, clock, events, started=-5, looks=(895 * DAY, 892 * DAY, 0))
    assert told == [895 * DAY, 892 * DAY]  # at NOW it does not end soon
    registry.add_secret("till", new_secret(2, expires_at=NOW + 9 * DAY))
    assert times_announced(registry, clock, events, started=-5, looks=(DAY, 0, 10)) == [DAY]


def test_workers_that_look_at_once_announce_once(registry, events):
    """The database decides which of them does."""
    registry.create_client(new_client())
    registry.add_secret("till", new_secret(1, expires_at=NOW + DAY))
    events.clear()
    with ThreadPoolExecutor(8) as pool:
        for _ in range(8):
            pool.submit(registry.announce_expiring, within=2 * DAY, started=NOW)
    assert [name for name, _ in events] == ["secret.expiring"]


# ---- usage ----


def test_uses_are_told_of_secrets_and_scopes(registry, another):
    """When a secret and each scope was last used."""
    (only,) = registry.create_client(new_client()).secrets
    use(another, ("till", only.secret_id, RESOURCE, ("read",), NOW + 7))
    assert registry.find_client("till").secrets[0].last_used_at == NOW + 7
    (told,) = registry.read(lambda reading: reading.scope_usage())
    assert (told.client_id, told.resource, told.scope) == ("till", RESOURCE, "read")
    assert told.last_used_at == NOW + 7
    assert registry.read(lambda reading: reading.scope_usage(since=NOW + 8)) == []
    assert registry.read(lambda reading: reading.scope_usage(scope="write")) == []
    assert registry.read(lambda reading: reading.scope_usage("till", RESOURCE, "read")) == [told]


def test_uses_never_go_back(registry):
    """A worker that writes late does not undo what another has written."""
    (only,) = registry.create_client(new_client()).secrets
    for at in (NOW + 90, NOW + 20):
        use(registry, ("till", only.secret_id, RESOURCE, ("read", "write"), at))
    assert registry.find_client("till").secrets[0].last_used_at == NOW + 90
    uses = registry.read(lambda reading: reading.scope_usage())
    assert {each.last_used_at for each in uses} == {NOW + 90}


def test_a_use_of_what_is_gone_is_nothing(registry):
    """A client may be deleted before its last use is written."""
    use(registry, ("ghost", "x", "urn:example:no", ("read",), NOW))
    assert registry.read(lambda reading: reading.scope_usage()) == []


def test_a_use_is_no_change(registry, another):
    """No view reads anything again because of one; the trail does not have it."""
    (only,) = registry.create_client(new_client()).secrets
    before = (another.changes_since(0), another.list_audit(), another.find_client("till").revision)
    use(registry, ("till", only.secret_id, RESOURCE, ("read",), NOW))
    after = (another.changes_since(0), another.list_audit(), another.find_client("till").revision)
    assert after == before


def test_a_changed_grant_keeps_when_its_scopes_were_used(registry):
    """What stays in a grant is the same permission as before."""
    made = registry.create_client(new_client())
    use(registry, ("till", made.secrets[0].secret_id, RESOURCE, ("read", "write"), NOW))
    grants = (ResourcePermission(resource=RESOURCE, scopes=("read",)),)
    registry.replace_client(replace(made.registration, grants=grants))
    (told,) = registry.read(lambda reading: reading.scope_usage())
    assert (told.scope, told.last_used_at) == ("read", NOW)


def test_many_workers_write_uses_at_once(registry, another):
    """In whatever order they come, none blocks another for good."""
    clients = [registry.create_client(new_client(f"c{number}")) for number in range(6)]

    def write(round_):
        uses = [
            (c.client_id, c.secrets[0].secret_id, RESOURCE, ("write", "read"), NOW + round_ * 60)
            for c in (clients if round_ % 2 else reversed(clients))
        ]
        use((registry, another)[round_ % 2], *uses)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(12)))
    assert {c.secrets[0].last_used_at for c in registry.list_clients()} == {NOW + 660}


def test_the_secrets_that_end_soon_are_counted(registry, clock, monkeypatch):
    """Neither those that have ended nor those without an end; and no further than a bound."""
    registry.create_client(new_client())
    for number, seconds in enumerate((5, 100, 200, 5000)):
        registry.add_secret("till", new_secret(number, expires_at=NOW + seconds))
    clock.now += 5
    assert registry.count_ending(within=195) == 2
    monkeypatch.setattr(statements, "COUNTED_AT_MOST", 1)
    assert registry.count_ending(within=195) == 1
