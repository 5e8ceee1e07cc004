"""Unit tests of `watchword.remote_administration`: what a server's bad days come out as."""

import json

import httpx
import pytest

from consumer.errors import InsecureUrl
from issuer.registry.errors import (
    AccessRefused,
    InvalidDocument,
    InvalidValue,
    RegistryError,
    RevisionConflict,
    StoreUnavailable,
    UnknownClient,
    UnknownResource,
)
from watchword.remote_administration import RemoteAdministration

SERVER = "https://auth.example"
BASE = SERVER + "/admin/api/v1"
SECRET = "a-secret-that-must-not-be-shown"


class Server:
    """An issuer that gives out tokens, and an administration that answers as it is told."""

    def __init__(self):
        self.requests = []
        self.answers = []
        self.token_status = 200
        self.token_error = None

    def __call__(self, request):
        if request.url.path == "/.well-known/oauth-authorization-server":
            return httpx.Response(200, json={"issuer": SERVER, "token_endpoint": SERVER + "/token"})
        if request.url.path == "/token":
            self.asked = request.content.decode()
            token = {"access_token": "t1", "token_type": "Bearer", "expires_in": 60}
            later = self.token_status == 503
            usual = "temporarily_unavailable" if later else "invalid_client"
            error = {"error": self.token_error or usual}
            body = token if self.token_status == 200 else error
            return httpx.Response(self.token_status, json=body)
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def server():
    """Give a server that is told what to answer."""
    return Server()


@pytest.fixture
def remote(server):
    """Give the operations of that server."""
    made = RemoteAdministration(
        SERVER, client_id="root", client_secret=SECRET, transport=httpx.MockTransport(server)
    )
    yield made
    made.close()


def problem(status, code, **members):
    """Make an answer that is a problem document."""
    document = {"type": f"urn:watchword:problem:{code}", "status": status, **members}
    headers = {"content-type": "application/problem+json"}
    return httpx.Response(status, headers=headers, content=json.dumps(document))


def test_the_token_is_for_the_administration_below_the_server(server, remote):
    """What the operator typed says where secret and token go, and nothing else does."""
    server.answers = [httpx.Response(200, json={"clients": [], "next": None})]
    remote.list_clients(limit=5)
    assert "resource=https%3A%2F%2Fauth.example%2Fadmin%2Fapi%2Fv1" in server.asked
    (request,) = server.requests
    assert str(request.url) == BASE + "/clients?limit=5"
    assert request.headers["authorization"] == "Bearer t1"
    assert SECRET not in repr(remote)


def test_another_identifier_can_be_named(server):
    """For servers whose administration has its own."""
    remote = RemoteAdministration(
        SERVER,
        client_id="root",
        client_secret=SECRET,
        resource="urn:administration",
        transport=httpx.MockTransport(server),
    )
    server.answers = [httpx.Response(204)]
    remote.delete_client("till")
    remote.close()
    assert "resource=urn%3Aadministration" in server.asked


@pytest.mark.parametrize("server", ["auth.example", "", "https://", "https://auth.example?x"])
def test_a_server_that_is_no_url_is_refused_before_anything_is_sent(server):
    """One clear line."""
    with pytest.raises(InvalidValue, match="the server cannot be asked"):
        RemoteAdministration(server, client_id="root", client_secret=SECRET)


def test_a_secret_does_not_travel_in_the_clear():
    """RFC 6749 §2.3.1: TLS, except on loopback."""
    with pytest.raises(InsecureUrl):
        RemoteAdministration("http://auth.example", client_id="root", client_secret=SECRET)


def test_lists_that_are_not_in_pages_are_read_to_their_end(server, remote):
    """A server gives them page by page."""
    server.answers = [
        httpx.Response(200, json={"resources": [{"resource": "a"}], "next": "a"}),
        httpx.Response(200, json={"resources": [{"resource": "b"}], "next": None}),
    ]
    assert remote.list_resources() == [{"resource": "a"}, {"resource": "b"}]
    assert server.requests[1].url.params["after"] == "a"


def test_a_revision_is_sent_and_read_as_a_tag(server, remote):
    """RFC 9110 §13.1.1."""
    server.answers = [
        httpx.Response(200, json={"client_id": "till"}, headers={"etag": '"8"'}),
        problem(412, "revision-conflict", detail="it has changed"),
    ]
    assert remote.update_client("till", {}, revision=7).revision == 8
    assert server.requests[0].headers["if-match"] == '"7"'
    assert server.requests[0].headers["content-type"] == "application/merge-patch+json"
    with pytest.raises(RevisionConflict, match="it has changed"):
        remote.delete_client("till", revision=7)


