"""Strict decoding: base64url has one spelling, JSON one meaning, gzip a bound."""

import gzip
import tracemalloc
import zlib

import pytest

from keys.encoding import (
    MAX_DEPTH,
    decode_base64url,
    encode_base64url,
    inflate,
    inflate_zlib,
    is_gzip,
    parse_json_array,
    parse_json_object,
)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", ""),
        (b"f", "Zg"),
        (b"fo", "Zm8"),
        (b"foo", "Zm9v"),
        (b"\xfb\xff", "-_8"),
        (b"]u\xd7", "XXXX"),
    ],
)  # fmt: skip
def test_known_pairs(data: bytes, text: str) -> None:
    """Pairs of RFC 4648 §10 without padding, both URL-safe characters, and an end that stays."""
    assert text == encode_base64url(data)
    assert data == decode_base64url(text) == decode_base64url(text.encode())


@pytest.mark.rfc("7515-2-1", "8725bis-3.14-1")
@pytest.mark.parametrize(
    "text",
    [
        "Zg==", "Zm8=", "Zm9v=", "=", "Z", "Zm9vZ", "Zh", "Zm9", "+_8", "-/8", "Zm 9v", "Zm9v\n",
        " Zm9v", "Zm9v\x00", "Zé", "Zm.v", "Zm~v", "\ud800m9v", "Zm9v    Zm9v", "\n\r\n\rZm9v",
        "====Zm9v", "++//Zm9v", "Zm9v.~.~Zm9v",
    ],
)  # fmt: skip
def test_every_other_spelling_is_refused(text: str) -> None:
    """Padding, white space, foreign characters, bad lengths and loose bits are errors."""
    for spelling in (text, text.encode("utf-8", "surrogatepass")):
        with pytest.raises(ValueError, match=r"^not (canonical )?base64url$"):
            decode_base64url(spelling)


def nested(levels: int, opening: str = '{"a":', closing: str = "}") -> bytes:
    """Write an object whose innermost value is at this depth."""
    return (opening * (levels - 1) + "1" + closing * (levels - 1)).encode()


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"{}", {}),
        (b' \t\r\n{"a" : 1 } \n', {"a": 1}),
        (b'{"a":{"a":1},"b":[{"a":2},true,null,-0.5,1e3]}',
         {"a": {"a": 1}, "b": [{"a": 2}, True, None, -0.5, 1000.0]}),
        ('{"é":"\U0001f600"}'.encode(), {"é": "\U0001f600"}),
        (b'{"a":"\\ud83d\\ude00\\n\\u00e9\\\\u0000"}', {"a": "\U0001f600\né\\u0000"}),
    ],
)  # fmt: skip
def test_good_objects(raw: bytes, value: object) -> None:
    """What RFC 8259 allows and I-JSON does not forbid is read as it stands."""
    assert value == parse_json_object(raw)


@pytest.mark.rfc("7515-4-1", "7519-4-1", "8725-3.7-1")
@pytest.mark.parametrize(
    "raw",
    [
        b"", b" ", b"null", b"1", b'"a"', b"[]", b"[{}]", b"{", b'{"a"}', b"{'a':1}", b'{"a":1,}',
        b"{}{}", b"{} x", b"{}\x00", b"\xef\xbb\xbf{}", "{}".encode("utf-16"), b'{"a":"\xff"}',
        b'{"a":1,"a":1}', b'{"a":1,"\\u0061":1}', b'{"b":{"a":1,"a":1}}', b'{"b":[{"a":1,"a":1}]}',
        b'{"a":NaN}', b'{"a":-Infinity}', b'{"a":1e400}', b'{"a":-1e400}', b'{"a":01}', b'{"a":+1}',
        b'{"a":"\\ud800"}', b'{"a":"\\udfff"}', b'{"a":["\\udc00x"]}', b'{"\\ud800":1}',
        b'{"a":"\\u0000"}', b'{"a":"\x01"}', b'{"a":"\\x"}', b"\x0c{}", "\u00a0{}".encode(),
        b'{"a":' + b"9" * 5000 + b"}",
    ],
)  # fmt: skip
def test_everything_else_is_refused(raw: bytes) -> None:
    """Whatever two parsers might read differently is an error, which says in words what it is."""
    with pytest.raises(ValueError, match=r"^[\w-]+( [\w-]+)+$"):
        parse_json_object(raw)


def test_a_number_of_thousands_of_digits_is_refused_in_words_of_ours() -> None:
    """Python bounds the digits, and its text about that is not for a peer."""
    with pytest.raises(ValueError, match=r"^a JSON number is too large$"):
        parse_json_object(b'{"n":' + b"9" * 5000 + b"}")


def test_depth_is_bounded() -> None:
    """Nesting up to the bound is read; one more level, or a hundred thousand, is an error."""
    assert parse_json_object(nested(MAX_DEPTH))
    lists = b'{"a":' + nested(MAX_DEPTH + 1, "[", "]") + b"}"
    for raw in (nested(MAX_DEPTH + 1), lists, nested(100_000), b'{"a":' + b"[" * 100_000):
        with pytest.raises(ValueError, match=r"^JSON is nested too deeply$"):
            parse_json_object(raw)


def test_errors_do_not_repeat_the_input() -> None:
    """A parse error may be logged, so it holds nothing of what was parsed."""
    with pytest.raises(ValueError) as caught:
        parse_json_object(b'{"secret":"wws_x"')
    assert "wws_x" not in str(caught.value)


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


def test_a_bomb_takes_no_memory() -> None:
    """Of ten megabytes no more is unpacked than the bound and a byte."""
    bomb = gzip.compress(bytes(10**7))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="more than 100"):
            inflate(bomb, maximum=100)
        assert tracemalloc.get_traced_memory()[1] < 10**6
    finally:
        tracemalloc.stop()


def test_zlib_is_unpacked_within_the_same_bound() -> None:
    """Status lists are packed so; gzip is something else."""
    assert inflate_zlib(zlib.compress(b"x" * 100), maximum=100) == b"x" * 100
    for data, fault in (
        (zlib.compress(b"x" * 101), "more than 100"),
        (zlib.compress(b"x")[:-1], "cut short"),
        (gzip.compress(b"x"), "^it is not zlib$"),
    ):
        with pytest.raises(ValueError, match=fault):
            inflate_zlib(data, maximum=100)


def test_an_array_is_read_as_strictly() -> None:
    """Another value is none, and what makes an object invalid makes an array so."""
    assert parse_json_array(b' [1, {"a": []}] ') == [1, {"a": []}]
    with pytest.raises(ValueError, match=r"^not a JSON array$"):
        parse_json_array(b"{}")
    with pytest.raises(ValueError, match="repeated"):
        parse_json_array(b'[{"a":1,"a":1}]')
