"""Scope on the API's side."""

import pytest

from resource_api.guard import require
from resource_api.scope import check_scope_names


@pytest.mark.parametrize("names", [(), ("",), ("a b",), ("a", 'b"'), ("é",), ("a\n",)])
def test_impossible_scopes_are_found_where_they_are_written(names: tuple[str, ...]) -> None:
    """A guard without scopes, or with one that cannot be, is a mistake of the programmer."""
    with pytest.raises(ValueError):
        check_scope_names(names)
    with pytest.raises(ValueError):
        require(*names)
