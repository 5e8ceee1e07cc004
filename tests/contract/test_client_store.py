"""What every registry store must do, whatever engine is below it."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace

import pytest

from issuer.registry.auth_methods import AuthMethod
from issuer.registry.errors import (
    DuplicateClient,
    DuplicateResource,
    InvalidValue,
    RegistryError,
    ResourceInUse,
    UnknownClient,
    UnknownResource,
    UnknownScope,
)
from issuer.storage import rows, statements
from issuer.storage.registry import Registry
from issuer.storage.schema import HEAD
from tests.support.registry import (
    NOW,
    RESOURCE,
    SECRET,
    RegistryHarness,
    fast_hash,
    new_client,
    orders,
)

BILLING = orders("read", "bill", identifier="urn:example:billing", token_ttl=60)


def test_a_created_client_is_found_as_it_was_registered(registry, another):
    """Everything that was said at creation is there, for every process."""
    registry.create_resource(BILLING)
    created = registry.create_client(
        new_client(
            resources=("urn:example:billing", RESOURCE),
            scopes=("read", "bill"),
            token_endpoint_auth_method=AuthMethod.CLIENT_SECRET_POST,
            token_ttl=120,
            client_name="Kasse №1",
        )
    )
    found = another.find_client("till")
    assert found == created
    told = found.registration
    assert told.token_endpoint_auth_method is AuthMethod.CLIENT_SECRET_POST
    assert (told.token_ttl, told.client_name, told.disabled) == (120, "Kasse №1", False)
    assert (found.created_at, found.updated_at) == (NOW, NOW)
    assert [(g.resource, g.scopes) for g in found.grants] == [
        ("urn:example:billing", ("read", "bill")),
        (RESOURCE, ("read",)),
    ]
    assert [found.policies[g.resource].token_ttl for g in found.grants] == [60, None]


def test_a_new_client_has_one_secret_that_starts_now(registry):
    """Only a hash is kept, and it verifies the secret."""
    (secret,) = registry.create_client(new_client()).secrets
    assert secret.hash == fast_hash()
    assert secret.hash.verify(SECRET)
    assert (secret.created_at, secret.starts_at, secret.expires_at) == (NOW, NOW, None)


def test_without_scopes_a_client_gets_what_its_resource_has(registry):
    """Scopes that the resource gets later are not granted by themselves."""
    (grant,) = registry.create_client(new_client()).grants
    assert grant.scopes == ("read", "write")


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"scopes": ("fly",)}, UnknownScope, "fly"),
        ({"resources": ("urn:example:no",)}, UnknownResource, "urn:example:no"),
        ({"resources": (RESOURCE, RESOURCE)}, InvalidValue, "twice"),
    ],
)
def test_a_refused_client_leaves_nothing_behind(registry, changes, error, words):
    """A transaction is done or not done."""
    before = registry.changes_since(0)
    with pytest.raises(error, match=words):
        registry.create_client(new_client(**changes))
    assert registry.find_client("till") is None
    assert registry.list_clients() == []
    assert registry.changes_since(0) == before


def test_a_client_id_is_given_once(registry, another):
    """The first client stays as it is."""
    first = registry.create_client(new_client())
    with pytest.raises(DuplicateClient, match="till"):
        another.create_client(new_client(client_name="second"))
    assert registry.list_clients() == [first]


def test_client_ids_differ_by_case(registry):
    """RFC 6749 §2.2: a client id is an opaque string, compared exactly."""
    registry.create_client(new_client("till"))
    registry.create_client(new_client("Till"))
    assert [client.client_id for client in registry.list_clients()] == ["Till", "till"]


def test_many_clients_are_listed_each_with_its_own(registry):
    """A list tells the same as asking one by one."""
    registry.create_resource(BILLING)
    for number in range(5):
        resources = (RESOURCE, "urn:example:billing")[: 1 + number % 2]
        registry.create_client(new_client(f"c{number}", resources=resources))
    listed = registry.list_clients()
    assert [client.client_id for client in listed] == ["c0", "c1", "c2", "c3", "c4"]
    assert listed == [registry.find_client(client.client_id) for client in listed]


def test_a_client_is_disabled_and_enabled(registry, clock):
    """Nothing else about it changes but the time of the change."""
    before = registry.create_client(new_client())
    clock.now += 5
    registry.set_disabled("till", True)
    disabled = registry.find_client("till")
    assert disabled.registration == replace(before.registration, disabled=True)
    assert (disabled.secrets, disabled.updated_at) == (before.secrets, NOW + 5)
    clock.now += 5
    registry.set_disabled("till", False)
    enabled = registry.find_client("till")
    assert (enabled.registration, enabled.updated_at) == (before.registration, NOW + 10)


def test_a_deleted_client_is_gone_with_all_that_was_its(registry):
    """The id can be given anew and inherits nothing."""
    registry.create_client(new_client(scopes=("write",)))
    registry.delete_client("till")
    assert registry.find_client("till") is None
    again = registry.create_client(new_client(scopes=("read",)))
    assert len(again.secrets) == 1
    assert again.grants[0].scopes == ("read",)


@pytest.mark.parametrize(
    "change",
    [lambda registry: registry.set_disabled("nobody", True), lambda r: r.delete_client("nobody")],
)
def test_an_unknown_client_cannot_be_changed(registry, change):
    """The refusal names the id, and no note is left in the feed."""
    before = registry.changes_since(0)
    with pytest.raises(UnknownClient, match="nobody"):
        change(registry)
    assert registry.changes_since(0) == before


def test_resources_are_created_listed_and_deleted(registry, another):
    """Scopes keep the order in which they were named."""
    unsorted = orders("z", "a", "m", identifier="urn:a", token_ttl=9)
    registry.create_resource(unsorted)
    assert another.find_resource("urn:a").resource == unsorted
    assert [each.resource for each in another.list_resources()] == [orders(), unsorted]
    another.delete_resource("urn:a")
    assert registry.find_resource("urn:a") is None
    assert [each.resource for each in registry.list_resources()] == [orders()]


def test_a_resource_identifier_is_given_once(registry):
    """The first resource stays as it is."""
    with pytest.raises(DuplicateResource, match=RESOURCE):
        registry.create_resource(orders("other"))
    assert registry.find_resource(RESOURCE).resource == orders()


def test_an_identifier_with_an_empty_path_is_one_with_a_slash(registry):
    """RFC 3986 §6.2.3: a token request finds one by the other, so only one of them can be."""
    registry.create_resource(orders(identifier="https://bills.example/"))
    with pytest.raises(DuplicateResource, match=r"exists already: https://bills\.example/$"):
        registry.create_resource(orders(identifier="https://bills.example"))
    registry.create_resource(orders(identifier="https://bills.example/v1"))
    registry.create_resource(orders(identifier="https://bills.example/v1/"))


def test_ensuring_a_resource_changes_none_that_exists(registry):
    """What an operator made of the default resource outlives every restart."""
    before = registry.changes_since(0)
    registry.ensure_resources(orders("other"))
    assert registry.find_resource(RESOURCE).resource == orders()
    assert registry.changes_since(0) == before


def test_a_resource_in_use_cannot_be_deleted(registry):
    """The refusal names some of the clients that hold grants on it."""
    for name in "abcde":
        registry.create_client(new_client(name))
    with pytest.raises(ResourceInUse, match="a, b, c, …"):
        registry.delete_resource(RESOURCE)
    assert registry.find_client("a").grants
    for name in "bcde":
        registry.delete_client(name)
    with pytest.raises(ResourceInUse, match=r": a$"):
        registry.delete_resource(RESOURCE)
    registry.delete_client("a")
    registry.delete_resource(RESOURCE)


def test_an_unknown_resource_cannot_be_deleted(registry):
    """The refusal names it."""
    with pytest.raises(UnknownResource, match="urn:example:no"):
        registry.delete_resource("urn:example:no")


def test_every_change_of_a_client_is_in_the_feed(registry, another):
    """A reader learns who changed since it last looked, and nothing twice."""
    cursor = another.changes_since(0).cursor
    registry.create_client(new_client("a"))
    registry.create_client(new_client("b"))
    registry.set_disabled("a", True)
    registry.delete_client("b")
    registry.create_client(new_client("c"))
    seen = another.changes_since(cursor)
    assert seen.client_ids == {"a", "b", "c"}
    assert seen.cursor == cursor + 5
    assert another.changes_since(seen.cursor).client_ids == frozenset()


def test_a_change_of_resources_may_concern_any_client(registry):
    """Grants show their resource's token lifetime, so every entry is read again."""
    cursor = registry.changes_since(0).cursor
    registry.create_resource(BILLING)
    assert registry.changes_since(cursor).client_ids is None
    cursor = registry.changes_since(0).cursor
    registry.delete_resource(BILLING.resource)
    assert registry.changes_since(cursor).client_ids is None


