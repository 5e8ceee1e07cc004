"""The provider as its users run it: the real command, real sockets, other processes beside it."""

import json
import os
import re
import signal
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from keys.encoding import decode_base64url
from keys.stores.key_file import parse_key_file, replace_times
from tests.support.provider import PATIENCE, Place, eventually, make_place, running


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Run one provider for the tests of this file that change nothing but clients."""
    place = new_place(tmp_path_factory.mktemp("provider"))
    with running(place):
        yield place


def new_place(folder: Path, **settings: str) -> Place:
    """Make a place that has a key."""
    place = make_place(folder, **settings)
    place.add_key()
    return place


def bearer(answer: httpx.Response) -> dict[str, str]:
    """Put the token of an answer into a header."""
    return {"authorization": f"Bearer {answer.json()['access_token']}"}


def test_a_client_made_beside_a_running_provider_gets_a_token_at_once(place: Place) -> None:
    """Another process registers it; the very next request is granted."""
    client = place.json("clients", "create", "at-once", "--all-scopes")
    answer = place.ask(client, scope="read")
    assert answer.status_code == 200
    assert place.get("/read-resource", headers=bearer(answer)).status_code == 200


@pytest.mark.alone
def test_a_disabled_client_is_refused_within_a_second_and_enabled_again(place: Place) -> None:
    """A change by another process reaches the running view."""
    client = place.json("clients", "create", "switched", "--all-scopes")
    assert place.ask(client).status_code == 200
    assert place.run("clients", "disable", "switched").returncode == 0
    assert eventually(lambda: place.ask(client).status_code == 401, within=1.0)
    assert place.run("clients", "enable", "switched").returncode == 0
    assert place.ask(client).status_code == 200
    assert place.run("clients", "delete", "switched", "--yes").returncode == 0
    assert eventually(lambda: place.ask(client).status_code == 401, within=1.0)


@pytest.mark.rfc("ops-1")
@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_probes_are_open_and_unstored(place: Place, path: str) -> None:
    """Whoever restarts and routes needs no token, and no cache answers for us."""
    answer = place.get(path)
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    posted = httpx.post(place.url + path, trust_env=False)
    assert (posted.status_code, posted.headers["allow"]) == (405, "GET, HEAD")


def test_the_story_can_be_told_twice(place: Place) -> None:
    """The scenario passes against a running provider, again and again."""
    client = place.json("clients", "create", "storyteller", "--all-scopes")
    told = Place(
        place.folder,
        place.port,
        {"CLIENT_ID": client["client_id"], "CLIENT_SECRET": client["client_secret"]},
    )
    for _ in range(2):
        done = told.run("scenario")
        assert done.returncode == 0, done.stdout
        assert client["client_secret"] not in done.stdout
    token = told.json("token", "get", "--scope", "read")
    assert (token["token_type"], token["scope"]) == ("Bearer", "read")
    plain = told.run("token", "get").stdout.strip()
    decoded = told.json("token", "inspect", plain)
    assert decoded["claims"]["client_id"] == "storyteller"
    assert "storyteller" in told.run("token", "inspect", plain).stdout


def test_a_refused_token_request_is_one_line(place: Place) -> None:
    """The command says what the issuer said."""
    told = Place(place.folder, place.port, {"CLIENT_ID": "nobody", "CLIENT_SECRET": "x" * 40})
    done = told.run("token", "get")
    assert (done.returncode, done.stdout) == (1, "")
    assert "invalid_client" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.rfc("9700-4.10-1", "6749-2.3.1-3")
def test_logs_are_json_lines_without_tokens_and_secrets(place: Place) -> None:
    """Every line parses; what is secret is in none of them, nor is a query."""
    client = place.json("clients", "create", "logged", "--all-scopes")
    token = place.ask(client).json()["access_token"]
    place.get(f"/read-resource?access_token={token}")
    place.ask(client, path=f"/token?client_secret={client['client_secret']}")
    assert eventually(lambda: "credentials_in_query" in str(place.log()))
    text = (place.folder / "log").read_text()
    assert token not in text
    assert client["client_secret"] not in text
    issued = [event for event in place.log() if event["event"] == "token.issued"]
    page = (Path(__file__).parents[2] / "docs/reference/events.md").read_text()
    shown = json.loads(re.findall(r"```json\n(.*?)\n```", page)[0])
    assert list(issued[-1]) == list(shown)


def test_request_ids_are_echoed_if_harmless(place: Place) -> None:
    """A caller may name its request; a name that could spoil a log is replaced."""
    kept = place.get("/healthz", headers={"x-request-id": "abc-123"})
    made = place.get("/healthz", headers={"x-request-id": "a b"})
    assert kept.headers["x-request-id"] == "abc-123"
    assert made.headers["x-request-id"] not in ("a b", "abc-123")


@pytest.mark.rfc("8414-2-1")
def test_the_host_header_changes_nothing(place: Place) -> None:
    """The issuer is configuration."""
    answer = place.get("/.well-known/oauth-authorization-server", headers={"host": "evil.example"})
    assert answer.json()["issuer"] == place.url
    assert "evil" not in answer.text


def test_what_nothing_serves_is_not_found(place: Place) -> None:
    """A mistyped path is told from a missing token."""
    answer = place.get("/nothing-here")
    assert (answer.status_code, answer.json()) == (404, {"error": "not_found"})


def test_a_public_issuer_has_the_demo_api_only_if_asked(tmp_path: Path) -> None:
    """`--demo` brings it back; its scopes are in the registry either way."""
    place = new_place(tmp_path, WATCHWORD_ISSUER="https://auth.example")
    client = place.json("clients", "create", "public", "--scope", "read")
    with running(place):
        assert place.get("/").json()["issuer"] == "https://auth.example"
        assert place.get("/public").status_code == 404
        token = place.ask(client)
        assert place.get("/read-resource", headers=bearer(token)).status_code == 404
        assert "/public" not in place.get("/openapi.json").json()["paths"]
    with running(place, "--demo"):
        assert place.get("/public").text == "moo"
        assert place.get("/read-resource", headers=bearer(token)).status_code == 200


def test_a_new_key_is_published_before_it_signs(place: Place) -> None:
    """A key made beside the running provider joins the set within seconds and waits its turn."""
    made = place.json("keys", "generate")
    assert made["state"] == "pending"
    assert eventually(
        lambda: made["kid"] in {key["kid"] for key in place.get("/jwks").json()["keys"]}, within=5
    )
    client = place.json("clients", "create", "patient", "--all-scopes")
    token = place.ask(client).json()["access_token"]
    decoded: dict[str, Any] = place.json("token", "inspect", token)
    assert decoded["header"]["kid"] != made["kid"]


@pytest.mark.rfc("ops-1")
def test_sigterm_takes_readiness_first_and_lets_requests_finish(tmp_path: Path) -> None:
    """While the probe says no, the listener still takes work, and what runs is finished."""
    place = new_place(tmp_path, WATCHWORD_DRAIN_SECONDS="5")
    client = place.json("clients", "create", "slow", "--all-scopes")
    with running(place) as process, socket.create_connection(("127.0.0.1", place.port)) as slow:
        body = (
            f"grant_type=client_credentials&client_id=slow&client_secret={client['client_secret']}"
        )
        head = "POST /token HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-www-form-urlencoded"
        slow.sendall(f"{head}\r\ncontent-length: {len(body)}\r\n\r\n{body[:10]}".encode())
        process.send_signal(signal.SIGTERM)
        assert eventually(lambda: place.get("/readyz").status_code == 503)
        assert "serving" in place.get("/readyz").json()["failing"]
        assert place.ask(client).status_code == 200
        slow.sendall(body[10:].encode())
        assert slow.recv(65_536).startswith(b"HTTP/1.1 200")
        assert process.wait(timeout=PATIENCE) == 0
    assert [event["event"] for event in place.log()][-1] == "server.stopped"


def test_an_interrupt_ends_with_130(tmp_path: Path) -> None:
    """Ctrl-C is not a success, but it is as polite."""
    place = new_place(tmp_path)
    process = place.start()
    assert eventually(place.is_ready)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=PATIENCE) == 130
    assert process.stdout is not None
    process.stdout.close()


def test_two_providers_share_a_data_folder(tmp_path: Path) -> None:
    """Both issue with the same key, and both know a client that either's operator makes."""
    first = new_place(tmp_path)
    second = Place(tmp_path, make_place(tmp_path).port, {"WATCHWORD_ISSUER": first.url})
    with running(first), running(second):
        client = first.json("clients", "create", "shared", "--all-scopes")
        answers = [place.ask(client) for place in (first, second)]
        assert [answer.status_code for answer in answers] == [200, 200]
        read = second.get("/read-resource", headers=bearer(answers[0]))
        assert read.status_code == 200


