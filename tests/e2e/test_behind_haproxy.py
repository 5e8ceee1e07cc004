"""The provider behind HAProxy: the log has the address of the client."""

from pathlib import Path

import httpx

from tests.support.haproxy import balancing_haproxy
from tests.support.provider import eventually, make_place, running


def test_the_log_has_the_address_of_the_client(tmp_path: Path) -> None:
    """Of tokens given and refused, whatever the client says of itself."""
    place = make_place(tmp_path, WATCHWORD_TRUSTED_PROXIES="127.0.0.1")
    place.add_key()
    client = place.json("clients", "create", "svc", "--all-scopes")
    source = httpx.HTTPTransport(local_address="127.0.0.9")
    form = {"grant_type": "client_credentials"}
    forged = {"X-Forwarded-For": "127.0.0.1", "Forwarded": "for=127.0.0.1"}
    with (
        running(place),
        balancing_haproxy(tmp_path, place.port) as url,
        httpx.Client(transport=source, base_url=url) as http,
    ):
        assert eventually(lambda: http.get("/readyz").status_code == 200)
        for secret, status in ((client["client_secret"], 200), ("wrong", 401)):
            answer = http.post("/token", data=form, auth=("svc", secret), headers=forged)
            assert answer.status_code == status
    addresses = {
        each["event"]: each["address"]
        for each in place.log()
        if each["event"] in ("token.issued", "token.refused")
    }
    assert addresses == {"token.issued": "127.0.0.9", "token.refused": "127.0.0.9"}
