"""Scope values: the grammar and what may be granted (RFC 6749 §3.3)."""

import re

# RFC 6749 §3.3: scope = scope-token *( SP scope-token )
# scope-token = 1*( %x21 / %x23-5B / %x5D-7E )
_SCOPE_TOKEN = r"[\x21\x23-\x5B\x5D-\x7E]+"  # noqa: S105 - a grammar, not a secret
_SCOPE = re.compile(rf"{_SCOPE_TOKEN}(?: {_SCOPE_TOKEN})*")
SCOPE_TOKEN_PATTERN = f"^{_SCOPE_TOKEN}$"
SCOPE_PATTERN = f"^{_SCOPE.pattern}$"
"""The grammar of one scope and of a whole scope value, for JSON Schema."""

MAX_SCOPE_LENGTH = 4096
"""Characters of a whole scope value; a longer one counts as malformed."""


def parse_scope(text: str) -> tuple[str, ...]:
    """Split a scope value into its tokens, in the order asked, each once.

    Raises:
        ValueError: the text is outside the grammar, or longer than `MAX_SCOPE_LENGTH`.
    """
    if len(text) > MAX_SCOPE_LENGTH or _SCOPE.fullmatch(text) is None:
        raise ValueError("malformed scope")
    return tuple(dict.fromkeys(text.split(" ")))
