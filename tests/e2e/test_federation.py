"""Another Watchword vouches for workloads: real issuers, sockets, key sets and logs."""

import time
from typing import Any

import httpx
import pytest

from issuer.client_auth.assertion import JWT_ASSERTION
from issuer.registry.grant_types import CLIENT_CREDENTIALS, JWT_BEARER
from tests.support.keys import key_file, rsa_key, write_key_file
from tests.support.provider import Place, make_place, running
from tests.support.workload_tokens import signed
from watchword.testing.forge import TokenForge


def ask(place: Place, **form: str) -> httpx.Response:
    """Ask for a token as the client `jobs`, without any secret."""
    return httpx.post(f"{place.url}/token", data={"client_id": "jobs", **form}, timeout=10)


def show(place: Place, token: str) -> httpx.Response:
    """Show a token as client authentication."""
    shown = {"client_assertion_type": JWT_ASSERTION, "client_assertion": token}
    return ask(place, grant_type=CLIENT_CREDENTIALS, **shown)


@pytest.mark.attack("T17", "T18")
@pytest.mark.rfc("fed-3")
def test_a_workload_of_another_issuer_is_a_client_without_a_secret(tmp_path: Any) -> None:
    """From a sample token to an access token, by both grants; what does not fit is explained."""
    for name in ("ours", "theirs"):
        (tmp_path / name).mkdir()
    ours, theirs = make_place(tmp_path / "ours"), make_place(tmp_path / "theirs")
    ours.add_key()
    (tmp_path / "theirs" / "data").mkdir(mode=0o700)
    write_key_file(tmp_path / "theirs" / "data" / "keys", key_file(1), n=1)
    forge, now = TokenForge(rsa_key(1)), int(time.time())
    claims = {"iss": theirs.url, "sub": "job-7", "aud": ours.url, "iat": now, "exp": now + 600}
    token, other = signed(forge, claims), signed(forge, claims | {"sub": "job-77"})
    (ours.folder / "token").write_text(token)
    types = ("--grant-type", CLIENT_CREDENTIALS, "--grant-type", JWT_BEARER)
    made = ("clients", "create", "jobs", "--scope", "read", *types, "--federated-token", "token")
    assert ours.json(*made)["federated_identities"] == [{"issuer": theirs.url, "subject": "job-7"}]
    stranger = theirs.json("clients", "create", "jobs", "--scope", "read")
    with running(theirs, "--only", "issuer"), running(ours, "--only", "issuer"):
        assert show(ours, token).status_code == 200
        assert ask(ours, grant_type=JWT_BEARER, assertion=token).status_code == 200
        refused = show(ours, other)
        assert (refused.status_code, refused.json()) == (401, {"error": "invalid_client"})
        refused = ask(ours, grant_type=JWT_BEARER, assertion=other)
        assert (refused.status_code, refused.json()) == (400, {"error": "invalid_grant"})
        access_token = theirs.ask(stranger).json()["access_token"]
        assert show(ours, access_token).status_code == 401
        assert ours.run("token", "explain", token).returncode == 0
        told = ours.run("token", "explain", other)
    assert told.returncode == 1
    assert 'sub is "job-77", and must be "job-7"' in told.stdout
    reasons = [line for line in ours.log() if line["event"] == "token.refused"]
    assert [line["reason"] for line in reasons] == ["federated_mismatch"] * 3
    assert all("federated_identities[0]: " in line["asked"] for line in reasons)
    (fetched,) = [line for line in ours.log() if line["event"] == "jwks.refreshed"]
    assert fetched["issuer"] == theirs.url
