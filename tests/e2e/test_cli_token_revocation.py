"""`watchword token revoke`, and revoking where a client is disabled or deleted."""

from contextlib import closing
from types import SimpleNamespace

import pytest

from issuer.registry.schema import write_time
from issuer.status.positions import StatusBlock, bucket_for
from issuer.storage.database_url import open_database, parse_database_url
from issuer.storage.engines.database import Statement
from tests.support.cli import ISSUER, refused, run_in_empty_folder
from tests.support.command import document
from tests.support.status_blocks import SIZE, give_blocks, jti_of
from watchword.ambient import wall_clock

BUCKET = bucket_for(wall_clock(), 3600)
LATER = write_time(wall_clock() + 7200)


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run commands in an empty folder."""
    return run_in_empty_folder(tmp_path, monkeypatch, capsys)


@pytest.fixture
def database(tmp_path, run):
    """Make a registry with two clients that have a block of indexes each."""
    for name in ("till", "shop"):
        assert run("clients", "create", name, "--scope", "read").returncode == 0
    place = parse_database_url(f"sqlite:///{tmp_path}/watchword-data/registry.db")
    now = wall_clock()
    with closing(open_database(place, timeout=5)) as opened:
        give_blocks(
            opened,
            now,
            *(
                StatusBlock(BUCKET, SIZE * number, SIZE, name, name, ISSUER, now)
                for number, name in enumerate(("till", "shop"))
            ),
        )
        yield opened


@pytest.fixture
def rows(database):
    """Return a function that reads the changes of status."""

    def read():
        statement = Statement("SELECT first, size, status FROM status_changes ORDER BY change")
        return [tuple(row) for row in database.read_one(statement)]

    return read


def terminal(monkeypatch):
    """Have standard input and standard error be a terminal's."""
    stream = SimpleNamespace(isatty=lambda: True)
    streams = SimpleNamespace(stdin=stream, stderr=stream)
    monkeypatch.setattr("watchword.cli.token_revocation.sys", streams)


def test_all_tokens_of_a_client_are_revoked_once_it_is_confirmed(run, rows):
    """A dry run and an answer other than yes change nothing."""
    told = run("token", "revoke", "--client", "till", "--dry-run")
    assert (told.returncode, told.stderr) == (0, "would be revoked: at most 16 live tokens\n")
    asked = run("token", "revoke", "--client", "till", stdin="n\n")
    assert asked.returncode == 1
    assert "Revoke at most 16 live tokens? [y/N]" in asked.stderr
    assert "nothing was changed" in asked.stderr
    assert rows() == []
    done = run("token", "revoke", "--client", "till", stdin="y\n")
    assert done.returncode == 0
    assert "revoked: at most 16 live tokens" in done.stderr
    assert rows() == [(0, 16, 1)]


def test_one_token_is_suspended_and_restored_without_a_question(run, rows):
    """By its id; with --json exactly one document."""
    jti = jti_of(BUCKET, 3)
    done = document(run("token", "revoke", "--jti", jti, "--suspend", "--json"))
    assert done == {"action": "suspend", "tokens": 1, "dry_run": False}
    restored = run("token", "revoke", "--jti", jti, "--restore")
    assert restored.stderr.endswith("restored: at most 1 live token; what is revoked stays so\n")
    assert rows() == [(3, 1, 2), (3, 1, 0)]
    trail = document(run("audit", "list", "--target", jti, "--json"))["entries"]
    assert [each["action"] for each in trail] == ["token.restored", "token.suspended"]
    assert {each["after"]["client_id"] for each in trail} == {"till"}


