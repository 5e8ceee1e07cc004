"""Proxies in front of a server: the samples in `deploy/`, as processes."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.command import ROOT
from tests.support.provider import PATIENCE


def find_program(name: str) -> str:
    """Find a proxy or pooler by the name that it and its package have.

    Without it the test is skipped, and in CI it fails.
    """
    program = shutil.which(name) or shutil.which(name, path="/usr/sbin")
    if program is None:
        lacking = f"{name} is not installed (on Debian and Ubuntu: apt-get install {name})"
        assert "CI" not in os.environ, lacking
        pytest.skip(lacking)
    return program


def fill_sample(name: str, replaced: Mapping[str, str]) -> str:
    """Give a file below `deploy/`, with other paths and addresses and as it is besides."""
    text = (ROOT / "deploy" / name).read_text()
    for sample, own in replaced.items():
        assert text.count(sample) == 1, sample
        text = text.replace(sample, own)
    return text


@contextmanager
def running_front(command: list[str], *, port: int, log: Path) -> Iterator[None]:
    """Run a proxy that listens on this port and says there what is wrong."""
    with open(log, "a") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        end = time.monotonic() + PATIENCE
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < end
                time.sleep(0.02)
        yield
    finally:
        process.terminate()
        process.wait(PATIENCE)
