"""`WATCHWORD_PROFILE=fapi2` on a real provider over TLS: who gets a token, and who does not."""

import json
import signal
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from keys.jwt import read_jwt
from tests.support.assertions import form_of, jwk_of, make_assertion
from tests.support.certificates import Authority
from tests.support.dpop import ProofForge
from tests.support.provider import PATIENCE, Place, eventually, make_place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Give a provider on https with clients from before it had the profile."""
    place = make_place(tmp_path)
    for name in ("ES256", "RS256"):
        (tmp_path / f"{name}.json").write_text(json.dumps({"keys": [jwk_of(name)]}))
    own = Authority(tmp_path).issue("server")
    place.settings |= {
        "WATCHWORD_ISSUER": f"https://localhost:{place.port}",
        "WATCHWORD_TLS_CERT": str(own.file),
        "WATCHWORD_TLS_KEY": str(own.key_file),
    }
    return place


def signing_client(place: Place, name: str, alg: str) -> None:
    """Register a client of private_key_jwt."""
    keys = ("--auth", "private_key_jwt", "--jwks", f"{alg}.json")
    place.json("clients", "create", name, *keys, "--all-scopes")


@contextmanager
def served(place: Place) -> Iterator[httpx.Client]:
    """Serve; give a client that trusts the server."""
    process = place.start()
    trusted = ssl.create_default_context(cafile=str(place.folder / "authority.pem"))
    try:
        with httpx.Client(verify=trusted, trust_env=False) as http:
            assert eventually(lambda: is_ready(http, place) or process.poll() is not None)
            assert process.poll() is None, (place.folder / "log").read_text()
            yield http
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
        assert process.stdout is not None
        process.stdout.close()


def is_ready(http: httpx.Client, place: Place) -> bool:
    """Tell whether the provider answers."""
    try:
        return http.get(f"{place.settings['WATCHWORD_ISSUER']}/readyz").status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.rfc("fapi-5.3.2.1-1", "fapi-5.3.2.1-2", "fapi-5.4-1")
def test_only_what_the_profile_allows_gets_a_token(place: Place) -> None:
    """A key and a proof do; a secret, RS256, no proof and a list as audience do not."""
    issuer = place.settings["WATCHWORD_ISSUER"]
    old = place.json("clients", "create", "old", "--all-scopes")
    signing_client(place, "rsa", "RS256")
    place.settings["WATCHWORD_PROFILE"] = "fapi2"
    signing_client(place, "good", "ES256")
    assert place.run("keys", "generate").returncode == 0
    now = int(time.time())
    sender = ProofForge(url=f"{issuer}/token", now=now)

    def assertion(alg: str, name: str, **changes: Any) -> dict[str, str]:
        times = {"iat": now, "exp": now + 60, "aud": issuer}
        return form_of(make_assertion(alg, **{"iss": name, "sub": name, **times} | changes))

    with served(place) as http:

        def ask(form: dict[str, str], proof: bytes | None = None, **more: Any) -> httpx.Response:
            headers = {} if proof is None else {"DPoP": proof.decode()}
            form = {"grant_type": "client_credentials"} | form
            return http.post(f"{issuer}/token", data=form, headers=headers, **more)

        answer = ask(assertion("ES256", "good"), sender.proof())
        assert (answer.status_code, answer.json()["token_type"]) == (200, "DPoP")
        token = answer.json()["access_token"]
        assert read_jwt(token).header["alg"] == "PS256"
        url = f"{issuer}/read-resource"
        shown = sender.proof(token=token.encode(), htm="GET", htu=url).decode()
        headers = {"Authorization": f"DPoP {token}", "DPoP": shown}
        assert http.get(url, headers=headers).status_code == 200
        rs256 = ProofForge("RS256", url=f"{issuer}/token", now=now)
        refused = [
            ask({}, sender.proof(), auth=("old", old["client_secret"])),
            ask(assertion("RS256", "rsa"), sender.proof()),
            ask(assertion("ES256", "good")),
            ask(assertion("ES256", "good"), rs256.proof()),
            ask(assertion("ES256", "good", aud=[issuer]), sender.proof()),
        ]
    assert [(each.status_code, each.json()["error"]) for each in refused] == [
        (401, "invalid_client"),
        (401, "invalid_client"),
        (400, "invalid_request"),
        (400, "invalid_dpop_proof"),
        (401, "invalid_client"),
    ]
    told = [each for each in place.log() if each["event"] == "token.refused"]
    assert [(each["client_id"], each["reason"]) for each in told] == [
        ("old", "unsupported_method"),
        ("rsa", "assertion_algorithm"),
        ("good", "binding_required"),
        ("good", "proof_algorithm"),
        ("good", "assertion_audience"),
    ]


@pytest.mark.rfc("fapi-5.4-1")
def test_a_key_that_could_never_authenticate_is_not_made(place: Place) -> None:
    """One line says so, and neither client nor file is left."""
    place.settings["WATCHWORD_PROFILE"] = "fapi2"
    for words in (("--key-alg", "RS256"), ("--jwks", "RS256.json", "--auth", "private_key_jwt")):
        made = ("--generate-key", *words) if "--key-alg" in words else words
        done = place.run("clients", "create", "svc", *made, "--all-scopes")
        assert done.returncode != 0
        (line,) = done.stderr.splitlines()
        assert "the profile fapi2 (WATCHWORD_PROFILE) forbids keys for RS256" in line
    assert not (place.folder / "svc.pem").exists()
    assert place.json("clients", "list")["clients"] == []
