"""Unit tests of `watchword.logging`: no reader, disk or pipe stops who logs."""

import fcntl
import os
import re
import time
from contextlib import suppress

import pytest

from tests.support.provider import eventually
from watchword.logging import FLUSH_SECONDS, BackgroundWriter, Events, LogFormat, PatientStream

LINE = "x" * 100


@pytest.fixture
def pipe() -> tuple[int, int]:
    """Give both ends of a pipe; it stays open for a thread that may still write to it."""
    return os.pipe()


def fill(writer: int) -> int:
    """Fill a pipe to the brim; returns the bytes in it."""
    flags = fcntl.fcntl(writer, fcntl.F_GETFL)
    fcntl.fcntl(writer, fcntl.F_SETFL, flags | os.O_NONBLOCK)
    filled = 0
    for size in (4096, 1):
        with suppress(BlockingIOError):
            while True:
                filled += os.write(writer, b"-" * size)
    fcntl.fcntl(writer, fcntl.F_SETFL, flags)
    return filled


def read_until(reader: int, last: str) -> str:
    """Read until a word comes."""
    text = ""
    while last not in text:
        text += os.read(reader, 65_536).decode()
    return text


@pytest.mark.parametrize(("form", "told"), [("json", '"lines":'), ("console", "lines=")])
def test_a_full_pipe_costs_lines_and_no_time(
    pipe: tuple[int, int], form: LogFormat, told: str
) -> None:
    """Lines are kept up to a bound and counted beyond it; the log goes on when there is room."""
    reader, writer = pipe
    filled = fill(writer)
    events = Events(form=form, stream=PatientStream(writer), background=writer)
    events._writer._bound = 10_000  # type: ignore[union-attr]
    begun = time.monotonic()
    for _ in range(1_000):
        events("token.issued", jti=LINE)
    assert time.monotonic() - begun < 5
    assert len(os.read(reader, filled)) == filled
    events.flush()
    events("token.refused")
    text = read_until(reader, "token.refused")
    kept = text.count("token.issued")
    lost = [int(number) for number in re.findall(rf"{told}([0-9]+)", text)]
    assert 0 < kept < 1_000
    assert kept + sum(lost) == 1_000
    assert len(lost) == text.count("log.lost") <= 2


def test_stopping_waits_for_a_full_pipe_only_so_long(pipe: tuple[int, int]) -> None:
    """SIGTERM ends a process whose log nobody reads."""
    _, writer = pipe
    fill(writer)
    log = BackgroundWriter(writer, str)
    log.info(LINE)
    begun = time.monotonic()
    log.flush()
    assert FLUSH_SECONDS * 0.9 < time.monotonic() - begun < FLUSH_SECONDS * 5


def test_a_failed_write_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that was full for a while costs no line that fitted into the bound."""
    reader, writer = os.pipe()
    write, failures = os.write, [OSError(28, "No space left on device")] * 2

    def weak(file: int, data: bytes) -> int:
        if file == writer and failures:
            raise failures.pop()
        return write(file, data[:150])  # in parts, as a disk that is almost full takes them

    monkeypatch.setattr("watchword.logging.os.write", weak)
    monkeypatch.setattr("watchword.logging._RETRY_SECONDS", 0.01)
    log = BackgroundWriter(writer, str)
    for number in range(3):
        log.info(f"{LINE} {number}")
    log.flush()
    os.close(writer)
    assert os.read(reader, 65_536).decode() == "".join(f"{LINE} {n}\n" for n in range(3))
    os.close(reader)


def test_what_forks_others_gives_up_writing_in_time(pipe: tuple[int, int]) -> None:
    """Without a thread: a look comes first, and an alarm breaks off what blocks all the same."""
    reader, writer = pipe
    stream = PatientStream(writer)
    stream.write("a line\n")
    assert os.read(reader, 100) == b"a line\n"
    with pytest.raises(BlockingIOError):
        stream.write("x" * 1_000_000)  # there is room for a part of it
    with pytest.raises(BlockingIOError):
        stream.write("a line\n")


def test_nothing_is_written_before_there_is_a_line(pipe: tuple[int, int]) -> None:
    """To flush an unused log starts no thread."""
    log = BackgroundWriter(pipe[1], str)
    log.flush()
    assert log._thread is None
    log.info(LINE)
    assert eventually(lambda: os.read(pipe[0], 200) == f"{LINE}\n".encode())
