"""The operations of an administrator, on every engine."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from issuer.administration.declaration.document import SentDeclaration
from issuer.registry.audit import Actor, Via
from issuer.registry.errors import (
    DeclarationRefused,
    DuplicateClient,
    DuplicateResource,
    InvalidDocument,
    InvalidValue,
    ResourceInUse,
    RevisionConflict,
    ScopeInUse,
    UnknownClient,
    UnknownRegistrationToken,
    UnknownResource,
    UnknownScope,
    UnknownSecret,
)
from tests.support.declaration import declared, grant, known
from tests.support.keys import public_rsa_jwk
from tests.support.registry import RESOURCE, SECRET

ADMINISTRATION = "https://auth.example/admin/api/v1"
READ, WRITE, SECRETS = "clients:read", "clients:write", "secrets:write"
A_DAY = 86_400


def till(**members):
    """Write a client's document."""
    return {"client_id": "till"} | members


def kept_hash(registry, client_id="till"):
    """Return the hash of a client's only secret."""
    (secret,) = registry.find_client(client_id).secrets
    return secret.hash


# ---- clients ----


def test_a_client_is_registered_with_little_to_write(operations, registry):
    """Nothing that it may ask for yet, and a secret that is shown this once."""
    created = operations.create_client(till()).document
    assert (created["scope"], created["grants"], created["resources"]) == ("", [], [])
    assert kept_hash(registry).verify(created["client_secret"])
    assert created["secret_id"] == kept_hash(registry).secret_id
    assert created["client_secret_expires_at"] is None
    shown = operations.show_client("till").document
    assert created["client_secret"] not in str(shown)
    assert [each["secret_id"] for each in shown["secrets"]] == [created["secret_id"]]


def test_a_client_is_registered_with_all_there_is_to_say(operations):
    """Grants written out, keys instead of a secret: it comes back as it was written."""
    document = till(
        client_name="Kasse № 1",
        token_endpoint_auth_method="private_key_jwt",
        jwks={"keys": [public_rsa_jwk().members()]},
        grants=[{"resource": RESOURCE, "scope": "read write", "default_scope": "read"}],
        token_ttl=60,
        dpop_bound_access_tokens=True,
        disabled=True,
        expires_at="2030-01-01T00:00:00Z",
        metadata={"team": "tills"},
    )
    created = operations.create_client(document).document
    assert document.items() <= created.items()
    assert not {"client_secret", "secret_id"} & created.keys()


def test_a_secret_that_is_brought_is_kept_and_not_repeated(operations, registry, clock):
    """The caller that supplied it has it."""
    end = "2023-11-14T23:13:20Z"
    created = operations.create_client(
        till(client_secret=SECRET, client_secret_expires_at=end)
    ).document
    assert SECRET not in str(created)
    assert created["client_secret_expires_at"] == end
    assert kept_hash(registry).verify(SECRET)
    (secret,) = operations.list_secrets("till")
    assert secret["expires_at"] == end


def test_all_scopes_are_granted_when_that_is_said(operations):
    """Those that the resource has at that moment."""
    created = operations.create_client(till(all_scopes=True)).document
    assert (created["scope"], created["resources"]) == ("read write", [RESOURCE])


def test_resources_without_scope_are_granted_nothing_but_must_exist(operations):
    """A name that is mistyped is told at once."""
    assert operations.create_client(till(resources=[RESOURCE])).document["grants"] == []
    with pytest.raises(UnknownResource):
        operations.create_client({"client_id": "x", "resources": ["urn:nowhere"]})


def test_grants_by_resource_and_scope(operations):
    """Each resource gets those of the scopes that it has."""
    operations.create_resource({"resource": "urn:bills", "scopes": ["read", "pay"]})
    created = operations.create_client(
        till(resources=["urn:bills", RESOURCE], scope="read pay")
    ).document
    assert created["grants"] == [
        {"resource": "urn:bills", "scope": "read pay"},
        {"resource": RESOURCE, "scope": "read"},
    ]


def test_a_client_that_cannot_be_is_not_registered(operations):
    """Nothing of it stays, not even an entry in the trail."""
    for document, error in (
        (till(resources=["urn:nowhere"]), UnknownResource),
        (till(scope="fly"), UnknownScope),
        (till(grants=[{"resource": RESOURCE, "scope": "fly"}]), UnknownScope),
        (till(client_secret="short"), InvalidDocument),
        (till(client_secret_expires_at="2001-01-01T00:00:00Z"), InvalidDocument),
        ({}, InvalidDocument),
    ):
        with pytest.raises(error):
            operations.create_client(document)
    assert operations.list_clients().items == []
    assert operations.list_audit(target="till").items == []


