"""What a person sees of a command that takes longer than two seconds."""

import os
import select
import sqlite3
import subprocess
import time
from types import SimpleNamespace

import pytest

from tests.support.cli import run_in_empty_folder
from tests.support.command import clean_environment
from tests.support.forked import start_process
from watchword.cli import progress
from watchword.cli.printing import TABLE, Form, Output


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run commands in this process, in an empty folder with default settings."""
    return run_in_empty_folder(tmp_path, monkeypatch, capsys)


@pytest.fixture
def terminal():
    """Give both ends of a terminal, that of the person first."""
    ends = os.openpty()
    yield ends
    for end in ends:
        os.close(end)


def read_until(end, word):
    """Read what a terminal shows, up to a word."""
    shown = b""
    while word not in shown:
        assert select.select([end], [], [], 20)[0], shown
        shown += os.read(end, 4096)
    return shown


@pytest.fixture
def written_at_once(monkeypatch, terminal):
    """Have standard error be a terminal, and the lines come without delay; give its other end."""
    person, command = terminal
    monkeypatch.setattr(progress, "_PATIENCE", 0.0)
    with os.fdopen(os.dup(command), "w") as stream:
        monkeypatch.setattr(progress, "sys", SimpleNamespace(stderr=stream))  # pytest sets its own
        yield person


def test_a_command_that_waits_says_so_and_erases_it(run, tmp_path, terminal):
    """Here for the database, which another process has locked; no line before two seconds."""
    (tmp_path / "registry.yaml").write_text("clients: [{client_id: kiosk}]")
    assert run("clients", "create", "till").returncode == 0
    person, command = terminal
    with sqlite3.connect(tmp_path / "watchword-data" / "registry.db") as database:
        database.execute("BEGIN IMMEDIATE")
        begin = time.monotonic()
        with start_process(
            ["watchword", "apply", "registry.yaml"],
            cwd=tmp_path,
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=command,
        ) as process:
            assert b"still working (" in read_until(person, b" s)\x1b[K\r")
            assert time.monotonic() - begin >= 2
            database.rollback()
            assert process.wait(20) == 0
            assert read_until(person, b"\x1b[K")


def test_a_list_says_how_much_of_it_is_there(written_at_once):
    """While the next page is fetched."""

    class Page:
        items = (None,) * 1_500

    def fetch():
        yield Page
        shown.append(read_until(written_at_once, b" entries, "))

    shown = []
    assert list(progress.watched(fetch(), TABLE)) == [Page]
    assert b"still working (1,500 entries, " in shown[0]
    assert read_until(written_at_once, b"\x1b[K")


@pytest.mark.parametrize("form", [Form.JSON, Form.YAML])
def test_a_script_gets_its_document_alone(written_at_once, form):
    """And no thread is started for it."""
    with progress.still_working(Output(form)):
        pass
    os.set_blocking(written_at_once, False)
    with pytest.raises(BlockingIOError):
        os.read(written_at_once, 1)


def test_what_is_not_read_on_a_terminal_has_no_such_lines(monkeypatch, capsys):
    """Standard error is a file or a pipe."""
    monkeypatch.setattr(progress, "_PATIENCE", 0.0)
    with progress.still_working(TABLE):
        time.sleep(0.05)
    assert capsys.readouterr().err == ""