def test_workers_share_the_story_and_are_restarted(tmp_path: Path) -> None:
    """What one worker wrote another reads; one that dies is replaced."""
    place = new_place(tmp_path)
    client = place.json("clients", "create", "crowd", "--all-scopes")
    with running(place, "--workers", "2") as process:
        headers = bearer(place.ask(client))
        httpx.post(
            place.url + "/write-resource", json={"value": "x"}, headers=headers, trust_env=False
        )
        values = {place.get("/read-resource", headers=headers).text for _ in range(20)}
        assert values == {'{"resource":"x"}'}
        listed = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        assert len(listed) == 2
        for pid in listed:
            os.kill(int(pid), signal.SIGKILL)
        assert eventually(lambda: place.is_ready() and place.ask(client).status_code == 200)
    assert "worker.restarted" in {event["event"] for event in place.log()}


def test_the_halves_run_apart(tmp_path: Path) -> None:
    """An API alone finds the keys over HTTP; neither half serves the other's routes."""
    issuer = new_place(tmp_path)
    issuer.settings["WATCHWORD_STATUS_LIST_TTL"] = "2"
    api = Place(tmp_path, make_place(tmp_path).port, {"WATCHWORD_ISSUER": issuer.url})
    with running(issuer, "--only", "issuer"), running(api, "--only", "api"):
        client = issuer.json("clients", "create", "apart", "--all-scopes")
        answer = issuer.ask(client)
        assert api.get("/read-resource", headers=bearer(answer)).status_code == 200
        assert api.ask(client).status_code == 404
        assert issuer.get("/public").status_code == 404
        told = Place(
            tmp_path,
            issuer.port,
            issuer.settings
            | {
                "WATCHWORD_API": api.url,
                "CLIENT_ID": "apart",
                "CLIENT_SECRET": client["client_secret"],
            },
        )
        done = told.run("scenario")
        assert done.returncode == 0, done.stdout
        assert "after it was revoked, at request" in done.stdout
        # Without lists a token counts until it ends, and the story says so.
        assert issuer.run("resources", "update", issuer.url, "--no-status-list").returncode == 0
        assert eventually(lambda: "on no status list" in told.run("scenario").stdout)


