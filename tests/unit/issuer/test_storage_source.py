"""Unit tests of `issuer.storage.source`: the registry beside a loop."""

import asyncio
import sqlite3
import threading
from contextlib import closing, suppress

import anyio
import pytest

from issuer.registry.errors import StoreUnavailable
from issuer.registry.view import ClientView
from issuer.storage import source as source_module
from issuer.storage.registry import Registry
from issuer.storage.source import Follower, ThreadedSource
from tests.support.registry import NOW, RegistryHarness, new_client, orders


class GatedRegistry(Registry):
    """A registry whose look-ups wait until the gate is opened."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.gate = threading.Event()
        self.readings = 0
        self.thread = None

    def find_client(self, client_id):
        """Read a client once the gate is open."""
        self.thread = threading.current_thread()
        self.readings += 1
        assert self.gate.wait(10)
        return super().find_client(client_id)


@pytest.fixture
def url(tmp_path):
    """Name a database that holds one client."""
    url = f"sqlite:///{tmp_path / 'registry.db'}"
    with closing(Registry.open(url, now=lambda: NOW)) as opened:
        registry = RegistryHarness(opened)
        registry.create_resource(orders())
        registry.create_client(new_client())
    return url


@pytest.fixture
def elsewhere(url):
    """Give the registry as another process has it."""
    with closing(Registry.open(url, now=lambda: NOW)) as registry:
        yield RegistryHarness(registry)


@pytest.fixture
def gated(url):
    """Give a registry whose look-ups wait."""
    with closing(GatedRegistry.open(url, now=lambda: NOW)) as registry:
        yield registry
        registry.gate.set()


@pytest.fixture
def statements(monkeypatch):
    """Collect every statement that SQLite itself runs, pragmas excepted."""
    seen = []
    connect = sqlite3.connect

    def note(statement):
        if not statement.startswith("PRAGMA"):
            seen.append(statement)

    def connect_and_trace(*arguments, **options):
        connection = connect(*arguments, **options)
        connection.set_trace_callback(note)
        return connection

    monkeypatch.setattr(sqlite3, "connect", connect_and_trace)
    return seen


@pytest.fixture
def source(url, statements):
    """Give the registry on its own thread."""
    with (
        closing(Registry.open(url, now=lambda: NOW)) as registry,
        closing(ThreadedSource(registry)) as source,
    ):
        yield source


async def test_it_answers_what_the_registry_says(source, elsewhere):
    """Each question goes to the store, off the event loop."""
    assert await source.find("till") == elsewhere.find_client("till")
    assert await source.find("nobody") is None
    assert await source.changes_since(0) == elsewhere.changes_since(0)
    before = await source.version()
    elsewhere.set_disabled("till", True)
    assert await source.version() != before


async def test_waiting_look_ups_of_one_client_share_a_reading(gated):
    """A crowd at start-up costs two readings: the one begun, and one for all who came after."""
    with closing(ThreadedSource(gated)) as source:
        first = asyncio.create_task(source.find("till"))
        while gated.readings == 0:
            await asyncio.sleep(0)
        others = [asyncio.create_task(source.find("till")) for _ in range(50)]
        await asyncio.sleep(0)
        gated.gate.set()
        found = await asyncio.gather(first, *others)
    assert gated.readings == 2
    assert {client.client_id for client in found} == {"till"}
    assert gated.thread is not threading.current_thread()


async def test_a_look_up_never_joins_a_reading_that_may_be_too_old(gated, elsewhere):
    """Who asks after a change gets the change."""
    with closing(ThreadedSource(gated)) as source:
        first = asyncio.create_task(source.find("till"))
        while gated.readings == 0:
            await asyncio.sleep(0)
        elsewhere.set_disabled("till", True)
        second = asyncio.create_task(source.find("till"))
        await asyncio.sleep(0)
        gated.gate.set()
        await first
        assert (await second).registration.disabled
    assert gated.readings == 2


async def test_giving_up_one_look_up_leaves_the_others_their_answer(gated):
    """A caller that goes away takes nothing from those who share its reading."""
    with closing(ThreadedSource(gated)) as source:
        blocker = asyncio.create_task(source.find("nobody"))
        impatient = asyncio.create_task(source.find("till"))
        patient = asyncio.create_task(source.find("till"))
        await asyncio.sleep(0)
        impatient.cancel()
        with suppress(asyncio.CancelledError):
            await impatient
        gated.gate.set()
        assert (await patient).client_id == "till"
        await blocker


async def test_a_store_that_fails_says_so_to_everybody(source, elsewhere, tmp_path):
    """The error of the store arrives as it is, and the next look-up asks again."""
    await source.find("till")
    elsewhere.close()
    source._registry.close()
    content = (tmp_path / "registry.db").read_bytes()
    (tmp_path / "registry.db").write_bytes(b"x" * 8192)
    with pytest.raises(StoreUnavailable):
        await source.find("till")
    (tmp_path / "registry.db").write_bytes(content)
    assert (await source.find("till")).client_id == "till"


async def test_a_known_client_costs_no_statement(source, elsewhere, statements):
    """No database on the token path, not even after somebody else's change was caught up."""
    view = ClientView(source)
    await view.catch_up()
    await view.fetch("till")
    assert any("FROM clients" in each for each in statements)
    statements.clear()
    for _ in range(100):
        assert view.get_cached("till") is not None
    assert statements == []

    elsewhere.set_disabled("till", True)
    await view.catch_up()
    statements.clear()
    for _ in range(100):
        assert view.get_cached("till").registration.disabled
    assert statements == []


