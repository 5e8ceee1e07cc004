"""What carrying out a declaration must do, whatever engine is below it."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from issuer.administration.declaration.apply import describe_outcome
from issuer.registry.audit import Actor, Via
from issuer.registry.authorization_details import DetailsType
from issuer.registry.errors import DeclarationRefused, RegistryError
from issuer.registry.permission import ExchangePermission
from issuer.registry.usage import LastUse, UsageBatch
from tests.support.declaration import (
    absent,
    apply,
    declaration,
    declared,
    grant,
    known,
    preview,
    read,
    resource,
)
from tests.support.registry import NOW, RESOURCE, SECRET, new_client

BY = Actor(name="deployer", via=Via.FILE)
BILLING = "urn:example:billing"

# What the provider itself serves is there before the first declaration.
KEPT = frozenset({RESOURCE})


def everything(registry):
    """Read all that a declaration could change."""
    return registry.list_clients(), registry.list_resources(), registry.list_audit()


def shop(*, secrets=None):
    """Declare two resources and two clients."""
    return declaration(
        resource(),
        resource("bill", "pay", identifier=BILLING),
        declared("till", grant("read"), grant("pay", "bill", on=BILLING), secrets=secrets),
        declared("office", grant("bill", on=BILLING), token_ttl=60, metadata={"team": "office"}),
    )


def test_a_declaration_is_carried_out_and_signed(registry, events):
    """All of it is there, and the audit trail and the log name who applied it."""
    outcome = apply(registry, shop(secrets=(known(),)), BY)
    assert outcome.applied
    assert [client.client_id for client in registry.list_clients()] == ["office", "till"]
    (secret,) = registry.find_client("till").secrets
    assert secret.hash.verify(SECRET)
    assert registry.find_resource(BILLING).resource.scopes == ("bill", "pay")
    trail = registry.list_audit()
    assert {entry.actor for entry in trail} >= {BY}
    assert [event for event, _ in events] == [
        "resource.created",
        "client.created",
        "client.created",
        "secret.added",
    ]
    assert {fields["via"] for _, fields in events} == {"file"}


def test_the_second_time_nothing_changes(registry):
    """Neither what is registered nor the trail nor the version that issuers follow."""
    apply(registry, shop(secrets=(known(),)), BY)
    before, version = everything(registry), registry.version()
    again = apply(registry, shop(secrets=(known(),)), BY)
    assert again.plan.steps == ()
    assert everything(registry) == before
    assert registry.version() == version


def test_what_is_read_from_a_file_is_found_as_it_was_declared(registry):
    """Values survive the database, whatever they are."""
    wanted = read(
        """
        [[resources]]
        resource = "urn:example:billing"
        scopes = ["pay", "bill"]
        signing_alg = "RS256"
        token_ttl = 60

        [[clients]]
        client_id = "till"
        client_name = "Kasse №1"
        token_endpoint_auth_method = "tls_client_auth"
        tls_client_auth_san_dns = "till.example.com"
        tls_client_certificate_bound_access_tokens = true
        expires_at = 2030-01-31T13:00:00+01:00
        grants = [{ resource = "urn:example:billing", scope = "pay bill", default_scope = "bill" }]
        [clients.metadata]
        floor = 3
        share = 0.1
        since = 2020-01-31
        tags = ["a", { b = true }]
        """
    )
    apply(registry, wanted, BY)
    assert preview(registry, wanted).plan.steps == ()
    assert registry.find_client("till").registration.metadata == {
        "floor": 3,
        "share": 0.1,
        "since": "2020-01-31",
        "tags": ["a", {"b": True}],
    }


def test_a_preview_tells_what_will_be_done_and_does_nothing(registry):
    """The plan that is shown is the plan that is carried out."""
    before = everything(registry)
    shown = preview(registry, shop())
    assert not shown.applied
    assert everything(registry) == before
    assert apply(registry, shop(), BY).plan.steps == shown.plan.steps


def test_a_scope_moves_with_its_grant(registry):
    """No state in between is illegal, though foreign keys watch each."""
    apply(registry, shop(), BY)
    moved = declaration(
        resource("read", "write", "pay"),
        resource("bill", identifier=BILLING),
        declared("till", grant("read", "pay"), grant("bill", on=BILLING)),
    )
    apply(registry, moved, BY)
    assert preview(registry, moved).plan.steps == ()


def test_pruning_leaves_what_is_declared_and_what_is_kept(registry):
    """Clients go before the resources that they hold grants on."""
    apply(registry, shop(), BY)
    apply(
        registry, declaration(declared("till", grant("read"))), BY, prune=True, kept_resources=KEPT
    )
    assert [client.client_id for client in registry.list_clients()] == ["till"]
    assert [each.resource.resource for each in registry.list_resources()] == [RESOURCE]


def test_without_pruning_the_rest_stays(registry):
    """What the file does not name is none of its business."""
    registry.create_client(new_client("other"))
    apply(registry, shop(), BY)
    apply(registry, declaration(), BY)
    assert len(registry.list_clients()) == 3


def test_a_refused_declaration_changes_nothing(registry):
    """Every reason is named; the client that could have been made is not."""
    registry.create_client(new_client("other"))
    before = everything(registry)
    wanted = declaration(declared("new"), resource("read"), declared("till", grant("fly")))
    with pytest.raises(DeclarationRefused) as caught:
        apply(registry, wanted, BY)
    assert len(caught.value.reasons) == 2
    assert everything(registry) == before


def test_secrets_change_over_even_where_there_is_no_room(registry):
    """The old ones go before the new one comes; an end that is declared is an end."""
    old = tuple(known(f"old secret {number} of enough characters") for number in range(10))
    apply(registry, declaration(declared(secrets=old)), BY)
    new = declaration(declared(secrets=(old[0], known(expires_at=NOW + 60))))
    with pytest.raises(DeclarationRefused, match="more than 10 secrets"):
        apply(registry, new, BY)
    apply(registry, new, BY, prune=True, kept_resources=KEPT)
    kept, added = registry.find_client("till").secrets
    ends = {secret.expires_at: secret for secret in (kept, added)}
    assert ends[NOW + 60].hash.verify(SECRET)
    assert ends[None].hash.verify("old secret 0 of enough characters")
    assert preview(registry, new, prune=True, kept_resources=KEPT).plan.steps == ()


class Killed(BaseException):
    """What ends a process between two steps."""


@pytest.mark.parametrize("step", ["create_client", "add_secret", "replace_resource"])
def test_a_failure_between_the_steps_leaves_all_as_it_was(registry, monkeypatch, step):
    """No intermediate state is ever seen, and the next run does all of it."""
    from issuer.storage.edit import RegistryEdit

    registry.create_client(new_client("old"))
    wanted = declaration(resource("read", "write", "fly"), declared("till", secrets=(known(),)))
    before = everything(registry)

    def fail(*arguments, **options):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(RegistryEdit, step, fail)
        with pytest.raises(Killed):
            apply(registry, wanted, BY, prune=True, kept_resources=KEPT)
    assert everything(registry) == before
    apply(registry, wanted, BY, prune=True, kept_resources=KEPT)
    assert preview(registry, wanted, prune=True, kept_resources=KEPT).plan.steps == ()


def test_two_at_once_come_one_after_the_other(registry, another):
    """Whichever is second finds nothing to do; no client has a secret twice."""
    start = threading.Barrier(2)

    def run(opened):
        start.wait()
        return apply(opened, shop(secrets=(known(),)), BY)

    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(run, [registry, another]))
    assert sorted(len(outcome.plan.steps) for outcome in outcomes) == [0, 4]
    assert len(registry.find_client("till").secrets) == 1


def test_two_that_contradict_each_other_leave_the_one_or_the_other(registry, another):
    """Never a mixture of both."""
    one = declaration(declared("a"), declared("b"), resource("x", identifier="urn:one"))
    other = declaration(declared("b", token_ttl=60), declared("c"))
    reach = {"prune": True, "kept_resources": KEPT}
    start = threading.Barrier(2)

    def run(job):
        opened, wanted = job
        start.wait()
        return apply(opened, wanted, BY, **reach)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(run, [(registry, one), (another, other)]))
    left = [preview(registry, wanted, **reach).plan.steps for wanted in (one, other)]
    assert () in left


def test_a_secret_that_is_needed_only_now_is_asked_for(registry):
    """Between the look and the transaction the client may have gone."""
    before = everything(registry)
    with pytest.raises(DeclarationRefused, match=r"generate_to till\.secret; apply again"):
        apply(registry, declaration(declared(secrets=(absent(),))), BY)
    assert everything(registry) == before


def test_refusals_are_registry_errors(registry):
    """The command line and the server treat them as all others."""
    with pytest.raises(RegistryError):
        apply(registry, declaration(declared("till", grant("fly"))), BY)


def test_the_uses_of_what_goes_are_reported(registry):
    """Each once, and none from long ago; what never was used is not there."""
    apply(registry, shop(secrets=(known(),)), BY)
    (secret,) = registry.find_client("till").secrets
    registry.record_usage(
        UsageBatch(
            credentials={("till", secret.secret_id): NOW - 5},
            grants={
                ("till", BILLING, ("pay", "bill")): NOW - 10,
                ("office", BILLING, ("bill",)): NOW - 31 * 86_400,
            },
        )
    )
    shown = preview(registry, declaration(declared("office")), prune=True, kept_resources=KEPT)
    assert set(shown.usage) == {
        LastUse(client_id="till", secret_id=secret.secret_id, last_used_at=NOW - 5),
        LastUse(client_id="till", resource=BILLING, scope="bill", last_used_at=NOW - 10),
        LastUse(client_id="till", resource=BILLING, scope="pay", last_used_at=NOW - 10),
    }
    assert len(shown.usage) == 3
    assert (
        apply(registry, declaration(declared("office")), BY, prune=True, kept_resources=KEPT).usage
        == shown.usage
    )


def test_a_type_of_details_comes_and_goes_with_its_grants(registry):
    """It is on the resource before a client holds it, and goes from the client first."""

    def paying(value):
        kind = DetailsType(type="pay", schema={"properties": {"a": {"const": value}}})
        return replace(plain, authorization_details_types=(kind,))

    plain, bare = resource("bill", identifier=BILLING), grant("bill", on=BILLING)
    till = declared("till", replace(bare, authorization_details_types=("pay",)))
    apply(registry, declaration(paying(1), till), BY)
    assert apply(registry, declaration(paying(1), till), BY).plan.steps == ()
    (changed,) = apply(registry, declaration(paying(True), till), BY).plan.steps
    assert changed.name == BILLING
    with pytest.raises(DeclarationRefused, match="pay on urn:example:billing cannot go"):
        apply(registry, declaration(plain), BY)
    outcome = describe_outcome(apply(registry, declaration(plain, declared("till", bare)), BY))
    assert outcome["usage"]["takes_away"]
    assert registry.find_client("till").grants[0].authorization_details_types == ()
    with pytest.raises(DeclarationRefused, match="no such type of authorization details on"):
        apply(registry, declaration(till), BY)


def test_subjects_that_are_no_clients_are_noted(registry):
    """Those of the file, and of the registry unless they go, are; and `*` is none."""
    apply(registry, declaration(declared("office"), declared("desk")), BY)
    subjects = ("till", "office", "tell", "*")
    exchange = ExchangePermission(subject_resource=RESOURCE, resource=BILLING, subjects=subjects)
    till = declared("till", token_exchange=(exchange,), secrets=(known(),))
    unknown = "client till: {} is no client here, so there is no token of it to exchange{}"
    mistyped = unknown.format("tell", "; did you mean till?")
    assert preview(registry, declaration(till)).plan.notes == (mistyped,)
    pruned = preview(registry, declaration(till), prune=True, kept_resources=KEPT).plan.notes
    assert pruned == (unknown.format("office", ""), mistyped)
