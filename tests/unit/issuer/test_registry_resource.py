"""Unit tests of `issuer.registry.resource`."""

import pytest
from pydantic import ValidationError

from issuer.registry.errors import InvalidValue, UnknownScope
from issuer.registry.permission import ResourcePermission
from issuer.registry.resource import Resource, check_grant, decide_grants
from tests.support.registry import RESOURCE, orders

BILLING = orders("read", "bill", identifier="urn:example:billing", token_ttl=60)


@pytest.mark.parametrize(
    "identifier",
    ["https://api.example", "http://localhost:8080", "urn:example:x", "https://a.example/b?c=d"],
)
def test_an_absolute_uri_names_a_resource(identifier):
    """RFC 8707 §2: the resource is an absolute URI."""
    assert orders(identifier=identifier).resource == identifier


@pytest.mark.parametrize(
    "identifier",
    [
        "",
        "orders",
        "/orders",
        "https://a.example/#x",
        "https://a b",
        "https://é",
        "x" * 2049,
        "a:\n",
    ],
)
def test_other_texts_name_no_resource(identifier):
    """RFC 8707 §2: relative references and fragments are not allowed."""
    with pytest.raises(ValidationError, match="resource identifier"):
        orders(identifier=identifier)


@pytest.mark.parametrize(
    ("scopes", "words"),
    [
        ((), "at least one scope"),
        (("read write",), "is not a scope"),
        (("",), "is not a scope"),
        (('re"ad',), "is not a scope"),
        (("ré",), "is not a scope"),
        (("read", "read"), "read is named twice"),
    ],
)
def test_the_scopes_of_a_resource_are_single_distinct_tokens(scopes, words):
    """RFC 6749 §3.3: scope-token."""
    with pytest.raises(ValidationError, match=words):
        Resource(resource=RESOURCE, scopes=scopes)


def test_a_resource_has_a_possible_token_lifetime():
    """No token outlives a day."""
    with pytest.raises(ValidationError, match="less than or equal to 86400"):
        orders(token_ttl=86_401)


def test_without_scopes_nothing_is_granted():
    """Least privilege: everything is granted only when that is said."""
    assert decide_grants([orders(), BILLING], ()) == ()


def test_every_scope_of_every_resource_is_granted_when_that_is_said():
    """What is granted is what the resources have at that moment, in their order."""
    first, second = decide_grants([orders(), BILLING], None)
    assert (first.resource, first.scopes) == (RESOURCE, ("read", "write"))
    assert (second.resource, second.scopes) == (BILLING.resource, ("read", "bill"))


def test_a_scope_goes_to_each_resource_that_has_it():
    """The same word on two resources is two permissions; both are granted."""
    first, second = decide_grants([orders(), BILLING], ("bill", "read"))
    assert first.scopes == ("read",)
    assert second.scopes == ("read", "bill")


def test_a_scope_that_no_resource_has_is_named():
    """The operator sees which scope and where it was looked for."""
    with pytest.raises(UnknownScope, match=f"{RESOURCE}, urn:example:billing: fly"):
        decide_grants([orders(), BILLING], ("read", "fly"))


def test_a_resource_that_gets_no_scope_is_named():
    """A grant without scopes would be a mistake that nobody sees."""
    with pytest.raises(InvalidValue, match="urn:example:billing has none"):
        decide_grants([orders(), BILLING], ("write",))


def test_a_resource_named_twice_is_refused():
    """The order of resources has a meaning, so a repeated one is a mistake."""
    with pytest.raises(InvalidValue, match="a resource is named twice"):
        decide_grants([orders(), orders()], None)


def test_a_malformed_scope_is_refused_as_such():
    """RFC 6749 §3.3 comes before the question of who has it."""
    with pytest.raises(InvalidValue, match="is not a scope"):
        decide_grants([orders()], ("a\x1bb",))


def test_a_grant_of_what_its_resource_understands_is_accepted():
    """Some of the scopes, in the client's own order."""
    check_grant(ResourcePermission(resource=RESOURCE, scopes=("write", "read")), orders())
    check_grant(ResourcePermission(resource=RESOURCE, scopes=("read",)), orders())


def test_the_first_scope_that_the_resource_does_not_understand_is_named():
    """The operator sees which scope and where it was looked for; other resources do not count."""
    grant = ResourcePermission(resource=RESOURCE, scopes=("read", "bill", "fly"))
    with pytest.raises(UnknownScope, match=f"no such scope on {RESOURCE}: bill"):
        check_grant(grant, orders())


@pytest.mark.parametrize(
    ("scopes", "words"),
    [
        (("read write",), "is not a scope"),
        (("a\x1bb",), r"'a\\x1bb' is not a scope"),
        (("read", "read"), "read is named twice"),
    ],
)
def test_a_grant_of_what_no_resource_can_have_is_refused_as_such(scopes, words):
    """RFC 6749 §3.3: two scopes in one text would be read back as two."""
    with pytest.raises(InvalidValue, match=words):
        check_grant(ResourcePermission(resource=RESOURCE, scopes=scopes), orders())
