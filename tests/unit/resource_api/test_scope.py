"""Scope on the API's side."""

import pytest

from resource_api.errors import InsufficientScope
from resource_api.guard import require
from resource_api.scope import check_scope_names, require_scopes


def test_all_needed_scopes_must_be_there() -> None:
    """More than needed is fine; less is refused with all that are needed."""
    require_scopes(frozenset({"a", "b", "c"}), ("a", "b"))
    with pytest.raises(InsufficientScope) as caught:
        require_scopes(frozenset({"a"}), ("a", "b"))
    assert caught.value.needed == ("a", "b")


@pytest.mark.parametrize("names", [(), ("",), ("a b",), ("a", 'b"'), ("é",), ("a\n",)])
def test_impossible_scopes_are_found_where_they_are_written(names: tuple[str, ...]) -> None:
    """A guard without scopes, or with one that cannot be, is a mistake of the programmer."""
    with pytest.raises(ValueError):
        check_scope_names(names)
    with pytest.raises(ValueError):
        require(*names)