def test_an_id_is_taken_once(operations):
    """The second registration changes nothing of the first."""
    operations.create_client(till(client_name="first"))
    with pytest.raises(DuplicateClient):
        operations.create_client(till(client_name="second"))
    assert operations.show_client("till").document["client_name"] == "first"


def test_pages_of_clients_join_without_gap_or_overlap(operations):
    """By the bytes of their ids, on every engine."""
    names = ["B", "a", "a-1", "a/1", "a1", "é".encode().hex(), "~"]
    for name in names:
        operations.create_client({"client_id": name})
    found, after = [], None
    while True:
        page = operations.list_clients(after=after, limit=2)
        found += [each["client_id"] for each in page.items]
        if (after := page.next) is None:
            break
    assert found == sorted(names)
    assert operations.list_clients(limit=len(names)).next is None


def test_a_page_has_bounds(operations):
    """Of clients and of the trail."""
    for limit in (0, -1, 1001):
        for listing in (operations.list_clients, operations.list_audit):
            with pytest.raises(InvalidValue):
                listing(limit=limit)


def test_a_patch_changes_what_it_names(operations):
    """And comes back as the client is now shown, at its new revision."""
    operations.create_client(till(token_ttl=60, all_scopes=True))
    before = operations.show_client("till")
    after = operations.update_client("till", {"client_name": "Kasse", "scope": "read"})
    assert after == operations.show_client("till")
    assert after.revision > before.revision
    changed = {"client_name", "scope", "grants"}
    for name, value in before.document.items():
        assert (after.document[name] == value) == (name not in changed)


def test_a_patch_that_changes_nothing_leaves_no_trace(operations):
    """Neither an entry nor a new revision."""
    operations.create_client(till())
    before = operations.show_client("till")
    entries = operations.list_audit().items
    assert operations.update_client("till", {"disabled": False}) == before
    assert operations.list_audit().items == entries


def test_a_patch_is_for_the_revision_that_was_read(operations):
    """Two operators do not overwrite each other."""
    operations.create_client(till())
    revision = operations.show_client("till").revision
    operations.update_client("till", {"client_name": "first"}, revision=revision)
    with pytest.raises(RevisionConflict):
        operations.update_client("till", {"client_name": "second"}, revision=revision)
    with pytest.raises(RevisionConflict):
        operations.delete_client("till", revision=revision)
    assert operations.show_client("till").document["client_name"] == "first"


def test_many_patches_at_once_are_all_carried_out(operations):
    """Each is read and written in one transaction, so none is lost."""
    operations.create_client(till())

    def note(number):
        operations.update_client("till", {"metadata": {f"n{number}": number}})

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(note, range(12)))
    metadata = operations.show_client("till").document["metadata"]
    assert metadata == {f"n{number}": number for number in range(12)}


def test_a_deleted_client_is_unknown_to_every_operation(operations):
    """One error for all of them."""
    operations.create_client(till())
    operations.delete_client("till", revision=operations.show_client("till").revision)
    for ask in (
        lambda: operations.show_client("till"),
        lambda: operations.update_client("till", {}),
        lambda: operations.delete_client("till"),
        lambda: operations.list_secrets("till"),
        lambda: operations.add_secret("till", {}),
        lambda: operations.revoke_secret("till", "1"),
    ):
        with pytest.raises(UnknownClient, match="till"):
            ask()


# ---- secrets ----


def test_a_secret_takes_the_place_of_another(operations, clock):
    """Add, watch, revoke."""
    first = operations.create_client(till()).document
    added = operations.add_secret("till", {"expires_in": 60}).document
    assert added["expires_at"] == "2023-11-14T22:14:20Z"
    operations.revoke_secret("till", first["secret_id"])
    (left,) = operations.list_secrets("till")
    assert left == {name: added[name] for name in left}
    with pytest.raises(UnknownSecret):
        operations.revoke_secret("till", first["secret_id"])


def test_a_secret_can_be_made_for_later(operations):
    """Given out today, good from tomorrow."""
    operations.create_client(till())
    added = operations.add_secret("till", {"starts_at": "2023-11-15T22:13:20Z"}).document
    assert added["starts_at"] == "2023-11-15T22:13:20Z"
    with pytest.raises(InvalidDocument, match="must end after it starts"):
        operations.add_secret("till", {"starts_at": "2023-11-15T22:13:20Z", "expires_in": 60})


def test_a_client_with_keys_gets_no_secret(operations):
    """Its method takes none."""
    operations.create_client(
        till(
            token_endpoint_auth_method="private_key_jwt",
            jwks={"keys": [public_rsa_jwk().members()]},
        )
    )
    with pytest.raises(InvalidValue, match="private_key_jwt"):
        operations.add_secret("till", {})


