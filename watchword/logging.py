"""Log events with fixed names, a line each, on standard error; never a token or secret.

A full disk, a full pipe or a lost reader does not stop the process: what cannot be written is kept
up to a bound; beyond it lines are dropped and counted, and when writing works again one line says
how many were lost.
"""

import asyncio
import errno
import json
import logging
import os
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from json.encoder import encode_basestring_ascii
from math import isfinite
from types import FrameType, MappingProxyType
from typing import Literal, Protocol

LogFormat = Literal["console", "json"]
TellLost = Callable[[int], str]

request_fields: ContextVar[Mapping[str, object]] = ContextVar(
    "request_fields", default=MappingProxyType({})
)
"""What every line has that is logged while a request is served, such as `request_id`."""

LEVELS: Mapping[str, str] = MappingProxyType(
    {
        "claim_hook.slow": "warning",
        "client.not_caching": "warning",
        "insecure_http.allowed": "warning",
        "job.failed": "error",
        "jwks.copy_refused": "warning",
        "jwks.stale": "warning",
        "key.upkeep_refused": "error",
        "keys.unavailable": "error",
        "log.lost": "error",
        "registry.refused": "error",
        "registry.unavailable": "error",
        "replays.unavailable": "error",
        "secret.expiring": "warning",
        "server.reload_failed": "error",
        "certificate.reload_failed": "error",
        "client_ca.reload_failed": "error",
        "server.warning": "warning",
        "signer.unavailable": "error",
        "status.owners_wait": "warning",
        "status_list.copy_refused": "warning",
        "status_list.stale": "warning",
        "worker.failed": "error",
        "worker.restarted": "warning",
    }
)
"""The level of each event that an operator should look at; all others are `info`.

`warning` is for what needs attention in time, `error` for what does not work now. An event with an
exception is an `error`. What a peer does wrong is `info`, since a peer can cause it at will.
"""

BOUND = 4 * 1024 * 1024
"""Characters of lines that wait to be written."""

FLUSH_SECONDS = 1.0
"""How long a stopping process waits for its last lines to be taken."""

_BATCH_SECONDS = 0.02  # lines of so many seconds leave in one write: fewer system calls under load
_RETRY_SECONDS = 0.25
_PATIENCE_SECONDS = 0.1


class Stream(Protocol):
    """What lines are written to, from the thread that logs."""

    def write(self, text: str, /) -> object:
        """Write the text.

        Raises:
            OSError, ValueError: it cannot be written.
        """
        ...

    def flush(self) -> object:
        """Write what the stream itself holds."""
        ...


class DirectWriter:
    """Writes where it is called; lines of one turn of an event loop leave in one write.

    Args:
        stream: where lines go.
        tell_lost: makes the line that says how many were lost.
    """

    def __init__(self, stream: Stream, tell_lost: TellLost) -> None:
        self._stream = stream
        self._tell_lost = tell_lost
        self._lines: list[str] = []
        self._lost = 0
        self._lock = threading.Lock()

    def info(self, line: str) -> None:
        """Take a line."""
        with self._lock:
            self._lines.append(line)
            if len(self._lines) > 1:
                return
        try:
            asyncio.get_running_loop().call_soon(self.flush)
        except RuntimeError:
            self.flush()

    def flush(self) -> None:
        """Write what is held; what cannot be written is lost and counted."""
        with self._lock:
            lines, self._lines = self._lines, []
            if not lines:
                return
            lost, self._lost = self._lost, 0
        first = [self._tell_lost(lost)] if lost else []
        try:
            self._stream.write("\n".join(first + lines) + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            with self._lock:
                self._lost += lost + len(lines)


class BackgroundWriter:
    """Writes on a thread of its own, so that no line ever waits for its reader.

    Args:
        file: the descriptor that lines go to.
        tell_lost: makes the line that says how many were lost.
        bound: characters of lines that wait; further lines are dropped.
    """

    def __init__(self, file: int, tell_lost: TellLost, *, bound: int = BOUND) -> None:
        self._file = file
        self._tell_lost = tell_lost
        self._bound = bound
        self._lock = threading.Lock()
        self._lines: list[str] = []
        self._size = 0
        self._lost = 0
        self._thread: threading.Thread | None = None
        self._filled = threading.Event()
        self._urgent = threading.Event()
        self._written = threading.Event()

    def info(self, line: str) -> None:
        """Take a line; never waits, for nothing but another thread that takes one."""
        with self._lock:
            if self._size + len(line) > self._bound:
                self._lost += 1
                return
            self._lines.append(line)
            self._size += len(line)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="log", daemon=True)
                self._thread.start()
        if not self._filled.is_set():
            self._filled.set()

    def flush(self) -> None:
        """Wait until all that was taken is written, for `FLUSH_SECONDS` at the most."""
        with self._lock:
            if self._thread is None:
                return
            self._written.clear()
            self._urgent.set()
            self._filled.set()
        self._written.wait(FLUSH_SECONDS)

    def _run(self) -> None:
        while True:
            self._filled.wait()
            self._filled.clear()
            self._write(self._take())
            with self._lock:
                if not self._lines:
                    self._urgent.clear()
                    self._written.set()
            self._urgent.wait(_BATCH_SECONDS)

    def _take(self) -> bytes:
        with self._lock:
            lines, self._lines, self._size = self._lines, [], 0
            lost, self._lost = self._lost, 0
        if lost:
            lines.append(self._tell_lost(lost))  # lines are dropped behind those that are held
        return "".join(f"{line}\n" for line in lines).encode("utf-8", "backslashreplace")

    def _write(self, left: bytes) -> None:
        pause = threading.Event()
        while left:
            try:
                left = left[os.write(self._file, left) :]
            except OSError:
                # A full disk, a reader that has gone: it may work again. New lines wait meanwhile.
                pause.wait(_RETRY_SECONDS)


