"""Changes of clients and resources, on every engine: what they refuse and what they leave."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from issuer.registry.audit import Action
from issuer.registry.auth_methods import TLS_SUBJECTS, AuthMethod
from issuer.registry.authorization_details import DetailsType
from issuer.registry.errors import (
    ResourceInUse,
    RevisionConflict,
    ScopeInUse,
    UnknownClient,
    UnknownResource,
    UnknownScope,
)
from issuer.registry.permission import ResourcePermission
from issuer.registry.resource import TokenPolicy
from tests.support.keys import public_rsa_jwk
from tests.support.registry import (
    NOW,
    RESOURCE,
    TESTER,
    new_client,
    new_secret,
    orders,
)

BILLING = orders("read", "bill", identifier="urn:example:billing", token_ttl=60)


# ---- clients ----


def test_everything_that_is_decided_of_a_client_comes_back(registry, another):
    """Nothing of a registration is lost or changed on the way through the database."""
    registry.create_resource(BILLING)
    made = registry.create_client(new_client())
    wanted = replace(
        made.registration,
        client_name="Kasse №1",
        token_endpoint_auth_method=AuthMethod.PRIVATE_KEY_JWT,
        jwks={"keys": [public_rsa_jwk().members()]},
        grant_types=(),
        grants=(
            ResourcePermission(resource=BILLING.resource, scopes=("bill", "read")),
            ResourcePermission(
                resource=RESOURCE, scopes=("write", "read"), default_scopes=("read",)
            ),
        ),
        token_ttl=77,
        dpop_bound_access_tokens=True,
        tls_client_certificate_bound_access_tokens=True,
        disabled=True,
        expires_at=NOW + 5,
        metadata={"team": "tills", "nested": {"a": [1, None, "ü"]}},
    )
    registry.replace_client(wanted)
    found = another.find_client("till")
    assert found.registration == wanted
    assert found.secrets == made.secrets
    assert found.policies == {RESOURCE: TokenPolicy(), BILLING.resource: TokenPolicy(token_ttl=60)}


@pytest.mark.parametrize("name", TLS_SUBJECTS)
def test_the_subject_of_a_certificate_comes_back(registry, name):
    """Each way to name a certificate keeps its name."""
    value = {"ip": "192.0.2.1", "dn": "CN=till,C=DE"}.get(name[-2:], "till.example")
    registry.create_client(
        new_client(token_endpoint_auth_method=AuthMethod.TLS_CLIENT_AUTH, **{name: value})
    )
    assert getattr(registry.find_client("till").registration, name) == value


def test_what_changes_nothing_leaves_no_trace(registry, events):
    """No entry, no event, no note, no new revision."""
    made = registry.create_client(new_client())
    before = (registry.changes_since(0), registry.list_audit(), list(events))
    assert registry.replace_client(made.registration) == made
    assert registry.set_disabled("till", False) == made
    assert registry.replace_resource(orders()).resource == orders()
    assert (registry.changes_since(0), registry.list_audit(), events) == before


def test_a_note_that_only_python_holds_for_equal_is_a_change(registry):
    """In JSON 1, 1.0 and true are three values."""
    made = registry.create_client(new_client(metadata={"on": 1}))
    for note in (True, 1.0, 1):
        registry.replace_client(replace(made.registration, metadata={"on": note}))
        registry.replace_resource(replace(orders(), claims={"on": note}))
        (noted,) = registry.find_client("till").registration.metadata.values()
        (claimed,) = registry.find_client("till").policies[orders().resource].claims.values()
        for kept in (noted, claimed):
            assert (type(kept), kept) == (type(note), note)


def test_a_change_is_made_only_to_what_was_read(registry):
    """RFC 9110 §13.1.1: who has read an older state is refused."""
    first = registry.create_client(new_client())
    second = registry.replace_client(
        replace(first.registration, token_ttl=9), revision=first.revision
    )
    assert second.revision > first.revision
    with pytest.raises(RevisionConflict):
        registry.replace_client(replace(first.registration, token_ttl=8), revision=first.revision)
    with pytest.raises(RevisionConflict):
        registry.delete_client("till", revision=first.revision)
    assert registry.find_client("till") == second
    registry.delete_client("till", revision=second.revision)


def test_a_revision_is_never_given_twice(registry):
    """Not even to a client that was deleted and made again."""
    first = registry.create_client(new_client()).revision
    registry.delete_client("till")
    assert registry.create_client(new_client()).revision > first


def test_a_secret_is_a_change_of_its_client(registry):
    """Who shows a client shows its secrets, so both have one revision."""
    first = registry.create_client(new_client()).revision
    added = registry.add_secret("till", new_secret(1))
    second = registry.find_client("till").revision
    registry.revoke_secret("till", added.secret_id)
    assert first < second < registry.find_client("till").revision


@pytest.mark.parametrize(
    ("grant", "error"),
    [
        (ResourcePermission(resource=RESOURCE, scopes=("fly",)), UnknownScope),
        (ResourcePermission(resource="urn:example:no", scopes=("read",)), UnknownResource),
        (ResourcePermission(resource=RESOURCE, scopes=("read", "bill")), UnknownScope),
    ],
)
def test_a_grant_of_what_does_not_exist_is_refused(registry, grant, error):
    """The same word on another resource is another permission; nothing is changed."""
    registry.create_resource(BILLING)
    made = registry.create_client(new_client())
    with pytest.raises(error):
        registry.replace_client(replace(made.registration, grants=(grant,)))
    assert registry.find_client("till") == made


def test_an_unknown_client_is_nobodys(registry):
    """Each edit names it."""
    ghost = replace(registry.create_client(new_client()).registration, client_id="ghost")
    for edit in (
        lambda: registry.replace_client(ghost),
        lambda: registry.add_secret("ghost", new_secret(1)),
        lambda: registry.revoke_secret("ghost", "x"),
        lambda: registry.set_disabled("ghost", True),
    ):
        with pytest.raises(UnknownClient, match="ghost"):
            edit()


def test_pages_follow_the_bytes_of_ids(registry):
    """The order is the same on every engine, whatever letters mean to it."""
    names = ["a", "B", "~", "a-b", "A", "_", "0"]
    for name in names:
        registry.create_client(new_client(name))
    pages, after = [], ""
    while page := registry.list_clients(after, 3):
        pages += [client.client_id for client in page]
        after = pages[-1]
    assert pages == sorted(names)
    assert [client.client_id for client in registry.list_clients()] == sorted(names)


# ---- resources ----


def test_a_resource_is_changed_and_its_clients_follow(registry, another):
    """Policy and scopes; a new scope is nobody's until it is granted."""
    registry.create_client(new_client(scopes=("read",)))
    before = registry.find_resource(RESOURCE)
    policy = {"token_ttl": 30, "dpop_bound_access_tokens_required": True, "signing_alg": "RS256"}
    wanted = orders("write", "audit", "read", **policy)
    after = registry.replace_resource(wanted, revision=before.revision)
    assert after.resource == another.find_resource(RESOURCE).resource == wanted
    assert after.revision > before.revision
    client = another.find_client("till")
    assert client.policies[RESOURCE] == TokenPolicy(**policy)
    assert client.grants[0].scopes == ("read",)
    with pytest.raises(RevisionConflict):
        registry.replace_resource(orders(), revision=before.revision)


