"""The server as a process: its log, its signals, its workers."""

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.support.command import clean_environment
from tests.support.provider import PATIENCE, Place, eventually, make_place


@contextmanager
def serving(place: Place, *arguments: str, **streams: int) -> Iterator[subprocess.Popen[bytes]]:
    """Serve with standard streams of the test's own; whatever is left is killed at the end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "watchword", "serve", "--port", str(place.port), *arguments],
        cwd=place.folder,
        env=clean_environment() | place.own_settings(),
        start_new_session=True,
        **streams,
    )
    try:
        assert eventually(lambda: place.is_ready() or process.poll() is not None)
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=PATIENCE)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Prepare a folder with a key."""
    place = make_place(tmp_path, WATCHWORD_DRAIN_SECONDS="0")
    place.json("keys", "generate")
    return place


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_log_that_nobody_reads_stops_neither_tokens_nor_the_stop(
    place: Place, workers: str
) -> None:
    """Lines beyond the pipe wait in memory; SIGTERM ends the server all the same."""
    client = place.json("clients", "create", "busy", "--scope", "read")
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    with serving(place, "--workers", workers, stderr=writer) as process:
        os.close(writer)
        for _ in range(60):  # of some 250 bytes a line
            assert place.ask(client).status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=PATIENCE) == 0
    os.close(reader)
