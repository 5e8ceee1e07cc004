"""base64url: one spelling, both ways."""

import pytest

from keys import base64url


@pytest.mark.parametrize(
    ("data", "text"),
    [(b"", ""), (b"f", "Zg"), (b"fo", "Zm8"), (b"foo", "Zm9v"), (b"\xfb\xff", "-_8")],
)
def test_known_pairs(data: bytes, text: str) -> None:
    """The pairs of RFC 4648 §10, without padding, and the two URL-safe characters."""
    assert text == base64url.encode(data)
    assert data == base64url.decode(text) == base64url.decode(text.encode())


@pytest.mark.rfc("7515-2-1", "8725bis-3.14-1")
@pytest.mark.parametrize(
    "text",
    [
        "Zg==", "Zm8=", "Zm9v=", "=", "Z", "Zm9vZ", "Zh", "Zm9", "+_8", "-/8", "Zm 9v", "Zm9v\n",
        " Zm9v", "Zm9v\x00", "Zé", "Zm.v", "Zm~v", "\ud800m9v",
    ],
)  # fmt: skip
def test_every_other_spelling_is_refused(text: str) -> None:
    """Padding, white space, foreign characters, bad lengths and loose bits are errors."""
    with pytest.raises(ValueError):
        base64url.decode(text)
    with pytest.raises(ValueError):
        base64url.decode(text.encode("utf-8", "surrogatepass"))
