"""The ``watchword keys`` commands, run as their users run them."""

import json
import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

import watchword.cli
from keys.jwks import parse_jwk_set
from tests.support.command import run_command
from tests.support.keys import key_file, write_key_file
from tests.support.provider import eventually

RFC_3339_UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
PASSPHRASE = "correct horse battery staple"


class Cli:
    """Run commands in an empty folder, with no settings but those given."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.keys_folder = folder / "watchword-data" / "keys"

    def run(self, *arguments: str, module: str = "watchword", **settings: str):
        """Return the finished process."""
        return run_command(self.folder, *arguments, module=module, **settings)

    def keys(self, *arguments: str, **settings: str):
        """Run ``watchword keys …``."""
        return self.run("keys", *arguments, **settings)

    def json(self, *arguments: str, **settings: str):
        """Run ``watchword keys … --json`` and return the one document that it prints."""
        done = self.keys(*arguments, "--json", **settings)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """Return a command line in a fresh folder."""
    return Cli(tmp_path)


@pytest.fixture
def in_process(cli: Cli, monkeypatch, capsys):
    """Run a command without a process of its own, for the many ways to be wrong."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        code = watchword.cli.run(["keys", *arguments])
        shown = capsys.readouterr()
        return subprocess.CompletedProcess(arguments, code, shown.out, shown.err)

    monkeypatch.chdir(cli.folder)
    for name in list(os.environ):
        if name.startswith("WATCHWORD_"):
            monkeypatch.delenv(name)
    return run


def seconds(time: str) -> float:
    """Read an RFC 3339 time in UTC."""
    assert RFC_3339_UTC.fullmatch(time)
    return datetime.fromisoformat(time).timestamp()


def test_the_first_key_signs_at_once_and_the_next_waits(cli):
    """generate prints one object; list shows both in the order in which they sign."""
    first = cli.json("generate")
    second = cli.json("generate")
    listed = cli.json("list")["keys"]

    assert (first["alg"], first["bits"], first["state"]) == ("RS256", 2048, "active")
    assert first["published_at"] == first["signs_from"]
    assert second["state"] == "pending"
    assert seconds(second["signs_from"]) - seconds(second["published_at"]) == 360
    assert [key["kid"] for key in listed] == [first["kid"], second["kid"]]
    assert [key["state"] for key in listed] == ["active", "pending"]
    assert listed[0]["superseded_at"] == second["signs_from"]
    assert seconds(listed[0]["gone_at"]) - seconds(second["signs_from"]) == 86_400 + 60
    assert listed[1]["gone_at"] is None


def test_the_wait_follows_from_the_max_age_of_the_set(cli):
    """A set that may be cached longer makes successors wait longer."""
    cli.json("generate")
    second = cli.json("generate", WATCHWORD_JWKS_MAX_AGE="1000")

    assert seconds(second["signs_from"]) - seconds(second["published_at"]) == 1060


def test_python_m_keys_is_the_same_command(cli):
    """``python -m keys`` makes a key, with the options of generate."""
    done = cli.run("--bits", "3072", "--json", module="keys")

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["bits"] == 3072
    assert [key["bits"] for key in cli.json("list")["keys"]] == [3072]


def test_people_get_a_table(cli):
    """Without --json every key is a row, whole even in a pipe."""
    kid = cli.json("generate")["kid"]
    made = cli.keys("generate")
    listed = cli.keys("list")

    assert made.returncode == 0
    assert json.loads(made.stderr)["event"] == "key.generated"
    assert "pending" in made.stdout
    assert "signs in 6 min" in made.stdout
    assert (listed.returncode, listed.stderr) == (0, "")
    assert kid in listed.stdout
    assert "\x1b" not in listed.stdout


def test_an_empty_store_has_an_empty_list(cli):
    """No key is no failure; the hint goes to standard error."""
    assert cli.json("list") == {"keys": []}
    shown = cli.keys("list")
    assert (shown.returncode, shown.stdout) == (0, "")
    assert "watchword keys generate" in shown.stderr
    assert json.loads(cli.keys("export").stdout) == {"keys": []}


@pytest.mark.rfc("7517-8-1")
def test_export_prints_the_public_set(cli):
    """It is what a validator needs, and holds nothing private."""
    kids = [cli.json("generate")["kid"], cli.json("generate")["kid"]]
    done = cli.keys("export")
    document = json.loads(done.stdout)

    assert done.returncode == 0
    assert [key.kid for key in parse_jwk_set(done.stdout.encode()).keys] == kids
    for members in document["keys"]:
        assert set(members) == {"kty", "use", "alg", "kid", "n", "e"}
    one = json.loads(cli.keys("export", "--kid", kids[1]).stdout)
    assert one == {"keys": [document["keys"][1]]}


def test_export_private_prints_the_pem_itself(cli):
    """With one key no --kid is needed; with two it is."""
    kid = cli.json("generate")["kid"]
    done = cli.keys("export", "--private")
    assert done.returncode == 0
    assert isinstance(load_pem_private_key(done.stdout.encode(), None), RSAPrivateKey)
    assert done.stdout.startswith("-----BEGIN PRIVATE KEY-----\n")

    cli.json("generate")
    unclear = cli.keys("export", "--private")
    assert (unclear.returncode, unclear.stdout) == (2, "")
    assert "--kid" in unclear.stderr
    assert cli.keys("export", "--private", "--kid", kid).stdout == done.stdout


