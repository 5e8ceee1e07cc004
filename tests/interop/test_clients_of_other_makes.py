"""Clients of other makes get tokens of a real provider and use them, with every method they know.

docs/how-to/use-other-client-libraries.md has the settings that they need.
"""

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from keys.dpop_nonce import Nonces
from keys.encoding import encode_base64url
from keys.events import ignore_event
from keys.jwk import public_jwk
from keys.jwks import build_jwk_set
from resource_api import BearerMiddleware, require
from resource_api.demo import READ_RESOURCE
from resource_api.middleware import SCOPE_KEY
from resource_api.possession import Binding
from tests.support.certificates import FOR_CLIENTS, Authority
from tests.support.other_clients import (
    Call,
    NoOauthClients,
    Outcome,
    call_from_node,
    call_with_authlib,
    call_with_requests_oauth2client,
)
from tests.support.provider import PATIENCE, Place, eventually, free_port, make_place, running
from watchword.testing.keys import private_key

RESOURCE = "https://orders.example"
CLIENTS: dict[str, Callable[[Call], Outcome]] = {
    "Authlib": call_with_authlib,
    "requests-oauth2client": call_with_requests_oauth2client,
    "openid-client": partial(call_from_node, "openid-client"),
    "oauth4webapi": partial(call_from_node, "oauth4webapi"),
}
WITH_DPOP = [name for name in CLIENTS if name != "Authlib"]
BY_SECRET = ("client_secret_basic", "client_secret_post", "client_secret_jwt")
ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA", "Ed25519")
# What a library calls the algorithm: by RFC 9864, or by RFC 8037, which that one replaces.
NAMES_OF_ED25519 = dict(zip(CLIENTS, ("Ed25519", "EdDSA", "Ed25519", "Ed25519"), strict=True))


def private_jwk(alg: str) -> dict[str, str]:
    """Give a client's private key as the libraries read it."""
    key: Any = private_key(alg)
    members = dict(public_jwk(key, alg).members())
    numbers: dict[str, bytes] = {}
    if members["kty"] == "OKP":
        numbers["d"] = key.private_bytes_raw()
    elif members["kty"] == "EC":
        numbers["d"] = key.private_numbers().private_value.to_bytes(32)
    else:
        own = key.private_numbers()
        names = {"d": own.d, "p": own.p, "q": own.q}
        names |= {"dp": own.dmp1, "dq": own.dmq1, "qi": own.iqmp}
        numbers = {each: n.to_bytes((n.bit_length() + 7) // 8) for each, n in names.items()}
    return members | {name: encode_base64url(number) for name, number in numbers.items()}


async def greet(scope: Any, receive: Any, send: Any) -> None:
    """Say who calls; the lifespan needs no answer."""
    if scope["type"] == "http":
        body = scope[SCOPE_KEY].client_id.encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})


@contextmanager
def served_api(issuer: str, nonces: Nonces | None) -> Iterator[str]:
    """Serve an API that takes tokens of the issuer; give the URL of what it protects."""
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    app = BearerMiddleware(
        require("read").app(greet),
        issuer=issuer,
        resource=RESOURCE,
        allow_insecure_http=True,
        binding=Binding(base_url=base, nonces=nonces),
        on_event=ignore_event,
    )
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        assert eventually(lambda: server.started)
        yield f"{base}/orders"
    finally:
        server.should_exit = True
        thread.join()


def add_clients(place: Place) -> dict[str, str | None]:
    """Register a client of each method; give their secrets."""
    place.add_key()
    place.json("resources", "create", RESOURCE, "--scope", "read")
    create = ("--grant", f"{RESOURCE} read")
    secrets: dict[str, str | None] = {}
    for method in BY_SECRET:
        made = place.json("clients", "create", method, "--auth", method, *create)
        secrets[method] = made["client_secret"]
    for alg in ALGORITHMS:
        file = place.folder / f"{alg}.jwks"
        file.write_text(json.dumps(build_jwk_set([public_jwk(private_key(alg), alg)])))
        place.json(
            *("clients", "create", alg, "--auth", "private_key_jwt", "--jwks", str(file)), *create
        )
    return secrets


