"""Keys of issuers that federated identities name, over real sockets: who is asked."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from issuer.client_auth.trusted_issuers import KeySource
from keys.errors import NoKeySet
from tests.support.federation import SPIFFE_KEY
from tests.support.key_set_server import BAD_ANSWERS, MANY, KeySetServer
from tests.support.workload_tokens import TRUST_DOMAIN, bundle
from watchword.provider.authentication import open_trusted_issuer
from watchword.settings import Settings
from watchword.testing.forge import TokenForge

FORGE = TokenForge()


@asynccontextmanager
async def served(body: bytes) -> AsyncIterator[KeySetServer]:
    """Serve a key set on loopback."""
    server = KeySetServer(body)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


class Place:
    """Key sets as the provider opens them, and what the log says of them."""

    def __init__(self, **settings: Any) -> None:
        self.settings = Settings(**settings)
        self.events: list[tuple[str, dict[str, object]]] = []

    def _record(self, event: str, /, **fields: object) -> None:
        self.events.append((event, fields))

    async def key(self, source: KeySource, forge: TokenForge) -> str:
        """Find the key of a forge where a source has it; return its kid."""
        keys = open_trusted_issuer(self.settings, self._record, source)
        try:
            return (await keys.key(forge.jwk.kid, forge.jwk.alg)).kid
        finally:
            await keys.aclose()

    async def reason_of_none(self, source: KeySource) -> object:
        """Find no key there; return why, as the log has it."""
        with pytest.raises(NoKeySet):
            await self.key(source, FORGE)
        event, fields = self.events[-1]
        assert (event, fields["issuer"]) == ("jwks.stale", source.issuer)
        return fields["reason"]


@pytest.mark.rfc("fed-3")
async def test_keys_are_found_by_metadata_or_where_the_rule_says() -> None:
    """An issuer on loopback stands for one on https."""
    async with served(FORGE.jwks_document) as server:
        place = Place()
        assert await place.key(KeySource(server.issuer, None), FORGE) == FORGE.jwk.kid
        assert list(server.requests) == ["/.well-known/oauth-authorization-server", "/jwks"]
        server.requests.clear()
        away = KeySource("https://cluster.invalid", server.url + "/jwks")
        assert await place.key(away, FORGE) == FORGE.jwk.kid
        assert list(server.requests) == ["/jwks"]
        assert place.events[-1][1]["issuer"] == "https://cluster.invalid"


@pytest.mark.rfc("spiffe-1")
async def test_of_a_bundle_the_keys_of_jwt_svids_count() -> None:
    """The bundle marks them by a `use` of SPIFFE's, which no other reader takes."""
    source = json.dumps(bundle(SPIFFE_KEY)).encode()
    async with served(source) as server:
        bundle_of = KeySource(TRUST_DOMAIN, server.url + "/jwks")
        assert await Place().key(bundle_of, SPIFFE_KEY) == SPIFFE_KEY.jwk.kid
        other = KeySource("https://oidc.example", server.url + "/jwks")
        assert await Place().reason_of_none(other) == "JWK set has no usable key"
        server.mode = "404"
        assert await Place().reason_of_none(bundle_of) == "status 404"


@pytest.mark.rfc("fed-3")
@pytest.mark.parametrize("mode", BAD_ANSWERS)
async def test_a_bad_answer_is_bounded_and_no_redirect_is_followed(mode: str) -> None:
    """Nothing but a key set of at most 64 KB, from the very address."""
    async with served(FORGE.jwks_document) as server:
        server.mode = mode
        assert await Place().reason_of_none(KeySource(server.issuer, None))
        assert "/evil" not in server.requests
        assert server.sent < MANY


@pytest.mark.rfc("fed-3")
async def test_an_answer_that_does_not_come_ends_in_time() -> None:
    """After five seconds, whoever waits; here the clock of the loop is not waited for."""
    async with served(FORGE.jwks_document) as server:
        server.mode = "hangs"
        place = Place()
        keys = open_trusted_issuer(place.settings, place._record, KeySource(server.issuer, None))
        keys._timeout = 0.1
        async with asyncio.timeout(5):
            with pytest.raises(NoKeySet):
                await keys.key(FORGE.jwk.kid, "RS256")
        await keys.aclose()
        assert place.events[-1][1]["reason"] == "TimeoutError"


@pytest.mark.rfc("fed-3")
@pytest.mark.parametrize(
    "source",
    [
        KeySource("http://keycloak:8080", None),
        KeySource("https://cluster.example", "http://cluster.internal/jwks"),
        KeySource(TRUST_DOMAIN, "http://10.0.0.1/bundle"),
    ],
)
async def test_plain_http_leads_to_no_issuer_unless_it_is_allowed(source: KeySource) -> None:
    """A machine on the way could put its own keys in place of the issuer's."""
    reason = str(await Place().reason_of_none(source))
    assert reason.startswith("it may not be asked: ")
    allowed = open_trusted_issuer(Settings(allow_insecure_http=True), Place()._record, source)
    assert allowed.status().failures == 0