@pytest.mark.rfc("8414-3.1-1")
def test_an_issuer_with_a_path_works(tmp_path: Path) -> None:
    """The well-known name goes between host and path; endpoints lie under the path."""
    place = make_place(tmp_path)
    place.settings["WATCHWORD_ISSUER"] = f"{place.url}/t1"
    place.add_key()
    client = place.json("clients", "create", "tenant", "--all-scopes")
    with running(place):
        metadata = place.get("/.well-known/oauth-authorization-server/t1").json()
        assert metadata["issuer"] == f"{place.url}/t1"
        assert metadata["token_endpoint"] == f"{place.url}/t1/token"
        token = place.ask(client, path="/t1/token")
        assert place.get("/t1/read-resource", headers=bearer(token)).status_code == 200
        assert place.get("/.well-known/oauth-protected-resource/t1").status_code == 200
        told = Place(
            place.folder,
            place.port,
            place.settings | {"CLIENT_ID": "tenant", "CLIENT_SECRET": client["client_secret"]},
        )
        assert told.run("scenario").returncode == 0


@pytest.mark.attack("T23")
def test_without_keys_a_running_provider_refuses(tmp_path: Path) -> None:
    """A key withdrawn by hand while serving ends signing; nothing is ever unsigned."""
    place = new_place(tmp_path)
    client = place.json("clients", "create", "keyless", "--all-scopes")
    with running(place):
        for file in (tmp_path / "data" / "keys").glob("*.pem"):
            content = file.read_bytes()
            stored = parse_key_file(content, name="")
            times = replace(stored.ring_key, withdrawn_at=2**33)
            file.write_bytes(replace_times(content, stored, times))
        assert eventually(lambda: place.ask(client).status_code == 503, within=5)
        answer = place.ask(client)
        assert answer.json() == {"error": "temporarily_unavailable"}
        assert answer.headers["retry-after"] == "1"
        assert place.get("/readyz").json()["failing"] == ["keys"]


