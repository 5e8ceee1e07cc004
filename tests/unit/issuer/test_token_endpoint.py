"""Unit tests of `issuer.endpoints.token` and of the request it reads, beside the attack table."""

import pytest

from issuer.access_token import IssuedToken
from issuer.client_request import Evidence
from issuer.endpoints.asgi import Receive, Scope, Send
from issuer.errors import InvalidClient, Reason
from issuer.limits import Limits
from issuer.token_request import TokenRequest, parse_token_request
from keys.errors import SignerUnavailable
from tests.support.issuer import FORM, ISSUER, TestIssuer, call
from tests.support.refused_requests import AwaySigner

FORM_HEADER = (b"content-type", FORM.encode())


async def test_a_client_that_leaves_gets_no_answer_and_no_event() -> None:
    """There is no peer to answer; nothing was refused or issued."""
    issuer = TestIssuer()
    sent: list[object] = []

    async def receive() -> dict[str, object]:
        return {"type": "http.disconnect"}

    async def send(message: object) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "headers": [FORM_HEADER], "query_string": b""}
    await issuer.endpoint(scope, receive, send)
    assert (sent, issuer.events) == ([], [])


@pytest.mark.parametrize("client", [("192.0.2.7", 4711), None])
async def test_the_pipeline_knows_the_url_and_the_peer(client: tuple[str, int] | None) -> None:
    """The URL is the configured one, whatever `Host` says; the address is the connection's."""
    issuer = TestIssuer()
    seen: list[Evidence] = []

    class Service:
        def fingerprint(self, *request: object) -> None:
            return None

        async def issue(
            self, request: TokenRequest, *, now: int, fingerprint: bytes | None
        ) -> IssuedToken:
            seen.append(request.evidence)
            raise InvalidClient(Reason.NO_CREDENTIALS)

    endpoint = issuer.endpoint
    endpoint._service = Service()  # type: ignore[assignment]

    async def with_peer(scope: Scope, receive: Receive, send: Send) -> None:
        await endpoint(scope | {"client": client}, receive, send)

    headers = [FORM_HEADER, (b"host", b"evil.example")]
    answer = await call(with_peer, "POST", "/token", headers, b"grant_type=x")
    assert answer.status == 401
    address = client[0] if client else None
    assert [(each.method, each.url, each.peer_address) for each in seen] == [
        ("POST", f"{ISSUER}/token", address)
    ]


def test_an_issued_token_shows_whose_it_is_but_not_itself() -> None:
    """A representation may end up in a log."""
    issued = IssuedToken(
        access_token="a.b.c",
        token_type="Bearer",
        client_id="svc-a",
        scopes=("read",),
        expires_in=1,
        jti="j",
        kid="k",
    )
    assert repr(issued) == "IssuedToken(client_id='svc-a', jti='j')"


@pytest.mark.parametrize(
    "body", [b"client_id=a%0Ab&client_secret=x", b"client_id=a&client_secret=%C3%A9"]
)
def test_body_credentials_outside_vschar_do_not_authenticate(body: bytes) -> None:
    """The grammar of RFC 6749 Appendix A holds in the body as well."""
    with pytest.raises(InvalidClient):
        parse_token_request([FORM_HEADER], b"", body, url="https://auth.example/token")


@pytest.mark.attack("T23")
async def test_without_a_signature_it_is_503() -> None:
    """What keeps the private key does not answer: no token, above all no unsigned one."""
    issuer = TestIssuer()

    class Away:
        kid, alg = "k", "RS256"

        async def sign(self, signing_input: bytes) -> bytes:
            raise SignerUnavailable("the signer gave no answer within 2 seconds")

    issuer.keys.key = Away()
    answer = await issuer.ask()
    assert answer.status == 503
    assert answer.header("retry-after") == "1"
    assert answer.json == {"error": "temporarily_unavailable"}
    assert issuer.events[0][1]["reason"] == "signer_unavailable"


async def test_a_token_that_no_signer_made_is_not_of_the_quota() -> None:
    """The client asks again, as the 503 tells it to."""
    issuer = TestIssuer(limits=Limits(token_quota=1))
    signer, issuer.keys.key = issuer.keys.key, AwaySigner()
    assert (await issuer.ask()).status == 503
    issuer.keys.key = signer
    assert [(await issuer.ask()).status for _ in range(2)] == [200, 429]
