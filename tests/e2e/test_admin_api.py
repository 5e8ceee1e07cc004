"""`/admin/api/v1` of a running provider, over real sockets and with its token check."""

import json
import socket
from functools import partial

import httpx
import pytest

from issuer.administration.http.answers import ANSWERS
from issuer.registry.schema import read
from tests.support.provider import PATIENCE, eventually, make_place, running
from watchword.registry import ADMIN_SCOPES

READER, WRITER = "watchword:clients:read", "watchword:clients:write"


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """Serve a provider with two workers, and clients that may administer more and less."""
    place = make_place(tmp_path_factory.mktemp("provider"))
    place.add_key()
    resource = place.url + "/admin/api/v1"
    clients = {
        name: place.json("clients", "create", name, "--grant", f"{resource} {scopes}")
        for name, scopes in (
            ("root", " ".join(ADMIN_SCOPES)),
            ("reader", READER),
            ("writer", WRITER),
            ("keys", "watchword:keys:read"),
        )
    }
    clients["stranger"] = place.json("clients", "create", "stranger", "--all-scopes")
    with running(place, "--workers", "2"):
        yield place, clients


@pytest.fixture
def place(served):
    """Give the running provider."""
    return served[0]


@pytest.fixture
def as_client(served):
    """Return a function that asks the API as one of the clients."""
    place, clients = served
    opened = []

    def ask_as(name):
        token = place.ask(clients[name]).json()["access_token"]
        headers = {"authorization": f"Bearer {token}"}
        http = httpx.Client(base_url=place.url + "/admin/api/v1", headers=headers, trust_env=False)
        opened.append(http)
        return http

    yield ask_as
    for http in opened:
        http.close()


@pytest.fixture
def root(as_client):
    """Ask as the client that holds every scope."""
    return as_client("root")


def test_no_request_passes_without_a_token_for_this_very_api(place, as_client):
    """RFC 6750 §3, RFC 9728 §5.1: the challenge leads to where a token is to be had."""
    answer = place.get("/admin/api/v1/clients")
    assert answer.status_code == 401
    challenge = answer.headers["www-authenticate"]
    url = place.url + "/.well-known/oauth-protected-resource/admin/api/v1"
    assert f'resource_metadata="{url}"' in challenge
    metadata = httpx.get(url, trust_env=False).json()
    assert metadata["resource"] == place.url + "/admin/api/v1"
    assert metadata["authorization_servers"] == [place.url]
    assert metadata["scopes_supported"] == list(ADMIN_SCOPES)
    # A token for the demo API is none for this one.
    assert as_client("stranger").get("/clients").status_code == 401


def test_each_verb_has_its_scope(as_client):
    """RFC 6750 §3.1: 403, with the scope that is lacking."""
    reader, writer = as_client("reader"), as_client("writer")
    assert reader.get("/clients").status_code == 200
    for refused, scope in (
        (reader.post("/clients", json={"client_id": "x"}), WRITER),
        (writer.get("/clients"), READER),
        (writer.post("/clients/stranger/secrets"), "watchword:secrets:write"),
        (reader.get("/audit"), "watchword:audit:read"),
        (
            writer.post("/apply", json={}),
            f"{WRITER} watchword:resources:write watchword:secrets:write",
        ),
    ):
        assert refused.status_code == 403
        challenge = refused.headers["www-authenticate"]
        assert 'error="insufficient_scope"' in challenge
        assert f'scope="{scope}"' in challenge


def test_no_caller_hands_out_what_it_does_not_hold(as_client, place):
    """A client that may write clients makes no client that may write more."""
    writer = as_client("writer")
    resource = place.url + "/admin/api/v1"
    grants = [{"resource": resource, "scope": "watchword:secrets:write"}]
    for refused in (
        writer.post("/clients", json={"client_id": "evil", "grants": grants}),
        writer.patch("/clients/writer", json={"grants": grants}),
        writer.patch("/clients/root", json={"disabled": True}),
        writer.delete("/clients/reader"),
    ):
        assert refused.status_code == 403
        assert refused.json()["type"] == "urn:watchword:problem:beyond-authority"
        assert "www-authenticate" not in refused.headers
    assert as_client("root").get("/clients/evil").status_code == 404


