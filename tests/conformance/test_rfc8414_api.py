"""RFC 8414 on the API's side: finding the key set, and nobody else's."""

import asyncio
import gzip
import json
import time
from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from keys.errors import FetchFailed
from keys.identifiers import InsecureHttp
from keys.remote.http_jwks import HttpJwks
from keys.remote.jwks_client import JwksClient
from watchword.testing.clock import Clock
from watchword.testing.forge import TokenForge

FORGE = TokenForge()
ISSUER = "https://as.example/t1"
METADATA = "https://as.example/.well-known/oauth-authorization-server/t1"
JWKS = "https://keys.example/jwks"
PLACES = (
    METADATA,
    "https://as.example/.well-known/openid-configuration/t1",
    "https://as.example/t1/.well-known/openid-configuration",
)


class Web:
    """A web of fixed answers; notes every request."""

    def __init__(self) -> None:
        """Start with an issuer that does everything right."""
        self.requests: list[httpx.Request] = []
        self.metadata: dict[str, object] = {"issuer": ISSUER, "jwks_uri": JWKS}
        self.jwks: Callable[[httpx.Request], httpx.Response] = lambda request: httpx.Response(
            200, content=FORGE.jwks_document, headers={"content-type": "application/json"}
        )
        self.metadata_answer: httpx.Response | None = None
        self.place = METADATA

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        self.requests.append(request)
        if str(request.url) == self.place:
            return self.metadata_answer or httpx.Response(200, json=self.metadata)
        if str(request.url) in PLACES:
            return httpx.Response(404)
        assert str(request.url) == JWKS
        return self.jwks(request)

    def source(
        self,
        issuer: str = ISSUER,
        jwks_uri: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> HttpJwks:
        """Make a key source that lives in this web."""
        client = httpx.AsyncClient(transport=httpx.MockTransport(self))
        return HttpJwks(issuer, jwks_uri=jwks_uri, client=client, clock=clock)


@pytest.mark.rfc("8414-3.3-1")
async def test_key_set_is_found_through_metadata() -> None:
    """The well-known segment is inserted; the address is remembered."""
    web = Web()
    source = web.source()
    for _ in range(2):
        assert (await source(None)).body == FORGE.jwks_document
    assert [str(request.url) for request in web.requests] == [METADATA, JWKS, JWKS]


@pytest.mark.parametrize(
    ("issuer", "jwks_uri", "allowed", "found"),
    [
        ("http://keycloak:8080/demo", "http://keycloak:8080/demo/certs", True, True),
        ("http://keycloak:8080/demo", "https://keys.example/certs", True, True),
        ("http://keycloak:8080/demo", "http://keys.example/certs", True, False),
        ("http://keycloak:8080/demo", "http://keys.example/certs", {"keys.example"}, True),
        ("http://keycloak:8080/demo", "http://127.0.0.1/certs", True, False),
        ("https://as.example", "http://keycloak:8080/demo/certs", True, False),
    ],
)
async def test_plain_http_inside_a_network_ends_where_it_is_not_allowed(
    issuer: str, jwks_uri: str, allowed: InsecureHttp, found: bool
) -> None:
    """Metadata lead to hosts that are allowed; those of an issuer on https never to plain http."""

    def answer(request: httpx.Request) -> httpx.Response:
        if str(request.url) == jwks_uri:
            return httpx.Response(200, content=FORGE.jwks_document)
        return httpx.Response(200, json={"issuer": issuer, "jwks_uri": jwks_uri})

    client = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    source = HttpJwks(issuer, client=client, allow_insecure_http=allowed)
    if found:
        assert (await source(None)).body == FORGE.jwks_document
    else:
        with pytest.raises(FetchFailed, match="unsafe jwks_uri"):
            await source(None)


@pytest.mark.parametrize(
    ("stated", "interval"),
    [(8, 8), (1, 1), (0, None), (-1, None), (True, None), (8.5, None), ("8", None), (None, None)],
)
async def test_an_issuer_may_state_how_often_to_ask(stated: object, interval: int | None) -> None:
    """Nonsense counts as nothing said, and an issuer without metadata says nothing."""
    web = Web()
    web.metadata["jwks_revalidation_seconds"] = stated
    assert (await web.source()(None)).revalidate == interval
    assert (await web.source(jwks_uri=JWKS)(None)).revalidate is None


async def test_metadata_is_read_again_once_it_is_stale() -> None:
    """An issuer that moves its key set, or wants it checked more often, is understood in time."""
    web, clock = Web(), Clock(0)
    source = web.source(clock=clock)
    await source(None)
    web.metadata["jwks_revalidation_seconds"] = 3
    clock.advance(299)
    assert (await source(None)).revalidate is None
    clock.advance(1)
    assert (await source(None)).revalidate == 3
    assert [str(request.url) for request in web.requests].count(METADATA) == 2


@pytest.mark.parametrize(
    "answer",
    [httpx.Response(500), httpx.Response(200, json={"issuer": "https://other.example"}), None],
)
async def test_metadata_that_cannot_be_read_again_keeps_no_key_set_away(
    answer: httpx.Response | None,
) -> None:
    """The address of before serves, though the metadata fails, is of another issuer or hangs."""
    web, clock = Web(), Clock(0)
    source = web.source(clock=clock)
    await source(None)
    clock.advance(300)
    web.metadata_answer = answer or httpx.Response(200, stream=Hanging())
    if answer is None:
        with pytest.raises(TimeoutError):  # this fetch fails, and the next one goes on
            async with asyncio.timeout(0.05):
                await source(None)
    assert (await source(None)).body == FORGE.jwks_document
    assert (await source(None)).body == FORGE.jwks_document
    assert [str(request.url) for request in web.requests].count(METADATA) == 2


class Hanging(httpx.AsyncByteStream):
    """A body that does not come."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Wait for ever."""
        await asyncio.Event().wait()
        yield b""


@pytest.mark.rfc("8414-3.3-1")
@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": ISSUER + "/"},
        {"issuer": ISSUER.upper()},
        {"issuer": None},
        {"jwks_uri": None},
        {"jwks_uri": "http://keys.example/jwks"},
        {"jwks_uri": "ftp://keys.example/jwks"},
        {"jwks_uri": "https://user@keys.example/jwks"},
        {"jwks_uri": "/jwks"},
        {"jwks_uri": "http://127.0.0.1/jwks"},
        {"jwks_uri": "https://localhost/jwks"},
        {"jwks_uri": "http://[::1]/jwks"},
    ],
)
async def test_metadata_of_another_issuer_is_discarded(metadata: dict[str, object]) -> None:
    """The issuer must be the same string, and the key set's address a safe one."""
    web = Web()
    web.metadata |= metadata
    with pytest.raises(FetchFailed):
        await web.source()(None)
    assert len(web.requests) == 1


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(404),
        httpx.Response(302, headers={"location": METADATA}),
        httpx.Response(200, html="<html>"),
        httpx.Response(200, content=b"[]", headers={"content-type": "application/json"}),
        httpx.Response(200, content=b"", headers={"content-encoding": "br"}),
        httpx.Response(200, content=b" " * 70_000, headers={"content-type": "application/json"}),
    ],
)
async def test_metadata_must_be_metadata(answer: httpx.Response) -> None:
    """Errors, redirects, pages and floods are not metadata."""
    web = Web()
    web.metadata_answer = answer
    with pytest.raises(FetchFailed):
        await web.source()(None)