async def test_looking_for_changes_in_vain_costs_no_transaction(source, statements):
    """Four looks a second must be next to nothing."""
    view = ClientView(source)
    await view.catch_up()
    statements.clear()
    for _ in range(10):
        await view.catch_up()
    assert statements == []


async def test_a_change_by_another_process_counts_with_the_next_look(source, elsewhere):
    """A disabled client is refused once the follower has looked."""
    view = ClientView(source)
    follower = Follower(view)
    await view.fetch("till")
    await follower.look()
    elsewhere.set_disabled("till", True)
    await follower.look()
    assert view.get_cached("till").registration.disabled


async def test_too_long_an_outage_makes_the_view_forget(source, elsewhere):
    """What could not be checked for the whole of the bound does not count any more."""
    view, now = ClientView(source), [100.0]
    follower = Follower(view, outage=10, clock=lambda: now[0])
    await view.fetch("till")
    await follower.look()
    source.close()
    for seconds, held in ((109.9, 1), (110.0, 0)):
        now[0] = seconds
        assert follower.lag == seconds - 100.0
        with pytest.raises(RuntimeError):  # no thread is left: a failure that nobody foresaw
            await follower.look()
        assert len(view) == held


async def test_a_store_that_says_nothing_is_given_up(gated):
    """The request is answered in time; the reading goes on, and the next look-up is as ever."""
    with closing(ThreadedSource(gated, timeout=0.05)) as source:
        with pytest.raises(StoreUnavailable, match="did not answer"):
            await source.find("till")
        gated.gate.set()
        with anyio.fail_after(5):
            while gated.readings < 2:
                with suppress(StoreUnavailable):
                    assert (await source.find("till")).client_id == "till"


async def test_a_crowd_of_look_ups_is_bounded(gated, monkeypatch):
    """While a store hangs, invented ids cost no memory."""
    monkeypatch.setattr(source_module, "MAX_WAITING", 2)
    with closing(ThreadedSource(gated)) as source:
        tasks = [asyncio.create_task(source.find("running"))]
        while gated.readings == 0:
            await asyncio.sleep(0)
        tasks += [asyncio.create_task(source.find(name)) for name in "ab"]
        await asyncio.sleep(0)
        with pytest.raises(StoreUnavailable, match="too many"):
            await source.find("c")
        gated.gate.set()
        assert await asyncio.gather(*tasks) == [None, None, None]


async def test_look_ups_do_not_delay_a_look_for_changes(gated, elsewhere):
    """A flood of invented ids fills the look-ups; a disabled client is known at once."""
    with closing(ThreadedSource(gated, timeout=30)) as source:
        view = ClientView(source)
        gated.gate.set()
        await view.fetch("till")
        gated.gate.clear()
        crowd = [asyncio.create_task(source.find(f"guess-{number}")) for number in range(200)]
        await asyncio.sleep(0)
        elsewhere.set_disabled("till", True)
        with anyio.fail_after(5):
            await Follower(view).look()
        assert view.get_cached("till").registration.disabled
        gated.gate.set()
        assert await asyncio.gather(*crowd) == [None] * 200
