"""Run several workers on one port: a socket each, a fork each, replaced when they end.

A socket for every worker (SO_REUSEPORT) lets the kernel spread connections, which workers that
share one socket do not. The parent keeps the sockets open: connections that wait for a worker which
has ended, or is being replaced, are taken by its successor on the same socket. A worker that ends
before it was ready has no successor soon, so its socket is closed and the kernel spreads new
connections over the others; the next attempt gets a socket that listens only once it is served.
"""

import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import FrameType
from typing import IO, NoReturn

from keys.events import EventSink
from watchword.errors import AddressUnavailable

BACKLOG = 2048
_RETRY_SECONDS = 1.0
_READY_SECONDS = 60.0
_FIRST_PASSED = 3
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """What a worker needs of its parent.

    Args:
        socket: to accept connections from.
        parent: a descriptor that can be read, at its end, once the parent has gone.
        ready: to be called once connections are accepted.
        replaces: another worker serves the socket until this one is ready, which must therefore
            be as good.
        seat: a number that no other worker has at the same time; None if none was free.
    """

    socket: socket.socket
    parent: int
    ready: Callable[[], None]
    replaces: bool
    seat: int | None


RunWorker = Callable[[WorkerContext], int]
Reload = Callable[[], RunWorker]


def exec_again(own: socket.socket) -> NoReturn:
    """Become this program anew, in this process, with the socket; connections wait meanwhile.

    The socket is passed as systemd passes one (sd_listen_fds(3)).
    """
    os.dup2(own.fileno(), _FIRST_PASSED, inheritable=True)
    os.putenv("LISTEN_PID", str(os.getpid()))
    os.putenv("LISTEN_FDS", "1")
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - no shell wanted


def _take_over(host: str, port: int) -> socket.socket | None:
    """Take the socket that was passed to this very process, if it listens where it should."""
    environment = os.environ  # noqa: TID251 - how a socket is passed is no setting
    if environment.pop("LISTEN_PID", None) != str(os.getpid()):
        return None
    environment.pop("LISTEN_FDS", None)
    passed = socket.socket(fileno=_FIRST_PASSED)
    os.set_inheritable(_FIRST_PASSED, False)
    address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][4]
    if passed.getsockname()[0] == address[0] and port in (0, passed.getsockname()[1]):
        return passed
    passed.close()
    return None


def bind_sockets(host: str, port: int, count: int) -> list[socket.socket]:
    """Bind a socket for each worker, or take over the one that was passed to this process.

    Args:
        host: a host name or address.
        port: 0 takes a free one.

    Raises:
        AddressUnavailable: the address is taken or not ours.
    """
    try:
        if (passed := _take_over(host, port)) is not None:
            if count == 1:
                return [passed]
            passed.close()
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


def _bind(host: str, port: int, *, shared: bool, listen: bool = True) -> socket.socket:
    family, kind, proto, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
    )[0]
    bound = socket.socket(family, kind, proto)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind(address)
        if listen:
            bound.listen(BACKLOG)
    except OSError:
        bound.close()
        raise
    return bound


@dataclass(slots=True)
class _Worker:
    """A process, and the descriptor on which it says that it is ready."""

    pid: int
    report: int
    deadline: float
    ready: bool = False


class _Slot:
    """One socket, the worker that serves it, and a successor that is not ready yet."""

    def __init__(self, bound: socket.socket) -> None:
        self.socket = bound
        self.address: tuple[str, int] = bound.getsockname()[:2]
        self.worker: _Worker | None = None
        self.successor: _Worker | None = None
        self.retry_at = 0.0

    def replace_socket(self) -> None:
        """Take a socket that holds the port, but is given no connections until it is served."""
        old = self.socket
        with suppress(OSError):
            self.socket = _bind(*self.address, shared=True, listen=False)
            old.close()

    def workers(self) -> list[_Worker]:
        return [each for each in (self.worker, self.successor) if each is not None]


