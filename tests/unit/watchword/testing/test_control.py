"""The HTTP calls that a test in another language sends to a mock issuer."""

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from consumer import ClientCredentials, TokenRequestRefused
from resource_api.errors import Reason, ResourceError
from resource_api.protection import Protection
from tests.support.provider import eventually
from watchword.testing import Issuer, listening


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    """Give an issuer that listens."""
    with listening() as issuer:
        yield issuer


def call(issuer: Issuer, path: str, sent: object = None, method: str = "POST") -> Any:
    """Send a call, which must be done, and return what it says."""
    sent = sent or ({} if method == "POST" else None)
    answer = httpx.request(method, f"{issuer.url}/mock/{path}", json=sent)
    assert answer.status_code == 200, answer.text
    return answer.json()


def reason_of(issuer: Issuer, token: str) -> Reason | None:
    """Return why an API refuses a token; None if it does not."""

    async def validate() -> Reason | None:
        protection = Protection(issuer=issuer.url, resource=issuer.audience)
        try:
            await protection.validate(token.encode())
        except ResourceError as error:
            return error.reason
        finally:
            await protection.aclose()
        return None

    return asyncio.run(validate())


def test_a_token_of_any_shape_is_made(issuer: Issuer) -> None:
    """What `Issuer.token` takes; null leaves a member out."""
    token = call(issuer, "tokens", {"scope": ["read", "write"]})["access_token"]
    assert reason_of(issuer, token) is None
    for sent, reason in [
        ({"expired": True}, Reason.EXPIRED),
        ({"claims": {"client_id": None}}, Reason.INVALID_IDENTITY),
        ({"header": {"typ": "JWT"}}, Reason.WRONG_TYPE),
        ({"revoked": True}, Reason.TOKEN_REVOKED),
    ]:
        assert reason_of(issuer, call(issuer, "tokens", sent)["access_token"]) is reason


def gets_token(issuer: Issuer) -> bool:
    """Tell whether a client gets a token now."""
    try:
        return bool(ClientCredentials(issuer.url, "billing", "s3cret").token())
    except TokenRequestRefused:
        return False


def test_faults_are_scripted_and_taken_back(issuer: Issuer) -> None:
    """The token endpoint fails until it is healed; requests are counted."""
    call(issuer, "faults", {"status": 429, "retry_after": 1, "times": 1000})
    with pytest.raises(TokenRequestRefused):
        ClientCredentials(issuer.url, "billing", "s3cret").token()
    call(issuer, "faults", method="DELETE")
    # Whoever was refused asks again after the second of `Retry-After`.
    assert eventually(lambda: gets_token(issuer))
    assert call(issuer, "requests", method="GET")["token"] == 2


def test_tokens_end_by_withdrawal_revocation_and_time(issuer: Issuer) -> None:
    """And not by a rotation."""
    rotated = call(issuer, "tokens")["access_token"]
    kid = call(issuer, "rotation")["kid"]
    assert kid == issuer.signing.jwk.kid
    assert reason_of(issuer, rotated) is None
    assert call(issuer, "withdrawal")["kid"] != kid
    assert reason_of(issuer, rotated) is Reason.UNKNOWN_KEY
    revoked = call(issuer, "tokens")["access_token"]
    call(issuer, "revocations", {"token": revoked})
    assert reason_of(issuer, revoked) is Reason.TOKEN_REVOKED
    now = call(issuer, "clock")["now"]
    assert call(issuer, "clock", {"advance": -7200})["now"] <= now - 7100
    assert reason_of(issuer, call(issuer, "tokens")["access_token"]) is Reason.EXPIRED


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "why"),
    [
        ("POST", "nothing", b"{}", 404, "no such call"),
        ("PUT", "faults", b"{}", 405, "use DELETE, POST"),
        ("POST", "faults", b"[", 400, "must be a JSON object"),
        ("POST", "faults", b'{"stauts": 500}', 400, "'stauts': no such member"),
        ("POST", "faults", b'{"status": 99}', 400, "status must be"),
        ("POST", "tokens", b'{"lifetime": true}', 400, "lifetime cannot be True"),
        ("POST", "tokens", b'{"scope": [1]}', 400, "scope must be text"),
        ("POST", "rotation", b'{"kid": "a"}', 400, "no such member; none"),
        ("POST", "revocations", b"{}", 400, "no token"),
        ("POST", "clock", b'{"advance": 1e3}', 400, "advance cannot be"),
        ("POST", "clock", b'{"advance": 1000000000}', 400, "at most"),
    ],
)
def test_a_call_that_cannot_be_is_refused_in_a_line(
    issuer: Issuer, method: str, path: str, body: bytes, status: int, why: str
) -> None:
    """It says what is wrong, and nothing was done."""
    headers = {"content-type": "application/json; charset=utf-8"}
    url = f"{issuer.url}/mock/{path}"
    answer = httpx.request(method, url, content=body, headers=headers)
    assert (answer.status_code, why in answer.json()["error"]) == (status, True), answer.text


def test_no_page_in_a_browser_can_send_a_call(issuer: Issuer) -> None:
    """Without the media type of JSON, which needs a preflight, nothing is done."""
    url = f"{issuer.url}/mock/faults"
    answer = httpx.post(url, content=b'{"status": 500}', headers={"content-type": "text/plain"})
    assert answer.status_code == 400
    preflight = httpx.options(url, headers={"origin": "https://page.example"})
    assert preflight.status_code == 405
    assert not [name for name in preflight.headers if name.startswith("access-control-")]
    assert ClientCredentials(issuer.url, "billing", "s3cret").token()


def test_a_page_in_a_browser_can_get_tokens_and_keys(issuer: Issuer) -> None:
    """It asks before it sends its secret, and reads the answer, a refusal as well."""
    page = {"origin": "https://page.example"}
    asks = page | {"access-control-request-headers": "authorization,x-requested-with"}
    preflight = httpx.options(f"{issuer.url}/token", headers=asks)
    assert preflight.status_code == 204
    allowed = preflight.headers["access-control-allow-headers"].lower().split(", ")
    assert {"authorization", "x-requested-with"} <= set(allowed)
    with httpx.Client(base_url=issuer.url, headers=page) as client:
        form = {"grant_type": "client_credentials"}
        token = client.post("/token", auth=("page", "s3cret"), data=form)
        answers = [preflight, token, client.post("/token", data=form), client.get("/jwks")]
    assert [each.status_code for each in answers] == [204, 200, 401, 200]
    assert {each.headers["access-control-allow-origin"] for each in answers} == {"*"}
