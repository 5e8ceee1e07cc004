"""Commands and the server with standard streams closed: the right exit code and no traceback."""

import os
import signal
import subprocess
import sys

import pytest

from tests.support.cli import refused
from tests.support.command import clean_environment, run_shell
from tests.support.provider import PATIENCE, eventually, make_place


@pytest.mark.parametrize(
    ("redirection", "said"), [(">&-", "is closed"), ("1</dev/null", "is open for reading only")]
)
def test_without_an_output_no_key_is_made(tmp_path, redirection, said):
    """What could not be shown is not done."""
    done = run_shell(tmp_path, f"watchword keys generate {redirection}", cold=True)
    assert said in refused(done)
    assert list(tmp_path.iterdir()) == []


def test_a_reader_that_has_gone_before_makes_no_key(tmp_path):
    """As quiet as when it goes later."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "watchword", "keys", "generate"]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=clean_environment(),
        stdout=writer,
        stderr=subprocess.PIPE,
        timeout=PATIENCE,
        check=False,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, b"")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("keys generate --alg bogus 2>&-", 2),
        ("clients show nobody 2>&-", 1),
        ("keys list >&- 2>&- <&-", 1),
    ],
)
def test_without_an_error_output_the_exit_code_tells(tmp_path, line, code):
    """There is nowhere to write the message to."""
    done = run_shell(tmp_path, f"watchword {line}", cold=True)
    assert (done.returncode, done.stderr) == (code, "")


@pytest.mark.parametrize("line", ["token inspect -", "apply - --format toml --prune"])
def test_a_closed_input_is_an_empty_one(tmp_path, line):
    """One line says what is missing."""
    done = run_shell(tmp_path, f"watchword {line} <&-", cold=True)
    assert done.returncode in (1, 2)
    refused(done, code=done.returncode)


def test_the_story_needs_an_output(tmp_path):
    """The light install's command as well."""
    done = run_shell(tmp_path, '"$0" -m consumer >&-', cold=True)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "standard output is closed" in done.stderr


def test_the_server_serves_with_all_of_them_closed(tmp_path):
    """A daemon has none; its sockets and files must not take their numbers."""
    place = make_place(tmp_path, WATCHWORD_DRAIN_SECONDS="0")
    place.add_key()
    client = place.json("clients", "create", "quiet", "--scope", "read")
    command = f'exec "$0" -m watchword serve --port {place.port} <&- >&- 2>&-'
    process = subprocess.Popen(
        ["sh", "-c", command, sys.executable],
        cwd=tmp_path,
        env=clean_environment() | place.own_settings(),
    )
    try:
        assert eventually(lambda: place.is_ready() or process.poll() is not None)
        assert place.ask(client).status_code == 200
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=PATIENCE) == 0
