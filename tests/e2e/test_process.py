"""The server as a process: its log, its signals, its workers."""

import fcntl
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from tests.support.command import clean_environment
from tests.support.forked import start_process
from tests.support.provider import PATIENCE, Place, children, eventually, make_place
from tests.support.sqlite_registry import run_python


@contextmanager
def serving(place: Place, *arguments: str, **streams: int) -> Iterator[subprocess.Popen[bytes]]:
    """Serve with standard streams of the test's own; whatever is left is killed at the end."""
    process = start_process(
        ["watchword", "serve", "--port", str(place.port), *arguments],
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
    place.add_key()
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


def is_gone(pid: int) -> bool:
    """Tell whether a process has ended, be it that nobody has asked how."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGUSR1])
def test_workers_end_with_their_parent(place: Place, number: signal.Signals) -> None:
    """However it went, nothing is left that holds the port."""
    with serving(place, "--workers", "2") as process:
        workers = children(process.pid)
        assert len(workers) == 2
        process.send_signal(number)
        process.wait(timeout=PATIENCE)
        assert eventually(lambda: all(map(is_gone, workers)))


@contextmanager
def asking(place: Place) -> Iterator[list[object]]:
    """Ask for `/healthz` on one new connection after another; yields what went wrong."""
    ended, wrong = threading.Event(), list[object]()

    def ask() -> None:
        while not ended.is_set():
            try:
                answer = place.get("/healthz", timeout=PATIENCE)
                if answer.status_code != 200:
                    wrong.append(answer)
            except httpx.TransportError as error:
                wrong.append(error)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield wrong
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def ttl(place: Place, client: dict[str, str]) -> int:
    """Return the lifetime of a token."""
    return int(place.ask(client).json()["expires_in"])


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_hang_up_reads_the_settings_again_and_refuses_no_request(
    place: Place, workers: str
) -> None:
    """New settings are in force; settings that cannot be leave everything as it was."""
    client = place.json("clients", "create", "reload", "--scope", "read")
    settings = place.folder / "watchword.toml"
    settings.write_text("token_ttl = 100\n")
    with (
        open(place.folder / "log", "wb") as log,
        serving(place, "--workers", workers, stderr=log.fileno()) as process,
        asking(place) as wrong,
    ):
        assert ttl(place, client) == 100
        before = children(process.pid)
        settings.write_text('token_ttl = "never"\n')
        process.send_signal(signal.SIGHUP)
        assert eventually(lambda: "server.reload_failed" in str(place.log()))
        assert children(process.pid) == before
        settings.write_text("token_ttl = 200\n")
        process.send_signal(signal.SIGHUP)
        assert eventually(lambda: ttl(place, client) == 200)
        assert eventually(lambda: not set(before) & set(children(process.pid)))
        assert {ttl(place, client) for _ in range(8)} == {200}
        assert wrong == []
    (failed,) = [line for line in place.log() if line["event"] == "server.reload_failed"]
    assert "token_ttl" in failed["reason"].lower()
    assert [line["event"] for line in place.log()].count("server.reloaded") == 1


_TELL_WHO_REPLACES = """
import mmap, os, signal, time
from watchword.process.workers import Supervisor, bind_sockets
started = mmap.mmap(-1, 1)
def work(post):
    started[0] += 1
    number = started[0]
    print(number, post.replaces, flush=True)
    post.ready()
    after = [signal.SIGKILL, signal.SIGHUP, signal.SIGTERM][number - 1]
    os.kill(os.getpid() if number == 1 else os.getppid(), after)
    signal.pause()
sockets = bind_sockets("127.0.0.1", 0, 2)[:1]
Supervisor(sockets, work, lambda *_, **__: None, reload=lambda: work).run()
"""


def test_a_worker_knows_whether_another_serves_until_it_is_ready() -> None:
    """At the start and after the end of another nobody does; in a reload somebody does."""
    printed = run_python(_TELL_WHO_REPLACES, env=clean_environment())
    assert printed.splitlines() == ["1 False", "2 False", "3 True"]
