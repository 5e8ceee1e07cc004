"""Unit tests of `issuer.registry.view`: races are stepped by hand, one pause at a time."""

import pytest

from issuer.registry.credentials import DUMMY_SLOW
from issuer.registry.errors import StoreUnavailable
from issuer.registry.view import ClientView
from tests.support.registry import SteppedStore, registered_client


def finish(coroutine):
    """Step a coroutine to its end and return its result."""
    while True:
        try:
            coroutine.send(None)
        except StopIteration as ended:
            return ended.value


@pytest.fixture
def store():
    """Give an empty store that is stepped by hand."""
    return SteppedStore()


@pytest.fixture
def view(store):
    """Give a small view of it."""
    return ClientView(store, bound=3)


def test_a_client_is_known_once_it_was_fetched(store, view):
    """The view asks the store the first time only."""
    store.put("till")
    assert view.get_cached("till") is None
    assert finish(view.fetch("till")) == store.clients["till"]
    assert view.get_cached("till") is store.clients["till"]
    assert store.finds == view.misses == 1
    finish(view.fetch("till"))  # such as after a wrong secret: it was held all the same
    assert view.misses == 1


def test_an_unknown_client_is_not_remembered(store, view):
    """Made-up ids must not evict real ones."""
    assert finish(view.fetch("nobody")) is None
    assert len(view) == 0


def test_the_least_recently_used_client_goes_first(store, view):
    """The bound holds, and use is what counts."""
    for name in "abcd":
        store.put(name)
    for name in "abc":
        finish(view.fetch(name))
    view.get_cached("a")
    finish(view.fetch("d"))
    assert [name for name in "abcd" if view.get_cached(name)] == ["a", "c", "d"]


def test_a_fetch_that_finds_a_client_gone_forgets_it(store, view):
    """The store's word counts more than memory."""
    store.put("till")
    finish(view.fetch("till"))
    store.remove("till")
    assert finish(view.fetch("till")) is None
    assert view.get_cached("till") is None


def test_catching_up_reads_changed_entries_again(store, view):
    """A known client needs no look-up on the token path, not even after a change."""
    store.put("till")
    finish(view.fetch("till"))
    finish(view.catch_up())
    store.put("till", disabled=True)
    store.put("other")
    finds = store.finds
    finish(view.catch_up())
    assert view.get_cached("till").registration.disabled
    assert view.get_cached("other") is None
    assert store.finds == finds + 1


def test_catching_up_drops_a_deleted_client(store, view):
    """A client that is gone is gone from memory too."""
    store.put("till")
    finish(view.fetch("till"))
    store.remove("till")
    finish(view.catch_up())
    assert view.get_cached("till") is None


def test_nothing_is_read_while_the_version_stands_still(store, view):
    """Polling costs one cheap question."""
    store.put("till")
    finish(view.fetch("till"))
    finish(view.catch_up())
    coroutine = view.catch_up()
    coroutine.send(None)
    coroutine.send(None)
    with pytest.raises(StopIteration):
        coroutine.send(None)  # after the two pauses of `version`


def test_a_fetch_overtaken_by_a_change_leaves_no_stale_entry(store, view):
    """What was read before the change is answered to who asked before it, and not kept."""
    store.put("till")
    fetch = view.fetch("till")
    fetch.send(None)
    fetch.send(None)  # has read, not yet answered
    store.put("till", disabled=True)
    finish(view.catch_up())
    assert not finish(fetch).registration.disabled
    assert view.get_cached("till") is None


def test_a_refresh_overtaken_by_another_catch_up_leaves_no_stale_entry(store, view):
    """Two catch-ups at once are as true as one."""
    store.put("till")
    finish(view.fetch("till"))
    slow = view.catch_up()
    for _ in range(6):
        slow.send(None)  # version, feed, and the client is read
    store.put("till", disabled=True)
    finish(view.catch_up())
    finish(slow)
    held = view.get_cached("till")
    assert held is None or held.registration.disabled


def test_an_entry_that_made_room_during_its_refresh_stays_out(store, view):
    """A refresh does not bring back what the bound has put out."""
    for name in "abcd":
        store.put(name)
    finish(view.fetch("a"))
    refresh = view.catch_up()
    for _ in range(5):
        refresh.send(None)
    for name in "bcd":
        finish(view.fetch(name))
    finish(refresh)
    assert view.get_cached("a") is None
    assert len(view) == 3


def test_a_trimmed_feed_makes_everything_be_read_again(store, view):
    """Who was away too long trusts nothing that it holds."""
    store.put("till")
    finish(view.fetch("till"))
    finish(view.catch_up())
    store.put("till", disabled=True)
    store.put("other")
    store.trimmed = 2
    store.put("other")
    finish(view.catch_up())
    held = view.get_cached("till")
    assert held is not None
    assert held.registration.disabled