def test_everything_before_a_time_is_revoked(run, rows):
    """For a resource, or for all of them."""
    told = run("token", "revoke", "--issued-before", "2020-01-01T00:00:00Z", "--yes")
    assert told.stderr == "revoked: no live token that is on a status list\n"
    assert rows() == []
    done = run("token", "revoke", "--resource", ISSUER, "--yes")
    assert (done.returncode, rows()) == (0, [(0, 32, 1)])
    again = run("token", "revoke", "--resource", ISSUER, "--yes")
    assert again.stderr == "revoked: at most 32 live tokens\n"
    assert rows() == [(0, 32, 1)]


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "say which tokens: TOKEN, --jti, --client, --subject, --resource or"),
        (["x", "--jti", "y"], "TOKEN: not together with --jti"),
        (["--jti", "y", "--client", "till"], "--jti: not together with --client"),
        (["--client", "till", "--subject", "s"], "--client: not together with --subject"),
        (["x", "--resource", ISSUER], "TOKEN: not together with --resource"),
        (["--jti", "y", "--issued-before", LATER], "--jti: not together with --issued-before"),
        (
            ["--client", "till", "--suspend", "--restore"],
            "--suspend: not together with --restore",
        ),
        (["--issued-before", "yesterday"], "--issued-before: must be a time such as"),
        (["--issued-before", LATER], "--issued-before: must not be in the future"),
        (["--jti", "y"], "--jti: is no id of a token"),
        (["--jti", jti_of(BUCKET, 3)[:-1]], "--jti: is no id of a token"),
        (["--jti", jti_of(BUCKET, 99)], "--jti: names no token that was issued here"),
        (["x"], "TOKEN: is no access token"),
        (["-"], "TOKEN: is no access token"),
        (["--until", "now"], "No such option"),
    ],
)
def test_what_cannot_be_is_one_clear_line(run, arguments, told):
    """With the option, and exit code 2."""
    assert told in refused(run("token", "revoke", *arguments, "--yes"), code=2)


@pytest.mark.usefixtures("database")
def test_a_client_that_nothing_knows_is_refused(run):
    """It is mistyped: nothing was revoked."""
    assert "no such client" in refused(run("token", "revoke", "--client", "tilll", "--yes"))


@pytest.mark.usefixtures("database")
def test_while_the_database_is_away_it_says_that_nothing_is_revoked(run, tmp_path, monkeypatch):
    """Exit code 1, and the command can be run again."""
    monkeypatch.setenv("WATCHWORD_DATABASE_URL", "postgresql://127.0.0.1:1/none")
    arguments = ["token", "revoke", "--client", "till", "--yes"]
    assert "watchword: not revoked yet: " in refused(run(*arguments))
    assert "watchword: not suspended yet: " in refused(run(*arguments, "--suspend"))


def test_a_client_is_disabled_and_told_what_its_tokens_do(run, rows, monkeypatch):
    """Without a terminal the command that ends them; on one the question."""
    done = run("clients", "disable", "till")
    assert done.returncode == 0
    assert "at most 16 live tokens of it will be accepted until they expire" in done.stderr
    assert "watchword token revoke --client till" in done.stderr
    assert rows() == []
    terminal(monkeypatch)
    asked = run("clients", "disable", "till", stdin="\n")
    assert "till has at most 16 live tokens. Revoke them as well? [y/N]" in asked.stderr
    assert (asked.returncode, rows()) == (0, [])
    asked = run("clients", "disable", "till", stdin="y\n")
    assert "client till is disabled; its tokens are revoked" in asked.stderr
    assert rows() == [(0, 16, 1)]


def test_a_client_is_deleted_with_its_tokens(run, rows):
    """In one transaction; the tokens of others stay."""
    done = run("clients", "delete", "shop", "--revoke-tokens", "--yes")
    assert "client shop is deleted; its tokens are revoked" in done.stderr
    assert rows() == [(16, 16, 1)]
    done = run("clients", "delete", "till", "--yes")
    assert "at most 16 live tokens" in done.stderr
    assert run("token", "revoke", "--client", "till", "--yes").returncode == 0
    assert rows() == [(16, 16, 1), (0, 16, 1)]
