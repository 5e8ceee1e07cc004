"""Unit tests of `watchword.provider.issuer`: its jobs, and the end of what it opened."""

import asyncio
import io
import json
import sqlite3
import threading
from contextlib import closing
from unittest.mock import Mock

import anyio
import pytest

from issuer.registry.client import ClientRegistration
from issuer.registry.credentials import NewSecret
from issuer.registry.errors import (
    InvalidValue,
    IssuerMismatch,
    SchemaMismatch,
    StoreUnavailable,
)
from issuer.registry.resource import Resource
from tests.support.issuer import FORM, basic, call
from tests.support.keys import key_file, write_key_file
from tests.support.registry import TESTER, fast_hash
from watchword.ambient import wall_clock
from watchword.errors import ProviderError
from watchword.logging import Events
from watchword.provider import issuer as provider_issuer
from watchword.provider.issuer import IssuerApp
from watchword.registry import open_registry
from watchword.settings import load_settings


@pytest.fixture
def app(tmp_path, monkeypatch):
    """Give an issuer in an empty folder, with a key."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(provider_issuer, "DOCUMENT_POLL_SECONDS", 0.01)
    settings = load_settings()
    write_key_file(settings.data_dir / "keys", key_file())
    return IssuerApp(settings, Events(form="json", stream=io.StringIO()), started=wall_clock())


async def until(holds):
    """Wait until it holds."""
    with anyio.fail_after(10):
        while not holds():
            await asyncio.sleep(0.01)


async def test_the_registry_is_closed_whatever_its_jobs_and_their_end_raise(app, monkeypatch):
    """A bug in one part leaves no connection open."""
    closed = []

    def fail(*arguments):
        raise RuntimeError("a bug")

    async def fail_to_catch_up():
        fail()

    close = app.registry.close
    monkeypatch.setattr(app.registry, "close", lambda: (closed.append(True), close()))
    monkeypatch.setattr(app.view, "catch_up", fail_to_catch_up)
    monkeypatch.setattr(app.registry, "record_usage", fail)
    monkeypatch.setattr(app.authentication, "close", fail)
    app.start()
    await until(lambda: not app.store_answers())
    with pytest.raises(RuntimeError, match="a bug"):
        await app.stop()
    assert closed == [True]


async def test_readiness_follows_the_registry_and_the_key_store(app, monkeypatch):
    """Each says no while its last look failed, whatever it failed of."""
    looks = {"registry": StoreUnavailable("away"), "keys": RuntimeError("a bug")}

    async def catch_up():
        if "registry" in looks:
            raise looks["registry"]

    def refresh(now):
        if "keys" in looks:
            raise looks["keys"]
        return False

    monkeypatch.setattr(app.view, "catch_up", catch_up)
    monkeypatch.setattr(app.keys, "refresh", refresh)
    app.start()
    await until(lambda: not app.store_answers() and not app.has_key())
    looks.clear()
    await until(lambda: app.store_answers() and app.has_key())
    await app.stop()


def test_a_rotation_that_resources_make_too_fast_is_refused_at_start(app, monkeypatch):
    """Their algorithms have keys of their own in the one set; settings alone do not tell."""
    monkeypatch.setenv("WATCHWORD_ROTATE_EVERY", "1900")
    settings, events = load_settings(), Events(form="json", stream=io.StringIO())
    IssuerApp.check(settings, events)
    resource = Resource(resource="https://b.example", scopes=("read",), signing_alg="ES256")
    app.registry.change(lambda edit: edit.create_resource(resource), by=TESTER)
    with pytest.raises(ProviderError, match=r"WATCHWORD_ROTATE_EVERY: .* least is 3775"):
        IssuerApp.check(settings, events)
    app.registry.close()


class Outage:
    """Makes opening the registry fail with `error` while there is one."""

    def __init__(self):
        self.error = StoreUnavailable("the registry database is away")

    def open_registry(self, settings, **options):
        if self.error is not None:
            raise self.error
        return open_registry(settings, **options)


@pytest.fixture
def outage(app, monkeypatch):
    """Take the registry of `app`, which has made it, away from whoever starts after it."""
    app.registry.close()
    outage = Outage()
    monkeypatch.setattr(provider_issuer, "open_registry", outage.open_registry)
    return outage


def another(app, *, checked):
    """Start anew what `app` was, and give its log too."""
    log = io.StringIO()
    events = Events(form="json", stream=log)
    return IssuerApp(app._settings, events, started=wall_clock(), checked=checked), log


def logged(log):
    """List the events of a log with their reasons."""
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    return [(line["event"], line.get("reason")) for line in lines]


async def test_what_starts_without_the_registry_serves_the_rest_and_opens_it_later(app, outage):
    """Keys and metadata are there at once, the registry as soon as it answers."""
    late, log = another(app, checked=True)
    assert json.loads(late.jwks().body) == json.loads(app.jwks().body)
    assert "scopes_supported" not in json.loads(late._metadata.document.body)
    assert late.has_key()
    assert not late.store_answers()
    late.start()
    with pytest.raises(StoreUnavailable):
        await late.view.fetch("anybody")
    await until(lambda: not late._following.succeeds("registry"))
    outage.error = None
    await until(late.store_answers)
    assert await late.view.fetch("anybody") is None
    await until(lambda: "scopes_supported" in json.loads(late._metadata.document.body))
    assert late._metadata.document.body == app._metadata.document.body
    await late.stop()
    late._events.flush()
    assert logged(log) == [
        ("registry.unavailable", "the registry database is away"),
        ("registry.available", None),
    ]


@pytest.mark.parametrize(
    ("checked", "error"),
    [
        (False, StoreUnavailable("away")),
        (True, IssuerMismatch("another issuer")),
        (True, SchemaMismatch("an older schema")),
        (True, InvalidValue("not understood")),
    ],
)
def test_only_an_outage_after_a_check_is_waited_for(app, outage, checked, error):
    """A first start, and what waiting does not mend, end with their line."""
    outage.error = error
    with pytest.raises(type(error), match=str(error)):
        another(app, checked=checked)


async def test_a_registry_that_comes_back_as_another_is_not_taken(app, outage):
    """It is told once why; nothing is read from it."""
    late, log = another(app, checked=True)
    late.start()
    outage.error = IssuerMismatch("another issuer")
    await until(lambda: ("registry.refused", "another issuer") in logged(log))
    with pytest.raises(StoreUnavailable):
        await late.view.fetch("anybody")
    assert not late.store_answers()
    outage.error = None
    await until(late.store_answers)
    await late.stop()
    late._events.flush()
    assert [event for event, _ in logged(log)].count("registry.refused") == 1


async def test_no_empty_file_takes_the_place_of_a_registry_that_was_deleted(app):
    """A worker that starts meanwhile waits for the file, as one that runs does."""
    app.registry.close()
    file = app._settings.database.path
    file.rename(file.with_name("elsewhere"))
    late, log = another(app, checked=True)
    late.start()
    await until(lambda: logged(log))
    assert not file.exists()
    assert not late.store_answers()
    file.with_name("elsewhere").rename(file)
    await until(late.store_answers)
    await late.stop()


async def test_an_end_while_the_registry_is_opened_leaves_nothing_open(app, outage, monkeypatch):
    """What a try opens after the end was asked for is closed too."""
    late, _ = another(app, checked=True)
    trying, go_on, opened = threading.Event(), threading.Event(), []

    def open_slowly(settings, **options):
        trying.set()
        assert go_on.wait(10)
        registry = open_registry(settings, **options)
        close = registry._database.close
        monkeypatch.setattr(registry._database, "close", lambda: (opened.remove(registry), close()))
        opened.append(registry)
        return registry

    monkeypatch.setattr(provider_issuer, "open_registry", open_slowly)
    late.start()
    await until(trying.is_set)
    threading.Timer(0.1, go_on.set).start()
    await late.stop()
    assert late.registry.is_open
    assert opened == []


async def test_a_start_announces_what_expires_soon_once_for_all_its_workers(app, monkeypatch):
    """What another start has announced is announced again; what a fellow worker has is not."""
    monkeypatch.setattr(provider_issuer, "UPKEEP_SECONDS", 0.01)
    registry, now = app.registry, wall_clock()
    new = NewSecret(hash=fast_hash(), expires_at=now + 3600)
    registration = ClientRegistration(client_id="till")
    registry.change(lambda edit: edit.create_client(registration, [new]), by=TESTER)
    registry.announce_expiring(within=7200, started=now - 1)  # by a server that ran until now
    await app.stop()
    told = []
    # Well after what was announced above by the real clock, however slow this machine is.
    for started in (now + 100, now + 100, now + 200):
        log = io.StringIO()
        monkeypatch.setattr("watchword.provider.issuer.wall_clock", lambda at=started: at)
        worker = IssuerApp(load_settings(), Events(form="json", stream=log), started=started)
        worker.start()
        looks = worker.registry.announce_expiring = Mock(wraps=worker.registry.announce_expiring)
        await until(lambda looks=looks: looks.call_count > 1)
        await worker.stop()
        told.append(log.getvalue().count('"secret.expiring"'))
    assert told == [1, 0, 1]


async def test_limited_guesses_are_logged_and_counted_for_all_processes(tmp_path, monkeypatch):
    """The settings limit what the endpoint takes, and the job tells of it."""
    monkeypatch.chdir(tmp_path)
    settings = load_settings(failed_auth_limit=1)
    write_key_file(settings.data_dir / "keys", key_file())
    log = io.StringIO()
    app = IssuerApp(settings, Events(form="json", stream=log), started=wall_clock())
    token = app.routes()["/token"]
    headers = [(b"content-type", FORM.encode()), (b"authorization", basic("invented", "x" * 40))]
    statuses, counts = [], 0
    app.start()
    with (
        closing(sqlite3.connect(settings.data_dir / "registry.db")) as database,
        anyio.fail_after(60),
    ):
        # Guess on: a minute may end, and with it what was counted, before it was shared.
        while not (counts and '"event":"request.limited"' in log.getvalue()):
            statuses.append((await call(token, "POST", "/token", headers)).status)
            await asyncio.sleep(0.05)
            (counts,) = database.execute("SELECT count(*) FROM limit_counts").fetchone()
    assert set(statuses) == {401, 429}
    lines = [json.loads(each) for each in log.getvalue().splitlines() if "request.limited" in each]
    assert lines[0]["limit"] == "failed_auth"
    assert lines[0]["requests"] >= 1
    assert "client_id" not in lines[0]
    await app.stop()