def test_an_administrator_that_is_disabled_or_deleted_stops_at_once(as_client, root, place):
    """Its token lives on for an hour; it does not undo what ended it."""
    resource = place.url + "/admin/api/v1"
    document = {"client_id": "rogue", "grants": [{"resource": resource, "scope": WRITER}]}
    rogue_client = root.post("/clients", json=document).json()
    token = place.ask(rogue_client).json()["access_token"]
    rogue = {"headers": {"authorization": f"Bearer {token}"}}
    with httpx.Client(base_url=resource, **rogue, trust_env=False) as http:
        assert http.patch("/clients/rogue", json={"client_name": "mine"}).status_code == 200
        for end in (
            lambda: root.patch("/clients/rogue", json={"disabled": True}),
            lambda: root.delete("/clients/rogue"),
        ):
            assert end().is_success
            refused = http.patch("/clients/rogue", json={"disabled": False})
            assert refused.status_code == 401
            assert refused.json()["type"] == "urn:watchword:problem:caller-not-active"
            assert 'error="invalid_token"' in refused.headers["www-authenticate"]
    assert root.get("/clients/rogue").status_code == 404


@pytest.mark.parametrize("client_id", ["a/b", "a%2Fb", "..", ".", "?#", "é".encode().hex(), "~!*"])
def test_an_id_of_any_visible_characters_can_be_administered(root, client_id):
    """Over a real server, which decodes paths before the application sees them."""
    created = root.post("/clients", json={"client_id": client_id})
    assert created.status_code == 201, created.text
    path = created.headers["location"].removeprefix("/admin/api/v1")
    assert root.get(path).json()["client_id"] == client_id
    assert root.patch(path, json={"client_name": "x"}).status_code == 200
    assert root.delete(path).status_code == 204
    assert root.get(path).status_code == 404


def test_a_change_counts_for_every_worker_at_once(root, place):
    """Each worker asks the same registry."""
    created = root.post("/clients", json={"client_id": "till", "scope": "read"}).json()
    assert place.ask(created).status_code == 200
    for _ in range(6):
        with httpx.Client(base_url=root.base_url, headers=root.headers, trust_env=False) as other:
            assert other.get("/clients/till").status_code == 200
    root.delete("/clients/till")


def test_the_trail_and_the_log_tell_who_asked_under_which_id(root, place):
    """One id in the answer, in the trail and in the log."""
    created = root.post("/clients", json={"client_id": "told"}, headers={"x-request-id": "r-1"})
    assert created.headers["x-request-id"] == "r-1"
    (entry,) = root.get("/audit", params={"target": "told", "limit": 1}).json()["entries"]
    assert (entry["actor"], entry["via"], entry["request_id"]) == ("root", "api", "r-1")
    logged = [each for each in place.log() if each.get("request_id") == "r-1"]
    assert [(each["event"], each["actor"]) for each in logged] == [
        ("client.created", "root"),
        ("secret.added", "root"),
    ]
    assert created.json()["client_secret"] not in json.dumps(place.log())
    root.delete("/clients/told")


def test_a_body_that_is_too_large_is_refused_while_it_comes(root, place):
    """413 before the rest has arrived."""
    token = root.headers["authorization"]
    with socket.create_connection(("127.0.0.1", place.port), timeout=10) as connection:
        connection.sendall(
            f"POST /admin/api/v1/clients HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n"
            "Content-Type: application/json\r\nContent-Length: 9000000\r\n\r\n".encode()
            + b" " * 1_100_000
        )
        assert connection.recv(65_536).startswith(b"HTTP/1.1 413 ")


