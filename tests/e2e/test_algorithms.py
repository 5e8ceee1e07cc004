"""A provider that signs with other algorithms: by default, by resource, and during a change."""

from pathlib import Path
from typing import Any

import pytest

from keys.jwks import parse_jwk_set
from resource_api import ResourcePolicy, verify
from tests.support.provider import Place, eventually, make_place, running
from watchword.ambient import wall_clock

API = "https://orders.example"
FIELD = "access_token_signing_alg_values_supported"


def algorithms_of(place: Place) -> list[str]:
    """Read what the metadata says tokens are signed with."""
    return place.get("/.well-known/oauth-authorization-server").json()[FIELD]


def assert_good(place: Place, token: str, *algorithms: str) -> None:
    """Validate a token as an API does that accepts these algorithms."""
    keys = parse_jwk_set(place.get("/jwks").content)
    policy = ResourcePolicy(issuer=place.url, resource=API, algorithms=algorithms)
    assert verify(token.encode(), keys, policy, now=wall_clock()).client_id == "orders"


def ask(place: Place, client: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Ask for a token."""
    answer = place.ask(client)
    return answer.status_code, answer.json()


@pytest.mark.rfc("8725-3.1-1", "9864-1")
@pytest.mark.attack("T23")
def test_a_resource_moves_to_another_algorithm(tmp_path: Path) -> None:
    """Without a key 503, never another algorithm; with one, at once, and the API takes both."""
    place = make_place(tmp_path)
    place.add_key()
    place.json("resources", "create", API, "--scope", "read", "--no-status-list")
    client = place.json("clients", "create", "orders", "--resource", API, "--all-scopes")
    with running(place):
        status, before = ask(place, client)
        assert (status, algorithms_of(place)) == (200, ["RS256"])
        place.json("resources", "update", API, "--alg", "Ed25519")
        assert eventually(lambda: ask(place, client)[0] == 503)
        assert ask(place, client)[1] == {"error": "temporarily_unavailable"}
        assert place.log()[-1]["reason"] == "no_signing_key"
        place.json("keys", "generate", "--alg", "Ed25519", "--activate-in", "0")
        assert eventually(lambda: ask(place, client)[0] == 200)
        _, after = ask(place, client)
        for token in (before["access_token"], after["access_token"]):
            assert_good(place, token, "RS256", "Ed25519")
        assert eventually(lambda: algorithms_of(place) == ["Ed25519", "RS256"])


@pytest.mark.rfc("9964-1")
def test_the_story_is_told_with_post_quantum_signatures(tmp_path: Path) -> None:
    """Demo API, administration and scenario accept what the provider is set to sign with."""
    place = make_place(tmp_path, WATCHWORD_SIGNING_ALG="ML-DSA-87")
    assert place.json("keys", "generate")["alg"] == "ML-DSA-87"
    demo = place.json("clients", "create", "demo", "--all-scopes")
    with running(place):
        status, answer = ask(place, demo)
        assert status == 200
        assert 6_000 < len(answer["access_token"]) < 8_192
        place.settings |= {"CLIENT_ID": "demo", "CLIENT_SECRET": demo["client_secret"]}
        told = place.run("scenario")
        assert told.returncode == 0, told.stdout + told.stderr
        assert "signature without the issuer's help => valid" in told.stdout
        assert algorithms_of(place) == ["ML-DSA-87"]


def test_a_wrong_algorithm_is_one_line_with_the_list(tmp_path: Path) -> None:
    """In the setting, for a key and for a resource; and only RSA keys have a choice of sizes."""
    listed = "RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA, Ed25519, ML-DSA"
    place = make_place(tmp_path)
    for arguments, told in (
        (("keys", "generate", "--alg", "ES257"), listed),
        (("resources", "create", API, "--scope", "read", "--alg", "es256"), listed),
        (("keys", "generate", "--alg", "ES256", "--bits", "2048"), "--bits: a key for ES256"),
    ):
        done = place.run(*arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert told in done.stderr
        assert done.stderr.count("\n") == 1
    place = make_place(tmp_path, WATCHWORD_SIGNING_ALG="HS256")
    done = place.run("keys", "list")
    assert done.returncode == 2
    assert done.stderr.startswith("watchword: WATCHWORD_SIGNING_ALG: 'HS256' is no signing")
    assert listed in done.stderr
