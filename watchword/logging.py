"""Log events with fixed names, a line each, on standard error; never a token or secret.

Lines that are made in one turn of the event loop leave in one write.
"""

import asyncio
import json
import logging
import sys
import traceback
from collections.abc import Callable
from contextvars import ContextVar
from threading import Lock
from typing import Any, Literal, TextIO

import structlog
from structlog.typing import EventDict, WrappedLogger

LogFormat = Literal["console", "json"]
request_id: ContextVar[str | None] = ContextVar("request_id", default=None)


class Events:
    """Where the packages' events go: `events("token.issued", client_id=…)`."""

    def __init__(self, *, form: LogFormat, stream: TextIO) -> None:
        self._writer = _LineWriter(stream)
        self._logger = structlog.wrap_logger(
            self._writer,
            processors=[
                _add_request_id,
                _shorten_exception,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                _renderer(form, stream),
            ],
            wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        )
        self._emit = self._logger.info

    def __call__(self, event: str, /, **fields: object) -> None:
        """Record one event; fields that are None are left out."""
        self._emit(event, **{name: value for name, value in fields.items() if value is not None})

    def flush(self) -> None:
        """Write what is still held."""
        self._writer.flush()


class _LineWriter:
    """Holds lines until the turn of the event loop ends; outside a loop it writes at once."""

    def __init__(self, stream: TextIO) -> None:
        self._stream: TextIO | None = stream
        self._lines: list[str] = []
        self._lock = Lock()  # threads that change the registry tell of it as well

    def info(self, line: str) -> None:
        with self._lock:
            self._lines.append(line)
            if len(self._lines) > 1:
                return
        try:
            asyncio.get_running_loop().call_soon(self.flush)
        except RuntimeError:
            self.flush()

    def flush(self) -> None:
        with self._lock:
            lines, self._lines = self._lines, []
        if not lines or self._stream is None:
            return
        text = "\n".join(lines) + "\n"
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            # Whoever read the log has gone; serving goes on without one.
            self._stream = None


def _add_request_id(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    if (current := request_id.get()) is not None:
        event["request_id"] = current
    return event


def _shorten_exception(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Replace an exception by its type and where it came from: its text could hold input."""
    exception = event.pop("exception", None)
    if isinstance(exception, BaseException):
        frames = traceback.extract_tb(exception.__traceback__)
        event["exception"] = type(exception).__qualname__
        event["at"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames[-8:]]
    return event


def _renderer(form: LogFormat, stream: TextIO) -> Callable[..., Any]:
    if form == "json":
        # One encoder for all lines: making it anew for each would cost more than its use.
        encode = json.JSONEncoder(separators=(",", ":"), default=str).encode
        return structlog.processors.JSONRenderer(lambda event, **_: encode(event))
    return structlog.dev.ConsoleRenderer(colors=stream.isatty())


class _ForeignLogs(logging.Handler):
    """Brings what the HTTP server logs by itself into our stream."""

    def __init__(self, events: Events) -> None:
        super().__init__(logging.WARNING)
        self._events = events

    def emit(self, record: logging.LogRecord) -> None:
        exception = record.exc_info[1] if record.exc_info else None
        self._events("server.warning", logger=record.name, message=record.msg, exception=exception)


def configure_logging(form: LogFormat | None) -> Events:
    """Set up logging to standard error and return where events go.

    Args:
        form: `console` or `json`; None chooses by whether a person is watching.
    """
    chosen: LogFormat = form or ("console" if sys.stderr.isatty() else "json")
    events = Events(form=chosen, stream=sys.stderr)
    root = logging.getLogger()
    root.handlers[:] = [_ForeignLogs(events)]
    root.setLevel(logging.WARNING)
    return events
