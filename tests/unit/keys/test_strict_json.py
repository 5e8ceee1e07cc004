"""Strict JSON: one meaning or none."""

import pytest

from keys.strict_json import MAX_DEPTH, parse_object


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
    assert value == parse_object(raw)


@pytest.mark.rfc("7515-4-1", "7519-4-1", "8725-3.7-1")
@pytest.mark.parametrize(
    "raw",
    [
        b"", b" ", b"null", b"1", b'"a"', b"[]", b"[{}]", b"{", b'{"a"}', b"{'a':1}", b'{"a":1,}',
        b"{}{}", b"{} x", b"{}\x00", b"\xef\xbb\xbf{}", "{}".encode("utf-16"), b'{"a":"\xff"}',
        b'{"a":1,"a":1}', b'{"a":1,"\\u0061":1}', b'{"b":{"a":1,"a":1}}', b'{"b":[{"a":1,"a":1}]}',
        b'{"a":NaN}', b'{"a":-Infinity}', b'{"a":1e400}', b'{"a":-1e400}', b'{"a":01}', b'{"a":+1}',
        b'{"a":"\\ud800"}', b'{"a":["\\udc00x"]}', b'{"\\ud800":1}', b'{"a":"\\u0000"}',
        b'{"a":"\x01"}', b'{"a":"\\x"}', b"\x0c{}", "\u00a0{}".encode(),
        b'{"a":' + b"9" * 5000 + b"}",
    ],
)  # fmt: skip
def test_everything_else_is_refused(raw: bytes) -> None:
    """Whatever two parsers might read differently is an error."""
    with pytest.raises(ValueError):
        parse_object(raw)


def test_depth_is_bounded() -> None:
    """Nesting up to the bound is read; one more level, or a hundred thousand, is an error."""
    assert parse_object(nested(MAX_DEPTH))
    for raw in (nested(MAX_DEPTH + 1), nested(100_000), b'{"a":' + b"[" * 100_000):
        with pytest.raises(ValueError):
            parse_object(raw)


def test_errors_do_not_repeat_the_input() -> None:
    """A parse error may be logged, so it holds nothing of what was parsed."""
    with pytest.raises(ValueError) as caught:
        parse_object(b'{"secret":"wws_x"')
    assert "wws_x" not in str(caught.value)
