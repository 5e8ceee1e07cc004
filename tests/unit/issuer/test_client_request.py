"""Unit tests of `issuer.client_request`: what is read, where the limits are, why it is refused.

Requests for tokens are its subject; the parser is the same for the other forms of clients.
"""

import base64
from typing import Any
from urllib.parse import urlencode

import pytest

from issuer.client_auth.assertion import JWT_ASSERTION
from issuer.client_request import (
    CREDENTIALS,
    MAX_FIELDS,
    ClientPassword,
    Evidence,
    form_decode,
    parse_client_request,
)
from issuer.errors import InvalidClient, InvalidRequest, OAuthError, Reason
from issuer.token_request import TokenRequest, parse_token_request
from tests.support.assertions import form_of, make_assertion
from tests.support.issuer import FORM, SECRET, basic
from watchword.testing.forge import DROP

URL = "https://auth.example/token"
BODY = b"grant_type=client_credentials"
POST = BODY + b"&client_id=a&client_secret=s"


def basic_of(raw: bytes) -> bytes:
    """Make an `Authorization` value of the bytes that the base64 stands for."""
    return b"Basic " + base64.b64encode(raw)


def parse(
    body: bytes = BODY,
    *,
    auth: bytes | None = None,
    query: bytes = b"",
    media_types: tuple[bytes, ...] = (FORM.encode(),),
    headers: tuple[tuple[bytes, bytes], ...] = (),
) -> TokenRequest:
    """Read a request."""
    lines = [(b"content-type", each) for each in media_types]
    if auth is not None:
        lines.append((b"authorization", auth))
    return parse_token_request([*lines, *headers], query, body, url=URL, peer_address="192.0.2.1")


def refusal(error: type[OAuthError], **request: Any) -> OAuthError:
    """Return why a request is refused; who sent it is not known yet, so no client is named."""
    with pytest.raises(OAuthError) as caught:
        parse(**request)
    assert type(caught.value) is error
    assert caught.value.client_id is None
    return caught.value


