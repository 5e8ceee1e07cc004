"""A client whose key the issuer does not have: `token get` and the scenario against a provider."""

import json

import pytest

from keys.jwk import public_jwk
from keys.jwks import build_jwk_set
from keys.stores.key_file import render_private_pem
from tests.support.keys import ec_key
from tests.support.provider import make_place, running


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A running provider, with a client that authenticates by a key."""
    folder = tmp_path_factory.mktemp("keys")
    (folder / "key.pem").write_bytes(render_private_pem(ec_key()))
    jwks = json.dumps(build_jwk_set([public_jwk(ec_key(), "ES256")]))
    (folder / "client.jwks").write_text(jwks)
    place = make_place(
        folder, WATCHWORD_CLIENT_ID="billing", WATCHWORD_CLIENT_KEY=str(folder / "key.pem")
    )
    place.add_key()
    place.json(
        "clients",
        "create",
        "billing",
        "--auth",
        "private_key_jwt",
        "--jwks",
        str(folder / "client.jwks"),
        "--all-scopes",
    )
    with running(place):
        yield place


@pytest.mark.rfc("7523-3-1-C")
def test_a_client_gets_a_token_with_its_key(place):
    """No secret anywhere; the same command again has another assertion."""
    for _ in range(2):
        answer = place.json("token", "get", "--scope", "read")
        assert (answer["token_type"], answer["scope"]) == ("Bearer", "read")


def test_the_scenario_is_told_with_a_key(place):
    """As `watchword scenario`, with everything but the secret."""
    done = place.run("scenario")
    assert done.returncode == 0, done.stdout
    assert done.stdout.endswith("every answer was the expected one\n")