def test_a_rotation_and_a_withdrawal_are_followed_within_a_second(tmp_path: Path) -> None:
    """The successor was prepared soon after the start; an emptied store takes no key away."""
    place = new_place(tmp_path)
    client = place.json("clients", "create", "rotating", "--all-scopes")
    folder = tmp_path / "data" / "keys"
    (first,) = folder.glob("*.pem")
    with running(place):
        assert eventually(lambda: len(place.get("/jwks").json()["keys"]) == 2, within=10)
        done = place.run("keys", "revoke", first.stem, "--yes")
        assert done.returncode == 0, done.stderr
        assert eventually(
            lambda: (
                first.stem not in place.get("/jwks").text
                and kid_of(place.ask(client).json()["access_token"]) != first.stem
            ),
            within=2,
        )
        for file in folder.glob("*.pem"):
            file.unlink()
        assert eventually(lambda: place.get("/readyz").json().get("failing") == ["keys"])
        assert place.ask(client).status_code == 200


def kid_of(token: str) -> str:
    """Return the key that a token names."""
    header = json.loads(decode_base64url(token.partition(".")[0]))
    return str(header["kid"])


def test_dev_mode_needs_nothing_and_leaves_nothing(tmp_path: Path) -> None:
    """Credentials are printed once and work; the folder goes with the process."""
    place = make_place(tmp_path, TMPDIR=str(tmp_path))
    process = place.start("--dev")
    assert process.stdout is not None
    lines: list[str] = []
    reader = threading.Thread(target=lambda: lines.extend(process.stdout or ()))
    reader.start()
    assert eventually(place.is_ready)
    shown = dict(line.split(maxsplit=1) for line in lines[:3])
    client = {name: shown[name].strip() for name in ("client_id", "client_secret")}
    assert place.ask(client).status_code == 200
    assert len(list(tmp_path.glob("watchword-dev-*"))) == 1
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=PATIENCE) == 0
    reader.join()
    process.stdout.close()
    assert list(tmp_path.glob("watchword-dev-*")) == []
    assert "same secret    admin (administers the provider)\n" in lines
    assert json.dumps(lines).count(client["client_secret"]) == 2  # itself, and in the example


def test_dev_mode_serves_the_clients_of_a_file_with_a_secret_of_the_callers(tmp_path: Path) -> None:
    """Whatever secrets the file refers to; the secret itself is not shown, and administers."""
    registry = """
resources:
  - {resource: "https://orders.example.com", scopes: ["orders:read"]}
clients:
  - client_id: billing
    secrets: [{env: NOT_SET_HERE}, {generate_to: never-written}]
    grants: [{resource: "https://orders.example.com", scope: "orders:read"}]
"""
    (tmp_path / "registry.yaml").write_text(registry)
    (tmp_path / "secret").write_text("only-for-development\n")
    place = make_place(tmp_path, TMPDIR=str(tmp_path))
    with running(place, "--dev", "--apply", "registry.yaml", "--dev-secret", "@secret") as process:
        billing, demo = (
            {"client_id": client_id, "client_secret": "only-for-development"}
            for client_id in ("billing", "demo")
        )
        assert place.ask(billing).json()["scope"] == "orders:read"
        assert place.ask(demo).json()["scope"] == "read write"
        place.settings |= {
            "WATCHWORD_CLIENT_ID": "admin",
            "WATCHWORD_CLIENT_SECRET": "only-for-development",
        }
        made = place.run("clients", "list", "--server", place.url)
        assert "billing" in made.stdout, made.stderr
        assert process.stdout is not None
        shown = [next(process.stdout) for _ in range(6)]
        assert shown[2:4] == [
            "client_secret  as given\n",
            "same secret    admin (administers the provider), billing\n",
        ]
        assert "only-for-development" not in "".join(shown)
    assert not (tmp_path / "never-written").exists()


def test_dev_mode_ends_where_a_file_cannot_be_applied(tmp_path: Path) -> None:
    """With every reason, and nothing left behind."""
    registry = """
clients:
  - {client_id: billing, grants: [{resource: "https://orders.example.com", scope: "x"}]}
"""
    (tmp_path / "registry.yaml").write_text(registry)
    done = make_place(tmp_path, TMPDIR=str(tmp_path)).run(
        "serve", "--dev", "--apply", "registry.yaml"
    )
    assert done.returncode == 1
    assert "https://orders.example.com" in done.stderr
    assert list(tmp_path.glob("watchword-dev-*")) == []
