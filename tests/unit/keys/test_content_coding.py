"""Gzip that nobody asked for."""

import gzip
import zlib

import pytest

from keys.content_coding import inflate, is_gzip


@pytest.mark.parametrize("name", ["gzip", "GZIP", " x-gzip "])
def test_gzip_has_two_names(name: str) -> None:
    """RFC 9110 §8.4.1.3."""
    assert is_gzip(name)


@pytest.mark.parametrize("name", ["", "identity", "Identity "])
def test_identity_is_no_coding(name: str) -> None:
    """The bytes are as they are."""
    assert not is_gzip(name)


@pytest.mark.parametrize("name", ["br", "deflate", "zstd", "gzip, gzip", "identity, gzip"])
def test_other_codings_are_refused(name: str) -> None:
    """One more coding is one more parser of hostile bytes."""
    with pytest.raises(ValueError, match="not asked for"):
        is_gzip(name)


def test_what_went_in_comes_out() -> None:
    """The bound itself is allowed."""
    assert inflate(gzip.compress(b"x" * 100), maximum=100) == b"x" * 100


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (gzip.compress(b"x" * 101), "more than 100"),
        (gzip.compress(bytes(10**8), compresslevel=1), "more than 100"),
        (gzip.compress(b"x")[:-1], "cut short"),
        (gzip.compress(b"x") + b"y", "follows"),
        (gzip.compress(b"x") * 2, "follows"),
        (gzip.compress(b"x")[:-8] + bytes(8), "not gzip"),
        (zlib.compress(b"x"), "not gzip"),
        (b"{}", "not gzip"),
        (b"", "cut short"),
    ],
    ids=range(9),
)
def test_what_is_not_one_small_whole_body_is_refused(body: bytes, fault: str) -> None:
    """A bomb is left where it is, at the first byte too many."""
    with pytest.raises(ValueError, match=fault):
        inflate(body, maximum=100)