BAD_REQUESTS: list[tuple[Reason, dict[str, Any]]] = [
    (Reason.MEDIA_TYPE, {"body": POST, "media_types": ()}),
    (Reason.MEDIA_TYPE, {"body": POST, "media_types": (FORM.encode(), FORM.encode())}),
    (Reason.MEDIA_TYPE, {"body": POST, "media_types": (b"application/json",)}),
    (Reason.MEDIA_TYPE, {"body": POST, "media_types": (FORM.encode() + b"x",)}),
    (Reason.CONTENT_ENCODING, {"body": POST, "headers": ((b"content-encoding", b"gzip"),)}),
    (
        Reason.SEVERAL_MECHANISMS,
        {"auth": basic("a", "s"), "headers": ((b"authorization", basic("a", "s")),)},
    ),
    (Reason.CREDENTIALS_IN_QUERY, {"body": POST, "query": b"client_secret=s"}),
    (Reason.CREDENTIALS_IN_QUERY, {"body": POST, "query": b"client_secret"}),
    (Reason.CREDENTIALS_IN_QUERY, {"body": POST, "query": b"client_secret=s=t"}),
    (Reason.CREDENTIALS_IN_QUERY, {"body": POST, "query": b"x=1&client_assertion=j"}),
    (Reason.CREDENTIALS_IN_QUERY, {"body": POST, "query": b"assertion=j&x=1"}),
    (Reason.CREDENTIALS_IN_QUERY, {"body": POST, "query": b"client%5Fsecret=s"}),
    (Reason.CREDENTIALS_IN_QUERY, {"body": POST, "query": b"%FF=x&client_secret=s"}),
    (Reason.MALFORMED_BODY, {"body": POST + b"&x=\xff"}),
    (Reason.MALFORMED_BODY, {"body": POST + b"&x=%FF"}),
    (Reason.MALFORMED_BODY, {"body": POST + b"&x=%4"}),
    (Reason.MALFORMED_BODY, {"body": POST + b"&x=%4G"}),
    (Reason.MALFORMED_BODY, {"body": POST + b"&%4G=x"}),
    (Reason.MALFORMED_BODY, {"body": POST + b"&x=a%00b"}),
    (Reason.MALFORMED_BODY, {"body": POST + b"&x=a\x00b"}),
    (Reason.REPEATED_PARAMETER, {"body": POST + b"&grant_type=client_credentials"}),
    (Reason.REPEATED_PARAMETER, {"body": POST + b"&grant_type="}),
    (Reason.REPEATED_PARAMETER, {"body": POST + b"&client_id=a"}),
    (Reason.REPEATED_PARAMETER, {"body": POST + b"&client%5Fid=a"}),
    (Reason.REPEATED_PARAMETER, {"body": POST + b"&scope=&scope="}),
    (Reason.SEVERAL_MECHANISMS, {"body": POST, "auth": basic("a", "s")}),
    (Reason.SEVERAL_MECHANISMS, {"body": POST + b"&client_assertion=j"}),
    (Reason.SEVERAL_MECHANISMS, {"body": POST + b"&client_assertion_type=t"}),
    (Reason.SEVERAL_MECHANISMS, {"body": BODY + b"&client_assertion=j", "auth": basic("a", "s")}),
    (Reason.CLIENT_ID_MISMATCH, {"body": BODY + b"&client_id=b", "auth": basic("a", "s")}),
    (Reason.CLIENT_ID_MISMATCH, {"body": BODY + b"&client_id=A", "auth": basic("a", "s")}),
]
NOT_AUTHENTICATED: list[tuple[Reason, dict[str, Any]]] = [
    (Reason.NO_CREDENTIALS, {"body": BODY + b"&client_secret=s"}),
    (Reason.UNKNOWN_CLIENT, {"body": BODY + b"&client_id=a%0A&client_secret=s"}),
    (Reason.UNKNOWN_CLIENT, {"body": BODY + b"&client_id=a&client_secret=s%7F"}),
    (Reason.UNSUPPORTED_SCHEME, {"auth": b"Bearer x"}),
    (Reason.UNSUPPORTED_SCHEME, {"auth": b""}),
    (Reason.UNSUPPORTED_SCHEME, {"auth": b"Basic" + basic("a", "s").removeprefix(b"Basic ")}),
    (Reason.MALFORMED_BASIC, {"auth": b"Basic"}),
    (Reason.MALFORMED_BASIC, {"auth": b"Basic YTpz!"}),
    (Reason.MALFORMED_BASIC, {"auth": b"Basic \tYTpz"}),
    (Reason.MALFORMED_BASIC, {"auth": b"Basic YTpz YTpz"}),
    (Reason.MALFORMED_BASIC, {"auth": basic_of(b"a:s\xff")}),
    (Reason.MALFORMED_BASIC, {"auth": basic_of(b"a:s%FF")}),
    (Reason.MALFORMED_BASIC, {"auth": basic_of(b"a%4:s")}),
    (Reason.MALFORMED_BASIC, {"auth": basic_of(b"a")}),
    (Reason.MALFORMED_BASIC, {"auth": basic_of(b"a:")}),
    (Reason.MALFORMED_BASIC, {"auth": basic_of(b":s")}),
    (Reason.MALFORMED_BASIC, {"auth": basic_of(b"a%0A:s")}),
    (Reason.MALFORMED_BASIC, {"auth": basic_of(b"a:s%7F")}),
]


@pytest.mark.parametrize(("reason", "request_"), BAD_REQUESTS)
def test_a_bad_request_is_refused_for_its_own_reason(
    reason: Reason, request_: dict[str, Any]
) -> None:
    """400; the reason is a word for logs, and the description says what the caller must change."""
    error = refusal(InvalidRequest, **request_)
    assert error.reason is reason
    assert error.description


@pytest.mark.parametrize(("reason", "request_"), NOT_AUTHENTICATED)
def test_credentials_that_cannot_be_read_are_refused_for_their_own_reason(
    reason: Reason, request_: dict[str, Any]
) -> None:
    """401, whose answer does not say more than `invalid_client`."""
    error = refusal(InvalidClient, **request_)
    assert error.reason is reason
    assert error.description is None


@pytest.mark.parametrize(
    "changes",
    [
        {"media_types": (b"Application/X-WWW-Form-URLencoded",)},
        {"media_types": (FORM.encode() + b" ; charset=UTF-8",)},
        {"headers": ((b"content-encoding", b" Identity "),)},
        {"headers": ((b"accept", b"gzip"), (b"x-content-encoding", b"gzip"))},
        {"query": b"client_id=a&grant_type=x"},
        {"query": b"x=client_secret&client_secret_=1&&=client_secret"},
        {"query": b"%FF=%"},
    ],
)
def test_what_does_no_harm_changes_nothing(changes: dict[str, Any]) -> None:
    """RFC 9110 §8.3.1 and §8.4.1 leave the spelling to the caller; other headers are ignored."""
    assert parse(POST, **changes) == parse(POST)


