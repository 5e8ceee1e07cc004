"""The compact serialisation, taken apart strictly."""

import json

import pytest

from keys.errors import InvalidJws
from keys.jws import parse_compact, parse_header, split_compact
from watchword.testing.forge import TokenForge, dump, segment

FORGE = TokenForge()


@pytest.mark.rfc("7515-5.2-1")
@pytest.mark.parametrize("kind", [str, bytes])
def test_pieces_are_as_received(kind: type) -> None:
    """The signing input is a slice of the token, not something written anew."""
    token = FORGE.raw(b' {"alg" : "RS256"}\n', b"any bytes \xff")
    jws = parse_compact(token.decode() if kind is str else token)
    assert dict(jws.header) == {"alg": "RS256"}
    assert jws.payload == b"any bytes \xff"
    assert jws.signing_input == token.rpartition(b".")[0]
    assert jws.header_segment == token.partition(b".")[0]
    assert len(jws.signature) == 256
    assert repr(jws) == "CompactJws(11 bytes)"  # a log may have it, a token it may not


@pytest.mark.rfc("7515-3.1-1")
@pytest.mark.parametrize("token", [b"", b".", b"a", b"a.b", b"a.b.c.d", b"a.b.c.d.e", b"...."])
def test_three_segments(token: bytes) -> None:
    """Any other number of segments is not a compact JWS."""
    with pytest.raises(InvalidJws):
        split_compact(token)


@pytest.mark.rfc("7515-2-1")
def test_segments_are_base64url() -> None:
    """Each segment is checked, and a text that is not ASCII is refused like any other."""
    for token in (b"=.e30.AA", FORGE.token() + b"=", FORGE.token() + b"\xff"):
        with pytest.raises(InvalidJws):
            parse_compact(token)
    for text in ("é.e30.AA", "\ud800.e30.AA"):
        with pytest.raises(InvalidJws):
            parse_compact(text)


@pytest.mark.rfc("7515-4.1.1-1", "7515-4.1.11-1", "7797-7-1")
@pytest.mark.parametrize(
    "header",
    [
        {},
        {"alg": None},
        {"alg": ["RS256"]},
        {"alg": "RS256", "crit": []},
        {"alg": "RS256", "crit": ["exp"], "exp": 1},
        {"alg": "RS256", "b64": True},
        {"alg": "RS256", "crit": ["b64"], "b64": False},
    ],
)
def test_header_without_algorithm_or_with_an_extension(header: dict[str, object]) -> None:
    """`alg` is required; `crit` and `b64` are understood by nobody here."""
    with pytest.raises(InvalidJws):
        parse_header(segment(dump(header)))


def test_header_must_be_an_object() -> None:
    """A header that is no JSON object is refused, without its text in the error."""
    with pytest.raises(InvalidJws) as caught:
        parse_header(segment(json.dumps(["secret"]).encode()))
    assert "secret" not in str(caught.value)


def test_each_segment_is_where_it_belongs() -> None:
    """An empty payload or signature is one; whether it proves anything is for others to say."""
    assert split_compact(b"a.b.c") == (b"a", b"b", b"c", b"a.b")
    assert split_compact(b"..") == (b"", b"", b"", b".")
    jws = parse_compact(segment(dump({"alg": "RS256"})) + b"..")
    assert (jws.payload, jws.signature) == (b"", b"")


@pytest.mark.parametrize(
    ("token", "told"),
    [
        (b"a.b", "not three segments"),
        (b"=.e30.AA", "not canonical base64url"),
        (segment(b"[]") + b".e30.AA", "the header is not a JSON object"),
        (segment(b"{}") + b".e30.AA", "the header has no algorithm name"),
        (segment(dump({"alg": "RS256", "crit": ["exp"]})) + b".e30.AA", "asks for an extension"),
    ],
)
def test_the_refusal_of_a_jws_names_the_fault(token: bytes, told: str) -> None:
    """The words are ours alone: nothing of the token is repeated."""
    with pytest.raises(InvalidJws, match=told):
        parse_compact(token)