class Provider:
    """A provider that runs, an API beside it, and clients that both know."""

    def __init__(self, place: Place, api: str, secrets: dict[str, str | None]) -> None:
        self.place, self.api, self._secrets = place, api, secrets

    def let(self, library: str, client_id: str, *, dpop: bool = False) -> Outcome:
        """Let a library act as a client."""
        by_key = client_id in ALGORITHMS
        call = Call(
            issuer=self.place.url,
            api=self.api,
            client_id=client_id,
            method="private_key_jwt" if by_key else client_id,
            secret=self._secrets.get(client_id),
            key=private_jwk(client_id) if by_key else None,
            dpop=dpop,
        )
        return act(library, call)


def act(library: str, call: Call) -> Outcome:
    """Let a library act; skip the test if it is not installed, but not in CI."""
    try:
        return CLIENTS[library](call)
    except NoOauthClients as missing:
        if "CI" in os.environ:
            raise
        pytest.skip(str(missing))


@pytest.fixture(scope="module", params=["without nonces", "with nonces"])
def nonces(request: pytest.FixtureRequest) -> bool:
    """Say whether issuer and API ask for nonces in proofs."""
    return bool(request.param == "with nonces")


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory, nonces: bool) -> Iterator[Provider]:
    """Run a provider, with default settings or with nonces required, and an API."""
    folder: Path = tmp_path_factory.mktemp("provider")
    settings = {"WATCHWORD_CLIENT_SECRET_JWT": "on", "WATCHWORD_KEY_PASSPHRASE": "p" * 32}
    place = make_place(folder, **settings)
    place.settings |= {"WATCHWORD_DPOP_NONCE": "required"} if nonces else {}
    secrets = add_clients(place)
    own = Nonces(b"n" * 32) if nonces else None
    with running(place), served_api(place.url, own) as api:
        yield Provider(place, api, secrets)


@pytest.mark.parametrize("client_id", [*BY_SECRET, *ALGORITHMS[:4]])
@pytest.mark.parametrize("library", CLIENTS)
def test_a_token_is_got_and_used(provider: Provider, library: str, client_id: str) -> None:
    """By a secret, and by a key of each algorithm; nonces concern none of these."""
    if client_id == "EdDSA":
        client_id = NAMES_OF_ED25519[library]
    assert provider.let(library, client_id) == ("bearer", 200, client_id)


@pytest.mark.rfc("9449-8-1")
@pytest.mark.parametrize("client_id", ["client_secret_basic", "ES256"])
@pytest.mark.parametrize("library", WITH_DPOP)
def test_a_bound_token_is_got_and_used(provider: Provider, library: str, client_id: str) -> None:
    """The library makes the proofs, and answers the nonces of both sides by itself."""
    assert provider.let(library, client_id, dpop=True) == ("dpop", 200, client_id)


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Place, Authority]]:
    """Run a provider that asks for certificates in TLS, with its own API."""
    folder: Path = tmp_path_factory.mktemp("secured")
    authority = Authority(folder)
    own = authority.issue("server")
    place = make_place(folder, WATCHWORD_TLS_CLIENT_CA=str(authority.file))
    place.settings |= {
        "WATCHWORD_ISSUER": f"https://localhost:{place.port}",
        "WATCHWORD_TLS_CERT": str(own.file),
        "WATCHWORD_TLS_KEY": str(own.key_file),
    }
    place.add_key()
    place.json(
        *("clients", "create", "billing", "--auth", "tls_client_auth", "--all-scopes"),
        *("--tls-subject", "dn=CN=billing"),
    )
    process = place.start()
    try:
        url = f"https://localhost:{place.port}/readyz"
        with httpx.Client(verify=authority.trusting(), trust_env=False) as client:
            assert eventually(lambda: is_ready(client, url))
        yield place, authority
    finally:
        process.terminate()
        process.wait(PATIENCE)
        assert process.stdout is not None
        process.stdout.close()


def is_ready(client: httpx.Client, url: str) -> bool:
    """Tell whether the provider answers."""
    try:
        return client.get(url).status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.parametrize("library", CLIENTS)
def test_a_client_shows_its_certificate(secured: tuple[Place, Authority], library: str) -> None:
    """In TLS, and sends nothing but its id beside it."""
    place, authority = secured
    issuer = f"https://localhost:{place.port}"
    call = Call(
        issuer=issuer,
        api=f"{issuer}{READ_RESOURCE}",
        client_id="billing",
        method="tls_client_auth",
        certificate=authority.issue("billing", FOR_CLIENTS),
        ca=authority.file,
    )
    assert act(library, call)[:2] == ("bearer", 200)