def test_a_request_says_what_was_sent() -> None:
    """Every parameter that is read comes out; an empty one was omitted (RFC 6749 §3.2)."""
    body = POST + b"&scope=read+write&resource=https://a&resource=&resource=https://b&other=x"
    assert parse(body) == TokenRequest(
        evidence=Evidence(
            client_id="a",
            secret_post=ClientPassword("a", "s"),
            url=URL,
            peer_address="192.0.2.1",
        ),
        grant_type="client_credentials",
        scope="read write",
        resources=("https://a", "https://b"),
    )
    empty = parse(b"grant_type=&scope=&resource=&client_id=a&client_secret=s")
    assert (empty.grant_type, empty.scope, empty.resources) == (None, None, ())


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (b"a=b", "a=b"),
        (b"a=b=c", "a=b=c"),
        (b"a+b", "a b"),
        (b"a%2Bb", "a+b"),
        (b"a%2bb", "a+b"),
        (b"%C3%A9", "é"),
        ("é".encode(), "é"),
        (b"a%25b", "a%b"),
    ],
)
def test_a_value_is_decoded_once(sent: bytes, read: str) -> None:
    """The first `=` of a pair separates, and what follows is form-encoded."""
    assert parse(POST + b"&scope=" + sent).scope == read


def test_a_name_is_decoded_as_well() -> None:
    """A name that is written with escapes is the same name."""
    body = b"grant%5Ftype=g&res%6Furce=https://a&client_id=a&client_secret=s"
    request = parse(body)
    assert (request.grant_type, request.resources) == ("g", ("https://a",))


def test_the_number_of_fields_has_a_limit() -> None:
    """So many are read, and one more is refused however short the body is."""
    most = POST + b"&" * (MAX_FIELDS - 3)
    assert most.count(b"&") == MAX_FIELDS - 1
    assert parse(most) == parse(POST)
    error = refusal(InvalidRequest, body=most + b"&")
    assert error.reason is Reason.MALFORMED_BODY
    assert error.description


@pytest.mark.parametrize(
    ("auth", "password"),
    [
        (basic("svc-a", SECRET), ClientPassword("svc-a", SECRET)),
        (b"bAsIc YTpz", ClientPassword("a", "s")),
        (b"Basic   YTpz  ", ClientPassword("a", "s")),
        (basic("_svc", "s"), ClientPassword("_svc", "s")),
        (basic_of(b"a:s:t"), ClientPassword("a", "s:t")),
        (basic_of(b"a%3Ab:s"), ClientPassword("a:b", "s")),
        (basic_of(b"a+b:s%20t"), ClientPassword("a b", "s t")),
    ],
)
def test_basic_credentials_are_read(auth: bytes, password: ClientPassword) -> None:
    """RFC 6749 §2.3.1, RFC 7617 §2: the first colon separates, and both parts are form-encoded."""
    assert parse(auth=auth).evidence.basic == password


def test_beside_basic_the_body_may_name_the_same_client() -> None:
    """A `client_id` alone is no second authentication."""
    request = parse(BODY + b"&client_id=a", auth=basic("a", "s"))
    assert request.evidence.basic == ClientPassword("a", "s")


@pytest.mark.parametrize(
    ("fields", "evidence"),
    [
        (b"", {}),
        (b"&client_id=a", {"client_id": "a"}),
        (b"&client_id=a&client_secret=", {"client_id": "a"}),
    ],
)
def test_a_request_without_a_secret_is_well_formed(fields: bytes, evidence: Any) -> None:
    """Whether what it shows is enough is not for the parser to decide."""
    expected = Evidence(url=URL, peer_address="192.0.2.1", **evidence)
    assert parse(BODY + fields).evidence == expected


def test_proofs_are_kept_beside_any_authentication() -> None:
    """RFC 9449 §4.3 allows one; how many came is for their check to see."""
    lines = ((b"dpop", b"a.b.c"), (b"x", b"y"), (b"dpop", b"d.e.f"))
    assert parse(POST, headers=lines).evidence.dpop_proofs == (b"a.b.c", b"d.e.f")


