"""Several workers on one PostgreSQL registry: what is forked must not inherit a lock."""

import re
import socket
from contextlib import ExitStack

from tests.support.command import clean_environment
from tests.support.provider import PATIENCE, make_place, running
from tests.support.sqlite_registry import run_python

_FORK_NOTHING = """
import sys, threading
started, start = [], threading.Thread.start
threading.Thread.start = lambda thread: (started.append(thread.name), start(thread))
from watchword.process.workers import Supervisor
Supervisor.run = lambda supervisor: print("started:", started) or 0
from watchword.cli import run
sys.exit(run(["serve", "--only", "issuer", "--workers", "2", "--port", "0"]))
"""


def _make(folder, url):
    place = make_place(folder, WATCHWORD_DATABASE_URL=url)
    place.add_key()
    assert place.run("db", "upgrade").returncode == 0
    return place


def test_the_process_that_forks_the_workers_starts_no_thread(tmp_path, postgres_url):
    """A thread that ends while another process is forked may leave it OpenSSL's locks, held."""
    place = _make(tmp_path, postgres_url)
    printed = run_python(_FORK_NOTHING, env=clean_environment() | place.own_settings())
    assert re.search(r"^started: \[\]$", printed, re.MULTILINE)


def test_every_worker_answers(tmp_path, postgres_url):
    """The kernel spreads connections over the workers; none of them may be left waiting."""
    place = _make(tmp_path, postgres_url)
    with running(place, "--only", "issuer", "--workers", "2"), ExitStack() as stack:
        for _ in range(16):
            connection = stack.enter_context(
                socket.create_connection(("127.0.0.1", place.port), timeout=PATIENCE)
            )
            connection.sendall(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\n\r\n")
            assert connection.recv(1024).startswith(b"HTTP/1.1 200 ")