@pytest.mark.parametrize("place", PLACES)
async def test_openid_metadata_are_found(place: str) -> None:
    """RFC 8414 §5: inserted first, appended last."""
    web = Web()
    web.place = place
    assert (await web.source()(None)).body == FORGE.jwks_document
    asked = [str(request.url) for request in web.requests]
    assert asked == [*PLACES[: PLACES.index(place) + 1], JWKS]


async def test_metadata_are_looked_for_while_they_are_absent() -> None:
    """A server out of order is asked once; what the first place said is what is told."""
    web = Web()
    web.metadata_answer = httpx.Response(503)
    with pytest.raises(FetchFailed, match="503"):
        await web.source()(None)
    assert len(web.requests) == 1
    web.place = "nowhere"
    with pytest.raises(FetchFailed, match="404"):
        await web.source()(None)
    assert len(web.requests) == 1 + len(PLACES)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"content-type": "text/plain; charset=utf-8"},
        {"content-type": "application/octet-stream"},
        {"content-encoding": "identity"},
        {"content-encoding": "gzip"},
    ],
)
async def test_key_sets_of_file_servers_are_read(headers: dict[str, str]) -> None:
    """They know neither JSON nor what was asked for."""
    web = Web()
    packed = "gzip" in headers.values()
    web.jwks = lambda request: httpx.Response(
        200,
        content=pieces(gzip.compress(FORGE.jwks_document) if packed else FORGE.jwks_document),
        headers=headers,
    )
    client = JwksClient(web.source())
    assert await client.warm()


@pytest.mark.attack("V41")
async def test_a_gzip_bomb_is_not_unfolded() -> None:
    """A body within the bound may hold a thousand times as much."""
    web = Web()
    web.jwks = lambda request: httpx.Response(
        200, content=pieces(gzip.compress(bytes(10**7))), headers={"content-encoding": "gzip"}
    )
    with pytest.raises(FetchFailed, match="more than"):
        await web.source()(None)


async def pieces(body: bytes) -> AsyncIterator[bytes]:
    """Send a body as a socket does."""
    yield body[:10]
    yield body[10:]


@pytest.mark.rfc("21-1.5-1")
@pytest.mark.parametrize("uri", ["http://as.example", "as.example", "https://", "https://a#b"])
def test_plain_http_is_for_loopback_only(uri: str) -> None:
    """A key set is fetched over https, or from this very machine."""
    with pytest.raises(ValueError):
        HttpJwks(uri)
    with pytest.raises(ValueError):
        HttpJwks(ISSUER, jwks_uri=uri)
    assert HttpJwks("http://localhost:8080")


async def test_entity_tag_travels_and_a_failure_looks_the_address_up_again() -> None:
    """304 is asked for with the tag; after an error the metadata is read anew."""
    web = Web()
    source = web.source()
    web.jwks = lambda request: httpx.Response(304)
    assert (await source('"x"')).status == 304
    assert web.requests[-1].headers["if-none-match"] == '"x"'
    assert web.requests[-1].headers["accept-encoding"] == "identity"
    web.jwks = lambda request: httpx.Response(500)
    assert (await source(None)).status == 500
    assert (await source(None)).status == 500
    assert [str(request.url) for request in web.requests].count(METADATA) == 2


async def test_configured_address_needs_no_metadata() -> None:
    """For an issuer without metadata the address is given."""
    web = Web()
    answer = await web.source(jwks_uri=JWKS)(None)
    assert json.loads(answer.body)["keys"]
    assert [str(request.url) for request in web.requests] == [JWKS]


async def test_flood_is_not_read_to_its_end() -> None:
    """Reading stops at the cap, however long the body claims or turns out to be."""
    sent = 0

    async def flood():
        nonlocal sent
        for _ in range(10_000):
            sent += 1
            yield b" " * 1024

    web = Web()
    web.jwks = lambda request: httpx.Response(200, content=flood())
    with pytest.raises(FetchFailed):
        await web.source()(None)
    assert sent < 100
