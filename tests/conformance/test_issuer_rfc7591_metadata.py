"""RFC 7591: what the issuer refuses to register."""

import pytest

from tests.support.keys import public_rsa_jwk
from tests.support.registration import (
    JSON,
    BoundedBody,
    assert_refused,
    bearer,
    open_reception,
)

JWKS = {"keys": [public_rsa_jwk().members()]}
MARK = "m4rk-of-the-sender"


@pytest.fixture
def reception(tmp_path):
    """Open `/register`."""
    with open_reception(tmp_path) as opened:
        yield opened


BAD_METADATA: list[dict[str, object]] = [
    {"client_name": 7},
    {"client_name": "a\nb"},
    {"client_name": "x" * 256},
    {"token_endpoint_auth_method": "none"},
    {"token_endpoint_auth_method": MARK},
    {"token_endpoint_auth_method": ["client_secret_basic"]},
    {"grant_types": ["authorization_code"]},
    {"grant_types": ["client_credentials", "refresh_token"]},
    {"grant_types": "client_credentials"},
    {"grant_types": [7]},
    {"response_types": ["code"]},
    {"scope": 7},
    {"scope": ["read"]},
    {"scope": "read  write"},
    {"scope": ' "read"'},
    {"dpop_bound_access_tokens": "true"},
    {"dpop_bound_access_tokens": 1},
    {"jwks": JWKS},
    {"token_endpoint_auth_method": "private_key_jwt"},
    {
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks": JWKS,
        "jwks_uri": "https://keys.client.example/",
    },
    {"token_endpoint_auth_method": "private_key_jwt", "jwks": []},
    {"token_endpoint_auth_method": "private_key_jwt", "jwks": "x"},
    {
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks": {"keys": [{"kty": "oct", "k": MARK}]},
    },
    {"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [JWKS["keys"][0]] * 2}},
    {
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks": {"keys": [JWKS["keys"][0] | {"d": MARK}]},
    },
    {"token_endpoint_auth_method": "tls_client_auth"},
    {
        "token_endpoint_auth_method": "tls_client_auth",
        "tls_client_auth_san_dns": "a.example",
        "tls_client_auth_san_uri": "urn:a",
    },
    {"token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_san_ip": MARK},
    {"tls_client_auth_subject_dn": "CN=a"},
]  # fmt: skip


@pytest.mark.rfc("7591-3-1", "6749-5.2-2")
@pytest.mark.parametrize("metadata", BAD_METADATA, ids=range(len(BAD_METADATA)))
async def test_bad_metadata_are_refused(
    reception: BoundedBody, metadata: dict[str, object]
) -> None:
    """400 `invalid_client_metadata`, in fixed words that repeat nothing; no use is taken."""
    answer = await reception.register(reception.token(uses=1), **metadata)
    assert_refused(answer, 400, "invalid_client_metadata")
    assert MARK not in answer.body.decode()
    assert reception.registry.list_clients() == []
    (token,) = reception.registry.read(lambda reading: reading.list_registration_tokens())
    assert token.uses_left == 1
    assert reception.events[-1] == ("registration.refused", {"reason": "client_metadata"})


@pytest.mark.rfc("7591-3-1")
async def test_all_mistakes_come_at_once(reception: BoundedBody) -> None:
    """Whoever writes a client sees everything that is wrong with its metadata."""
    answer = await reception.register(
        client_name=7, scope="a  b", grant_types=["implicit"], response_types=["token"]
    )
    description = answer.json["error_description"]
    for name in ("client_name", "scope", "grant_types", "response_types"):
        assert name in description


@pytest.mark.rfc("7591-3-1")
@pytest.mark.parametrize(
    ("metadata", "error"),
    [
        ({"redirect_uris": ["https://client.example/"]}, "invalid_redirect_uri"),
        ({"redirect_uris": "javascript:alert(1)"}, "invalid_redirect_uri"),
        ({"software_statement": "a.b.c"}, "unapproved_software_statement"),
        ({"software_statement": {"alg": "none"}}, "invalid_software_statement"),
    ],
)
async def test_redirects_and_statements_have_codes_of_their_own(
    reception: BoundedBody, metadata: dict[str, object], error: str
) -> None:
    """No grant redirects anybody here, and no issuer of software statements is trusted."""
    assert_refused(await reception.register(**metadata), 400, error)


@pytest.mark.rfc("7591-3-1")
async def test_the_grant_that_there_is_may_be_named(reception: BoundedBody) -> None:
    """More than once, too: it is a set."""
    answer = await reception.register(grant_types=["client_credentials", "client_credentials"])
    assert (answer.status, answer.json["grant_types"]) == (201, ["client_credentials"])


@pytest.mark.rfc("7591-3-1")
async def test_empty_means_omitted(reception: BoundedBody) -> None:
    """Client libraries send empty lists and null for what they do not use."""
    answer = await reception.register(
        redirect_uris=[],
        response_types=[],
        grant_types=[],
        client_name=None,
        jwks=None,
        jwks_uri="",
    )
    assert answer.status == 201


BAD_BODIES = [
    b"",
    b"null",
    b"[]",
    b"[{}]",
    b'"x"',
    b"{",
    b"{} {}",
    b'{"scope":"read","scope":"write"}',
    b'{"scope":"read","sc\\u006fpe":"write"}',
    b'{"x":{"a":1,"a":2}}',
    b'{"client_name":"\\ud800"}',
    b'{"client_name":"\\u0000"}',
    b'{"client_name":"\xff"}',
    b'\xef\xbb\xbf{"client_name":"x"}',
    '{"client_name":"x"}'.encode("utf-16"),
    b'{"x":NaN}',
    b'{"x":1e400}',
    b'{"x":' + b"9" * 5000 + b"}",
    b'{"x":' + b"[" * 30_000 + b"]" * 30_000 + b"}",
    b'{"x":' * 10_000 + b"1" + b"}" * 10_000,
]  # fmt: skip


@pytest.mark.rfc("7591-3-1")
@pytest.mark.parametrize("body", BAD_BODIES, ids=range(len(BAD_BODIES)))
async def test_a_body_is_one_strict_json_object(reception: BoundedBody, body: bytes) -> None:
    """Whatever two parsers might read differently is refused, in bounded time."""
    answer = await reception.send(bearer(reception.token()), JSON, body=body)
    assert_refused(answer, 400, "invalid_client_metadata")
    assert reception.events[-1] == ("registration.refused", {"reason": "malformed_body"})
    assert reception.registry.list_clients() == []


@pytest.mark.rfc("7591-3-1")
@pytest.mark.parametrize("body", [b"[" * 100_000 + b"]" * 100_000, b"{" + b" " * 65_536])
async def test_a_body_has_a_bound(reception: BoundedBody, body: bytes) -> None:
    """More than 64 KB is not read to its end."""
    answer = await reception.send(bearer(reception.token()), JSON, body=body)
    assert_refused(answer, 413, "invalid_request")
    assert answer.header("connection") == "close"


@pytest.mark.rfc("7591-3-1")
@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ([], "media_type"),
        ([(b"content-type", b"application/x-www-form-urlencoded")], "media_type"),
        ([(b"content-type", b"text/plain")], "media_type"),
        ([JSON, JSON], "media_type"),
        ([JSON, (b"content-encoding", b"gzip")], "content_encoding"),
    ],
)
async def test_the_body_is_plain_json(
    reception: BoundedBody, lines: list[tuple[bytes, bytes]], reason: str
) -> None:
    """Another media type, none, two, or an encoded body is `invalid_request`."""
    answer = await reception.send(bearer(reception.token()), *lines)
    assert_refused(answer, 400, "invalid_request")
    assert reception.events[-1] == ("registration.refused", {"reason": reason})


@pytest.mark.rfc("7591-3-1")
async def test_a_media_type_may_have_parameters(reception: BoundedBody) -> None:
    """RFC 9110 §8.3.1, §8.4: parameters are tolerated, `identity` too; case does not count."""
    lines = [
        (b"content-type", b"Application/JSON; charset=utf-8"),
        (b"content-encoding", b" Identity"),
    ]
    assert (await reception.send(bearer(reception.token()), *lines)).status == 201


@pytest.mark.rfc("7591-3-1")
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"])
async def test_registering_is_a_post(reception: BoundedBody, method: str) -> None:
    """Anything else is 405 with `Allow`."""
    answer = await reception.send(bearer(reception.token()), method=method)
    assert_refused(answer, 405, "invalid_request")
    assert answer.header("allow") == "POST"
