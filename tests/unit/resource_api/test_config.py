"""A policy that exists is sound."""

import pytest

from resource_api.config import ResourcePolicy

GOOD = {"issuer": "https://as.example", "resource": "https://api.example"}


@pytest.mark.parametrize("name", ["issuer", "resource"])
def test_a_refusal_names_the_setting(name: str) -> None:
    """Which identifiers can be is a conformance test; this is what the operator reads."""
    with pytest.raises(ValueError, match=f"^{name} must be an absolute UR[IL] such as"):
        ResourcePolicy(**{**GOOD, name: "example"})


@pytest.mark.parametrize(
    "values",
    [
        {"algorithms": frozenset()},
        {"algorithms": frozenset({"none"})},
        {"algorithms": frozenset({"RS256", "HS256"})},
        {"leeway": -1},
        {"leeway": 61},
        {"max_token_bytes": 0},
        {"max_lifetime": 0},
        {"realm": 'a"b'},
        {"realm": "a\r\nb"},
        {"realm": "ä"},
        {"scopes_supported": ("a b",)},
        {"status_lists": "http://lists.example"},
        {"status_lists": "https://lists.example/?list="},
        {"status_lists": "https://lists.example/a/../b"},
    ],
)
def test_bad_values(values: dict[str, object]) -> None:
    """Bounds that would switch a check off do not exist."""
    with pytest.raises(ValueError):
        ResourcePolicy(**{**GOOD, **values})
