"""RFC 9728: what the API says about itself, and where."""

import json

import pytest

from keys.dpop import PROOF_ALGORITHMS
from resource_api import ResourcePolicy
from resource_api.config import metadata_path, metadata_url
from resource_api.possession import Binding
from resource_api.protection import Protection
from tests.support.protected_api import ProtectedApi, ask
from watchword.testing.forge import ISSUER, RESOURCE, TokenForge


@pytest.mark.rfc("9728-2-1", "9728-3-1")
async def test_document_is_open_and_complete() -> None:
    """Anybody may read where to get a token for this API."""
    policy = ResourcePolicy(issuer=ISSUER, resource=RESOURCE, scopes_supported=("read", "write"))
    answer = await ask(
        ProtectedApi(policy=policy).app, "GET", "/.well-known/oauth-protected-resource"
    )
    assert (answer.status, answer.header("content-type")) == (200, "application/json")
    assert answer.json == {
        "resource": RESOURCE,
        "authorization_servers": [ISSUER],
        "bearer_methods_supported": ["header"],
        "scopes_supported": ["read", "write"],
        "dpop_signing_alg_values_supported": [*PROOF_ALGORITHMS],
    }


@pytest.mark.rfc("9728-2-1")
async def test_empty_arrays_are_left_out() -> None:
    """Without scopes there is no empty list of them."""
    answer = await ask(ProtectedApi().app, "GET", "/.well-known/oauth-protected-resource")
    assert "scopes_supported" not in answer.json


@pytest.mark.rfc("9728-3-1")
@pytest.mark.parametrize(
    ("resource", "url"),
    [
        ("https://r", "https://r/.well-known/oauth-protected-resource"),
        ("https://r/", "https://r/.well-known/oauth-protected-resource"),
        ("https://r/x", "https://r/.well-known/oauth-protected-resource/x"),
        ("https://r/x/", "https://r/.well-known/oauth-protected-resource/x/"),
        ("https://r:8443/x?y=z", "https://r:8443/.well-known/oauth-protected-resource/x?y=z"),
    ],
)
def test_well_known_segment_is_inserted(resource: str, url: str) -> None:
    """The segment goes between host and path; the path that is served has no query."""
    assert metadata_url(resource) == url
    assert (
        metadata_path(resource) == url.removeprefix("https://r").removeprefix(":8443").split("?")[0]
    )


async def test_resource_with_encoded_characters_is_found() -> None:
    """Servers decode the path; the document is found all the same, and only as it was sent."""
    forge = TokenForge(resource="https://api.example/a%20b")
    app = ProtectedApi(forge).app
    path, sent = (
        "/.well-known/oauth-protected-resource/a b",
        b"/.well-known/oauth-protected-resource",
    )
    assert (await ask(app, "GET", path, raw_path=sent + b"/a%20b")).status == 200
    assert (await ask(app, "GET", path, raw_path=sent + b"/%61%20b")).status == 401


@pytest.mark.rfc("9728-2-1")
async def test_document_says_what_tokens_have_to_be_bound_to() -> None:
    """A client learns what it needs before it asks for a token."""
    policy = ResourcePolicy(issuer=ISSUER, resource=RESOURCE, binding_required="dpop")
    binding = Binding(algorithms=("ES256",), trusted_proxies=("10.0.0.7",))
    app = ProtectedApi(policy=policy, binding=binding).app
    document = (await ask(app, "GET", "/.well-known/oauth-protected-resource")).json
    assert document["dpop_signing_alg_values_supported"] == ["ES256"]
    assert document["dpop_bound_access_tokens_required"] is True
    assert document["tls_client_certificate_bound_access_tokens"] is True


async def test_document_promises_no_proofs_where_none_can_be_checked() -> None:
    """`htu` of a proof is a URL, which an identifier that is a name does not give."""
    policy = ResourcePolicy(issuer=ISSUER, resource="urn:orders", binding_required="certificate")
    protection = Protection(issuer=ISSUER, resource="urn:orders", policy=policy)
    document = json.loads(protection.metadata_answer()[2])
    assert "dpop_signing_alg_values_supported" not in document
    assert document["tls_client_certificate_bound_access_tokens"] is True
