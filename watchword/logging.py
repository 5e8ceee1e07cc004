"""Log events with fixed names, a line each, on standard error; never a token or secret."""

import json
import logging
import os
import sys
import traceback
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Literal

import structlog
from structlog.typing import EventDict, WrappedLogger

from watchword.log_writer import BackgroundWriter, DirectWriter, PatientStream, Stream

LogFormat = Literal["console", "json"]
request_id: ContextVar[str | None] = ContextVar("request_id", default=None)


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
        self._last_steps = (
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _renderer(form, colours=colours),
        )
        self._writer = (
            DirectWriter(stream, self._tell_lost)
            if background is None
            else BackgroundWriter(background, self._tell_lost)
        )
        self._logger = structlog.wrap_logger(
            self._writer,
            processors=[_add_request_id, _shorten_exception, *self._last_steps],
            wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        )
        self._emit = self._logger.info

    def __call__(self, event: str, /, **fields: object) -> None:
        """Record one event; fields that are None are left out."""
        self._emit(event, **{name: value for name, value in fields.items() if value is not None})

    def flush(self) -> None:
        """Write what is still held, in bounded time."""
        self._writer.flush()

    def _tell_lost(self, lines: int) -> str:
        stamp, render = self._last_steps
        return str(render(None, "info", stamp(None, "info", {"event": "log.lost", "lines": lines})))


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


def _renderer(form: LogFormat, *, colours: bool) -> Callable[..., Any]:
    if form == "json":
        # One encoder for all lines: making it anew for each would cost more than its use.
        encode = json.JSONEncoder(separators=(",", ":"), default=str).encode
        return structlog.processors.JSONRenderer(lambda event, **_: encode(event))
    return structlog.dev.ConsoleRenderer(colors=colours)


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
