"""Scope on the API's side: the claim, and the names that routes need (RFC 6749 §3.3)."""

import re
from collections.abc import Iterable
from functools import lru_cache

from resource_api.errors import InvalidToken, Reason

# RFC 6749 §3.3:
#   scope       = scope-token *( SP scope-token )
#   scope-token = 1*( %x21 / %x23-5B / %x5D-7E )
_TOKEN = r"[\x21\x23-\x5b\x5d-\x7e]+"  # noqa: S105  # a grammar, not a secret
_SCOPE = re.compile(rf"{_TOKEN}(?: {_TOKEN})*")
_SCOPE_TOKEN = re.compile(_TOKEN)


def parse_scope_claim(value: object) -> frozenset[str]:
    """Read a `scope` claim (RFC 9068 §2.2.3).

    Raises:
        InvalidToken: not a string of the grammar. An array is a vendor's habit, not RFC 9068. The
            empty string is one too, but can only mean no scope.
    """
    scopes = _read_scope(value) if isinstance(value, str) else None
    if scopes is None:
        raise InvalidToken(Reason.INVALID_SCOPE_CLAIM)
    return scopes


@lru_cache(maxsize=256)  # an API sees a few combinations again and again
def _read_scope(value: str) -> frozenset[str] | None:
    if not value:
        return frozenset()
    return None if _SCOPE.fullmatch(value) is None else frozenset(value.split(" "))


def check_scope_names(names: Iterable[str]) -> tuple[str, ...]:
    """Check the scopes that a route names, once, where it is written.

    Raises:
        ValueError: there is none, or one is not a scope-token.
    """
    scopes = tuple(names)
    if not scopes:
        raise ValueError("name at least one scope")
    for scope in scopes:
        if _SCOPE_TOKEN.fullmatch(scope) is None:
            raise ValueError(f"not a scope: {scope!r}; several are named one by one")
    return scopes
