"""What administrators list by filters, on every engine."""

import pytest

from issuer.registry.client_description import ClientFilter
from issuer.registry.errors import InvalidValue
from issuer.registry.schema import write_time
from tests.support.registry import NOW, RESOURCE, use

A_DAY = 86_400
OTHER = "https://stock.example"


@pytest.fixture
def clients(operations):
    """Register a client for each state, and some that differ by their grants."""
    operations.create_resource({"resource": OTHER, "scopes": ["read", "count"]})
    soon, past = write_time(NOW + 2 * A_DAY), write_time(NOW + 60)
    for name, members in {
        "a-reader": {"resources": [RESOURCE], "scope": "read"},
        "counter": {"resources": [OTHER], "scope": "count"},
        "both": {"resources": [RESOURCE, OTHER], "scope": "read"},
        "disabled": {"disabled": True, "expires_at": past},
        "expired": {"expires_at": past},
        "old-secret": {"client_secret_expires_at": past},
        "new-secret": {"client_secret_expires_at": past},
        "ends-soon": {"expires_at": soon},
        "secret-ends-soon": {"client_secret_expires_at": soon},
        "keys": {
            "token_endpoint_auth_method": "private_key_jwt",
            "jwks_uri": "https://keys.example/jwks",
        },
    }.items():
        operations.create_client({"client_id": name, **members})
    operations.add_secret("new-secret", {})


def listed(operations, **wanted):
    """Return the ids of the clients that are listed."""
    found = operations.list_clients(ClientFilter(**wanted), limit=1000)
    assert found.next is None
    return {each["client_id"] for each in found.items}


def test_clients_are_listed_by_what_they_may_ask_for(operations, clients):
    """A scope counts on the resource that is named beside it."""
    assert listed(operations, resource=OTHER) == {"counter", "both"}
    assert listed(operations, scope="read") == {"a-reader", "both"}
    assert listed(operations, resource=OTHER, scope="read") == {"both"}
    assert listed(operations, resource="https://no.example") == set()


def test_clients_are_listed_by_the_state_that_they_are_shown_in(operations, clients, clock):
    """Each client is in exactly one."""
    clock.now = NOW + A_DAY
    shown = {each["client_id"]: each["state"] for each in operations.list_clients().items}
    for state in ("enabled", "disabled", "expired", "secret_expired"):
        expected = {name for name, each in shown.items() if each == state}
        assert expected
        assert listed(operations, state=state) == expected
    assert listed(operations, state="secret_expired") == {"old-secret"}


def test_clients_are_listed_that_end_or_have_a_secret_that_does(operations, clients, clock):
    """What has ended already is not about to."""
    clock.now = NOW + A_DAY
    assert listed(operations, expiring=A_DAY) == {"ends-soon", "secret-ends-soon"}
    assert listed(operations, expiring=A_DAY - 1) == set()


def test_clients_are_listed_that_were_not_used(operations, registry, clients, clock):
    """A client that is younger than that is not among them."""
    assert listed(operations, unused_for=A_DAY) == set()
    clock.now = NOW + 10 * A_DAY
    (secret,) = registry.find_client("a-reader").secrets
    use(registry, ("a-reader", secret.secret_id, RESOURCE, ("read",), NOW + 9 * A_DAY))
    assert "a-reader" not in listed(operations, unused_for=A_DAY)
    assert "a-reader" in listed(operations, unused_for=A_DAY - 1)
    assert {"both", "keys"} <= listed(operations, unused_for=A_DAY)


def test_filtered_clients_come_in_pages_too(operations, clients):
    """So many that fit, however many lie between them."""
    wanted = ClientFilter(scope="read")
    first = operations.list_clients(wanted, limit=1)
    assert ([each["client_id"] for each in first.items], first.next) == (["a-reader"], "a-reader")
    second = operations.list_clients(wanted, after=first.next, limit=1)
    assert ([each["client_id"] for each in second.items], second.next) == (["both"], None)


def test_uses_are_listed_with_the_time_of_the_last(operations, registry, clients, clock):
    """Page by page, and narrowed by whatever names them."""
    (secret,) = registry.find_client("both").secrets
    use(registry, ("both", secret.secret_id, OTHER, ("read",), NOW))
    whole = operations.list_usage().items
    assert [(each["client_id"], each["resource"], each["scope"]) for each in whole] == [
        ("a-reader", RESOURCE, "read"),
        ("both", RESOURCE, "read"),
        ("both", OTHER, "read"),
        ("counter", OTHER, "count"),
    ]
    assert [each["last_used_at"] for each in whole] == [None, None, write_time(NOW), None]
    found, after = [], None
    while True:
        page = operations.list_usage(after=after, limit=1)
        found += page.items
        if (after := page.next) is None:
            break
    assert found == whole
    assert operations.list_usage(client_id="both").items == whole[1:3]
    assert operations.list_usage(resource=OTHER, scope="count").items == whole[3:]
    clock.now = NOW + A_DAY
    assert whole[2] not in operations.list_usage(unused_for=A_DAY).items
    assert operations.list_usage(unused_for=A_DAY - 1).items == whole
    with pytest.raises(InvalidValue, match="a place in the list of uses"):
        operations.list_usage(after="x")


def test_the_trail_is_narrowed_by_actor_action_and_time(operations, clock):
    """An action by its name or its first word; `until` itself does not belong."""
    operations.create_client({"client_id": "till"})
    clock.now = NOW + 60
    operations.update_client("till", {"disabled": True})
    entries = operations.list_audit().items
    by = entries[0]["actor"]
    assert operations.list_audit(actor=by).items == [e for e in entries if e["actor"] == by]
    assert operations.list_audit(actor="x").items == []
    actions = [each["action"] for each in operations.list_audit(action="client").items]
    assert actions == ["client.disabled", "client.created"]
    (one,) = operations.list_audit(action="client.disabled").items
    assert operations.list_audit(since=one["at"]).items == [one]
    assert one not in operations.list_audit(until=one["at"]).items
    assert operations.list_audit(action="x").items == []
    with pytest.raises(InvalidValue, match="since must be a time"):
        operations.list_audit(since="yesterday")