def test_a_scope_that_clients_hold_stays(registry):
    """The refusal names some of them, and nothing is changed."""
    for name in "abcde":
        registry.create_client(new_client(name))
    with pytest.raises(ScopeInUse, match=r"write.*: a, b, c, …"):
        registry.replace_resource(orders("read"))
    assert registry.find_resource(RESOURCE).resource == orders()


def test_a_scope_can_be_withdrawn_from_all_who_hold_it(registry):
    """A grant that would be empty goes; each client has its entry in the trail."""
    registry.create_resource(BILLING)
    registry.create_client(new_client("both"))
    registry.create_client(new_client("writer", scopes=("write",)))
    registry.create_client(new_client("reader", scopes=("read",)))
    registry.create_client(
        new_client("biller", resources=(BILLING.resource, RESOURCE), scopes=("bill", "write"))
    )
    registry.replace_resource(orders("read"), withdraw=True)
    left = {client.client_id: client.grants for client in registry.list_clients()}
    assert left == {
        "biller": (ResourcePermission(resource=BILLING.resource, scopes=("bill",)),),
        "both": (ResourcePermission(resource=RESOURCE, scopes=("read",)),),
        "reader": (ResourcePermission(resource=RESOURCE, scopes=("read",)),),
        "writer": (),
    }
    updated = [e.target for e in registry.list_audit() if e.action is Action.CLIENT_UPDATED]
    assert sorted(updated) == ["biller", "both", "writer"]


def test_the_same_word_on_another_resource_is_untouched(registry):
    """Scope names belong to resources."""
    registry.create_resource(BILLING)
    registry.create_client(new_client(resources=(RESOURCE, BILLING.resource), scopes=("read",)))
    registry.replace_resource(orders("write"), withdraw=True)
    (grant,) = registry.find_client("till").grants
    assert (grant.resource, grant.scopes) == (BILLING.resource, ("read",))


