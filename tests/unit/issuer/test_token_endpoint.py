"""Unit tests of `issuer.endpoints.token` and of the request it reads, beside the attack table."""

import pytest

from issuer.access_token import IssuedToken
from issuer.errors import InvalidClient
from issuer.token_request import parse_token_request
from tests.support.issuer import FORM, TestIssuer

FORM_HEADER = (b"content-type", FORM.encode())


async def test_a_client_that_leaves_gets_no_answer_and_no_event() -> None:
    """Nobody is there to be answered; nothing was refused or issued."""
    issuer = TestIssuer()
    sent: list[object] = []

    async def receive() -> dict[str, object]:
        return {"type": "http.disconnect"}

    async def send(message: object) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "headers": [FORM_HEADER], "query_string": b""}
    await issuer.endpoint(scope, receive, send)
    assert (sent, issuer.events) == ([], [])


def test_an_issued_token_shows_whose_it_is_but_not_itself() -> None:
    """A representation may end up in a log."""
    issued = IssuedToken(
        access_token="a.b.c", client_id="svc-a", scopes=("read",), expires_in=1, jti="j", kid="k"
    )
    assert repr(issued) == "IssuedToken(client_id='svc-a', jti='j')"


@pytest.mark.parametrize(
    "body", [b"client_id=a%0Ab&client_secret=x", b"client_id=a&client_secret=%C3%A9"]
)
def test_body_credentials_outside_vschar_do_not_authenticate(body: bytes) -> None:
    """The grammar of RFC 6749 Appendix A holds in the body as well."""
    with pytest.raises(InvalidClient):
        parse_token_request([FORM_HEADER], b"", body)
