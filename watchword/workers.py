"""Run several workers on one port: a socket each, a fork each, restarted when they die.

A socket for every worker (SO_REUSEPORT) lets the kernel spread connections, which workers that
share one socket do not. The parent keeps the sockets open, so a connection that waits for a dead
worker is taken by its successor.
"""

import os
import signal
import socket
import time
from collections.abc import Callable, Sequence
from types import FrameType

from watchword.errors import AddressUnavailable
from watchword.logging import Events

RunWorker = Callable[[socket.socket], int]
BACKLOG = 2048
_RESTART_PAUSE = 1.0


def bind_sockets(host: str, port: int, count: int) -> list[socket.socket]:
    """Bind a socket for each worker.

    Args:
        host: a host name or address.
        port: 0 takes a free one.

    Raises:
        AddressUnavailable: the address is taken or not ours.
    """
    try:
        # Alone first: sockets with SO_REUSEPORT would quietly join another server's.
        first = _bind(host, port, shared=False)
        if count == 1:
            return [first]
        port = first.getsockname()[1]
        first.close()
        return [_bind(host, port, shared=True) for _ in range(count)]
    except OSError as error:
        why = error.strerror or str(error)
        raise AddressUnavailable(f"cannot listen on {host} port {port}: {why.lower()}") from None


def _bind(host: str, port: int, *, shared: bool) -> socket.socket:
    family, kind, proto, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
    )[0]
    bound = socket.socket(family, kind, proto)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind(address)
        bound.listen(BACKLOG)
    except OSError:
        bound.close()
        raise
    return bound


class Supervisor:
    """Keeps one process for every socket until it is told to stop.

    Args:
        sockets: one for each worker.
        run_worker: runs in the child until it is signalled; returns its exit code.
        events: where restarts are reported.
    """

    def __init__(
        self, sockets: Sequence[socket.socket], run_worker: RunWorker, events: Events
    ) -> None:
        self._sockets = sockets
        self._run_worker = run_worker
        self._events = events
        self._workers: dict[int, socket.socket] = {}
        self._signal: int | None = None

    def run(self) -> int:
        """Run until signalled and every worker has ended; returns the exit code."""
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        for each in self._sockets:
            self._start(each)
        while self._workers:
            self._reap()
        return 130 if self._signal == signal.SIGINT else 0

    def _start(self, own: socket.socket) -> None:
        self._events.flush()
        # No signal may fall between the fork and the child's own handlers.
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
        pid = os.fork()
        if pid:
            self._workers[pid] = own
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
            return
        code = 1
        try:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
            for other in self._sockets:
                if other is not own:
                    other.close()
            code = self._run_worker(own)
        finally:
            os._exit(code)

    def _reap(self) -> None:
        try:
            pid, status = os.wait()
        except InterruptedError:  # pragma: no cover - retried by Python since PEP 475
            return
        own = self._workers.pop(pid, None)
        if own is None or self._signal is not None:
            return
        self._events("worker.restarted", pid=pid, status=os.waitstatus_to_exitcode(status))
        time.sleep(_RESTART_PAUSE)  # a worker that cannot start must not spin
        if self._signal is None:
            self._start(own)

    def _stop(self, sig: int, frame: FrameType | None) -> None:
        self._signal = self._signal or sig
        for pid in self._workers:
            os.kill(pid, signal.SIGTERM)
