"""Unit tests of `issuer.administration.declaration.plan` and what it decides with."""

from secrets import token_bytes

import pytest

from issuer.administration.declaration.document import SecretValue
from issuer.administration.declaration.plan import (
    AddSecret,
    ChangeClient,
    ChangeResource,
    RevokeSecret,
)
from issuer.registry.auth_methods import AuthMethod
from tests.support.declaration import (
    absent,
    declaration,
    declared,
    grant,
    known,
    plan,
    refusal,
    registered,
    resource,
    state,
    stored_secret,
)
from tests.support.registry import NOW, RESOURCE, SECRET

OTHER = "urn:example:billing"
OTHER_SECRET = "wws_" + "t" * 43


def kinds(made):
    """Name the steps of a plan, in order."""
    return [kind(step) for step in made.steps]


def kind(step):
    """Name a step."""
    if isinstance(step, AddSecret | RevokeSecret):
        return "add secret" if isinstance(step, AddSecret) else "revoke secret"
    what = "resource" if isinstance(step, ChangeResource) else "client"
    done = "create" if step.before is None else "delete" if step.after is None else "update"
    return f"{done} {what}"


def secret_steps(wanted, *stored, prune=False):
    """Plan the secrets of one client that is there; return the plan."""
    present = state(registered(secrets=stored))
    return plan(declaration(declared(secrets=wanted)), present, prune=prune)


def test_what_is_as_declared_needs_no_step():
    """Applying twice changes nothing; neither does another order of scopes and later grants."""
    wanted = declaration(
        resource("write", "read"),
        declared("till", grant("write", "read"), grant("x", on="urn:b"), grant("x", on="urn:a")),
    )
    present = state(
        resource("read", "write"),
        resource("x", identifier="urn:a"),
        resource("x", identifier="urn:b"),
        registered("till", grant("read", "write"), grant("x", on="urn:a"), grant("x", on="urn:b")),
    )
    assert plan(wanted, present).steps == ()


@pytest.mark.parametrize(
    "changed",
    [
        declared("till", grant("read"), token_ttl=60),
        declared("till", grant("read", "write", default=("read",))),
        declared("till", grant("x", on="urn:a"), grant("read", "write")),
        declared("till", grant("read", "write"), grant("x", on="urn:a"), metadata={"team": "b"}),
    ],
)
def test_a_difference_that_matters_is_a_step(changed):
    """Default scopes and the default resource are among them."""
    now = registered("till", grant("read", "write"), grant("x", on="urn:a"), metadata={"team": "a"})
    present = state(resource(), resource("x", identifier="urn:a"), now)
    assert plan(declaration(changed), present).steps == (
        ChangeClient("till", now, changed.registration),
    )


def test_all_default_scopes_are_as_good_as_none():
    """A client that gets all by default gets all by default."""
    wanted = declaration(declared("till", grant("read", "write", default=("write", "read"))))
    present = state(resource(), registered("till", grant("read", "write")))
    assert plan(wanted, present).steps == ()


def test_what_the_file_does_not_name_stays():
    """Without --prune only what is named is touched."""
    present = state(resource(), registered("other", grant()))
    assert plan(declaration(declared("till")), present).steps == (
        ChangeClient("till", None, declared("till").registration),
    )


def test_a_scope_moves_from_one_resource_to_another_on_a_legal_way():
    """Resources grow before grants follow, and shrink after."""
    wanted = declaration(
        resource("read"),
        resource("read", "write", identifier=OTHER),
        declared("till", grant("read"), grant("write", on=OTHER)),
    )
    present = state(
        resource("read", "write"),
        resource("read", identifier=OTHER),
        registered("till", grant("read", "write")),
    )
    assert kinds(plan(wanted, present)) == ["update resource", "update client", "update resource"]


def test_a_resource_that_gains_and_loses_changes_twice():
    """In between it has both scopes."""
    wanted = declaration(resource("write"))
    (grown, shrunk) = plan(wanted, state(resource("read"))).steps
    assert grown == ChangeResource(RESOURCE, resource("read"), resource("write", "read"))
    assert shrunk == ChangeResource(RESOURCE, resource("write", "read"), resource("write"))


def test_pruning_deletes_clients_before_their_resources():
    """Those that are kept in any case stay."""
    present = state(
        resource("a", identifier="urn:kept"),
        resource(),
        registered("old", grant()),
        registered("admin"),
    )
    made = plan(
        declaration(declared("till")),
        present,
        prune=True,
        kept_resources=frozenset({"urn:kept"}),
        kept_clients=frozenset({"admin"}),
    )
    assert kinds(made) == ["create client", "delete client", "delete resource"]
    assert made.steps[1:] == (
        ChangeClient("old", present.clients["old"], None),
        ChangeResource(RESOURCE, resource(), None),
    )


def test_a_resource_is_created_before_it_is_granted():
    """The registry would refuse the grant otherwise."""
    wanted = declaration(declared("till", grant()), resource())
    assert kinds(plan(wanted, state())) == ["create resource", "create client"]


def test_every_obstacle_is_named():
    """Grants on what is not there, or will not be."""
    wanted = declaration(
        resource("read"),
        declared("till", grant("x", on="urn:none"), grant("fly", on="urn:here")),
    )
    present = state(
        resource("read", "write"),
        resource("a", identifier="urn:here"),
        *(registered(f"c{number}", grant("write")) for number in range(5)),
        registered("d", grant("read")),
    )
    assert refusal(wanted, present) == [
        "client till: no such resource: urn:none",
        "client till: no such scope on urn:here: fly",
        f"write on {RESOURCE} cannot go: it is granted to c0, c1, c2 and 2 more,"
        " which the file does not name",
    ]


