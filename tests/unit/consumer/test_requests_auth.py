"""`TokenAuth` over https, where a fresh token needs no decision, on an adapter that answers."""

from io import BytesIO

import httpx
import pytest
import requests
from urllib3 import HTTPResponse

from consumer import TokenSource
from consumer.requests_auth import TokenAuth
from tests.support.consumer_flow import ISSUER

API = "https://api.example/orders"
REFUSED = {"WWW-Authenticate": 'Bearer realm="api", error="invalid_token"'}


class Api(requests.adapters.HTTPAdapter):
    """Accepts the tokens that it is told to, and keeps what it was shown."""

    def __init__(self, *accepted):
        super().__init__()
        self.accepted, self.shown = {f"Bearer {token}" for token in accepted}, []

    def send(self, request, **options):
        shown = request.headers["Authorization"]
        self.shown.append((shown, request.body))
        status, headers = (200, {}) if shown in self.accepted else (401, REFUSED)
        raw = HTTPResponse(BytesIO(b"{}"), headers=headers, status=status, preload_content=False)
        return self.build_response(request, raw)


@pytest.fixture
def session():
    """A session whose tokens are `t1`, `t2`, …."""
    issued = []

    def issue(request):
        issued.append(request)
        token = {"access_token": f"t{len(issued)}", "token_type": "Bearer", "expires_in": 3600}
        return httpx.Response(200, json=token)

    source = TokenSource(
        ISSUER,
        "id",
        "s3cret",
        token_endpoint=f"{ISSUER}/token",
        transport=httpx.MockTransport(issue),
    )
    with requests.Session() as session:
        session.auth = TokenAuth(source)
        yield session


def test_a_fresh_token_is_sent_again(session):
    """The second request needs no decision."""
    api = Api("t1")
    session.mount("https://", api)
    assert [session.get(API).status_code for _ in range(2)] == [200, 200]
    assert api.shown == [("Bearer t1", None)] * 2


@pytest.mark.rfc("6750-3.1-3")
def test_a_fresh_token_that_is_rejected_is_replaced(session):
    """The request is repeated with its body, and the answer tells of the first attempt."""
    api = Api("t1")
    session.mount("https://", api)
    session.get(API)
    api.accepted = {"Bearer t2"}
    answer = session.post(API, json={"a": 1})
    assert (answer.status_code, [each.status_code for each in answer.history]) == (200, [401])
    assert api.shown[1:] == [("Bearer t1", b'{"a": 1}'), ("Bearer t2", b'{"a": 1}')]


def test_a_prepared_request_can_be_sent_twice(session):
    """It shows the token of its first time; a refusal is answered by a renewal each time."""
    api = Api("t2")
    session.mount("https://", api)
    prepared = session.prepare_request(requests.Request("GET", API))
    assert session.send(prepared).status_code == 200
    assert session.send(prepared).status_code == 200
    assert [shown for shown, _ in api.shown] == ["Bearer t1", "Bearer t2", "Bearer t2"]
