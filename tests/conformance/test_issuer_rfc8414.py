"""RFC 8414 metadata and the published key set, as the issuer serves them."""

import json

import pytest

from issuer.config import IssuerConfig
from issuer.endpoints.document import Document, DocumentEndpoint
from issuer.metadata import build_metadata, metadata_paths
from issuer.registry.auth_methods import AuthMethod
from tests.support.issuer import Answer, call

BODY = b'{"keys":[]}'


async def fetch(method: str = "GET", *headers: tuple[bytes, bytes], body: bytes = BODY) -> Answer:
    """Fetch a document."""
    return await call(DocumentEndpoint(lambda: Document(body, 300)), method, "/jwks", list(headers))


@pytest.mark.rfc("8414-2-1", "8414-2-2", "8414-2-3", "9700-2.6-1")
def test_metadata_says_what_the_tables_hold() -> None:
    """Endpoints, grants and methods are always stated; there is no response type."""
    config = IssuerConfig(issuer="https://auth.example")
    assert build_metadata(
        config,
        methods=(AuthMethod.CLIENT_SECRET_BASIC, AuthMethod.CLIENT_SECRET_POST),
        scopes=["write", "read", "read"],
        algorithms=["RS256", "ES256", "ES256"],
        details_types=("refund", "payment", "refund"),
        signing_alg="ES256",
    ) == {
        "issuer": "https://auth.example",
        "token_endpoint": "https://auth.example/token",
        "jwks_uri": "https://auth.example/jwks",
        "jwks_revalidation_seconds": 8,
        "registration_endpoint": "https://auth.example/register",
        "status_list_aggregation_endpoint": "https://auth.example/status-lists",
        "revocation_endpoint": "https://auth.example/revoke",
        "introspection_endpoint": "https://auth.example/introspect",
        "grant_types_supported": [
            "client_credentials",
            "urn:ietf:params:oauth:grant-type:token-exchange",
            "urn:ietf:params:oauth:grant-type:jwt-bearer",
        ],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "revocation_endpoint_auth_methods_supported": [
            "client_secret_basic",
            "client_secret_post",
        ],
        "introspection_endpoint_auth_methods_supported": [
            "client_secret_basic",
            "client_secret_post",
        ],
        "dpop_signing_alg_values_supported": ["ES256", "Ed25519", "EdDSA", "PS256", "RS256"],
        "introspection_signing_alg_values_supported": ["ES256"],
        "response_types_supported": [],
        "scopes_supported": ["read", "write"],
        "authorization_details_types_supported": ["payment", "refund"],  # RFC 9396 §10
        "access_token_signing_alg_values_supported": ["ES256", "RS256"],
    }


@pytest.mark.rfc("8414-2-2", "mcp-cc-1-J")
def test_metadata_list_the_algorithms_of_assertions_with_their_method() -> None:
    """RFC 8414 §2: at each endpoint where clients authenticate; `none` is never among them."""
    config, listed = (
        IssuerConfig(issuer="https://auth.example"),
        {
            f"{each}_endpoint_auth_signing_alg_values_supported"
            for each in ("token", "revocation", "introspection")
        },
    )
    document = build_metadata(config, methods=(AuthMethod.PRIVATE_KEY_JWT,))
    assert document["token_endpoint_auth_methods_supported"] == ["private_key_jwt"]
    for name in listed:
        assert document[name] == ["RS256", "PS256", "ES256", "EdDSA", "Ed25519"]
    assert not listed & {*build_metadata(config, methods=(AuthMethod.TLS_CLIENT_AUTH,))}