def test_a_reader_left_behind_by_the_trimmed_feed_is_told(registry, monkeypatch):
    """The feed is bounded; who is too far behind reads everything again."""
    monkeypatch.setattr(rows, "KEPT", 3)
    registry.create_client(new_client())
    cursor = registry.changes_since(0).cursor
    for disabled in (True, False, True):
        registry.set_disabled("till", disabled)
    assert registry.changes_since(cursor).client_ids == {"till"}
    registry.set_disabled("till", False)
    assert registry.changes_since(cursor).client_ids is None


def test_very_many_changes_count_as_everything(registry, monkeypatch):
    """One reading of the feed stays small."""
    monkeypatch.setattr(statements, "READ_AT_MOST", 2)
    registry.create_client(new_client())
    cursor = registry.changes_since(0).cursor
    registry.set_disabled("till", True)
    registry.set_disabled("till", False)
    assert registry.changes_since(cursor).client_ids == {"till"}
    registry.set_disabled("till", True)
    assert registry.changes_since(cursor).client_ids is None


def test_a_cursor_from_another_feed_means_everything(registry):
    """After a database was put back from a backup, no reader trusts its cursor."""
    cursor = registry.changes_since(0).cursor
    seen = registry.changes_since(cursor + 100)
    assert seen.client_ids is None
    assert seen.cursor == cursor


