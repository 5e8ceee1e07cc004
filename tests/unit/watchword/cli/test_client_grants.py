"""What a client may ask for, from what was typed and what it held."""

import pytest

from issuer.registry.client import ResourcePermission
from issuer.registry.errors import InvalidValue, UnknownScope
from issuer.registry.resource import Resource
from watchword.cli.client_grants import GrantChoice, changed_grants, first_grants
from watchword.cli.errors import CommandFailed, WrongUsage

A, B = "https://a.example", "https://b.example"
RESOURCES = {
    A: Resource(resource=A, scopes=("read", "write")),
    B: Resource(resource=B, scopes=("read", "ship")),
}
find = RESOURCES.__getitem__


def grant(resource, scopes, defaults=None):
    """Write a grant shorter."""
    return ResourcePermission(
        resource=resource,
        scopes=tuple(scopes.split()),
        default_scopes=None if defaults is None else tuple(defaults.split()),
    )


HELD = (grant(A, "read write", "read"), grant(B, "ship"))


def change(held=HELD, **typed):
    """Change grants by what was typed."""
    return changed_grants(GrantChoice(**typed), held, find)


def test_nothing_typed_is_no_choice():
    """An empty choice changes nothing, and need not look anything up."""
    assert not GrantChoice()
    assert changed_grants(GrantChoice(), HELD, {}.__getitem__) == HELD
    assert GrantChoice(exact=())  # no grants at all is a choice


def test_a_new_client_gets_each_scope_where_it_exists():
    """Or exactly what was written out."""
    assert first_grants(GrantChoice(resources=[A, B], scopes=["read", "ship"]), find) == (
        grant(A, "read"),
        grant(B, "read ship"),
    )
    exact = (grant(B, "ship read"),)
    assert first_grants(GrantChoice(exact=exact, defaults=["read"]), find) == (
        grant(B, "ship read", "read"),
    )


def test_adding_keeps_what_was_held_and_its_order():
    """A new grant comes last: the first one names the default resource."""
    assert change(added=["read"]) == (grant(A, "read write", "read"), grant(B, "ship read"))
    assert change((grant(B, "ship"),), added=["write"], resources=[A]) == (
        grant(B, "ship"),
        grant(A, "write"),
    )
    assert change(added=["write"]) == HELD  # it was held already


def test_removing_a_default_scope_leaves_the_other_defaults():
    """The last default gone means all that is left, as when there never was one."""
    held = (grant(A, "read write", "read"),)
    assert change(held, removed=["write"]) == (grant(A, "read"),)
    assert change(held, removed=["read"]) == (grant(A, "write"),)
    assert change(held, removed=["read", "write"]) == ()


def test_scopes_said_anew_leave_resources_that_have_none_of_them():
    """Unless the resource was named, which is then a mistake."""
    assert change(scopes=["ship"]) == (grant(B, "ship"),)
    with pytest.raises(InvalidValue, match="has none of the scopes"):
        change(scopes=["ship"], resources=[A, B])


def test_adding_and_removing_at_once():
    """First what comes, then what goes."""
    assert change(added=["read"], removed=["ship"], resources=[B]) == (
        HELD[0],
        grant(B, "read"),
    )


@pytest.mark.parametrize(
    ("typed", "error", "words"),
    [
        ({"added": ["fly"]}, UnknownScope, "no such scope"),
        ({"scopes": ["fly"]}, UnknownScope, "no such scope"),
        ({"removed": ["fly"]}, CommandFailed, "does not hold the scope: fly"),
        ({"removed": ["ship"], "resources": [A]}, CommandFailed, f"on {A}: ship"),
        ({"defaults": ["fly"]}, WrongUsage, "--default-scope: fly is not granted"),
    ],
)
def test_what_is_not_there_is_refused(typed, error, words):
    """Each in words that name the scope."""
    with pytest.raises(error, match=words):
        change(**typed)


@pytest.mark.parametrize("typed", ["scopes", "added", "removed"])
def test_scopes_without_any_resource_are_refused(typed):
    """The option that was typed is named."""
    with pytest.raises(WrongUsage, match="scope: the client has no resource yet"):
        change((), **{typed: ["read"]})
