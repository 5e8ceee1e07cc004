"""Requests whose end can be read in two ways, with another request behind one of the ends.

RFC 9112 sections 2.2, 5.2, 6.3, 7.1 and 11.2. `SMUGGLED` must reach no application: as a part of a
body it is no request, and what cannot be read in one way alone is refused.
"""

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: x\r\nX: "
_POST = b"POST /victim HTTP/1.1\r\nHost: HOST\r\n"
_CHUNKED = b"Transfer-Encoding: chunked\r\n"
_END = b"0\r\n\r\n"


def _length(value: bytes) -> bytes:
    return b"Content-Length: " + value + b"\r\n"


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _with_fields(fields: bytes, body: bytes = _END + SMUGGLED) -> bytes:
    return _POST + fields + b"\r\n" + body


_WHOLE = b"%d" % len(_END + SMUGGLED)

AMBIGUOUS: dict[str, bytes] = {
    "CL.TE": _with_fields(_length(_WHOLE) + _CHUNKED),
    "TE.CL": _with_fields(_CHUNKED + _length(b"4"), _chunk(SMUGGLED) + _END),
    "CL.TE, the length in another case": _with_fields(b"content-LENGTH: 5\r\n" + _CHUNKED),
    "two lengths": _with_fields(_length(b"0") + _length(_WHOLE)),
    "two lengths, the longer first": _with_fields(_length(_WHOLE) + _length(b"0")),
    "a list of lengths": _with_fields(_length(b"0, " + _WHOLE)),
    "a length with a sign": _with_fields(_length(b"+" + _WHOLE)),
    "a negative length": _with_fields(_length(b"-1")),
    "a length in hexadecimal": _with_fields(_length(b"0x5")),
    "a length with a space in it": _with_fields(_length(b"1 0")),
    "a length with an underscore": _with_fields(_length(b"1_0")),
    "a length that is a fraction": _with_fields(_length(b"5.0")),
    "an empty length": _with_fields(_length(b"")),
    "a length beyond 64 bits": _with_fields(_length(b"18446744073709551621")),
    "a length in other digits": _with_fields(_length("٥".encode())),
    "a space before the colon": _with_fields(b"Content-Length : " + _WHOLE + b"\r\n"),
    "a tab before the colon": _with_fields(b"Transfer-Encoding\t: chunked\r\n"),
    "a folded length": _with_fields(b"Content-Length:\r\n " + _WHOLE + b"\r\n"),
    "a folded encoding": _with_fields(b"Transfer-Encoding:\r\n chunked\r\n"),
    "a fold in the first field": _with_fields(b" Transfer-Encoding: chunked\r\n" + _length(b"5")),
    "a bare LF behind a field": _with_fields(b"A: b\n" + _CHUNKED + _length(b"5")),
    "a bare LF in a value": _with_fields(b"A: b\nTransfer-Encoding: chunked\r\n" + _length(b"5")),
    "a bare CR in a value": _with_fields(b"A: b\rTransfer-Encoding: chunked\r\n" + _length(b"5")),
    "a bare CR at the end of the head": _POST + _length(b"5") + b"\r\r\n" + _END + SMUGGLED,
    "NUL in a value": _with_fields(b"A: b\0\r\n" + _CHUNKED + _length(b"5")),
    "NUL in a name": _with_fields(b"Transfer-Encoding\0: chunked\r\n"),
    "a vertical tab in a name": _with_fields(b"\x0bTransfer-Encoding: chunked\r\n"),
    "no colon": _with_fields(b"Transfer-Encoding chunked\r\n"),
    "an empty name": _with_fields(b": chunked\r\n"),
    "an unknown encoding": _with_fields(b"Transfer-Encoding: xchunked\r\n"),
    "identity": _with_fields(b"Transfer-Encoding: identity\r\n"),
    "chunked is not last": _with_fields(b"Transfer-Encoding: chunked, identity\r\n"),
    "chunked twice": _with_fields(b"Transfer-Encoding: chunked, chunked\r\n"),
    "chunked in quotes": _with_fields(b'Transfer-Encoding: "chunked"\r\n'),
    "chunked with a parameter": _with_fields(b"Transfer-Encoding: chunked;a=b\r\n"),
    "chunked behind a control character": _with_fields(b"Transfer-Encoding: \x0bchunked\r\n"),
    "two encodings": _with_fields(b"Transfer-Encoding: identity\r\n" + _CHUNKED + _length(b"5")),
    "a chunk of a negative size": _with_fields(_CHUNKED, b"-1\r\n" + SMUGGLED),
    "a chunk of a size with 0x": _with_fields(_CHUNKED, b"0x0\r\n\r\n" + SMUGGLED),
    "a chunk of a size with a sign": _with_fields(_CHUNKED, b"+0\r\n\r\n" + SMUGGLED),
    "a chunk of a size with a space": _with_fields(_CHUNKED, b" 0\r\n\r\n" + SMUGGLED),
    "a chunk of a size beyond 64 bits": _with_fields(
        _CHUNKED, b"1" + b"0" * 16 + b"\r\n" + SMUGGLED
    ),
    "a chunk without a size": _with_fields(_CHUNKED, b"\r\n\r\n" + SMUGGLED),
    "a chunk longer than its size": _with_fields(_CHUNKED, b"1\r\nab\r\n" + _END + SMUGGLED),
    "a chunk size that ends in LF": _with_fields(_CHUNKED, b"0\n\n" + SMUGGLED),
    "a chunk that ends in LF": _with_fields(_CHUNKED, b"1\r\na\n" + _END + SMUGGLED),
    "an extension that ends in LF": _with_fields(_CHUNKED, b"1;\n\r\na\r\n" + _END + SMUGGLED),
    "a trailer that ends in LF": _with_fields(_CHUNKED, b"0\r\nA: b\n\r\n" + SMUGGLED),
}
"""By what is wrong, with `HOST` where the host is to stand."""

ODD_LINES: dict[str, bytes] = {
    "HTTP/0.9": b"GET /victim\r\n" + SMUGGLED,
    "HTTP/1.2": _with_fields(_length(b"5")).replace(b"HTTP/1.1", b"HTTP/1.2", 1),
    "HTTP/2.0": _with_fields(_length(b"5")).replace(b"HTTP/1.1", b"HTTP/2.0", 1),
    "a version of two digits": _with_fields(_length(b"5")).replace(b"HTTP/1.1", b"HTTP/1.10", 1),
    "a space in the target": _with_fields(_length(b"5")).replace(b"/victim", b"/victim a", 1),
    "a tab before the version": _with_fields(_length(b"5")).replace(b" HTTP", b"\tHTTP", 1),
    "a line that ends in LF": _with_fields(_length(b"5")).replace(b"1.1\r\n", b"1.1\n", 1),
}
"""Requests whose first line is of no version that is served, or ill-formed."""

UNAMBIGUOUS: dict[str, bytes] = {
    "a body": _with_fields(_length(b"%d" % len(SMUGGLED)), SMUGGLED),
    "a body of GET": _with_fields(_length(b"%d" % len(SMUGGLED)), SMUGGLED).replace(
        b"POST", b"GET", 1
    ),
    "a chunk": _with_fields(_CHUNKED, _chunk(SMUGGLED) + _END),
    "an extension of a chunk": _with_fields(
        _CHUNKED, b'1;a="GET /smuggled HTTP/1.1"\r\na\r\n' + _END
    ),
    "a trailer": _with_fields(_CHUNKED, b"0\r\nHost: x\r\nX: GET /smuggled HTTP/1.1\r\n\r\n"),
}
"""Requests that have one end, with a request in them: they are answered, and so is the next."""
