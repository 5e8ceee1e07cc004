"""An issuer of the test kit at its own URL: in place of the network, or on a real socket."""

import socket
from contextlib import suppress
from typing import Annotated, Any
from urllib.parse import urlsplit

import httpx
import httpx2
import pytest
from fastapi import Depends, FastAPI
from fastapi.testclient import TestClient as FastApiClient
from flask import Flask
from flask import request as flask_request
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

import consumer.httpx2_auth
from consumer import ClientCredentials
from resource_api import AccessToken, BearerMiddleware, require
from resource_api.fastapi import Bearer
from resource_api.wsgi import ENVIRON_KEY, BearerWsgiMiddleware
from watchword.testing import Issuer, listening, server

URL, ORDERS = "https://auth.example.com", "https://orders.example.com"


@require("read")
async def read(request: Request) -> PlainTextResponse:
    """Answer who asks."""
    return PlainTextResponse(request.scope["access_token"].client_id)


# As in a user's module: made when it is imported, before any test and any issuer.
starlette = BearerMiddleware(
    Starlette(routes=[Route("/orders", read)]), issuer=URL, resource=ORDERS
)
fastapi = FastAPI()
flask = Flask(__name__)
flask.wsgi_app = BearerWsgiMiddleware(flask.wsgi_app, issuer=URL, resource=ORDERS)  # type: ignore[method-assign]
bearer = Bearer(issuer=URL, resource=ORDERS)


@fastapi.get("/orders")
async def read_by_fastapi(token: Annotated[AccessToken, bearer.protected("read")]) -> Response:
    """Answer who asks."""
    return PlainTextResponse(token.client_id)


@flask.get("/orders")
@require("read")
def read_by_flask() -> str:
    """Answer who asks."""
    token: AccessToken = flask_request.environ[ENVIRON_KEY]
    return token.client_id


@pytest.mark.parametrize(
    "client", [TestClient(starlette), FastApiClient(fastapi), flask.test_client()]
)
def test_an_app_that_was_made_before_is_reached_by_its_test_client(client: Any) -> None:
    """It finds the keys of one issuer after another at the URL that it knows."""
    for _ in range(2):
        with Issuer(URL, audience=ORDERS).serving() as issuer:
            assert client.get("/orders").status_code == 401
            answer = client.get("/orders", headers=issuer.headers(scope="read", client_id="till"))
            assert (answer.status_code, answer.text) == (200, "till")
            assert client.get("/orders", headers=issuer.headers(scope="write")).status_code == 403
            revoked = issuer.headers(scope="read", revoked=True)
            assert client.get("/orders", headers=revoked).status_code == 401


def test_an_app_that_is_made_for_the_test_goes_by_the_clock_of_the_issuer() -> None:
    """All that makes a protection takes the same settings; no URL is taken over."""
    issuer = Issuer(lifetime=60)
    app, route = FastAPI(), Flask(__name__)
    guard = Bearer(**issuer.protection_settings())
    app.get("/", dependencies=[Depends(guard)])(lambda: {})
    route.get("/")(lambda: "")
    guarded = BearerWsgiMiddleware(route.wsgi_app, **issuer.protection_settings())
    route.wsgi_app = guarded  # type: ignore[method-assign]
    headers = issuer.headers()
    clients: list[Any] = [FastApiClient(app), route.test_client()]
    assert [client.get("/", headers=headers).status_code for client in clients] == [200, 200]
    issuer.clock.advance(120)
    assert [client.get("/", headers=headers).status_code for client in clients] == [401, 401]


async def test_an_app_is_reached_over_asgi_by_the_real_consumer() -> None:
    """Token request, keys and status list all stay in this process."""
    with Issuer(URL, audience=ORDERS).serving() as issuer:
        auth = ClientCredentials(URL, "billing", "s3cret", scope="read")
        transport = httpx.ASGITransport(app=starlette)
        async with httpx.AsyncClient(transport=transport, base_url=ORDERS, auth=auth) as client:
            assert (await client.get("/orders")).text == "billing"
        assert issuer.requests["token"] == 1


