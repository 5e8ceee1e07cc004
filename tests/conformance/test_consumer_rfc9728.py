"""RFC 9728: a client finds the issuer of an API through the API's own metadata."""

import httpx
import pytest

from consumer import InsecureUrl, MetadataError, TokenEndpointUnreachable
from consumer.auth import find_resource
from tests.support.consumer_flow import ISSUER

API = "https://api.example/orders"
WELL_KNOWN = "https://api.example/.well-known/oauth-protected-resource/orders"
ROOT = "https://api.example/.well-known/oauth-protected-resource"
GOOD = {
    "resource": API,
    "authorization_servers": ["https://other.example", ISSUER],
    "scopes_supported": ["orders:read", 7],
}


class Api:
    """An API, which keeps what it was asked for."""

    def __init__(self, documents, challenge=None):
        self.documents, self.challenge, self.asked = documents, challenge, []

    def __call__(self, request):
        assert "authorization" not in request.headers
        self.asked.append(str(request.url))
        found = self.documents.get(str(request.url))
        if isinstance(found, httpx.Response):
            return found
        if found is not None:
            return httpx.Response(200, json=found)
        if self.challenge is None or str(request.url) != API:
            return httpx.Response(404)
        return httpx.Response(401, headers={"WWW-Authenticate": self.challenge})


def find(api, url=API, issuers=(ISSUER,)):
    """Ask this API."""
    return find_resource(url, issuers, transport=httpx.MockTransport(api))


@pytest.mark.rfc("mcp-1-C")
def test_5_1_the_challenge_names_the_document():
    """It is read there and nowhere else; the API is asked without a token."""
    named = "https://api.example/metadata"
    api = Api({named: GOOD}, f'Bearer resource_metadata="{named}"')
    found = find(api)
    assert (found.resource, found.issuer, found.scopes) == (API, ISSUER, ("orders:read",))
    assert api.asked == [API, named]


@pytest.mark.rfc("mcp-1-C")
@pytest.mark.parametrize(
    ("place", "asked"), [(WELL_KNOWN, [API, WELL_KNOWN]), (ROOT, [API, WELL_KNOWN, ROOT])]
)
def test_3_1_it_is_looked_for_in_the_well_known_places(place, asked):
    """With the path of the resource, then without, where the challenge names none."""
    api = Api({place: GOOD}, "Bearer")
    assert find(api).issuer == ISSUER
    assert api.asked == asked


@pytest.mark.rfc("9728-3.3-1")
@pytest.mark.parametrize("resource", ["https://api.example", API + "/", "https://x.example", None])
def test_3_3_metadata_of_another_resource_are_discarded(resource):
    """They could be an attacker's, who wants tokens for the API whose name they bear."""
    with pytest.raises(MetadataError, match="of another resource"):
        find(Api({WELL_KNOWN: GOOD | {"resource": resource}}))


@pytest.mark.rfc("9728-3.3-1")
def test_an_empty_path_may_be_written_as_a_slash():
    """Both are one URI (RFC 3986 §6.2.3); the name that the API has for itself is what counts."""
    host = "https://api.example"
    assert find(Api({ROOT: GOOD | {"resource": host + "/"}}), host).resource == host + "/"


@pytest.mark.parametrize("servers", [["https://other.example"], [], "x", None])
def test_no_api_leads_a_client_to_an_issuer_of_its_choice(servers):
    """Only one that the client has credentials of is taken."""
    with pytest.raises(MetadataError, match="trusts none of the issuers") as caught:
        find(Api({WELL_KNOWN: GOOD | {"authorization_servers": servers}}))
    assert isinstance(caught.value, httpx.HTTPError)


def test_the_clients_order_of_issuers_counts():
    """During a migration an API trusts both."""
    issuers = [ISSUER, "https://other.example"]
    assert find(Api({WELL_KNOWN: GOOD}), issuers=issuers).issuer == ISSUER
    assert find(Api({WELL_KNOWN: GOOD}), issuers=issuers[::-1]).issuer == "https://other.example"


@pytest.mark.parametrize("named", ["https://inside.example/x", "http://169.254.169.254/x", "/x"])
def test_a_challenge_leads_to_no_other_server(named):
    """A client inside a network would read there on behalf of the API."""
    api = Api({}, f'Bearer resource_metadata="{named}"')
    with pytest.raises(MetadataError, match="another server"):
        find(api)
    assert api.asked == [API]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (httpx.Response(503), "cannot be had now"),
        (httpx.Response(200, html="<p>"), "cannot be read: it is text/html"),
        (httpx.Response(404), "has no metadata"),
        (httpx.Response(302, headers={"Location": "https://x.example"}), "has no metadata"),
    ],
)
def test_what_is_no_metadata_is_told(answer, told):
    """A redirect is not followed."""
    with pytest.raises(MetadataError, match=told):
        find(Api({WELL_KNOWN: answer}))


def test_plain_http_is_not_asked():
    """Another machine could answer in the API's place."""
    with pytest.raises(InsecureUrl):
        find(Api({}), "http://api.example.com")


def test_scopes_may_be_missing():
    """The member is recommended, and not required."""
    bare = {name: GOOD[name] for name in ("resource", "authorization_servers")}
    assert find(Api({WELL_KNOWN: bare})).scopes == ()


def test_an_api_that_is_away_is_told():
    """As an issuer that is."""

    def refuse(request):
        raise httpx.ConnectError("no route")

    with pytest.raises(TokenEndpointUnreachable, match=r"api\.example cannot be reached: no route"):
        find_resource(API, [ISSUER], transport=httpx.MockTransport(refuse))
