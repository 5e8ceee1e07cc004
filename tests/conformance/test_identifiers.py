"""One rule for issuer identifiers and one for resource identifiers, at every entry point.

Each entry point is a function that takes an identifier and either raises or takes it as it is.
"""

from collections.abc import Callable

import pytest

from consumer import ClientCredentials, ConsumerError
from consumer.metadata import check_issuer as check_consumer_issuer
from issuer.config import IssuerConfig
from issuer.registry.errors import RegistryError
from issuer.registry.resource import Resource
from issuer.registry.schema import read
from keys.identifiers import InsecureHttp, split_server_url
from keys.remote.http_jwks import HttpJwks
from resource_api import ResourcePolicy
from tests.support.identifiers import (
    BAD_ISSUERS,
    BAD_RESOURCES,
    GOOD_ISSUERS,
    GOOD_RESOURCES,
    PRIVATE_HTTP_ISSUERS,
    PUBLIC_HTTP_ISSUERS,
    WITHOUT_METADATA,
)
from tests.support.protected_api import ProtectedApi, ask
from watchword.cli.output import WrongUsage
from watchword.cli.resources import check_identifier
from watchword.settings import SettingsError, load_settings
from watchword.testing.forge import TokenForge

REFUSALS = (WrongUsage, ValueError, ConsumerError, RegistryError, SettingsError)

ISSUER_ENTRIES: dict[str, Callable[[str], object]] = {
    "settings": lambda text: load_settings(issuer=text).issuer,
    "issuer": lambda text: IssuerConfig(issuer=text).issuer,
    "resource_api": lambda text: ResourcePolicy(issuer=text, resource="urn:x").issuer,
    "key fetcher": lambda text: HttpJwks(text)._issuer,
    "consumer": lambda text: check_consumer_issuer(text, allow_insecure_http=False),
    "consumer object": lambda text: ClientCredentials(text, "id", "secret")._plan.issuer,
}

INSECURE_ENTRIES: dict[str, Callable[[str, InsecureHttp], object]] = {
    "resource_api": lambda text, allowed: ResourcePolicy(
        issuer=text, resource="urn:x", allow_insecure_http=allowed
    ),
    "key fetcher": lambda text, allowed: HttpJwks(text, allow_insecure_http=allowed),
    "key address": lambda text, allowed: HttpJwks(
        "https://as.example", jwks_uri=text, allow_insecure_http=allowed
    ),
    "consumer": lambda text, allowed: ClientCredentials(
        text, "id", "secret", allow_insecure_http=allowed
    ),
    "token endpoint": lambda text, allowed: ClientCredentials(
        "https://as.example", "id", "secret", token_endpoint=text, allow_insecure_http=allowed
    ),
}

RESOURCE_ENTRIES: dict[str, Callable[[str], object]] = {
    "settings": lambda text: load_settings(api_resource=text).default_resource,
    "administration setting": lambda text: load_settings(admin_resource=text).administration,
    "registry": lambda text: Resource(resource=text, scopes=("read",)).resource,
    "document": lambda text: read(Resource, {"resource": text, "scopes": ["read"]}).resource,
    "command line": lambda text: check_identifier(text).refuse() or text,
    "resource_api": lambda text: ResourcePolicy(issuer="https://a", resource=text).resource,
    "consumer": lambda text: (
        ClientCredentials("https://a", "id", "secret", resource=text)._plan.resource
    ),
}


@pytest.fixture(autouse=True)
def _no_other_settings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("os.environ", {})


@pytest.mark.rfc("8414-2-1", "21-1.5-1")
@pytest.mark.parametrize("entry", ISSUER_ENTRIES.values(), ids=ISSUER_ENTRIES)
def test_every_package_takes_the_same_issuers(entry: Callable[[str], object]) -> None:
    """What one takes the others take, unchanged (RFC 8414 §3.3, RFC 9207 §2.4)."""
    assert [entry(text) for text in GOOD_ISSUERS] == list(GOOD_ISSUERS)


@pytest.mark.rfc("8414-2-1", "21-1.5-1", "6749-3.2-6")
@pytest.mark.parametrize("entry", ISSUER_ENTRIES.values(), ids=ISSUER_ENTRIES)
@pytest.mark.parametrize("identifier", [*BAD_ISSUERS, *PRIVATE_HTTP_ISSUERS, *PUBLIC_HTTP_ISSUERS])
def test_every_package_refuses_the_same_issuers(
    entry: Callable[[str], object], identifier: str
) -> None:
    """A list that only one of them kept would be a hole in the others."""
    with pytest.raises(REFUSALS):
        entry(identifier)


@pytest.mark.parametrize("allow", INSECURE_ENTRIES.values(), ids=INSECURE_ENTRIES)
def test_every_package_allows_the_same_plain_http(
    allow: Callable[[str, InsecureHttp], object],
) -> None:
    """True for the hosts of a private network, and public ones by their names alone."""
    for issuer in PRIVATE_HTTP_ISSUERS:
        allow(issuer, True)
    for issuer in PUBLIC_HTTP_ISSUERS:
        allow(issuer, [split_server_url(issuer).host])
        with pytest.raises(REFUSALS):
            allow(issuer, True)


@pytest.mark.parametrize("entry", RESOURCE_ENTRIES.values(), ids=RESOURCE_ENTRIES)
def test_every_package_takes_the_same_resources(entry: Callable[[str], object]) -> None:
    """RFC 8707 §2: any absolute URI without a fragment."""
    assert [entry(text) for text in GOOD_RESOURCES] == list(GOOD_RESOURCES)


@pytest.mark.parametrize("entry", RESOURCE_ENTRIES.values(), ids=RESOURCE_ENTRIES)
@pytest.mark.parametrize("identifier", BAD_RESOURCES)
def test_every_package_refuses_the_same_resources(
    entry: Callable[[str], object], identifier: str
) -> None:
    """A resource that one takes and another refuses is a traceback later on."""
    with pytest.raises(REFUSALS):
        entry(identifier)


@pytest.mark.rfc("9728-3-1")
@pytest.mark.parametrize("resource", WITHOUT_METADATA)
async def test_a_resource_without_a_host_to_ask_has_no_metadata(resource: str) -> None:
    """RFC 9728 §1.2, §5.1: neither document nor parameter, and tokens for it count."""
    forge = TokenForge(resource=resource)
    api = ProtectedApi(forge)
    refused = await ask(api.app, "GET", "/.well-known/oauth-protected-resource")
    assert refused.status == 401
    assert refused.challenge is not None
    assert "resource_metadata" not in refused.challenge
    credentials = (b"authorization", b"Bearer " + forge.token())
    assert (await ask(api.app, "GET", "/read", credentials)).status == 200