# ---- resources ----


def test_a_resource_is_made_changed_and_deleted(operations):
    """Its document comes back each time."""
    created = operations.create_resource(
        {"resource": "urn:bills", "scopes": ["pay", "read"]}
    ).document
    assert created == operations.show_resource("urn:bills").document
    with pytest.raises(DuplicateResource):
        operations.create_resource({"resource": "urn:bills", "scopes": ["pay"]})
    changed = operations.update_resource("urn:bills", {"token_ttl": 60})
    assert (changed.document["token_ttl"], changed.document["scopes"]) == (60, ["pay", "read"])
    assert [each["resource"] for each in operations.list_resources()] == [RESOURCE, "urn:bills"]
    with pytest.raises(RevisionConflict):
        operations.delete_resource("urn:bills", revision=changed.revision - 1)
    operations.delete_resource("urn:bills", revision=changed.revision)
    with pytest.raises(UnknownResource):
        operations.show_resource("urn:bills")


def test_a_scope_that_clients_hold_goes_only_with_their_grants(operations):
    """`withdraw` takes it from them."""
    operations.create_client(till(all_scopes=True))
    with pytest.raises(ScopeInUse):
        operations.update_resource(RESOURCE, {"scopes": ["read"]})
    operations.update_resource(RESOURCE, {"scopes": ["read"]}, withdraw=True)
    assert operations.show_client("till").document["scope"] == "read"


def test_the_providers_own_resources_stay(administer):
    """They would be made again at the next start, without their grants."""
    operations = administer(kept_resources=[ADMINISTRATION])
    operations.create_resource({"resource": ADMINISTRATION, "scopes": [READ]})
    for identifier in (RESOURCE, ADMINISTRATION):
        with pytest.raises(ResourceInUse):
            operations.delete_resource(identifier)


# ---- the trail ----


def test_the_trail_is_read_backwards_page_by_page(operations):
    """The latest first; narrowed to one target."""
    for number in range(3):
        operations.create_client({"client_id": f"c{number}"})
    whole = operations.list_audit().items
    found, before = [], None
    while True:
        page = operations.list_audit(before=before, limit=2)
        found += page.items
        if (before := page.next) is None:
            break
    assert found == whole
    assert {each["target"] for each in operations.list_audit(target="c1").items} == {"c1"}


def test_a_place_in_the_trail_is_a_number(operations):
    """Anything else is no cursor."""
    for place in ("", "x", "-1", "1" * 30, "١"):
        with pytest.raises(InvalidValue):
            operations.list_audit(before=place)


# ---- registration tokens ----


def test_a_registration_token_is_made_listed_and_revoked(operations):
    """It is shown once."""
    document = {"grants": [{"resource": RESOURCE, "scope": "read"}], "uses": 3, "expires_in": 60}
    made = operations.create_registration_token(document).document
    (listed,) = operations.list_registration_tokens()
    assert made["token"] not in str(listed)
    assert (listed["token_id"], listed["uses_left"]) == (made["token_id"], 3)
    operations.revoke_registration_token(made["token_id"])
    with pytest.raises(UnknownRegistrationToken):
        operations.revoke_registration_token(made["token_id"])
    with pytest.raises(InvalidDocument):
        operations.create_registration_token(document | {"uses": 0})


# ---- declarations ----


def declaration(*clients):
    """Write a declaration for its journey."""
    return SentDeclaration(clients=clients)


def test_a_declaration_is_tried_and_then_carried_out(operations, registry):
    """The trial changes nothing and tells the same."""
    wanted = declaration(declared("till", grant("read"), secrets=(known(),)))
    tried = operations.apply(wanted, dry_run=True)
    assert operations.list_clients().items == []
    done = operations.apply(wanted)
    assert tried | {"applied": True} == done
    assert kept_hash(registry).verify(SECRET)
    assert not operations.apply(wanted)["changed"]


def test_pruning_spares_what_the_provider_needs_and_who_asks(operations, administer):
    """Its own resources, and the very client that prunes."""
    caller = administer(Actor(name="caller", via=Via.API))
    for name in ("caller", "other"):
        operations.create_client({"client_id": name})
    caller.apply(declaration(), prune=True)
    assert [each["client_id"] for each in operations.list_clients().items] == ["caller"]
    assert [each["resource"] for each in operations.list_resources()] == [RESOURCE]


def test_a_declaration_that_cannot_be_met_changes_nothing(operations):
    """And says why."""
    with pytest.raises(DeclarationRefused):
        operations.apply(declaration(declared("till", grant("fly"))))
    with pytest.raises(InvalidValue):
        operations.apply(declaration(), usage_days=-1)
    assert operations.list_clients().items == []