class PatientStream:
    """A descriptor that is given a tenth of a second to take a text; for the main thread only.

    A process that forks others must have no thread. A look whether there is room comes first; if
    another process takes the room meanwhile, an alarm breaks the write off.

    Args:
        file: the descriptor.
    """

    def __init__(self, file: int) -> None:
        self._file = file

    def write(self, text: str) -> None:
        """Write the text.

        Raises:
            OSError: it cannot be written, or not in time.
        """
        left = text.encode("utf-8", "backslashreplace")
        if not select.select([], [self._file], [], 0)[1]:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        before = signal.signal(signal.SIGALRM, _break_off)
        signal.setitimer(signal.ITIMER_REAL, _PATIENCE_SECONDS)
        try:
            while left:
                left = left[os.write(self._file, left) :]
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    def flush(self) -> None:
        """Do nothing: nothing is held."""


def _break_off(_signal: int, _frame: FrameType | None) -> None:
    raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))


class Events:
    """Where the packages' events go: `events("token.issued", client_id=…)`.

    Args:
        form: how a line looks.
        stream: where lines are written, by the thread that logs.
        background: write to this descriptor instead, on a thread.
        colours: whether `console` may use them.
    """

    def __init__(
        self,
        *,
        form: LogFormat,
        stream: Stream,
        background: int | None = None,
        colours: bool = False,
    ) -> None:
        self._render = _renderer(form, colours=colours)
        self._second = (0, "")  # the second of the latest line, and how it is written
        self._writer = (
            DirectWriter(stream, self._tell_lost)
            if background is None
            else BackgroundWriter(background, self._tell_lost)
        )

    def __call__(self, event: str, /, **fields: object) -> None:
        """Record one event; fields that are None are left out."""
        line = self._begin(event)
        line.update(request_fields.get())
        for name, value in fields.items():
            if value is not None:
                line[name] = value
        exception = fields.get("exception")
        if isinstance(exception, BaseException):
            _describe_exception(line, exception)
        self._writer.info(self._render(line))

    def flush(self) -> None:
        """Write what is still held, in bounded time."""
        self._writer.flush()

    def _tell_lost(self, lines: int) -> str:
        return self._render({**self._begin("log.lost"), "lines": lines})

    def _begin(self, event: str) -> dict[str, object]:
        second, microseconds = divmod(time.time_ns() // 1_000, 1_000_000)
        known, text = self._second
        if second != known:
            text = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
            self._second = second, text  # in one step: several threads log
        return {
            "timestamp": f"{text}.{microseconds:06}Z",
            "level": LEVELS.get(event, "info"),
            "event": event,
        }


def request_id() -> str | None:
    """Return the id of the request that is being served, if any."""
    found = request_fields.get().get("request_id")
    return None if found is None else str(found)


def _describe_exception(line: dict[str, object], exception: BaseException) -> None:
    """Add the type of an exception and where it came from; its text could hold input."""
    frames = traceback.extract_tb(exception.__traceback__)
    line["level"] = "error"
    line["exception"] = type(exception).__qualname__
    line["at"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames[-8:]]


def _renderer(form: LogFormat, *, colours: bool) -> Callable[[dict[str, object]], str]:
    if form == "json":
        return _write_json
    from structlog.dev import ConsoleRenderer  # slow to import, and a server writes JSON

    console = ConsoleRenderer(colors=colours)
    return lambda line: str(console(None, "info", {n: _printable(v) for n, v in line.items()}))


def _printable(value: object) -> object:
    """Escape what a terminal could take for a command: a request has it in its path, encoded."""
    if not isinstance(value, str) or value.isprintable():
        return value
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in value)


_encode_any = json.JSONEncoder(separators=(",", ":"), default=str).encode


def _encode(value: object) -> str:
    if type(value) is int or (type(value) is float and isfinite(value)):
        return repr(value)  # as the encoder writes them
    return "true" if value is True else _encode_any(value)


def _write_json(line: dict[str, object]) -> str:
    # Nearly all values are strings, which are written in less time than the encoder is called in.
    # Names are those of keyword arguments: nothing in them needs an escape.
    members = [
        f'"{name}":{encode_basestring_ascii(value) if isinstance(value, str) else _encode(value)}'
        for name, value in line.items()
    ]
    return f"{{{','.join(members)}}}"


class _ForeignLogs(logging.Handler):
    """Brings what the HTTP server logs by itself into our stream."""

    def __init__(self, events: Events) -> None:
        super().__init__(logging.WARNING)
        self._events = events

    def emit(self, record: logging.LogRecord) -> None:
        exception = record.exc_info[1] if record.exc_info else None
        self._events("server.warning", logger=record.name, message=record.msg, exception=exception)


def configure_logging(form: LogFormat | None, *, background: bool) -> Events:
    """Set up logging to standard error and return where events go.

    Args:
        form: `console` or `json`; None chooses by whether a person is watching.
        background: write on a thread. A process that forks others must not, and has its writes
            broken off instead.
    """
    file = sys.stderr.fileno()
    chosen: LogFormat = form or ("console" if os.isatty(file) else "json")
    events = Events(
        form=chosen,
        stream=PatientStream(file),
        background=file if background else None,
        colours=os.isatty(file),
    )
    root = logging.getLogger()
    root.handlers[:] = [_ForeignLogs(events)]
    root.setLevel(logging.WARNING)
    return events
