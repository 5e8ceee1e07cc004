"""Run the provider in this process: uvicorn with a graceful stop.

On SIGTERM readiness ends first, then the listener, and running requests finish (twelve-factor §9).
"""

import asyncio
import signal
import socket
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any

from uvicorn.config import Config
from uvicorn.server import Server

from keys.events import EventSink
from watchword.process.addresses import Networks
from watchword.process.connections import Connections, Limits, connection_limit
from watchword.process.http_protocol import BoundedProtocol
from watchword.process.tls import Certificate, Handshake

GRACE_SECONDS = 30
"""How long running requests may take to finish."""


SETTLE_SECONDS = 0.5
"""How long accepted connections have for a request after a successor has taken over."""


class GracefulServer(Server):
    """A uvicorn server that stops gracefully.

    Args:
        app: the ASGI application.
        on_leaving: called once, when the first signal comes.
        drain_seconds: time between that and the listener closing.
        events: where refused requests are reported.
        limits: of connections; None takes those of this process.
        proxies: the trusted ones, which say where a request came from.
        certificate: what TLS is served with; None for plain http.
        client_certificates: whether those of clients count.
        on_ready: called once connections are accepted.
        parent: a descriptor that can be read once the parent has gone; then the server leaves.
    """

    def __init__(
        self,
        app: Any,  # noqa: ANN401 - any ASGI application
        *,
        on_leaving: Callable[[], None],
        drain_seconds: float,
        events: EventSink,
        limits: Limits | None = None,
        proxies: Networks = (),
        certificate: Certificate | None = None,
        client_certificates: bool = False,
        on_ready: Callable[[], None] = lambda: None,
        parent: int | None = None,
    ) -> None:
        secured = certificate is not None
        limits = limits or Limits(connections=connection_limit(secured=secured))
        connections = Connections(limits, events)
        http: Any = partial(
            BoundedProtocol,
            connections=connections,
            proxies=proxies,
            client_certificates=client_certificates,
        )
        if certificate is not None:
            http = partial(Handshake, http, certificate=certificate, connections=connections)
        super().__init__(_config(app, http))
        self._certificate = certificate
        self._on_ready = on_ready
        self._parent = parent
        self._on_leaving = on_leaving
        self._drain_seconds = drain_seconds
        self._loop: asyncio.AbstractEventLoop | None = None
        self.signal: int | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start listening."""
        self._loop = asyncio.get_running_loop()
        if self._parent is not None:
            self._loop.add_reader(self._parent, self._orphaned)
        await super().startup(sockets)
        self._on_ready()

    async def on_tick(self, counter: int) -> bool:
        """Look at the certificate's files once a second; tell whether to stop.

        Args:
            counter: of the calls; uvicorn makes ten a second.
        """
        if self._certificate is not None and counter % 10 == 0:
            self._certificate.look()
        return await super().on_tick(counter)

    def _orphaned(self) -> None:
        if self._loop is not None and self._parent is not None:
            self._loop.remove_reader(self._parent)
        self.handle_exit(signal.SIGTERM, None)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop: gracefully at the first signal, at once when the same one comes again."""
        if self.signal is not None:
            # Ctrl-C reaches a worker twice: from the terminal, and as the parent's SIGTERM.
            self.force_exit = self.should_exit = self.should_exit or sig == self.signal
            return
        self.signal = sig
        if self._loop is None:
            self.leave()
            return
        self._on_leaving()
        self._loop.call_soon_threadsafe(self._loop.call_later, self._drain_seconds, self.leave)

    def retire(self) -> None:
        """Stop accepting at once, because a successor accepts on the same socket, then finish.

        Connections that were accepted get the time to send their request: a connection without one
        counts as idle and is closed.
        """
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._stop_accepting, self._loop)

    def _stop_accepting(self, loop: asyncio.AbstractEventLoop) -> None:
        for server in self.servers:
            server.close()
        loop.call_later(SETTLE_SECONDS, self.leave)

    def leave(self) -> None:
        """Close the listener and finish."""
        self.should_exit = True

    @property
    def exit_code(self) -> int:
        """0 after SIGTERM or a call to `leave`, 130 after an interrupt."""
        return 130 if self.signal == signal.SIGINT else 0


def _config(app: Any, http: Any) -> Config:  # noqa: ANN401 - uvicorn wants a class by its type
    return Config(
        app,
        http=http,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