def test_pruning_is_refused_where_it_would_take_a_grant_along():
    """Whether of a declared client, or of one that is kept in any case."""
    wanted = declaration(declared("till", grant()))
    present = state(resource(), registered("admin", grant("read")))
    assert refusal(wanted, present, prune=True, kept_clients=frozenset({"admin"})) == [
        f"client till: its resource {RESOURCE} would be pruned; name it in the file",
        f"{RESOURCE} cannot go: it is granted to admin, which the file does not name",
    ]


def test_secrets_that_are_not_declared_are_not_managed():
    """Pruning leaves them, too."""
    present = state(registered(secrets=[stored_secret()]))
    assert plan(declaration(declared()), present, prune=True).steps == ()


def test_a_new_client_gets_its_secrets():
    """Those that are there and those that are to be made."""
    made = plan(declaration(declared(secrets=(known(), absent()))), state())
    assert kinds(made) == ["create client", "add secret", "add secret"]
    assert [step.must_be_generated for step in made.steps[1:]] == [False, True]


def test_a_secret_that_is_there_is_recognised_by_its_hash():
    """No other is added."""
    assert secret_steps((known(),), stored_secret()).steps == ()


def test_an_unknown_secret_is_added_beside_the_others():
    """So that both work while clients change over."""
    other = known(OTHER_SECRET)
    assert secret_steps((other,), stored_secret()).steps == (
        AddSecret(client_id="till", secret=other),
    )


def test_pruning_revokes_secrets_that_are_not_declared_and_makes_room_first():
    """The client may have as many as it can have."""
    other, old = known(OTHER_SECRET), stored_secret()
    assert secret_steps((other,), old, prune=True).steps == (
        RevokeSecret(client_id="till", secret=old),
        AddSecret(client_id="till", secret=other),
    )


def test_an_empty_list_of_secrets_prunes_them_all():
    """It is declared that there is none."""
    assert kinds(secret_steps((), stored_secret(), prune=True)) == ["revoke secret"]
    assert kinds(secret_steps((), stored_secret())) == []


def test_a_secret_that_has_ended_counts_for_nothing():
    """It is neither matched nor pruned."""
    ended = stored_secret(expires_at=NOW)
    assert kinds(secret_steps((known(),), ended, prune=True)) == ["add secret"]


def test_nothing_is_generated_for_a_client_that_has_a_secret():
    """It may be the one whose file is not here; so it is not pruned either."""
    made = secret_steps((absent(),), stored_secret(), prune=True)
    assert made.steps == ()
    assert made.notes == (
        "client till: generate_to till.secret is not there; none is generated, since the client"
        " has a secret",
        "client till: its other secrets are left, since one of them may be generate_to till.secret",
    )


def test_a_known_secret_beside_an_absent_one_leaves_no_doubt_about_others():
    """Only a secret whose file is absent leaves a doubt."""
    made = secret_steps((known(), absent()), stored_secret(), prune=True)
    assert made.steps == ()
    assert len(made.notes) == 1


def test_a_client_whose_secrets_have_all_ended_gets_a_generated_one():
    """It has nothing to lose."""
    assert kinds(secret_steps((absent(),), stored_secret(expires_at=NOW))) == ["add secret"]


def test_an_end_that_is_not_declared_stays_as_it_is():
    """A rotation that is under way is not undone."""
    assert secret_steps((known(),), stored_secret(expires_at=NOW + 60)).steps == ()


def test_another_end_is_another_secret():
    """The same text is stored anew with the end that is declared."""
    old, new = stored_secret(), known(expires_at=NOW + 60)
    assert secret_steps((new,), old).steps == (
        RevokeSecret(client_id="till", secret=old),
        AddSecret(client_id="till", secret=new),
    )
    assert secret_steps((new,), stored_secret(expires_at=NOW + 60)).steps == ()


def test_a_secret_whose_declared_end_is_past_is_revoked_and_never_added():
    """Whatever state it is found in, a second run has nothing to do."""
    past = known(expires_at=NOW)
    assert kinds(secret_steps((past,), stored_secret())) == ["revoke secret"]
    assert secret_steps((past, absent(expires_at=NOW)), stored_secret(OTHER_SECRET)).steps == ()


def test_more_secrets_than_a_client_may_have_are_refused_before_anything_is_done():
    """The dry run says so, too."""
    stored = [stored_secret(OTHER_SECRET, f"s{number}") for number in range(10)]
    wanted = declaration(declared(secrets=(known(),)))
    assert refusal(wanted, state(registered(secrets=stored))) == [
        "client till: it would have more than 10 secrets; revoke some first"
    ]


def test_a_new_client_without_a_secret_is_pointed_out():
    """It cannot authenticate; one with a key can."""
    with_key = declared(
        "keyed",
        token_endpoint_auth_method=AuthMethod.PRIVATE_KEY_JWT,
        jwks_uri="https://keyed.example.com/jwks",
    )
    made = plan(declaration(declared("till"), with_key), state())
    assert made.notes == ("client till: it has no secret yet, so it gets no token",)


def test_a_secret_is_in_no_representation():
    """Neither alone nor within a plan."""
    assert SECRET not in repr(plan(declaration(declared(secrets=(known(),))), state()))
    assert SECRET not in repr(SecretValue(SECRET))


def test_a_secret_is_stored_by_its_hash():
    """With the end that is declared."""
    stored = AddSecret(client_id="till", secret=known(expires_at=NOW)).new_secret(token_bytes)
    assert stored.hash.verify(SECRET)
    assert stored.expires_at == NOW


def test_a_secret_that_is_still_to_be_made_cannot_be_stored():
    """Its source is named."""
    with pytest.raises(ValueError, match=r"generate_to till\.secret"):
        AddSecret(client_id="till", secret=absent()).new_secret(token_bytes)
