"""Any bytes at the token endpoint parse to a request or to an `OAuthError`."""

from contextlib import suppress
from urllib.parse import quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from issuer.client_request import ClientPassword, decode_basic
from issuer.errors import OAuthError
from issuer.registry.schema import parse_scope
from issuer.token_request import TokenRequest, parse_token_request
from tests.support.issuer import FORM, basic

URL = "https://auth.example/token"
HEADER_VALUES = st.one_of(
    st.binary(max_size=80),
    st.sampled_from([FORM.encode(), b"Basic ", b"Basic Og==", b"Bearer x", basic("a", "b")]),
    st.binary(max_size=40).map(lambda raw: b"Basic " + raw),
)
HEADERS = st.lists(
    st.tuples(
        st.sampled_from([b"content-type", b"authorization", b"content-encoding", b"x"]),
        HEADER_VALUES,
    ),
    max_size=5,
)
FIELDS = st.sampled_from(
    [b"grant_type", b"scope", b"client_id", b"client_secret", b"resource", b"%67rant_type", b"x"]
)
PAIRS = st.tuples(FIELDS, st.binary(max_size=20)).map(b"=".join)
BODIES = st.one_of(st.binary(max_size=200), st.lists(PAIRS, max_size=8).map(b"&".join))
VSCHAR = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=40)


@given(headers=HEADERS, query=st.binary(max_size=40), body=BODIES)
def test_any_bytes_yield_a_request_or_a_refusal(
    headers: list[tuple[bytes, bytes]], query: bytes, body: bytes
) -> None:
    """Nothing else ever comes out of the parser."""
    request = None
    with suppress(OAuthError):
        request = parse_token_request(headers, query, body, url=URL)
    assert request is None or isinstance(request, TokenRequest)
    evidence = None if request is None else request.evidence
    password = evidence and (evidence.basic or evidence.secret_post)
    assert password is None or password.client_id.isprintable()


@given(client_id=VSCHAR, secret=VSCHAR)
def test_basic_survives_the_round_trip(client_id: str, secret: str) -> None:
    """Every VSCHAR id and secret come out as they went in."""
    encoded = basic(client_id, secret).removeprefix(b"Basic ")
    assert decode_basic(encoded) == ClientPassword(client_id, secret)


@given(client_id=VSCHAR, secret=VSCHAR)
def test_secrets_are_in_no_representation(client_id: str, secret: str) -> None:
    """A request shows who asks, never the proof."""
    marked = f"{secret}-marker-of-the-secret"
    body = urlencode({"client_id": client_id, "client_secret": marked}, quote_via=quote_plus)
    request = parse_token_request([(b"content-type", FORM.encode())], b"", body.encode(), url=URL)
    assert "marker-of-the-secret" not in repr(request)


SCOPE_TOKENS = st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters='"\\'),
    min_size=1,
    max_size=12,
)


@given(tokens=st.lists(SCOPE_TOKENS, min_size=1, max_size=10))
def test_scopes_of_the_grammar_parse_in_order_each_once(tokens: list[str]) -> None:
    """What the grammar allows is taken apart and nothing is lost."""
    assert list(parse_scope(" ".join(tokens))) == list(dict.fromkeys(tokens))


@given(text=st.text(max_size=30))
def test_other_scopes_are_malformed(text: str) -> None:
    """A value parses exactly if every piece between single spaces is a scope token."""
    allowed = {chr(code) for code in range(0x21, 0x7F)} - {'"', "\\"}
    if all(piece and set(piece) <= allowed for piece in text.split(" ")):
        assert set(parse_scope(text)) == set(text.split(" "))
    else:
        with pytest.raises(ValueError):
            parse_scope(text)
