"""DPoP on a real provider of two workers: one key of nonces, and each proof counts once."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.dpop import ProofForge
from tests.support.provider import Place, make_place, running

AT_ONCE = 8


def ask(place: Place, client: dict[str, Any], proof: bytes) -> httpx.Response:
    """Ask for a token, on a connection of its own, so that any worker may answer."""
    return httpx.post(
        f"{place.url}/token",
        data={"grant_type": "client_credentials", "scope": "read"},
        auth=(client["client_id"], client["client_secret"]),
        headers={"DPoP": proof.decode()},
        trust_env=False,
    )


@pytest.mark.rfc("9449-8-1", "9449-11.1-1", "9449-5-1")
@pytest.mark.attack("T21")
def test_workers_share_nonces_and_take_a_proof_once(tmp_path: Path) -> None:
    """The nonce of one worker is good at the other; of equal proofs at once exactly one wins."""
    place = make_place(
        tmp_path,
        WATCHWORD_DPOP_NONCE="required",
        WATCHWORD_WORKERS="2",
        WATCHWORD_LOG_FORMAT="json",
    )
    place.add_key()
    client = place.json("clients", "create", "till", "--scope", "read", "--dpop")
    with running(place), ThreadPoolExecutor(AT_ONCE) as pool:
        metadata = place.get("/.well-known/oauth-authorization-server").json()
        assert "ES256" in metadata["dpop_signing_alg_values_supported"]
        sender = ProofForge(url=f"{place.url}/token", now=int(time.time()))
        refused = ask(place, client, sender.proof())
        assert (refused.status_code, refused.json()["error"]) == (400, "use_dpop_nonce")
        nonce = refused.headers["dpop-nonce"]
        different = [sender.proof(nonce=nonce) for _ in range(AT_ONCE)]
        answers = list(pool.map(lambda proof: ask(place, client, proof), different))
        assert {answer.json().get("token_type") for answer in answers} == {"DPoP"}
        assert all(answer.headers["dpop-nonce"] for answer in answers)
        equal = [sender.proof(nonce=nonce)] * AT_ONCE
        answers = list(pool.map(lambda proof: ask(place, client, proof), equal))
        lost = [answer.json()["error"] for answer in answers if answer.status_code == 400]
        assert lost == ["invalid_dpop_proof"] * (AT_ONCE - 1)
        assert [answer.status_code for answer in answers].count(200) == 1
    log = place.log()
    assert equal[0].decode() not in str(log)
    assert {line["token_type"] for line in log if line["event"] == "token.issued"} == {"DPoP"}
    assert any(line.get("reason") == "proof_replayed" for line in log)


@pytest.mark.rfc("9449-11.1-1", "9449-7.1-1")
@pytest.mark.attack("V37")
def test_the_apis_of_a_provider_take_a_proof_once(tmp_path: Path) -> None:
    """Shown at once to the demo API on two workers, one of equal proofs is taken."""
    place = make_place(tmp_path, WATCHWORD_WORKERS="2")
    place.add_key()
    client = place.json("clients", "create", "till", "--scope", "read", "--dpop")
    with running(place), ThreadPoolExecutor(AT_ONCE) as pool:
        sender = ProofForge(url=f"{place.url}/token", now=int(time.time()))
        token = ask(place, client, sender.proof()).json()["access_token"]
        shown = sender.proof(token=token.encode(), htm="GET", htu=f"{place.url}/read-resource")

        def show(_: int) -> httpx.Response:
            headers = {"Authorization": f"DPoP {token}", "DPoP": shown.decode()}
            return httpx.get(f"{place.url}/read-resource", headers=headers, trust_env=False)

        answers = list(pool.map(show, range(AT_ONCE)))
    assert [answer.status_code for answer in answers].count(200) == 1
    lost = [each.headers["www-authenticate"] for each in answers if each.status_code == 401]
    assert len(lost) == AT_ONCE - 1
    assert all('error="invalid_dpop_proof"' in challenge for challenge in lost)


@pytest.mark.rfc("9449-4.3-9")
@pytest.mark.parametrize("arrives_at", ["/auth/admin/api/v1/clients", "/admin/api/v1/clients"])
def test_administrators_prove_the_public_url_behind_a_proxy(
    tmp_path: Path, arrives_at: str
) -> None:
    """Whether it leaves the issuer's path or takes it off; so does the URL of what is made."""
    place = make_place(tmp_path)
    issuer = f"{place.url}/auth"
    place.settings["WATCHWORD_ISSUER"] = issuer
    place.add_key()
    api = f"{issuer}/admin/api/v1"
    granted = ("--grant", f"{api} watchword:clients:write")
    admin = place.json("clients", "create", "root", "--dpop", *granted)
    with running(place):
        sender = ProofForge(url=f"{issuer}/token", now=int(time.time()))
        form = {"grant_type": "client_credentials", "resource": api}
        known = (admin["client_id"], admin["client_secret"])
        asked = {"auth": known, "headers": {"DPoP": sender.proof().decode()}, "trust_env": False}
        token = httpx.post(f"{issuer}/token", data=form, **asked).json()["access_token"]

        def make(url: str) -> httpx.Response:
            proof = sender.proof(token=token.encode(), htm="POST", htu=url).decode()
            headers = {"Authorization": f"DPoP {token}", "DPoP": proof}
            document = {"client_id": "made"}
            return httpx.post(
                place.url + arrives_at, json=document, headers=headers, trust_env=False
            )

        refused = make(f"{place.url}/admin/api/v1/clients")
        assert (refused.status_code, "invalid_dpop_proof" in str(refused.headers)) == (401, True)
        made = make(f"{api}/clients")
        assert made.status_code == 201, made.text
        assert made.headers["location"] == "/auth/admin/api/v1/clients/made"
