"""Where a consumer looks for metadata, over a transport that answers as servers in the field do."""

import gzip
import json

import httpx
import pytest

from consumer import ClientCredentials, ConsumerError

ISSUER = "https://as.example/t1"
PLACES = (
    "https://as.example/.well-known/oauth-authorization-server/t1",
    "https://as.example/.well-known/openid-configuration/t1",
    "https://as.example/t1/.well-known/openid-configuration",
)
DOCUMENT = {"issuer": ISSUER, "token_endpoint": "https://as.example/token"}


class Web:
    """Publishes metadata at one place and refuses all others."""

    def __init__(self, place, *, status=404, document=None, headers=None, packed=False):
        self.place, self.status, self.packed = place, status, packed
        self.body = json.dumps(document or DOCUMENT).encode()
        self.headers = {"content-type": "application/json"} | (headers or {})
        self.asked = []

    def __call__(self, request):
        """Answer one request."""
        url = str(request.url)
        self.asked.append(url)
        if url == DOCUMENT["token_endpoint"]:
            token = {"access_token": "t", "token_type": "Bearer", "expires_in": 60}
            return httpx.Response(200, json=token)
        if url == self.place:
            body = gzip.compress(self.body) if self.packed else self.body
            return httpx.Response(200, headers=self.headers, content=iter([body]))
        return httpx.Response(self.status)

    def ask(self):
        """Send one API request."""
        auth = ClientCredentials(ISSUER, "id", "secret", transport=httpx.MockTransport(self))
        api = httpx.MockTransport(lambda request: httpx.Response(200))
        with httpx.Client(auth=auth, transport=api) as client:
            return client.get("https://api.example")


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("status", [404, 400, 302])
def test_openid_metadata_are_found(place, status):
    """RFC 8414 §5: inserted first, appended last; what is found first is what counts."""
    web = Web(place, status=status)
    assert web.ask().status_code == 200
    assert web.asked == [*PLACES[: PLACES.index(place) + 1], DOCUMENT["token_endpoint"]]


@pytest.mark.parametrize(("status", "times"), [(404, 3), (500, 1), (429, 1)])
def test_a_server_out_of_order_is_not_asked_elsewhere(status, times):
    """It says nothing about where the document is; what the first place said is told."""
    web = Web(None, status=status)
    with pytest.raises(ConsumerError, match=str(status)):
        web.ask()
    assert web.asked == list(PLACES[:times])


def test_metadata_of_another_issuer_end_the_search():
    """RFC 8414 §3.3: a document that is there is judged, wherever it is."""
    web = Web(PLACES[1], document=DOCUMENT | {"issuer": "https://as.example"})
    with pytest.raises(ConsumerError, match=r"another issuer, 'https://as\.example'; "):
        web.ask()
    assert web.asked == list(PLACES[:2])


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "text/plain; charset=utf-8"},
        {"content-type": "application/octet-stream"},
        {"content-encoding": "identity"},
    ],
)
def test_documents_of_file_servers_are_read(headers):
    """They know neither JSON nor what was asked for."""
    assert Web(PLACES[0], headers=headers).ask().status_code == 200


def test_gzip_is_read_though_nobody_asked():
    """Some caches in between send what they hold."""
    web = Web(PLACES[0], headers={"content-encoding": "gzip"}, packed=True)
    assert web.ask().status_code == 200
