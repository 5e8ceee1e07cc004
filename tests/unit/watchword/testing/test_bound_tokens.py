"""Tokens of the test kit that are bound to the key of the client's proof."""

import httpx
import pytest

from consumer import ClientCredentials
from consumer.client_assertion import PrivateKeyJwt
from consumer.dpop import DpopKey
from keys.dpop import check_proof
from tests.support.keys import ec_key
from watchword.testing import Issuer
from watchword.testing.endpoints import claims_of


@pytest.mark.rfc("9449-5-1-C")
def test_a_client_with_a_key_gets_a_token_that_is_bound_to_it() -> None:
    """`cnf` names the key, and each request to the API has a proof of it."""
    issuer, key = Issuer(), DpopKey()
    client = PrivateKeyJwt("billing", ec_key())
    auth = ClientCredentials(issuer.url, client, dpop=key, transport=issuer.transport)
    seen: list[httpx.Headers] = []

    def api(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers)
        return httpx.Response(200)

    with httpx.Client(transport=httpx.MockTransport(api), auth=auth) as sent:
        sent.get("https://api.test/orders")
    scheme, _, token = seen[0]["authorization"].partition(" ")
    claims = claims_of(token)
    assert (scheme, claims["client_id"], claims["cnf"]) == (
        "DPoP",
        "billing",
        {"jkt": key.thumbprint},
    )
    issued_at = claims["iat"]
    check_proof(
        [seen[0]["dpop"].encode()],
        method="GET",
        url="https://api.test/orders",
        now=issued_at,
        token=token.encode(),
    )


def test_a_proof_of_another_request_is_refused() -> None:
    """As the real issuer refuses it."""
    issuer = Issuer()
    proof = DpopKey().prove("POST", "https://elsewhere.test/token", now=issuer.clock())
    with httpx.Client(transport=issuer.transport) as client:
        answer = client.post(
            f"{issuer.url}/token",
            data={"grant_type": "client_credentials", "client_id": "billing"},
            headers={"DPoP": proof},
        )
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_dpop_proof")