def test_a_passphrase_guards_private_keys_alone(cli):
    """Without it the public set can still be had, the private key cannot."""
    kid = cli.json("generate", WATCHWORD_KEY_PASSPHRASE=PASSPHRASE)["kid"]
    content = (cli.keys_folder / f"{kid}.pem").read_text()
    refused = cli.keys("export", "--private")
    wrong = cli.keys("export", "--private", WATCHWORD_KEY_PASSPHRASE="wrong")
    opened = cli.keys("export", "--private", WATCHWORD_KEY_PASSPHRASE=PASSPHRASE)

    assert "BEGIN ENCRYPTED PRIVATE KEY" in content
    assert [key["kid"] for key in json.loads(cli.keys("export").stdout)["keys"]] == [kid]
    assert (refused.returncode, refused.stdout) == (1, "")
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert "WATCHWORD_KEY_PASSPHRASE" in refused.stderr
    assert opened.stdout.startswith("-----BEGIN PRIVATE KEY-----")


def states(cli):
    """Return the state of every key."""
    return {key["kid"]: key["state"] for key in cli.json("list")["keys"]}


def test_an_early_start_is_allowed_with_a_warning(cli):
    """The warning is on standard error, and the document stays alone on standard output."""
    cli.json("generate")
    early = cli.keys("generate", "--activate-in", "0", "--json")
    safe = cli.keys("generate", "--activate-in", "360", "--json")

    assert (early.returncode, safe.returncode) == (0, 0)
    (warning,) = [line for line in early.stderr.splitlines() if line.startswith("warning: ")]
    assert "360 seconds" in warning
    assert "warning" not in safe.stderr
    # Two keys never start in the same second, so at once may mean at the next tick.
    kid = json.loads(early.stdout)["kid"]
    assert eventually(lambda: states(cli)[kid] == "active", within=5)


def test_the_first_key_does_not_wait_even_if_told_to(cli):
    """There is nothing that could sign meanwhile; a warning says so."""
    done = cli.keys("generate", "--activate-in", "500", "--json")

    assert json.loads(done.stdout)["state"] == "active"
    assert "without effect" in done.stderr


@pytest.mark.rfc("7518-3-1", "none-1")
@pytest.mark.parametrize(
    "arguments",
    [
        ("generate", "--bits", "1024"),
        ("generate", "--bits", "2049"),
        ("generate", "--bits", "many"),
        ("generate", "--alg", "none"),
        ("generate", "--alg", "HS256"),
        ("generate", "--activate-in", "-1"),
        ("generate", "--activate-in", "99999999999999999999"),
        ("generate", "extra"),
        ("generate", "--unknown"),
        ("rotate", "--alg", "RS1"),
        ("revoke",),
        ("delete", "x", "y"),
        ("export", "--kid"),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_one_line_and_exit_code_2(cli, in_process, arguments):
    """Nothing is made and no traceback is shown."""
    done = in_process(*arguments)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert not cli.keys_folder.exists()


@pytest.mark.parametrize("kid", ["unknown", "../../../etc/passwd", ""])
def test_an_unknown_kid_is_refused(in_process, kid):
    """Exit code 1, one line; the name is never used as a path."""
    assert in_process("generate").returncode == 0
    for arguments in (("export", "--kid", kid), ("export", "--private", "--kid", kid)):
        done = in_process(*arguments)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == "watchword: there is no such key; see: watchword keys list\n"


def test_no_key_has_no_private_export(in_process):
    """The line says how to make one."""
    done = in_process("export", "--private")

    assert done.returncode == 1
    assert done.stderr == "watchword: there is no key yet; run: watchword keys generate\n"


@pytest.mark.parametrize("command", [("generate",), ("list", "--json"), ("export",)], ids=" ".join)
@pytest.mark.parametrize(
    ("content", "mode", "reason"),
    [
        (b"", 0o600, "is empty"),
        (key_file()[:700], 0o600, "half written"),
        (key_file(), 0o644, "chmod 600"),
    ],
    ids=["empty", "half written", "open to others"],
)
def test_a_bad_key_file_is_one_line_and_exit_code_1(
    cli, in_process, command, content, mode, reason
):
    """The line names the file and the remedy; no traceback, no partial output."""
    path = write_key_file(cli.keys_folder, content, mode=mode)
    done = in_process(*command)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert reason in done.stderr
    assert path.name in done.stderr


def test_a_refusal_ends_the_process_with_its_code(cli):
    """What holds inside holds for the process: usage 2, refused 1, one line, no traceback."""
    usage, refused = cli.keys("generate", "--bits", "1024"), cli.keys("export", "--kid", "x")

    assert (usage.returncode, usage.stdout, usage.stderr.count("\n")) == (2, "", 1)
    assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (1, "", 1)


def test_an_unwritable_data_folder_is_one_line_and_exit_code_1(cli):
    """A file stands where the data folder should be."""
    (cli.folder / "watchword-data").write_text("precious")
    done = cli.keys("generate")

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert "not a directory" in done.stderr


@pytest.mark.parametrize("command", ["generate", "list", "rotate", "revoke", "delete", "export"])
def test_every_command_has_help_with_an_example(in_process, command):
    """--help names one way to call it."""
    done = in_process(command, "--help")

    assert done.returncode == 0
    assert f"Example: watchword keys {command}" in done.stdout


@pytest.mark.rfc("roll-1")
def test_two_rotations_at_one_instant_make_one(cli):
    """Two processes; the one that comes second finds the rotation under way."""
    cli.json("generate")
    with ThreadPoolExecutor(2) as threads:
        done = list(threads.map(lambda _: cli.keys("rotate", "--json"), range(2)))

    assert sorted(each.returncode for each in done) == [0, 1]
    (refused,) = [each for each in done if each.returncode]
    assert refused.stderr.startswith("watchword: a rotation is under way: key ")
    assert [key["state"] for key in cli.json("list")["keys"]] == ["active", "pending"]
