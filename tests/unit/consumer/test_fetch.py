"""Taking in an answer of the issuer, and no more of it than is good."""

import gzip

import pytest

from consumer.fetch import (
    LONGEST_WAIT,
    MAX_ANSWER_BYTES,
    BoundedBody,
    FetchAnswer,
    FetchRequest,
    parse_json_object,
    retry_after,
)

JSON = {"Content-Type": "application/json"}


def received(*chunks, headers=JSON, status=200):
    """Return the answer that these pieces make."""
    reception = BoundedBody(status, headers)
    for chunk in chunks:
        if not reception.add(chunk):
            break
    return reception.answer()


def test_pieces_become_one_object():
    """The body is put together; header names are found in lower case."""
    answer = received(b'{"a"', b":1}")
    assert parse_json_object(answer) == {"a": 1}
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("content_type", ["application/json", "Application/JSON; charset=utf-8"])
def test_the_media_type_may_be_written_in_any_case(content_type):
    """Parameters and case of a media type mean nothing here."""
    assert parse_json_object(received(b"{}", headers={"Content-Type": content_type})) == {}


@pytest.mark.parametrize("headers", [{}, {"content-type": "text/html"}])
def test_another_media_type_is_not_read(headers):
    """An HTML page is not an answer, whatever it contains."""
    with pytest.raises(ValueError, match="instead of application/json"):
        parse_json_object(received(b"{}", headers=headers))


def test_an_unusual_media_type_is_not_repeated():
    """It is a word of the server's, which may have been told the secret."""
    with pytest.raises(ValueError, match="of another type instead of application/json") as caught:
        parse_json_object(received(b"{}", headers={"content-type": "text/s3cret"}))
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "body",
    [b"", b"nonsense", b"\xff{}", b'{"a":NaN}', b"[" * 60_000, b'{"a":' + b"9" * 5000 + b"}"],
    ids=["empty", "text", "not utf-8", "nan", "deep", "long number"],
)
def test_what_is_not_json_is_refused(body):
    """Any bytes make a value or a ValueError, and the error does not quote them."""
    with pytest.raises(ValueError, match="it is not JSON") as caught:
        parse_json_object(received(body))
    assert caught.value.__cause__ is None


def test_json_that_is_no_object_is_refused():
    """A list has no members to look for."""
    with pytest.raises(ValueError, match="not a JSON object"):
        parse_json_object(received(b"[]"))


def test_a_body_that_is_too_large_is_given_up():
    """Reading stops at the limit, and what was read is not used."""
    answer = received(b"x" * MAX_ANSWER_BYTES, b"x", b"never asked for")
    assert len(answer.body) == MAX_ANSWER_BYTES
    with pytest.raises(ValueError, match="larger than can be meant"):
        parse_json_object(answer)


@pytest.mark.parametrize("size", [MAX_ANSWER_BYTES - 2, MAX_ANSWER_BYTES - 1, 10**7])
def test_gzip_is_inflated_within_the_bound(size):
    """Nobody asked for it, but some send it; a bomb is not unfolded."""
    body = gzip.compress(b"{" + b" " * size + b"}")
    answer = received(body, headers=JSON | {"Content-Encoding": "gzip"})
    if size + 2 <= MAX_ANSWER_BYTES:
        assert parse_json_object(answer) == {}
        return
    with pytest.raises(ValueError, match="compressed"):
        parse_json_object(answer)


@pytest.mark.parametrize("encoding", ["br", "identity, gzip"])
def test_a_body_of_another_coding_is_not_even_read(encoding):
    """None was asked for, and a small one may unfold into more memory than there is."""
    reception = BoundedBody(200, JSON | {"Content-Encoding": encoding})
    assert not reception.wants_more
    with pytest.raises(ValueError, match="compressed"):
        parse_json_object(reception.answer())


@pytest.mark.parametrize("encoding", ["", "identity", "Identity "])
def test_identity_is_no_compression(encoding):
    """It says that the bytes are as they are."""
    assert BoundedBody(200, JSON | {"Content-Encoding": encoding}).wants_more


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "86400"}, LONGEST_WAIT),
        ({"Retry-After": "9" * 5000}, LONGEST_WAIT),
        (
            {
                "Retry-After": "Mon, 23 Nov 2026 10:00:30 GMT",
                "Date": "Mon, 23 Nov 2026 10:00:00 GMT",
            },
            30.0,
        ),
        (
            {
                "Retry-After": "Mon, 23 Nov 2026 09:00:00 GMT",
                "Date": "Mon, 23 Nov 2026 10:00:00 GMT",
            },
            0.0,
        ),
        ({"Retry-After": "Mon, 23 Nov 2026 10:00:30 GMT"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-1"}, None),
        ({}, None),
    ],
)
def test_retry_after_is_seconds_or_a_date_beside_the_answers_own(headers, seconds):
    """RFC 9110 §10.2.3, without a clock of ours, and bounded."""
    assert seconds == retry_after(received(headers=headers, status=503))


def test_429_asks_for_quiet_even_without_the_header():
    """Too many requests is a wish to be left alone for at least a moment."""
    assert retry_after(received(status=429)) == 1.0


@pytest.mark.rfc("9700-4.10-1")
def test_no_representation_shows_header_or_body():
    """The header has the client's secret, the body the token."""
    asked = FetchRequest(method="POST", url="https://a", headers={"x": "s3cret"}, body=b"s3cret")
    assert "s3cret" not in repr(asked)
    assert "s3cret" not in repr(FetchAnswer(status=200, headers={}, body=b"s3cret"))
