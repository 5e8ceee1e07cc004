"""Tokens as people paste them: out of a header, and with white space around them."""

import re

_BEFORE = re.compile(r"\s*(?:authorization:\s*)?(?:bearer|dpop)\s+", re.IGNORECASE)


def read_pasted_token(text: str) -> str:
    """Return a token without white space around it, nor what stands before it in a header.

    The inspector has the same rule, in its `readToken`.
    """
    text = text.removeprefix("\ufeff")  # as files begin that some editors write
    found = _BEFORE.match(text)
    return (text if found is None else text[found.end() :]).strip()