@pytest.mark.rfc("8705-3-2", "8705-5-1")
def test_metadata_lead_clients_with_certificates() -> None:
    """To where they are asked for one; every other endpoint is the same for all."""
    config = IssuerConfig(
        issuer="https://auth.example/t1",
        client_certificates=True,
        mtls_base="https://mtls.auth.example/t1",
    )
    document = build_metadata(config, methods=())
    assert document["tls_client_certificate_bound_access_tokens"] is True
    assert document["mtls_endpoint_aliases"] == {
        "token_endpoint": "https://mtls.auth.example/t1/token",
        "revocation_endpoint": "https://mtls.auth.example/t1/revoke",
        "introspection_endpoint": "https://mtls.auth.example/t1/introspect",
    }
    assert document["token_endpoint"] == "https://auth.example/t1/token"
    without = build_metadata(IssuerConfig(issuer="https://auth.example/t1"), methods=())
    assert not {"mtls_endpoint_aliases", "tls_client_certificate_bound_access_tokens"} & {*without}


@pytest.mark.rfc("8414-3.1-1", "8414-3.3-1")
@pytest.mark.parametrize(
    ("issuer", "path", "token_endpoint"),
    [
        ("https://a.example", "", "https://a.example/token"),
        ("https://a.example/", "", "https://a.example/token"),
        ("https://a.example/t1", "/t1", "https://a.example/t1/token"),
        ("https://a.example/t1/", "/t1", "https://a.example/t1/token"),
    ],
)
def test_well_known_is_inserted_before_the_path(
    issuer: str, path: str, token_endpoint: str
) -> None:
    """The identifier stays byte for byte; only the slash at its end is dropped to build URLs."""
    config = IssuerConfig(issuer=issuer)
    assert metadata_paths(config)[0] == f"/.well-known/oauth-authorization-server{path}"
    document = build_metadata(config, methods=())
    assert (document["issuer"], document["token_endpoint"]) == (issuer, token_endpoint)


@pytest.mark.rfc("8414-3.2-1", "roll-4")
async def test_documents_are_cacheable_json_with_a_strong_etag() -> None:
    """Anybody may cache a document for its max-age, and never as immutable."""
    answer = await fetch()
    assert (answer.status, answer.body) == (200, BODY)
    assert answer.header("content-type") == "application/json"
    assert answer.header("cache-control") == "public, max-age=300"
    etag = answer.header("etag")
    assert etag is not None
    assert etag.startswith('"')
    assert (await fetch(body=b"{}")).header("etag") != etag


@pytest.mark.rfc("roll-4")
async def test_a_shared_cache_may_keep_a_document_for_less() -> None:
    """RFC 9111 §5.2.2.10; in 304 too."""
    endpoint = DocumentEndpoint(lambda: Document(BODY, 300, shared_max_age=7))
    answer = await call(endpoint, "GET", "/jwks", [])
    assert answer.header("cache-control") == "public, max-age=300, s-maxage=7"
    etag = (answer.header("etag") or "").encode()
    answer = await call(endpoint, "GET", "/jwks", [(b"if-none-match", etag)])
    assert (answer.status, answer.header("cache-control")) == (
        304,
        "public, max-age=300, s-maxage=7",
    )


@pytest.mark.rfc("roll-4")
@pytest.mark.parametrize("form", ["{}", "W/{}", '"x", {}', "*"])
async def test_a_known_document_is_304_without_body(form: str) -> None:
    """A client that has the document is told so, and may keep it longer."""
    etag = (await fetch()).header("etag")
    assert etag is not None
    answer = await fetch("GET", (b"if-none-match", form.format(etag).encode()))
    assert (answer.status, answer.body) == (304, b"")
    assert answer.header("cache-control") == "public, max-age=300"
    assert answer.header("etag") == etag


async def test_another_etag_gets_the_document() -> None:
    """A changed document is sent whole."""
    answer = await fetch("GET", (b"if-none-match", b'"old"'))
    assert (answer.status, json.loads(answer.body)) == (200, {"keys": []})


async def test_head_has_no_body_and_other_methods_are_405() -> None:
    """Documents are read, nothing else."""
    head = await fetch("HEAD")
    assert (head.status, head.body, head.header("content-length")) == (200, b"", str(len(BODY)))
    post = await fetch("POST")
    assert (post.status, post.header("allow")) == (405, "GET, HEAD")
