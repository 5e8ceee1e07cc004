"""`token explain` and `token inspect`, with an issuer on a real socket."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli import Run, run_in_empty_folder
from tests.support.command import Done
from tests.support.key_set_server import KeySetServer, key_set_server
from tests.support.keys import rsa_key
from watchword.ambient import wall_clock
from watchword.cli.output import WrongUsage
from watchword.cli.token_explanation import given_token
from watchword.testing.forge import TokenForge
from watchword.testing.status_lists import list_token, pack, status

LIST = "/status-lists/1-0"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Run:
    """Give the command, in an empty folder."""
    return run_in_empty_folder(tmp_path, monkeypatch, capsys)


@dataclass
class Told:
    """A forge, its issuer, and the command on another thread."""

    forge: TokenForge
    server: KeySetServer
    ask: Callable[..., Awaitable[Done]]

    def publish(self, *statuses: int) -> None:
        """Serve a status list."""
        now = self.forge.now
        self.server.lists[LIST] = list_token(
            self.forge, self.server.url + LIST, pack(statuses, 2), iat=now, exp=now + 300
        )

    async def checks(self, token: bytes, *arguments: str) -> tuple[Done, dict[str, Any]]:
        """Explain a token: what the command did, and the checks by their names."""
        done = await self.ask("token", "explain", token.decode(), "--json", *arguments)
        return done, {each["check"]: each for each in json.loads(done.stdout)["checks"]}


@asynccontextmanager
async def explaining(run: Run, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Told]:
    """Run an issuer that is well."""
    async with key_set_server(TokenForge().jwks_document) as server:
        monkeypatch.setenv("WATCHWORD_ISSUER", server.url)
        forge = TokenForge(issuer=server.url, resource=server.url, now=wall_clock())

        async def ask(*arguments: str, **given: str) -> Done:
            return await asyncio.to_thread(run, *arguments, **given)

        yield Told(forge, server, ask)


async def test_a_token_of_another_vendor_is_explained_by_its_profile(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For the API that it is for, which may have a plain word for a name."""
    async with explaining(run, monkeypatch) as told:
        token = told.forge.token(header={"typ": "JWT"}, aud="orders-api", typ="Bearer", azp="a")
        done, checks = await told.checks(token, "--profile", "keycloak")
        assert (done.returncode, json.loads(done.stdout)["resource"]) == (0, "orders-api")
        assert checks["identity"]["expected"].startswith("sub, azp or client_id")
        done, checks = await told.checks(token)
        assert (done.returncode, checks["type"]["outcome"]) == (1, "failed")
        done = await told.ask("token", "explain", token.decode(), "--profile", "keykloak")
        assert done.returncode == 2
        assert "--profile: must be one of rfc9068, keycloak, " in done.stderr