def test_the_feed_tells_whether_any_secret_is_slow(registry):
    """It does as long as there is one."""
    assert not registry.changes_since(0).any_slow_secret
    registry.create_client(new_client("weak", secret_hash=fast_hash("too short")))
    registry.create_client(new_client("strong"))
    assert registry.changes_since(0).any_slow_secret
    registry.delete_client("weak")
    assert not registry.changes_since(0).any_slow_secret


def test_the_version_moves_with_every_write_and_only_then(registry, another):
    """Whoever wrote, every process sees it; reading moves nothing."""
    for writer in (registry, another):
        for reader in (registry, another):
            before = reader.version()
            reader.list_clients()
            assert reader.version() == before
            client_id = f"c{len(registry.list_clients())}"
            writer.create_client(new_client(client_id))
            assert reader.version() != before


def test_one_of_many_simultaneous_creations_wins(registry, another):
    """Two operators may choose the same id at the same time."""

    def create(number):
        try:
            (registry, another)[number % 2].create_client(new_client(client_name=f"n{number}"))
        except DuplicateClient:
            return 0
        return 1

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(create, range(16))) == 1


def test_simultaneous_changes_all_arrive(registry, another):
    """Writers wait for each other; none fails, none is lost, each has its note."""
    cursor = registry.changes_since(0).cursor

    def create(number):
        (registry, another)[number % 2].create_client(new_client(f"c{number}"))

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(create, range(30)))
    names = {f"c{number}" for number in range(30)}
    assert {client.client_id for client in registry.list_clients()} == names
    assert registry.changes_since(cursor).client_ids == names


def test_a_reader_sees_a_client_whole_or_not_at_all(registry, another):
    """A look-up during changes never mixes two states."""
    wide = orders("a", "b", identifier="urn:wide")
    registry.create_resource(wide)

    def churn():
        for _ in range(20):
            registry.create_client(new_client(resources=(RESOURCE, "urn:wide")))
            registry.delete_client("till")

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(churn)
        seen = []
        while not writing.done():
            seen.append(another.find_client("till"))
        writing.result()
    for client in seen:
        assert client is None or (len(client.grants), len(client.secrets)) == (2, 1)


def test_a_reopened_registry_has_everything(registry, database_url, clock):
    """What was committed is on the disk."""
    created = registry.create_client(new_client())
    registry.close()
    with closing(Registry.open(database_url, now=clock)) as reopened:
        assert RegistryHarness(reopened).list_clients() == [created]
        assert reopened.schema_revision() == HEAD


def test_every_refusal_is_a_registry_error_of_one_line(registry):
    """What the command line prints needs no cleaning."""
    registry.create_client(new_client())
    for refused in (
        lambda: registry.create_client(new_client()),
        lambda: registry.create_client(new_client("x", scopes=("fly",))),
        lambda: registry.delete_resource(RESOURCE),
        lambda: registry.delete_client("x"),
    ):
        with pytest.raises(RegistryError) as caught:
            refused()
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 200


def test_the_change_feed_waits_for_nobody(registry, another):
    """While a reader is in the middle of its work, what changed is learnt all the same."""
    begun, go_on = threading.Event(), threading.Event()

    def hold(_reading):
        begun.set()
        assert go_on.wait(20)

    registry.create_client(new_client())
    with ThreadPoolExecutor(2) as pool:
        holding = pool.submit(registry.read, hold)
        assert begun.wait(20)
        try:
            version = pool.submit(registry.version).result(5)
            another.set_disabled("till", True)
            assert pool.submit(registry.version).result(5) != version
            assert pool.submit(registry.changes_since, 0).result(5)
            found = pool.submit(registry.find_changed_client, "till").result(5)
            assert found.registration.disabled
        finally:
            go_on.set()
        holding.result(20)