def test_a_key_is_sent_and_nothing_is_tried_again_by_itself(server, remote):
    """The caller that chose the key decides on another try."""
    server.answers = [httpx.ReadTimeout("too slow")]
    with pytest.raises(StoreUnavailable):
        remote.create_client({"client_id": "till"}, idempotency_key="k")
    (request,) = server.requests
    assert request.headers["idempotency-key"] == "k"


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (problem(503, "unavailable", detail="try again soon"), StoreUnavailable, SERVER),
        (httpx.Response(502, text="<html>"), StoreUnavailable, "502"),
        (httpx.Response(429), StoreUnavailable, "429"),
        (httpx.ConnectError("refused"), StoreUnavailable, "cannot be reached: refused"),
        (httpx.ReadTimeout(""), StoreUnavailable, "ReadTimeout"),
        (httpx.Response(401), AccessRefused, "does not take the client's token"),
        (httpx.Response(403), AccessRefused, "asks for more than the client holds"),
        (
            httpx.Response(403, headers={"www-authenticate": 'Bearer realm="x", scope="a b"'}),
            AccessRefused,
            f"needs a b: watchword .* root --resource {BASE} --add-scope a --add-scope b",
        ),
        (httpx.Response(200, text="<html>"), AccessRefused, "not as an administration does"),
        (httpx.Response(200, json={"clients": {}}), AccessRefused, "not one of the"),
        (httpx.Response(302, headers={"location": "https://evil.example"}), AccessRefused, "302"),
        (problem(500, "internal", detail="see the server's log"), RegistryError, "server's log"),
        (
            httpx.Response(404, headers={"content-type": "application/problem+json"}),
            AccessRefused,
            "answered 404",
        ),
        (
            problem(422, "invalid-document", errors=[{"pointer": "#/x", "detail": "no"}]),
            InvalidDocument,
            "x: no",
        ),
    ],
)
def test_whatever_comes_back_is_a_refusal_of_one_line(server, remote, answer, kind, words):
    """None of it is a token, a secret, or more than a terminal can show."""
    server.answers = [answer] * 2  # a token that is not taken is asked for anew
    with pytest.raises(kind, match=words) as caught:
        remote.list_clients()
    said = str(caught.value)
    assert said.isprintable()
    assert SECRET not in said
    assert "t1" not in said.split()


def test_an_answer_without_its_tag_is_not_taken(server, remote):
    """Without the revision the next change could overwrite another."""
    server.answers = [httpx.Response(200, json={"client_id": "till"})]
    with pytest.raises(AccessRefused):
        remote.show_client("till")


def test_a_client_that_the_issuer_does_not_know_is_told(server, remote):
    """And no other server is asked."""
    server.token_status = 401
    with pytest.raises(AccessRefused, match="invalid_client"):
        remote.list_clients()
    assert server.requests == []


@pytest.mark.parametrize("code", ["invalid_target", "unauthorized_client"])
@pytest.mark.parametrize(
    ("command", "scopes"),
    [
        (lambda remote: remote.change_tokens({}), "tokens:write"),
        (lambda remote: remote.delete_client("till"), "clients:write"),
        (
            lambda remote: remote.delete_client("till", revoke_tokens=True),
            "clients:write watchword:tokens:write",
        ),
        (lambda remote: remote.list_audit(target="a b"), "audit:read"),
    ],
)
def test_a_client_without_any_scope_is_told_what_the_command_needs(
    server, remote, code, command, scopes
):
    """It gets no token at all, so that no challenge can say it."""
    server.token_status, server.token_error = 400, code
    with pytest.raises(AccessRefused, match=f"{code}; the command needs watchword:{scopes}: "):
        command(remote)


def test_an_issuer_that_cannot_answer_leaves_it_open(server, remote):
    """503 is no refusal."""
    server.token_status = 503
    with pytest.raises(StoreUnavailable):
        remote.list_clients()


def test_a_server_of_another_name_is_told():
    """RFC 8414 §3.3: the metadata must be of the very issuer that was typed."""

    def other(request):
        document = {"issuer": "https://other.example", "token_endpoint": SERVER + "/token"}
        return httpx.Response(200, json=document)

    remote = RemoteAdministration(
        SERVER, client_id="root", client_secret=SECRET, transport=httpx.MockTransport(other)
    )
    with pytest.raises(AccessRefused, match="another issuer"):
        remote.list_clients()
    remote.close()


@pytest.mark.parametrize("name", ["", "a b", "é", "a\n"])
def test_a_name_that_no_path_can_hold_is_unknown(server, remote, name):
    """As beside the database; no request is made."""
    with pytest.raises(UnknownClient):
        remote.show_client(name)
    with pytest.raises(UnknownResource):
        remote.show_resource(name)
    assert server.requests == []
