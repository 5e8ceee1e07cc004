"""One client, read by a plain statement on the token path and by SQLAlchemy to administer it."""

from dataclasses import replace

import pytest

from issuer.registry.credentials import NewSecret
from tests.support.registry import NOW, RESOURCE, fast_hash, new_client, orders

BILLING = orders("read", "bill", identifier="urn:example:billing", token_ttl=60)


def test_a_look_up_is_one_statement(registry, monkeypatch):
    """However much a client has: a request waits for one way to the database and back."""
    registry.create_resource(BILLING)
    registry.create_client(new_client(resources=(RESOURCE, BILLING.resource)))
    registry.add_secret("till", NewSecret(hash=fast_hash(salt=b"fedcba9876543210")))
    database, seen = registry.registry._database, []

    class OneStatement:
        """Gives way to single statements only."""

        def read_one(self, statement):
            seen.append(statement.sql)
            return database.read_one(statement)

    monkeypatch.setattr(registry.registry, "_opened", OneStatement())
    client = registry.find_client("till")
    assert (len(client.grants), len(client.secrets)) == (2, 2)
    assert len(seen) == 1


@pytest.mark.parametrize(
    "registration",
    [
        {},
        {"client_name": "Ünï", "token_ttl": 7, "disabled": True, "expires_at": NOW + 9},
        {"dpop_bound_access_tokens": True, "metadata": {"a": [1, 1.0, None, {"b": "\u2028"}]}},
    ],
)
def test_every_way_of_reading_a_client_gives_the_same(registry, registration):
    """What was written, by one plain statement, within a transaction, in a list, as a follower."""
    registry.create_resource(BILLING)
    new = new_client(resources=(BILLING.resource, RESOURCE), **registration)
    for client_name in ("One", "Two"):
        if client_name == "One":
            client = registry.create_client(new)
        else:
            changed = replace(client.registration, client_name=client_name)
            client = registry.replace_client(changed)
        assert registry.registry.find_client("till") == client
        assert registry.registry.find_changed_client("till") == client
        assert registry.registry.read(lambda reading: reading.find_client("till")) == client
        assert registry.list_clients() == [client]
