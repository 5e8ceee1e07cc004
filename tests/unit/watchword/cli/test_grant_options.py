"""What a client may ask for, from what was typed and what it held."""

import pytest

from issuer.registry.authorization_details import DetailsType
from issuer.registry.errors import InvalidValue, UnknownScope
from issuer.registry.resource import Resource
from watchword.cli import grant_options as grants
from watchword.cli.output import CommandFailed, WrongUsage

A, B = "https://a.example", "https://b.example"
PAY = DetailsType(type="pay", schema={})
RESOURCES = {
    A: Resource(resource=A, scopes=("read", "write"), authorization_details_types=(PAY,)),
    B: Resource(resource=B, scopes=("read", "ship")),
}
find = RESOURCES.__getitem__


def grant(resource, scopes, defaults=None):
    """Write a grant shorter."""
    written = {"resource": resource, "scope": scopes}
    return written if defaults is None else written | {"default_scope": defaults}


HELD = [grant(A, "read write", "read"), grant(B, "ship")]


def change(held=HELD, *, find=find, forget=(), **typed):
    """Change grants by what was typed."""
    changes = grants.GrantChanges(**typed)
    return grants.changed_grants(changes, {"grants": held}, find, forget=forget)["grants"]


def test_nothing_typed_is_no_choice():
    """An empty choice changes nothing, and need not look anything up."""
    assert not grants.GrantChanges().change_grants
    assert change(find={}.__getitem__) == HELD
    assert grants.GrantChanges(remove_scope=["read"]).change_grants


def test_a_new_client_gets_each_scope_where_it_exists():
    """Or exactly what was written out, which needs no look-up."""
    options = grants.GrantOptions(resource=[A, B], scope=["read ship"])
    spread = grants.spread(options, find, all_scopes=False)
    assert spread == {"grants": [grant(A, "read"), grant(B, "read ship")]}
    everything = grants.spread(options, find, all_scopes=True)
    assert everything == {"grants": [grant(A, "read write"), grant(B, "read ship")]}
    exact = grants.GrantOptions(grant=[f"  {B} ship   read "], default_scope=["read"])
    assert grants.written_out(exact) == {"grants": [grant(B, "ship read", "read")]}
    assert grants.written_out(options) == {}


def test_default_scopes_go_to_the_grants_that_have_them():
    """All of a grant's scopes are no smaller default; what no grant has is refused."""
    assert change(default_scope=["ship", "write"]) == [
        grant(A, "read write", "write"),
        grant(B, "ship"),
    ]
    assert change(forget={"default-scope"}) == [grant(A, "read write"), grant(B, "ship")]


def test_adding_keeps_what_was_held_and_its_order():
    """A new grant comes last: the first one names the default resource."""
    assert change(add_scope=["read"]) == [grant(A, "read write", "read"), grant(B, "ship read")]
    assert change([grant(B, "ship")], add_scope=["write"], resource=[A]) == [
        grant(B, "ship"),
        grant(A, "write"),
    ]
    assert change(add_scope=["write"]) == HELD  # it was held already


def test_removing_a_default_scope_leaves_the_other_defaults():
    """The last default gone means all that is left, as when there never was one."""
    held = [grant(A, "read write", "read")]
    assert change(held, remove_scope=["write"]) == [grant(A, "read")]
    assert change(held, remove_scope=["read"]) == [grant(A, "write")]
    assert change(held, remove_scope=["read", "write"]) == []


def test_scopes_said_anew_leave_resources_that_have_none_of_them():
    """Unless the resource was named, which is then a mistake."""
    assert change(scope=["ship"]) == [grant(B, "ship")]
    with pytest.raises(InvalidValue, match="has none of the scopes"):
        change(scope=["ship"], resource=[A, B])


def test_adding_and_removing_at_once():
    """First what comes, then what goes."""
    assert change(add_scope=["read"], remove_scope=["ship"], resource=[B]) == [
        HELD[0],
        grant(B, "read"),
    ]


@pytest.mark.parametrize(
    ("typed", "error", "words"),
    [
        ({"add_scope": ["fly"]}, UnknownScope, "no such scope"),
        ({"scope": ["fly"]}, UnknownScope, "no such scope"),
        ({"remove_scope": ["fly"]}, CommandFailed, "does not hold the scope: fly"),
        ({"remove_scope": ["ship"], "resource": [A]}, CommandFailed, f"on {A}: ship"),
        ({"default_scope": ["fly"]}, WrongUsage, "--default-scope: fly is not granted"),
    ],
)
def test_what_is_not_there_is_refused(typed, error, words):
    """Each in words that name the scope."""
    with pytest.raises(error, match=words):
        change(**typed)


@pytest.mark.parametrize("typed", ["scope", "add_scope", "remove_scope"])
def test_scopes_without_any_resource_are_refused(typed):
    """The option that was typed is named."""
    with pytest.raises(WrongUsage, match="scope: the client has no resource yet"):
        change([], **{typed: ["read"]})


def test_types_of_details_go_to_the_resources_that_have_them():
    """They replace those held before; other changes leave them, and exact grants do not."""
    paying = [grant(A, "read write", "read") | {"authorization_details_types": ["pay"]}, HELD[1]]
    assert change(authorization_details_type=["pay"]) == [
        paying[0],
        HELD[1] | {"authorization_details_types": []},
    ]
    assert change(paying, add_scope=["ship"], resource=[B]) == paying
    assert change(paying, forget={"authorization-details-type"}) == HELD
    assert change(paying, grant=[f"{A} read"]) == [grant(A, "read")]
    with pytest.raises(WrongUsage, match="no resource granted has fly"):
        change(authorization_details_type=["pay fly"])
    assert grants.GrantOptions(authorization_details_type=["pay"]).narrowed_by
    line = grants.write_grants_line(paying)
    assert line == f"{A}: read write (default: read) (details: pay); {B}: ship"