async def test_a_good_token_is_accepted(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """As an argument, after `Bearer`, by `-` and through a pipe; exit code 0."""
    async with explaining(run, monkeypatch) as told:
        token = told.forge.token().decode()
        for arguments, stdin in (
            ((token,), ""),
            ((f"Bearer {token}",), ""),
            (("-",), f"{token}\n"),
            ((), f"bearer {token}\n"),
        ):
            done = await told.ask("token", "explain", *arguments, stdin=stdin)
            said = f"Accepted for {told.server.url}: every check passed.\n"
            more = "A route may need scopes that it lacks; name them with --scope.\n"
            assert (done.returncode, done.stderr) == (0, said + more)
            assert done.stdout.count("passed") == 17
            assert token not in done.stdout


async def test_the_scopes_that_a_route_needs_are_judged_if_named(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token that lacks one is good, and refused by that route alone."""
    async with explaining(run, monkeypatch) as told:
        token = told.forge.token(scope="read list")
        done, checks = await told.checks(token, "--scope", "list read")
        assert (done.returncode, checks["scopes"]["outcome"]) == (0, "passed")
        plain = await told.ask("token", "explain", token.decode(), "--scope", "read")
        assert plain.stderr == f"Accepted for {told.server.url}: every check passed.\n"
        done, checks = await told.checks(token, "--scope", "read write")
        assert (done.returncode, json.loads(done.stdout)["reason"]) == (1, "insufficient_scope")
        assert (checks["scopes"]["expected"], checks["scopes"]["found"]) == (
            "read write",
            "list read",
        )
        for wrong in ("", "read  write", 'a"b'):
            done = await told.ask("token", "explain", token.decode(), "--scope", wrong)
            assert (done.returncode, done.stdout) == (2, "")
            assert "--scope: not a scope" in done.stderr


async def test_every_mistake_of_a_token_is_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 1, the first reason with cause and remedy, and the token is not repeated."""
    async with explaining(run, monkeypatch) as told:
        now = told.forge.now
        token = told.forge.token(iat=now - 120, exp=now - 61)
        other = ("--resource", "https://x.example")
        done, checks = await told.checks(token, *other)
        assert done.returncode == 1
        assert json.loads(done.stdout)["reason"] == "wrong_audience"
        failed = [name for name, each in checks.items() if each["outcome"] == "failed"]
        assert failed == ["audience", "times"]
        assert checks["audience"]["clause"] == "RFC 9068 §4, RFC 7519 §4.1.3"
        assert "https://x.example" in checks["audience"]["expected"]
        assert told.server.url in checks["audience"]["found"]
        assert "expired 6" in checks["times"]["found"]
        plain = await told.ask("token", "explain", *other, stdin=token.decode())
        assert plain.returncode == 1
        why = "wrong_audience. `aud` does not name this API"
        assert plain.stderr.startswith(f"Refused for https://x.example: {why}")
        assert token.decode() not in plain.stdout + plain.stderr


async def test_a_token_of_another_issuer_is_told_so(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its key is not known, which is no reason to get a new one."""
    async with explaining(run, monkeypatch) as told:
        token = TokenForge(rsa_key(1), issuer="https://other.example").token()
        done = await told.ask("token", "explain", stdin=token.decode())
        assert "unknown_key." in done.stderr
        assert done.stderr.endswith(
            'It names another issuer, whose keys these are not: iss "https://other.example".\n'
        )
        own = TokenForge(rsa_key(1), issuer=told.server.url).token()
        assert (
            "another issuer" not in (await told.ask("token", "explain", stdin=own.decode())).stderr
        )


async def test_a_token_that_was_broken_into_lines_is_told_so(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an argument and through a pipe, of which all lines count, as a mail has them."""
    async with explaining(run, monkeypatch) as told:
        token = told.forge.token().decode()
        broken = f"{token[:76]}\n{token[76:]}\n"
        for arguments, stdin in (((broken,), ""), ((), broken)):
            done = await told.ask("token", "explain", "--json", *arguments, stdin=stdin)
            document = json.loads(done.stdout)
            assert (done.returncode, document["reason"]) == (1, "malformed_token")
            assert "white space inside" in document["checks"][1]["found"]


@pytest.mark.parametrize(
    ("audience", "judged_for"),
    [
        ("https://orders.example", "https://orders.example"),
        (["urn:orders", "urn:billing"], "urn:orders"),
        ([], None),
        (["no URI"], None),
        ([1], None),
        (7, None),
    ],
)
async def test_without_a_resource_the_audience_of_the_token_is_taken(
    run: Run, monkeypatch: pytest.MonkeyPatch, audience: object, judged_for: str | None
) -> None:
    """The API of the settings where the token names none, which is then what is wrong with it."""
    async with explaining(run, monkeypatch) as told:
        done, checks = await told.checks(told.forge.token(aud=audience))
        outcome = "failed" if judged_for is None else "passed"
        assert json.loads(done.stdout)["resource"] == (judged_for or told.server.url)
        assert (checks["audience"]["outcome"], done.returncode) == (outcome, judged_for is None)


@pytest.mark.parametrize(
    ("idx", "code", "outcome", "reason"),
    [
        (0, 0, "passed", None),
        (1, 1, "failed", "token_revoked"),
        (2, 1, "failed", "token_suspended"),
    ],
)
async def test_the_status_is_looked_up_over_http(
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    idx: int,
    code: int,
    outcome: str,
    reason: str | None,
) -> None:
    """One fetch of the list that the token names."""
    async with explaining(run, monkeypatch) as told:
        told.publish(0, 1, 2)
        done, checks = await told.checks(
            told.forge.token(status=status(told.server.url + LIST, idx))
        )
        assert done.returncode == code
        assert (checks["status list"]["outcome"], checks["status list"]["reason"]) == (
            outcome,
            reason,
        )
        assert told.server.requests[LIST] == 1


async def test_a_list_that_cannot_be_had_decides_nothing(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not reached, and exit code 1."""
    async with explaining(run, monkeypatch) as told:
        told.publish(0)
        told.server.list_mode = "500"
        token = told.forge.token(status=status(told.server.url + LIST))
        done = await told.ask("token", "explain", token.decode())
        assert done.returncode == 1
        assert f"{told.server.url}{LIST} does not answer: status 500" in done.stderr
        assert f"Not decided for {told.server.url}: status_unavailable" in done.stderr


async def test_without_the_issuer_the_rest_is_checked(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What could not be checked is said plainly, and claims are judged all the same."""
    async with explaining(run, monkeypatch) as told:
        await told.server.stop()
        done, checks = await told.checks(told.forge.token())
        assert done.returncode == 1
        assert f"{told.server.url} does not answer" in done.stderr
        missed = [name for name, each in checks.items() if each["outcome"] == "not reached"]
        assert missed == ["key", "signature", "status list"]
        assert checks["key"]["reason"] == "no_keys"
        assert "could not be had" in checks["key"]["found"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("explain", "-"), "TOKEN: there is none"),
        (("inspect",), "TOKEN: there is none"),
        (("explain", "x.y.z", "--resource", "orders"), "--resource: resource must be"),
    ],
)
def test_wrong_usage_is_one_line(run: Run, arguments: tuple[str, ...], says: str) -> None:
    """Exit code 2."""
    done = run("token", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"watchword: {says}")
    assert done.stderr.count("\n") == 1


class Terminal(io.StringIO):
    """An input that somebody would have to type."""

    def isatty(self) -> bool:
        """Say so."""
        return True


def test_on_a_terminal_the_token_has_to_be_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for a line that is not coming, unless `-` asks for it."""
    monkeypatch.setattr("sys.stdin", Terminal("x.y.z\n"))
    with pytest.raises(WrongUsage, match="through a pipe"):
        given_token(None)
    assert given_token("-") == "x.y.z"


@pytest.mark.parametrize(
    ("exp", "says"), [(-61, "expired 61 s ago"), (560, "valid for 9 min"), (None, None)]
)
def test_inspect_says_how_old_a_token_is(
    run: Run, monkeypatch: pytest.MonkeyPatch, exp: int | None, says: str | None
) -> None:
    """Beside `exp`, and as `age` in JSON."""
    forge = TokenForge()
    monkeypatch.setattr("watchword.cli.token.wall_clock", lambda: forge.now)
    token = forge.token(exp="never" if exp is None else forge.now + exp).decode()
    assert (
        json.loads(run("token", "inspect", "--json", stdin=f"Bearer {token}").stdout)["age"] == says
    )
    shown = run("token", "inspect", stdin=f"{token}\n").stdout
    assert (says or "never") in shown