def test_very_many_changes_drop_the_entries_used_longest_ago(store):
    """A catch-up is bounded, so that the last change of many is not seen late."""
    view = ClientView(store, bound=1000)
    for number in range(300):
        store.put(f"c{number}")
        finish(view.fetch(f"c{number}"))
    finish(view.catch_up())
    assert len(view) == 256
    assert view.get_cached("c0") is None
    assert view.get_cached("c299") is not None


def test_an_entry_known_to_be_outdated_goes_when_the_store_fails(store, view):
    """Better to ask again than to answer with what is known to be wrong."""
    store.put("till")
    finish(view.fetch("till"))
    store.put("till", disabled=True)
    refresh = view.catch_up()
    for _ in range(4):
        refresh.send(None)
    store.broken = True
    with pytest.raises(StoreUnavailable):
        finish(refresh)
    assert view.get_cached("till") is None
    store.broken = False
    finish(view.fetch("till"))
    finish(view.catch_up())
    assert view.get_cached("till").registration.disabled


def test_known_clients_stay_known_while_the_store_is_away(store, view):
    """An outage of the database alone changes nothing for who is known."""
    store.put("till")
    finish(view.fetch("till"))
    store.broken = True
    with pytest.raises(StoreUnavailable):
        finish(view.catch_up())
    assert view.get_cached("till") is not None


def test_after_a_look_that_failed_everything_is_read_again(store, view):
    """The store may have been put back meanwhile: the same number may count other changes."""
    store.put("till")
    finish(view.fetch("till"))
    finish(view.catch_up())
    store.broken = True
    with pytest.raises(StoreUnavailable):
        finish(view.catch_up())
    store.broken = False
    store.clients["till"] = registered_client("till", disabled=True)  # without a note
    finish(view.catch_up())
    assert view.get_cached("till").registration.disabled
    finds = store.finds
    finish(view.catch_up())
    assert store.finds == finds


def test_an_outage_that_comes_back_meanwhile_costs_no_client_that_has_not_changed(store, view):
    """What changed in between goes, and the rest is read again in the end all the same."""
    for name in ("till", "shop"):
        store.put(name)
        finish(view.fetch(name))
    finish(view.catch_up())
    store.broken = True
    with pytest.raises(StoreUnavailable):
        finish(view.catch_up())
    store.broken = False
    store.put("shop", disabled=True)
    refresh = view.catch_up()
    for _ in range(4):
        refresh.send(None)
    store.broken = True
    with pytest.raises(StoreUnavailable):
        finish(refresh)
    assert [view.get_cached(name) is not None for name in ("till", "shop")] == [True, False]
    store.broken = False
    store.clients["till"] = registered_client("till", disabled=True)  # without a note
    finish(view.catch_up())
    assert view.get_cached("till").registration.disabled


def test_in_another_feed_everything_is_read_again(store, view):
    """Numbers of two feeds cannot be compared."""
    store.put("till")
    finish(view.fetch("till"))
    finish(view.catch_up())
    store.name = "b"
    store.clients["till"] = registered_client("till", disabled=True)
    store.put("other")
    finish(view.catch_up())
    assert view.get_cached("till").registration.disabled


def test_another_feed_that_goes_away_at_once_costs_no_client(store, view):
    """A server that restarts twice counts its changes anew each time."""
    store.put("till")
    finish(view.fetch("till"))
    finish(view.catch_up())
    store.name = "b"
    store.put("shop")
    refresh = view.catch_up()
    for _ in range(4):
        refresh.send(None)
    store.broken = True
    with pytest.raises(StoreUnavailable):
        finish(refresh)
    assert view.get_cached("till") is not None
    store.broken = False
    store.clients["till"] = registered_client("till", disabled=True)  # without a note
    finish(view.catch_up())
    assert view.get_cached("till").registration.disabled


def test_the_view_knows_whether_any_client_has_a_slow_secret(store, view):
    """Equal work for unknown clients depends on it."""
    store.put("till")
    finish(view.catch_up())
    assert not view.has_slow_secrets
    store.put("weak")
    store.clients["weak"] = registered_client("weak", secret_hash=DUMMY_SLOW)
    finish(view.fetch("weak"))
    assert view.has_slow_secrets
    store.remove("weak")
    finish(view.catch_up())
    assert not view.has_slow_secrets
    store.put("weak")
    store.clients["weak"] = registered_client("weak", secret_hash=DUMMY_SLOW)
    finish(view.catch_up())
    assert view.has_slow_secrets


def test_a_view_that_could_hold_nothing_is_a_bug():
    """A bound below one is refused where it is written."""
    with pytest.raises(ValueError, match="at least one"):
        ClientView(SteppedStore(), bound=0)


def test_forgetting_lets_go_of_everything(store, view):
    """After too long an outage the store is asked for each client again."""
    store.put("till")
    finish(view.fetch("till"))
    view.forget()
    assert view.get_cached("till") is None
    assert finish(view.fetch("till")) is store.clients["till"]
