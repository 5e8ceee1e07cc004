"""Unit tests of how clients, secrets, resources and audit entries are shown."""

import json

import pytest

from issuer.registry.audit import SYSTEM, Action, Actor, AuditEntry, Via, describe_entry
from issuer.registry.auth_methods import AuthMethod
from issuer.registry.client import ClientRegistration
from issuer.registry.client_description import describe_client
from issuer.registry.credentials import ClientSecret, describe_secret
from issuer.registry.permission import ResourcePermission
from issuer.registry.resource import RegisteredResource, describe_registered_resource
from issuer.registry.schema import write
from tests.support.issuer import make_client, make_secret
from tests.support.registry import RESOURCE, fast_hash, orders

NOW = 1_800_000_000
OTHER = "urn:example:billing"


def test_a_client_is_described_by_its_registered_names():
    """RFC 7591 §2, RFC 9449 §5.2, RFC 8705 §3.4; times are RFC 3339 in UTC, durations seconds."""
    client = make_client(
        "till",
        client_name="Till",
        token_endpoint_auth_method=AuthMethod.TLS_CLIENT_AUTH,
        tls_client_auth_san_dns="till.example",
        grants=(
            ResourcePermission(
                resource=RESOURCE, scopes=("read", "write"), default_scopes=("read",)
            ),
            ResourcePermission(resource=OTHER, scopes=("bill", "read")),
        ),
        token_ttl=60,
        dpop_bound_access_tokens=True,
        expires_at=NOW,
        metadata={"team": "tills"},
        created_at=0,
        updated_at=1,
    )
    assert describe_client(client, NOW - 1) == {
        "client_id": "till",
        "client_name": "Till",
        "token_endpoint_auth_method": "tls_client_auth",
        "tls_client_auth_san_dns": "till.example",
        "grant_types": ["client_credentials"],
        "grants": [
            {"resource": RESOURCE, "scope": "read write", "default_scope": "read"},
            {"resource": OTHER, "scope": "bill read"},
        ],
        "token_ttl": 60,
        "dpop_bound_access_tokens": True,
        "tls_client_certificate_bound_access_tokens": False,
        "disabled": False,
        "expires_at": "2027-01-15T08:00:00Z",
        "metadata": {"team": "tills"},
        "scope": "read write bill",
        "resources": [RESOURCE, OTHER],
        "created_at": "1970-01-01T00:00:00Z",
        "updated_at": "1970-01-01T00:00:01Z",
        "state": "enabled",
        "next_end_at": "2027-01-15T08:00:00Z",
    }


def secret_until(end):
    """Make a secret that ends then."""
    return ClientSecret(secret_id="30", hash=fast_hash(), created_at=0, starts_at=0, expires_at=end)


@pytest.mark.parametrize(
    ("what", "ends", "state"),
    [
        ({}, [], "enabled"),
        ({}, [NOW], "secret_expired"),
        ({}, [NOW, NOW - 9], "secret_expired"),
        ({"token_endpoint_auth_method": AuthMethod.CLIENT_SECRET_POST}, [NOW], "secret_expired"),
        ({}, [NOW + 1], "enabled"),
        ({}, [NOW, None], "enabled"),
        (
            {"token_endpoint_auth_method": AuthMethod.TLS_CLIENT_AUTH}
            | {"tls_client_auth_san_dns": "till.example"},
            [NOW],
            "enabled",
        ),
        ({"expires_at": NOW}, [NOW], "expired"),
        ({"expires_at": NOW + 1}, [None], "enabled"),
        ({"expires_at": NOW, "disabled": True}, [NOW], "disabled"),
    ],
)
def test_the_state_of_a_client_says_why_it_gets_no_tokens(what, ends, state):
    """A client that can no longer prove itself is not plainly enabled."""
    client = make_client(secrets=tuple(secret_until(end) for end in ends), **what)
    assert describe_client(client, NOW)["state"] == state


def test_what_a_client_has_not_is_null_or_absent():
    """Plain members are always there, so scripts need not ask; material is where it applies."""
    described = write(ClientRegistration(client_id="till"))
    assert [described[name] for name in ("client_name", "token_ttl", "expires_at")] == [None] * 3
    assert not {"jwks", "jwks_uri", "tls_client_auth_san_dns"} & described.keys()


def test_a_grant_says_its_defaults_only_where_it_has_some():
    """All by default is the plain case, and written in one way."""
    named = ResourcePermission(resource=OTHER, scopes=("a", "b"), default_scopes=("b", "a"))
    assert write(named) == {"resource": OTHER, "scope": "a b"}


@pytest.mark.parametrize("last_used_at", [None, NOW])
def test_a_secret_is_described_by_its_times(last_used_at):
    """When it was last used tells whether it can go."""
    secret = ClientSecret(
        secret_id="30313233",
        hash=fast_hash(),
        created_at=NOW - 2,
        starts_at=NOW - 1,
        expires_at=None,
        last_used_at=last_used_at,
    )
    assert describe_secret(secret) == {
        "secret_id": "30313233",
        "created_at": "2027-01-15T07:59:58Z",
        "starts_at": "2027-01-15T07:59:59Z",
        "expires_at": None,
        "last_used_at": last_used_at and "2027-01-15T08:00:00Z",
    }


def test_a_resource_is_described_with_what_it_asks_of_tokens():
    """RFC 9728 §2 has names for the bindings."""
    registered = RegisteredResource(
        resource=orders(
            "read",
            token_ttl=60,
            signing_alg="RS256",
            tls_client_certificate_bound_access_tokens=True,
        ),
        created_at=NOW,
        updated_at=NOW,
        revision=7,
    )
    assert describe_registered_resource(registered) == {
        "resource": RESOURCE,
        "scopes": ["read"],
        "token_ttl": 60,
        "signing_alg": "RS256",
        "dpop_bound_access_tokens_required": False,
        "tls_client_certificate_bound_access_tokens": True,
        "created_at": "2027-01-15T08:00:00Z",
        "updated_at": "2027-01-15T08:00:00Z",
    }


@pytest.mark.parametrize(
    ("actor", "name", "via", "request_id"),
    [
        (Actor(name="ops", via=Via.API, request_id="r-1"), "ops", "api", "r-1"),
        (SYSTEM, "watchword", "system", None),
    ],
)
def test_an_entry_says_who_did_what_through_which_door(actor, name, via, request_id):
    """The trail is read without any other source at hand."""
    entry = AuditEntry(
        number=3,
        at=NOW,
        actor=actor,
        action=Action.CLIENT_DELETED,
        target="till",
        before={"client_id": "till"},
        after=None,
    )
    assert describe_entry(entry) == {
        "number": 3,
        "at": "2027-01-15T08:00:00Z",
        "actor": name,
        "via": via,
        "request_id": request_id,
        "action": "client.deleted",
        "target": "till",
        "before": {"client_id": "till"},
        "after": None,
    }


def test_neither_secrets_nor_hashes_are_in_any_description():
    """What is shown may be kept by anybody."""
    secret = make_secret("wws_" + "canary-" * 6)
    client = make_client(secrets=(secret,))
    shown = json.dumps([describe_client(client, NOW), describe_secret(secret)])
    for hidden in ("canary", "$sha256$", *secret.hash.text.split("$")[2:]):
        assert hidden not in shown
