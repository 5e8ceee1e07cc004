"""End a synchronous exchange at a fixed moment, however its time is spent.

The timeouts of HTTP libraries limit each wait alone: a server that sends a byte now and then never
exceeds one. Their trace extension tells which connection is in use, and so it can be shut down.
"""

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

_CONNECTED = (".connect_tcp.complete", ".connect_unix_socket.complete", ".start_tls.complete")


class Deadline:
    """A time limit for the exchanges of one client, one after another."""

    def __init__(self) -> None:
        """Begin without a connection."""
        self._stream: Any = None
        self._is_over = False

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Note each connection that is made: to be given as `extensions={"trace": …}`."""
        if event.endswith(_CONNECTED):
            self._stream = info["return_value"]
            if self._is_over:
                self._cut()

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Shut the connection down if the block has not ended by then.

        Raises:
            TimeoutError: the time was over.
        """
        self._is_over = False
        timer = threading.Timer(seconds, self._end)
        timer.daemon = True
        with suppress(RuntimeError):  # no more threads: each wait still has its own limit
            timer.start()
        try:
            yield
        except Exception:
            # What the library makes of a lost connection says less than the reason for it.
            self._raise_if_over(seconds)
            raise
        finally:
            timer.cancel()
        # A body that ends with its connection looks whole when the connection is shut down.
        self._raise_if_over(seconds)

    def _raise_if_over(self, seconds: float) -> None:
        if self._is_over:
            raise TimeoutError(no_answer_within(seconds)) from None

    def _end(self) -> None:
        self._is_over = True
        self._cut()

    def _cut(self) -> None:
        if self._stream is not None:
            with suppress(OSError):
                self._stream.get_extra_info("socket").shutdown(socket.SHUT_RDWR)


def no_answer_within(seconds: float) -> str:
    """Say that the time was over."""
    return f"no whole answer within {seconds:g} seconds"