def test_evidence_does_not_show_what_it_proves_by() -> None:
    """A representation may end up in a log."""
    made = make_assertion()
    assertion = parse(
        BODY + b"&" + urlencode(form_of(made)).encode(), headers=((b"dpop", b"p.r.f"),)
    )
    for request in (parse(auth=basic("a", "s3cr3t")), parse(POST + b"3cr3t"), assertion):
        shown = repr(request) + repr(request.evidence.assertion)
        assert not any(word in shown for word in ("3cr3t", *made.split("."), "p.r.f"))
    for request in (parse(auth=basic("a", "s")), parse(POST), parse(BODY + b"&client_id=a")):
        assert repr(request.evidence) == "Evidence(client_id='a')"


@pytest.mark.rfc("7521-4.2-1")
@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"client_assertion": "a.b.c"}, Reason.UNSUPPORTED_METHOD),
        ({"client_assertion_type": JWT_ASSERTION}, Reason.UNSUPPORTED_METHOD),
        (form_of("a.b.c", client_assertion_type="urn:x"), Reason.UNSUPPORTED_METHOD),
        (form_of("a.b.c"), Reason.ASSERTION_MALFORMED),
        (form_of("x" * 8193), Reason.ASSERTION_MALFORMED),
        (form_of(make_assertion() + ".x"), Reason.ASSERTION_MALFORMED),
        (form_of(make_assertion(sub=DROP)), Reason.ASSERTION_IDENTITY),
        (form_of(make_assertion(sub=7)), Reason.ASSERTION_IDENTITY),
    ],
)
def test_an_assertion_that_cannot_be_read_is_refused(
    fields: dict[str, str], reason: Reason
) -> None:
    """Both parameters are needed, with a JWT that says whose it is."""
    with pytest.raises(InvalidClient) as caught:
        parse(BODY + b"&" + urlencode(fields).encode())
    assert caught.value.reason is reason


def test_an_assertion_is_for_the_client_of_the_form_or_else_for_its_subject() -> None:
    """RFC 7521 §4.2: `client_id` may be left out, where the assertion says whose it is."""
    for fields, client_id in (({}, "svc-a"), ({"client_id": "svc-b"}, "svc-b")):
        form = urlencode(form_of(make_assertion(), **fields)).encode()
        claimed = parse(BODY + b"&" + form).evidence.assertion
        assert claimed is not None
        assert (claimed.client_id, claimed.subject) == (client_id, "svc-a")


@pytest.mark.rfc("6749-3.2-3")
def test_each_endpoint_recognises_its_own_parameters() -> None:
    """What another endpoint reads is ignored here, however often it comes; credentials are read."""
    lines = [(b"content-type", FORM.encode())]
    body = POST + b"&token=t&scope=a&scope=b&resource=https://a"
    request = parse_client_request(
        lines, b"", body, recognised=CREDENTIALS | {"token"}, url="https://auth.example/revoke"
    )
    assert request.parameters == {"client_id": "a", "client_secret": "s", "token": "t"}
    assert request.resources == ()
    assert request.evidence.url == "https://auth.example/revoke"
    assert repr(request) == "ClientRequest(evidence=Evidence(client_id='a'))"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("https%3A%2F%2Fa.example", "https://a.example"),
        ("https%3a%2f%2fa.example", "https://a.example"),
        ("urn%3Aa+b", "urn:a b"),
        ("%253A%252F", "%3A%2F"),
        ("%2%3A5", None),
        ("%%3A", None),
        ("%3A%", None),
        ("%3A%00", None),
    ],
)
def test_the_escapes_of_a_uri_are_read_as_all_others(text: str, value: str | None) -> None:
    """Quickly where there are no others, and never twice."""
    if value is None:
        with pytest.raises(InvalidRequest):
            form_decode(text)
    else:
        assert form_decode(text) == value


def test_the_repr_of_a_password_shows_whose_it_is_and_not_the_secret() -> None:
    """A log or an exception may hold it."""
    assert repr(ClientPassword("svc-a", "s3cret")) == "ClientPassword(client_id='svc-a')"


def test_certificates_are_evidence() -> None:
    """The client's own one, and those that it showed beside it."""
    headers = [(b"content-type", FORM.encode())]
    for chain, own, beside in (
        ((), None, ()),
        ((b"own",), b"own", ()),
        ((b"own", b"above"), b"own", (b"above",)),
    ):
        request = parse_token_request(headers, b"", BODY, url=URL, peer_chain=chain)
        assert request.evidence.peer_certificate == own
        assert request.evidence.intermediates == beside
