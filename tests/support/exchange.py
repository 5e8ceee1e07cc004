"""What tests of token exchange share: a caller, a service that is an API, and the exchange."""

from collections.abc import Sequence
from typing import Any

from issuer.registry.client import Client
from issuer.registry.grant_types import CLIENT_CREDENTIALS, TOKEN_EXCHANGE
from issuer.registry.permission import ExchangePermission, ResourcePermission
from issuer.status.positions import Position, bucket_for
from tests.support.issuer import (
    API,
    ISSUER,
    NOW,
    OTHER_API,
    SECRET,
    Answer,
    Clients,
    TestIssuer,
    basic,
    make_client,
)
from tests.support.keys import rsa_key
from watchword.testing.forge import TokenForge
from watchword.testing.keys import private_key

ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
JWT = "urn:ietf:params:oauth:token-type:jwt"
FORGE = TokenForge(rsa_key(), issuer=ISSUER, resource=API, now=NOW)
FOREIGN = TokenForge(private_key("ES256"), alg="ES256", issuer=ISSUER, resource=API, now=NOW)
PLACE = Position(bucket_for(NOW, 300), 5)
TO_OTHER = ExchangePermission(subject_resource=API, resource=OTHER_API, subjects=("svc-a",))


def make_service(client_id: str = "orders", **changes: Any) -> Client:
    """Make the client that is the API, and may call the other one for `svc-a`."""
    grants = changes.pop(
        "grants", (ResourcePermission(resource=OTHER_API, scopes=("read", "pay")),)
    )
    return make_client(
        client_id,
        **{
            "grants": grants,
            "grant_types": (CLIENT_CREDENTIALS, TOKEN_EXCHANGE),
            "token_exchange": (TO_OTHER,),
            **changes,
        },
    )


def issuer_of(*services: Client) -> TestIssuer:
    """Give an issuer of a caller and of services; the lists are empty."""
    issuer = TestIssuer(clients=Clients(make_client(), *(services or (make_service(),))))
    issuer.statuses.apply((), NOW, counts={PLACE.bucket: PLACE.index + 1})
    return issuer


async def exchange(
    issuer: TestIssuer,
    token: bytes | str,
    *,
    client_id: str = "orders",
    proofs: Sequence[bytes] = (),
    **form: str | None,
) -> Answer:
    """Exchange a token, with DPoP proofs; a parameter that is None is left out."""
    fields = {
        "grant_type": TOKEN_EXCHANGE,
        "subject_token": token if isinstance(token, str) else token.decode("latin-1"),
        "subject_token_type": ACCESS_TOKEN,
        **form,
    }
    sent = {name: value for name, value in fields.items() if value is not None}
    return await issuer.ask(sent, auth=basic(client_id, SECRET), proofs=proofs)


def refusal(issuer: TestIssuer, answer: Answer) -> tuple[str, str]:
    """Return the error code, and the reason that was logged for it, with the client."""
    assert answer.status == 400, answer.body
    event, fields = issuer.events[-1]
    assert event == "token.refused"
    explained = fields["reason"] != "grant_not_allowed"  # of which the code says all
    assert set(answer.json) == {"error", *["error_description"] * explained}
    assert issuer.clients.get_cached(fields["client_id"]) is not None
    return answer.json["error"], str(fields["reason"])
