"""A client without a secret, as its owner meets it: commands, two workers, a token."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import time
from typing import Any

import httpx
import pytest

from consumer import ClientCredentials
from consumer.client_assertion import PrivateKeyJwt
from tests.support.assertions import form_of, jwk_of, make_assertion
from tests.support.provider import PATIENCE, Place, make_place, running

GRANT = {"grant_type": "client_credentials"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Run one provider with two workers."""
    place = make_place(tmp_path_factory.mktemp("provider"))
    place.add_key()
    with running(place, "--workers", "2"):
        yield place


def post(place: Place, assertion: str) -> httpx.Response:
    """Ask for a token with an assertion, on a connection of its own."""
    return httpx.post(
        f"{place.url}/token", data=GRANT | form_of(assertion), trust_env=False, timeout=PATIENCE
    )


def assertion_for(place: Place, client_id: str) -> str:
    """Make an assertion of a client that is good now."""
    now = int(time())
    return make_assertion(iss=client_id, sub=client_id, aud=place.url, iat=now, exp=now + 60)


def test_a_generated_key_gets_tokens(place: Place) -> None:
    """What `clients create` prints for the consumer is all that it needs."""
    made = place.run("clients", "create", "orders", "--scope", "read", "--generate-key")
    assert 'PrivateKeyJwt("orders", Path("orders.pem"))' in made.stderr
    auth = ClientCredentials(place.url, PrivateKeyJwt("orders", place.folder / "orders.pem"))
    with httpx.Client(auth=auth, trust_env=False) as client:
        assert client.get(f"{place.url}/read-resource").status_code == 200
    issued = [each for each in place.log() if each["event"] == "token.issued"]
    assert issued[-1]["auth_method"] == "private_key_jwt"
    metadata = place.get("/.well-known/oauth-authorization-server").json()
    assert "private_key_jwt" in metadata["token_endpoint_auth_methods_supported"]
    assert "ES256" in metadata["token_endpoint_auth_signing_alg_values_supported"]


@pytest.mark.attack("T16")
@pytest.mark.rfc("7523-3-3")
def test_of_replays_on_two_workers_one_counts(place: Place, tmp_path: Path) -> None:
    """They come at the same instant, each on a connection of its own."""
    keys = tmp_path / "keys.json"
    keys.write_text('{"keys": [' + str(jwk_of()).replace("'", '"') + "]}")
    words = ("--auth", "private_key_jwt", "--jwks", str(keys))
    assert place.run("clients", "create", "often", "--scope", "read", *words).returncode == 0
    with ThreadPoolExecutor(8) as threads:
        for _ in range(4):
            assertion = assertion_for(place, "often")
            answers = threads.map(lambda _, sent=assertion: post(place, sent), range(8))
            assert sorted(each.status_code for each in answers) == [200] + [401] * 7


@pytest.mark.rfc("7591-3-1", "7523-3-4")
def test_a_client_that_registers_itself_gets_tokens_by_its_key(place: Place) -> None:
    """Its one algorithm is told back, and counts."""
    grant = ("--grant", f"{place.url} read")
    initial = place.json("registration-tokens", "create", *grant)["token"]
    metadata: dict[str, Any] = {
        "token_endpoint_auth_method": "private_key_jwt",
        "token_endpoint_auth_signing_alg": "ES256",
        "jwks": {"keys": [jwk_of()]},
    }
    registered = httpx.post(
        f"{place.url}/register",
        json=metadata,
        headers={"authorization": f"Bearer {initial}"},
        trust_env=False,
    )
    assert registered.status_code == 201
    document = registered.json()
    assert {name: document[name] for name in metadata} == metadata
    assert "client_secret" not in document
    assert post(place, assertion_for(place, document["client_id"])).status_code == 200