class Supervisor:
    """Keeps one process for every socket until a signal stops it.

    SIGTERM and SIGINT stop it. SIGHUP has the settings read again and replaces the workers one by
    one: each new one accepts connections before the old one finishes. Workers end when this process
    does, however it ends.

    Args:
        sockets: one for each worker.
        run_worker: runs in the child until it is signalled; returns its exit code.
        reload: returns what workers run from now on; raises if they must stay as they are.
        events: where restarts are reported.
        seats: the numbers that workers may have.
    """

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        run_worker: RunWorker,
        events: EventSink,
        *,
        reload: Reload,
        seats: Collection[int] = (),
    ) -> None:
        self._slots = [_Slot(each) for each in sockets]
        self._run_worker = run_worker
        self._reload = reload
        self._events = events
        self._free_seats = sorted(seats, reverse=True)
        self._seats: dict[int, int | None] = {}  # of each worker that has not ended, by pid
        self._signal: int | None = None
        self._stop_wanted = False
        self._reload_wanted = False
        self._rolling: list[_Slot] = []
        self._retired: set[int] = set()
        # Nothing is written to it: workers read its end when the last writer has gone.
        self._parent_read, self._parent_write = os.pipe()
        self._told_read, self._told_write = os.pipe()

    def run(self) -> int:
        """Run until signalled and every worker has ended; returns the exit code."""
        os.set_blocking(self._told_read, False)
        os.set_blocking(self._told_write, False)
        signal.set_wakeup_fd(self._told_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, self._want_stop)
        signal.signal(signal.SIGINT, self._want_stop)
        # Who closes a terminal wants what runs in it to end.
        signal.signal(signal.SIGHUP, self._want_stop if os.isatty(2) else self._want_reload)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # it need only wake us
        for slot in self._slots:
            slot.worker = self._start(slot)
        while self._signal is None or self._retired or any(s.workers() for s in self._slots):
            self._wait()
            self._reap()
            self._stop_if_wanted()
            if self._signal is None:
                self._reload_if_wanted()
                self._retry()
                self._roll()
        return 130 if self._signal == signal.SIGINT else 0

    def _wait(self) -> None:
        """Wait for a signal, a worker's report, or the time to look again."""
        reports = {
            each.report: each
            for slot in self._slots
            for each in slot.workers()
            if not each.ready and each.report >= 0
        }
        readable, _, _ = select.select([self._told_read, *reports], [], [], _RETRY_SECONDS)
        for file in readable:
            if file == self._told_read:
                with suppress(BlockingIOError):
                    os.read(file, 4096)
                continue
            worker = reports[file]
            worker.ready = bool(os.read(file, 1))
            os.close(file)
            worker.report = -1

    def _start(self, slot: _Slot) -> _Worker:
        report_read, report_write = os.pipe()
        seat = self._free_seats.pop() if self._free_seats else None
        # No signal may fall between the fork and the child's own handlers.
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        pid = os.fork()
        if pid:
            os.close(report_write)
            self._seats[pid] = seat
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
            return _Worker(pid, report_read, time.monotonic() + _READY_SECONDS)
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            for number in _SIGNALS:
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
            os.close(report_read)
            self._close_all_but(slot)
            ready = os.fdopen(report_write, "wb", buffering=0)
            code = self._run_worker(
                WorkerContext(
                    socket=slot.socket,
                    parent=self._parent_read,
                    ready=lambda: _report_ready(ready),
                    replaces=slot.worker is not None,
                    seat=seat,
                )
            )
        finally:
            os._exit(code)

    def _close_all_but(self, own: _Slot) -> None:
        """Close, in a child, what is the parent's: above all the pipe whose end shows its exit."""
        os.close(self._parent_write)
        os.close(self._told_read)
        os.close(self._told_write)
        for slot in self._slots:
            if slot is not own:
                slot.socket.close()

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._retired.discard(pid)
            if (seat := self._seats.pop(pid, None)) is not None:
                self._free_seats.append(seat)
            for slot in self._slots:
                for worker in slot.workers():
                    if worker.pid == pid:
                        self._bury(slot, worker, os.waitstatus_to_exitcode(status))

    def _bury(self, slot: _Slot, worker: _Worker, status: int) -> None:
        if worker.report >= 0:
            worker.ready = worker.ready or bool(os.read(worker.report, 1))
            os.close(worker.report)
        if worker is slot.successor:
            slot.successor = None
            if slot in self._rolling:
                self._give_up_reload(f"a new worker ended with {status} before it was ready")
            return
        slot.worker, slot.successor = slot.successor, None
        if self._signal is not None or slot.worker is not None:
            return
        self._events("worker.restarted", pid=worker.pid, status=status)
        if worker.ready:
            slot.worker = self._start(slot)
            return
        # A worker that cannot start must not spin, nor be sent connections.
        slot.replace_socket()
        slot.retry_at = time.monotonic() + _RETRY_SECONDS

    def _retry(self) -> None:
        for slot in self._slots:
            if slot.worker is None and time.monotonic() >= slot.retry_at:
                slot.worker = self._start(slot)

    def _reload_if_wanted(self) -> None:
        if not self._reload_wanted or self._rolling:
            return  # the next round begins when this one is done
        self._reload_wanted = False
        try:
            self._run_worker = self._reload()
        except Exception as error:
            self._events("server.reload_failed", reason=str(error) or type(error).__name__)
            return
        self._rolling = list(self._slots)

    def _roll(self) -> None:
        """Take the next step of a reload, if one is under way."""
        while self._rolling:
            slot = self._rolling[0]
            if slot.successor is None:
                if slot.worker is None:
                    slot.worker = self._start(slot)
                else:
                    slot.successor = self._start(slot)
                    return
            elif slot.successor.ready:
                self._retire(slot)
            elif time.monotonic() >= slot.successor.deadline:
                os.kill(slot.successor.pid, signal.SIGKILL)
                return
            else:
                return
            self._rolling.pop(0)
            if not self._rolling:
                self._events("server.reloaded")

    def _retire(self, slot: _Slot) -> None:
        if slot.worker is not None:
            os.kill(slot.worker.pid, signal.SIGHUP)
            self._retired.add(slot.worker.pid)
        slot.worker, slot.successor = slot.successor, None

    def _give_up_reload(self, why: str) -> None:
        self._rolling = []
        self._events("server.reload_failed", reason=why)

    def _want_reload(self, sig: int, frame: FrameType | None) -> None:
        self._reload_wanted = True

    def _want_stop(self, sig: int, frame: FrameType | None) -> None:
        self._signal = self._signal or (signal.SIGTERM if sig == signal.SIGHUP else sig)
        self._stop_wanted = True

    def _stop_if_wanted(self) -> None:
        if not self._stop_wanted:
            return
        self._stop_wanted = False
        pids = [each.pid for slot in self._slots for each in slot.workers()]
        for pid in (*pids, *self._retired):
            os.kill(pid, signal.SIGTERM)


def _report_ready(report: IO[bytes]) -> None:
    with suppress(OSError):  # the parent has gone, as the other pipe shows
        report.write(b"1")
    report.close()
