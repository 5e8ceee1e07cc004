"""What an HTTP connection reads from and writes to: input that is held, output that is joined."""

import asyncio
from typing import Any

from uvicorn.protocols.http.flow_control import FlowControl


class HeldFlow(FlowControl):
    """uvicorn's flow control, which stays paused while received input waits to be parsed."""

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__(transport)
        self._held = False

    def hold(self, held: bool) -> None:
        """Stop reading, or go on."""
        if held:
            self._held = True
            self.pause_reading()
        elif self._held:
            self._held = False
            self.resume_reading()

    def resume_reading(self) -> None:
        """Go on reading, unless held."""
        if not self._held:
            super().resume_reading()


class JoiningTransport:
    """Holds a write until the end of the turn, or until the next one makes an answer whole."""

    __slots__ = ("_held", "_loop", "_transport", "is_closing")

    def __init__(self, transport: asyncio.BaseTransport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport: Any = transport
        self._loop = loop
        self._held: bytes | None = None
        self.is_closing = transport.is_closing

    def write(self, data: bytes) -> None:
        """Hold the data, or write them with what was held."""
        if self._held is None:
            self._held = data
            self._loop.call_soon(self._flush)
        else:
            held, self._held = self._held, None
            self._transport.write(held + data)

    def _flush(self) -> None:
        if self._held is not None:
            held, self._held = self._held, None
            if not self._transport.is_closing():
                self._transport.write(held)

    def close(self) -> None:
        """Write what is held, and close."""
        self._flush()
        self._transport.close()

    def write_eof(self) -> None:
        """Write what is held, and nothing after it."""
        self._flush()
        self._transport.write_eof()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - everything else is the transport's own
        return getattr(self._transport, name)
