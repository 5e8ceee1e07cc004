"""Unit tests of `resource_api.requirements`."""

from typing import Any

import pytest

from resource_api.access_token import AccessToken, verify
from resource_api.config import ResourcePolicy
from resource_api.errors import InsufficientScope, Reason
from resource_api.guard import require
from resource_api.requirements import Need, all_of, any_of, claim, details
from watchword.testing.forge import ISSUER, NOW, RESOURCE, TokenForge

FORGE = TokenForge()
POLICY = ResourcePolicy(issuer=ISSUER, resource=RESOURCE)
CLAIMS: dict[str, Any] = {
    "tenant": "acme",
    "groups": ["ops", "dev", ["nested"], {"a": 1}],
    "level": 1,
    "admin": True,
    "empty": None,
    "authorization_details": [{"type": "payment", "actions": ["initiate"]}],
}
TENANT, FOREIGN = claim("tenant", "acme"), claim("tenant", "globex")
PAY, REFUND = details("payment", actions=["initiate"]), details("payment", actions=["refund"])


def token(scope: str = "a b") -> AccessToken:
    """Verify a token that has the claims above."""
    return verify(FORGE.token(scope=scope, **CLAIMS), FORGE.keys, POLICY, now=NOW)


def refusal(*needs: Need) -> InsufficientScope | None:
    """Give the refusal of a token with the scopes `a b`, or None."""
    try:
        all_of(*needs).check(token())
    except InsufficientScope as error:
        return error
    return None


@pytest.mark.parametrize(
    "needs",
    [
        ("a",),
        ("b", "a"),
        (all_of("a", "b"),),
        (any_of("x", "b"),),
        (any_of(all_of("a", "x"), all_of("a", "b")),),
        (TENANT,),
        (claim("tenant", "globex", "acme"),),
        (claim("groups", "dev"),),
        (claim("level", 1),),
        (claim("admin", True),),
        (PAY,),
        ("a", TENANT, PAY, any_of("x", "b")),
        (any_of("x", PAY),),
    ],
    ids=str,
)
def test_what_the_token_has_passes(needs: tuple[Need, ...]) -> None:
    """All that is named is there."""
    assert refusal(*needs) is None


@pytest.mark.parametrize(
    ("needs", "named", "reason"),
    [
        (("x",), ("x",), Reason.INSUFFICIENT_SCOPE),
        (("A",), ("A",), Reason.INSUFFICIENT_SCOPE),
        (("a", "x"), ("a", "x"), Reason.INSUFFICIENT_SCOPE),
        ((any_of("x", "y"),), ("x",), Reason.INSUFFICIENT_SCOPE),
        (("a", any_of("x", "y")), ("a", "x"), Reason.INSUFFICIENT_SCOPE),
        (("a", any_of(all_of("b", "x"), "y"), "c"), ("a", "c", "b", "x"), None),
        ((FOREIGN,), (), Reason.INSUFFICIENT_CLAIM),
        (("a", FOREIGN), (), Reason.INSUFFICIENT_CLAIM),
        (("x", FOREIGN), ("x",), Reason.INSUFFICIENT_SCOPE),
        ((REFUND,), (), Reason.INSUFFICIENT_DETAILS),
        ((any_of(FOREIGN, "x"),), (), Reason.INSUFFICIENT_CLAIM),
        ((any_of("x", FOREIGN),), ("x",), Reason.INSUFFICIENT_SCOPE),
    ],
    ids=str,
)
def test_a_refusal_names_all_scopes_that_are_needed(
    needs: tuple[Need, ...], named: tuple[str, ...], reason: Reason | None
) -> None:
    """RFC 6750 §3.1: of alternatives the first; none where no scope would help."""
    error = refusal(*needs)
    assert error is not None
    assert error.needed == named
    assert error.reason is (reason or Reason.INSUFFICIENT_SCOPE)


@pytest.mark.parametrize(
    "need",
    [
        claim("missing", "acme"),
        claim("tenant", "ACME"),
        claim("tenant", "a"),
        claim("level", "1"),
        claim("level", True),
        claim("admin", 1),
        claim("admin", "true"),
        claim("empty", "None"),
        claim("groups", "op"),
        claim("groups", "nested"),
    ],
    ids=repr,
)
def test_a_claim_is_compared_exactly_and_with_its_type(need: Need) -> None:
    """`1`, `true` and `"1"` differ in JSON, and a part of a text is another text."""
    error = refusal(need)
    assert error is not None
    assert error.reason is Reason.INSUFFICIENT_CLAIM


@pytest.mark.parametrize(
    ("needs", "alternatives"),
    [
        (("a", "b", "a"), (("a", "b"),)),
        ((any_of("a", "b"),), (("a",), ("b",))),
        (("a", any_of("b", all_of("c", "a"))), (("a", "b"), ("a", "c"))),
        ((any_of("a", "b"), any_of("b", "c")), (("a", "b"), ("a", "c"), ("b",), ("b", "c"))),
        ((TENANT,), ((),)),
        (("a", PAY), (("a",),)),
        ((any_of("a", all_of("b", TENANT)),), (("a",), ("b",))),
    ],
    ids=str,
)
def test_the_sets_of_scopes_that_suffice(
    needs: tuple[Need, ...], alternatives: tuple[tuple[str, ...], ...]
) -> None:
    """Each once, the preferred one first: what documents list and challenges name."""
    requirement = all_of(*needs)
    assert requirement.alternatives == alternatives
    assert requirement.scopes == alternatives[0]


def test_the_text_says_what_is_needed_and_no_value() -> None:
    """It is published in API descriptions, which are often public."""
    needed = all_of("a", any_of(all_of("b", TENANT), "c"), PAY)
    assert str(needed) == "a and ((b and claim tenant) or c) and details payment"


def test_requirements_are_values() -> None:
    """Equal if they demand the same; nesting of what is all needed makes no difference."""
    assert all_of("a", all_of("b", TENANT)) == all_of("a", "b", claim("tenant", "acme"))
    assert all_of(TENANT) == TENANT
    assert claim("level", 1) != claim("level", True)
    assert len({PAY, REFUND, details("payment", actions=["initiate"])}) == 2
    with pytest.raises(AttributeError):
        TENANT.name = "other"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("make", "fault"),
    [
        (lambda: all_of(), "scope"),
        (lambda: all_of("a b"), "scope"),
        (lambda: all_of("", TENANT), "scope"),
        (lambda: any_of(), "two needs or more"),
        (lambda: any_of("a"), "two needs or more"),
        (lambda: any_of("a", "a"), "two needs or more"),
        (lambda: any_of("a", 'b"'), "scope"),
        (lambda: claim("tenant"), "name a claim"),
        (lambda: claim("", "acme"), "name a claim"),
        (lambda: claim("tenant", None), "name a claim"),
        (lambda: details(""), "name a type"),
        (lambda: details("payment", actions="initiate"), "name a type"),
    ],
)
def test_needs_that_cannot_be_are_found_where_they_are_written(make: Any, fault: str) -> None:
    """An empty need would be an open route."""
    with pytest.raises(ValueError, match=fault):
        make()


@pytest.mark.parametrize("need", [["a", "b"], None, test_requirements_are_values])
@pytest.mark.parametrize("make", [all_of, require, lambda need: any_of("a", need)])
def test_a_need_is_a_name_or_a_requirement(make: Any, need: Any) -> None:
    """Such as a list of names, or the endpoint itself under `@require` without its call."""
    with pytest.raises(TypeError, match=r'a requirement; write such as "orders:read", and'):
        make(need)