async def test_clients_of_httpx2_are_answered_as_well() -> None:
    """Sync and async."""
    with Issuer(URL).serving() as issuer:
        assert consumer.httpx2_auth.ClientCredentials(URL, "a", "s").token()
        assert await consumer.httpx2_auth.ClientCredentials(URL, "b", "s").atoken()
        async with httpx2.AsyncClient() as client:
            assert (await client.get(f"{URL}/jwks")).json()["keys"]
        assert issuer.requests["token"] == 2


def test_issuers_side_by_side_answer_for_themselves_and_for_nobody_else() -> None:
    """Two of one host, divided by their paths; what is neither's goes on to the network."""
    ours, theirs = Issuer(f"{URL}/ours"), Issuer(f"{URL}/theirs")
    with ours.serving(), theirs.serving(), listening() as elsewhere, httpx.Client() as client:
        for issuer in (ours, theirs, elsewhere):
            found = client.get(f"{issuer.url}/jwks")
            assert found.json()["keys"]
            assert issuer.requests == {"jwks": 1}
        well_known = f"{URL}/.well-known/oauth-authorization-server/theirs"
        assert client.get(well_known).json()["issuer"] == theirs.url
        assert client.get(f"{ours.url}/nothing").status_code == 404
    assert not ours.answers(f"{URL}/oursandmore/jwks")
    assert not ours.answers(f"http://{URL[8:]}/ours/jwks")


def test_an_issuer_listens_when_asked() -> None:
    """Any process of this machine can ask it, with several requests on a connection."""
    with listening(audience=ORDERS, secret="s3cret") as issuer, httpx.Client() as client:
        form = {"grant_type": "client_credentials", "scope": "read", "resource": ORDERS}
        answer = client.post(f"{issuer.url}/token", data=form, auth=("billing", "s3cret"))
        assert (answer.status_code, answer.json()["scope"]) == (200, "read")
        refused = client.post(f"{issuer.url}/token", data=form, auth=("billing", "wrong"))
        assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")
        assert refused.headers["www-authenticate"].startswith("Basic ")
        head = client.head(f"{issuer.url}/jwks")
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == str(len(client.get(f"{issuer.url}/jwks").content))
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{issuer.url}/jwks")


def test_no_more_connections_are_held_than_there_is_room_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One beyond them is closed without an answer."""
    monkeypatch.setattr(server, "MAXIMUM_CONNECTIONS", 1)
    with listening() as issuer, httpx.Client() as first, httpx.Client() as second:
        assert first.get(f"{issuer.url}/jwks").status_code == 200  # and stays connected
        with pytest.raises(httpx.RemoteProtocolError):
            second.get(f"{issuer.url}/jwks")
        assert first.get(f"{issuer.url}/jwks").status_code == 200


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"Content-Length: 131073", b"413"),
        (b"Content-Length: 0000000000", b"413"),
        (b"Content-Length: -1", b"411"),
        (b"Transfer-Encoding: chunked", b"411"),
    ],
)
def test_a_body_that_is_too_long_or_of_unknown_length_is_not_read(
    line: bytes, status: bytes
) -> None:
    """It could not be told from the next request, so the connection ends."""
    with (
        listening() as issuer,
        socket.create_connection(("127.0.0.1", urlsplit(issuer.url).port), 10) as peer,
    ):
        peer.sendall(b"POST /token HTTP/1.1\r\nHost: a\r\n" + line + b"\r\n\r\n")
        answer = b"".join(iter(lambda: peer.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 " + status)


def test_what_is_served_ends_with_the_block() -> None:
    """No client is answered after it, whatever happened in it."""
    before = httpx.HTTPTransport.handle_request, httpx.AsyncHTTPTransport.handle_async_request
    with suppress(RuntimeError), Issuer(URL).serving():
        assert httpx.HTTPTransport.handle_request is not before[0]
        raise RuntimeError
    after = httpx.HTTPTransport.handle_request, httpx.AsyncHTTPTransport.handle_async_request
    assert after == before
