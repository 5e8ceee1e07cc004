"""`issuer.administration.documents`: RFC 7396, and patches on clients and resources."""

import pytest

from issuer.administration.documents import merge_patch, patched_client, patched_resource
from issuer.registry.client_description import describe_client
from issuer.registry.errors import InvalidDocument
from issuer.registry.mistakes import write_pointer
from issuer.registry.resource import describe_resource
from issuer.registry.schema import Json
from tests.support.registry import NOW, RESOURCE, orders, registered_client

# RFC 7396 appendix A, as far as target and patch are objects: what administrators send.
VECTORS = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]
SHOWN = describe_client(registered_client(), NOW) | {"secrets": []}
API = describe_resource(orders()) | {"created_at": "2027-01-01T00:00:00Z"}


def mistakes_in(patch: Json) -> dict[str, str]:
    """Return what is wrong with a patch on the client of the examples, by place."""
    with pytest.raises(InvalidDocument) as caught:
        patched_client(SHOWN, patch)
    return {write_pointer(each.path): each.why for each in caught.value.mistakes}


@pytest.mark.parametrize(("target", "patch", "result"), VECTORS)
def test_the_examples_of_the_rfc_come_out_as_printed(
    target: Json, patch: Json, result: Json
) -> None:
    """RFC 7396 appendix A."""
    before = str(target)
    assert merge_patch(target, patch) == result
    assert str(target) == before


def test_what_a_patch_does_not_name_stays() -> None:
    """A script need not know the members that came after it was written."""
    after = patched_client(SHOWN, {"client_name": "Kasse"})
    assert after.client_name == "Kasse"
    assert after.grants == registered_client().grants


def test_a_null_puts_a_member_back_to_what_it_is_when_left_out() -> None:
    """RFC 7396 §2: null removes."""
    shown = SHOWN | {"client_name": "Kasse", "disabled": True, "metadata": {"a": 1, "b": 2}}
    after = patched_client(shown, {"client_name": None, "disabled": None, "metadata": {"a": None}})
    assert (after.client_name, after.disabled, after.metadata) == (None, False, {"b": 2})


def test_grants_that_are_removed_are_none_at_all() -> None:
    """Null takes the list away and does not mean all resources."""
    after = patched_client(SHOWN, {"grants": None})
    assert (after.grants, after.resources, after.scope) == ((), None, None)


def test_scope_alone_keeps_the_resources() -> None:
    """`scope` and `resources` are shown, so they can be patched."""
    after = patched_client(SHOWN, {"scope": "write"})
    assert (after.resources, after.scope, after.grants) == ((RESOURCE,), ("write",), ())


def test_resources_alone_keep_the_scope() -> None:
    """The same for the other member."""
    after = patched_client(SHOWN, {"resources": ["urn:other"]})
    assert (after.resources, after.scope) == (("urn:other",), ("read",))


def test_a_client_without_grants_gets_some_by_resources_and_scope() -> None:
    """Nothing is granted that was not named."""
    bare = SHOWN | {"grants": [], "scope": "", "resources": []}
    after = patched_client(bare, {"resources": [RESOURCE], "scope": "read"})
    assert (after.resources, after.scope) == ((RESOURCE,), ("read",))
    with pytest.raises(InvalidDocument, match="scope: is missing"):
        patched_client(bare, {"resources": [RESOURCE]})


@pytest.mark.parametrize("name", ["scope", "resources"])
def test_a_scope_that_is_taken_away_is_not_taken_for_all(name: str) -> None:
    """A null grants nothing."""
    assert mistakes_in({name: None}) == {f"/{name}": "must not be null; change grants"}


def test_grants_and_scope_together_are_refused() -> None:
    """One of them would lose."""
    patch = {"grants": [{"resource": RESOURCE, "scope": "write"}], "scope": "read write"}
    assert mistakes_in(patch) == {"": "has either grants, or resources and scope"}


def test_all_mistakes_are_told_at_once() -> None:
    """Unknown names, even to unset them; what is not the operator's; values that cannot be."""
    patch = {
        "disbled": None,
        "client_id": "other",
        "created_at": "2020-01-01T00:00:00Z",
        "token_ttl": "60",
        "a/b~c": 1,
    }
    assert mistakes_in(patch) == {
        "/disbled": "is not known here; did you mean disabled?",
        "/client_id": "cannot be changed",
        "/created_at": "cannot be changed",
        "/a~1b~0c": "is not known here",
        "/token_ttl": "must be a whole number",
    }


def test_what_was_shown_can_be_sent_back_with_a_change_in_it() -> None:
    """Members that are as they were shown say nothing."""
    after = patched_client(SHOWN, SHOWN | {"disabled": True})
    assert after.disabled
    assert after.grants == registered_client().grants
    changed = patched_resource(API, API | {"scopes": ["read"]})
    assert changed.scopes == ("read",)


def test_a_resource_keeps_its_name() -> None:
    """Tokens carry it."""
    with pytest.raises(InvalidDocument, match="resource: cannot be changed"):
        patched_resource(API, {"resource": "urn:other"})


@pytest.mark.parametrize("patch", [{"disabled": 0}, {"token_ttl": 300.0}], ids=repr)
def test_a_value_of_another_type_is_a_mistake_even_if_it_is_equal(patch):
    """In Python 0 equals False and 300.0 equals 300; in a document they differ."""
    with pytest.raises(InvalidDocument):
        patched_client({**SHOWN, "disabled": False, "token_ttl": 300}, patch)