def test_a_token_that_is_revoked_while_a_body_arrives_does_nothing(tmp_path):
    """A body may take its time; what counts is the token when all of it is there."""
    place = make_place(tmp_path)
    place.add_key()
    resource = place.url + "/admin/api/v1"
    client = place.json("clients", "create", "writer", "--grant", f"{resource} {WRITER}")
    body = b'{"client_id": "parked"}'
    with running(place):  # one worker, which learns of the revocation once
        token = {"authorization": f"Bearer {place.ask(client).json()['access_token']}"}
        head = (
            f"POST /admin/api/v1/clients HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
            f"Authorization: {token['authorization']}\r\nConnection: close\r\n"
            "Content-Type: application/json\r\nExpect: 100-continue\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", place.port), timeout=PATIENCE) as connection:
            connection.sendall(head.encode())
            # The server asks for the body once it has judged the token.
            assert connection.recv(65_536).startswith(b"HTTP/1.1 100 ")
            connection.sendall(body[:-1])
            assert place.run("token", "revoke", "--client", "writer", "--yes").returncode == 0
            ask = partial(httpx.get, f"{resource}/clients", headers=token, trust_env=False)
            assert eventually(lambda: ask().status_code == 401)
            connection.sendall(body[-1:])
            answer = connection.makefile("rb").read().decode()
    assert answer.startswith("HTTP/1.1 401 ")
    assert 'error="invalid_token"' in answer
    assert "revoked" in answer
    assert place.run("clients", "show", "parked").returncode == 1


def test_everything_that_is_served_is_described(place):
    """`GET /openapi.json`, without a token."""
    document = place.get("/openapi.json").json()
    assert "/admin/api/v1/clients/{client_id}" in document["paths"]
    assert document["servers"] == [{"url": place.url}]


def test_keys_are_listed_and_rotated_by_those_who_may(root, as_client):
    """What a withdrawal would come to is told; the rotation is done, and the trail says by whom."""
    reader = as_client("keys")
    assert reader.get("/keys").status_code == 200
    refused = reader.post("/key-rotations")
    assert 'scope="watchword:keys:write"' in refused.headers["www-authenticate"]
    signing = next(each for each in root.get("/keys").json()["keys"] if each["state"] == "active")
    foreseen = root.post("/key-withdrawals", json={"kid": signing["kid"], "dry_run": True}).json()
    assert [each["state"] for each in foreseen["keys"] if each["kid"] == signing["kid"]] == [
        "revoked"
    ]
    rotated = root.post("/key-rotations")
    assert (rotated.status_code, rotated.json()["recorded"]) == (200, True), rotated.text
    pending = next(each for each in rotated.json()["keys"] if each["state"] == "pending")
    # A key made now, or one that the upkeep had made already and that is given its time now.
    (entry, *_) = root.get("/audit", params={"target": pending["kid"]}).json()["entries"]
    assert entry["action"] in ("key.generated", "key.scheduled")
    assert (entry["actor"], entry["via"]) == ("root", "api")
    assert entry["after"]["signs_from"] == pending["signs_from"]


def test_health_tells_what_was_refused_and_that_nothing_is_wrong(root, place):
    """Counted over both workers, each within a second; the document is as OpenAPI describes it."""
    place.ask({"client_id": "nobody", "client_secret": "x"})
    health = {}

    def counted():
        health.update(root.get("/health").json())
        read(ANSWERS["Health"], health)
        outcomes = {each["outcome"] for each in health["token_requests"]}
        # A worker that has just begun has not asked the database yet.
        return {"issued", "unknown_client"} <= outcomes and all(health["checks"].values())

    assert eventually(counted), health
    assert health["findings"] == []
    assert health["database"]["schema"] == health["database"]["expected_schema"]
    assert [each["limit"] for each in health["limits"]] == ["failed_auth", "token_quota"]