def test_a_type_of_details_is_granted_like_a_scope(registry, another):
    """It comes back, is refused where no resource has it, stays while held, and is withdrawn."""
    assert registry.list_details_types() == set()
    pay, see = (DetailsType(type=name, schema={"properties": {}}) for name in ("pay", "see"))
    registry.replace_resource(orders(authorization_details_types=(pay, see)))
    assert registry.list_details_types() == {"pay", "see"}
    plain = registry.create_client(new_client("plain", scopes=("read",))).registration
    holder = registry.create_client(new_client(scopes=("read",))).registration
    (grant,) = holder.grants
    granted = replace(grant, authorization_details_types=("pay",))
    registry.replace_client(replace(holder, grants=(granted,)))
    found = another.find_client("till")
    assert found.grants == (granted,)
    assert found.policies[RESOURCE].authorization_details_types == (pay, see)
    other = replace(grant, authorization_details_types=("fly",))
    with pytest.raises(UnknownScope, match=r"no such type of authorization details on .*: fly"):
        registry.replace_client(replace(plain, grants=(other,)))
    with pytest.raises(ScopeInUse, match=r"still hold pay on .*: till$"):
        registry.replace_resource(orders(authorization_details_types=(see,)))
    registry.replace_resource(orders(authorization_details_types=(pay,)))
    registry.replace_resource(orders(), withdraw=True)
    assert another.find_client("till").grants == another.find_client("plain").grants == (grant,)


def test_a_scope_moves_from_one_resource_to_another_in_one_change(registry):
    """Whoever looks sees it here or there, never on both or on neither."""
    registry.create_resource(BILLING)
    registry.create_client(new_client(scopes=("write",)))

    def move(edit):
        edit.replace_resource(orders("read", "bill", "write", identifier=BILLING.resource))
        grants = (ResourcePermission(resource=BILLING.resource, scopes=("write",)),)
        edit.replace_client(replace(edit.require_client("till").registration, grants=grants))
        edit.replace_resource(orders("read"))

    registry.change(move, by=TESTER)
    assert registry.find_client("till").grants[0].resource == BILLING.resource
    assert registry.find_resource(RESOURCE).resource.scopes == ("read",)


# ---- all or nothing ----


def test_a_change_that_fails_in_its_middle_changes_nothing(registry, events):
    """What came before the failure is undone, and nobody is told of it."""
    registry.create_client(new_client("stays"))
    before = (registry.list_clients(), registry.changes_since(0), registry.list_audit())
    events.clear()

    def fail(edit):
        edit.delete_client("stays")
        edit.create_resource(BILLING)
        edit.delete_resource("urn:example:no")

    with pytest.raises(UnknownResource):
        registry.change(fail, by=TESTER)
    after = (registry.list_clients(), registry.changes_since(0), registry.list_audit())
    assert after == before
    assert events == []


def test_a_bug_in_a_change_changes_nothing_either(registry):
    """Whatever is raised ends the transaction."""

    def fail(edit):
        edit.create_resource(BILLING)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        registry.change(fail, by=TESTER)
    assert registry.find_resource(BILLING.resource) is None


def test_deleting_a_resource_and_granting_it_do_not_cross(registry, another):
    """Of the two, one is refused: no grant ever points to nothing."""
    for round_ in range(8):
        registry.create_resource(BILLING)

        def grant(name=f"c{round_}"):
            another.create_client(new_client(name, resources=(BILLING.resource,)))

        def attempt(work):
            try:
                work()
            except (ResourceInUse, UnknownResource) as error:
                return type(error)
            return None

        with ThreadPoolExecutor(2) as pool:
            outcomes = list(
                pool.map(attempt, [lambda: registry.delete_resource(BILLING.resource), grant])
            )
        assert sum(outcome is not None for outcome in outcomes) == 1
        if outcomes[0] is ResourceInUse:
            registry.delete_client(f"c{round_}")
            registry.delete_resource(BILLING.resource)


def test_the_algorithms_that_resources_name_are_told_apart(registry):
    """Each once, whatever else their documents hold; resources that name none count for nothing."""
    assert registry.list_signing_algs() == set()
    registry.create_resource(BILLING)
    for number, alg in enumerate(("ES256", "ML-DSA-44", "ES256")):
        registry.create_resource(
            orders("read", identifier=f"urn:example:{number}", signing_alg=alg)
        )
    assert registry.list_signing_algs() == {"ES256", "ML-DSA-44"}
