"""Unit tests of tokens as people paste them."""

import pytest

from keys.pasted_token import read_pasted_token


@pytest.mark.parametrize(
    "text",
    [
        "a.b.c",
        " a.b.c\n",
        "Bearer a.b.c",
        "bearer\t a.b.c ",
        "DPoP a.b.c",
        "Authorization: Bearer a.b.c\n",
        "authorization:bearer\na.b.c",
    ],
)
def test_what_stands_around_a_token_is_taken_off(text: str) -> None:
    """White space, and what a header of a request has before it."""
    assert read_pasted_token(text) == "a.b.c"


@pytest.mark.parametrize("text", ["", "Bearer", "Bearera.b.c", "Basic a.b.c", "a.b.c Bearer x"])
def test_anything_else_stays(text: str) -> None:
    """What is made of it then says that it is no token."""
    assert read_pasted_token(text) == text
