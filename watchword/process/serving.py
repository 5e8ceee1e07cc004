"""Serve the provider on bound sockets: in this process, or with a worker for each."""

import gc
import os
import signal
import socket
import threading
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from issuer.registry.errors import RegistryError
from issuer.storage.database_url import load_engine
from keys.errors import KeysError
from keys.events import EventSink
from keys.identifiers import DEFAULT_PORTS, is_loopback
from resource_api.demo.values import MemoryValue, ResourceValue
from watchword.ambient import wall_clock
from watchword.client_authorities import ClientAuthorities
from watchword.errors import ProviderError
from watchword.logging import Events, configure_logging
from watchword.metrics import Metrics
from watchword.process.seats import Seats
from watchword.process.server import GracefulServer
from watchword.process.tls import Certificate
from watchword.process.workers import RunWorker, Supervisor, WorkerContext, exec_again
from watchword.provider.app import Part, Provider
from watchword.provider.issuer import IssuerApp
from watchword.settings import Settings, SettingsError

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

_SEATS = 16
"""For each worker: a reload starts another one before those that finish have ended."""

_GARBAGE_THRESHOLD = 700
"""Objects between two collections while requests are served: Python's own default."""


class Shared(NamedTuple):
    """What the workers have in common.

    Args:
        value: where the demo API keeps its resource.
        seats: where they put what they counted.
        scraped: serves `/metrics` alone, if that has a port of its own.
        started: when workers with these settings were first started, in seconds since the epoch.
    """

    value: ResourceValue
    seats: Seats
    scraped: socket.socket | None
    started: int


def serve_provider(
    settings: Settings,
    sockets: list[socket.socket],
    *,
    scraped: socket.socket | None = None,
    only: Part | None = None,
    reload: Callable[[], Settings] | None = None,
) -> int:
    """Serve until signalled; returns the exit code.

    Args:
        settings: all settings, checked.
        sockets: one for each worker, listening.
        scraped: serves `/metrics` alone, shared by all workers; None to serve it beside the rest.
        only: serve one part alone.
        reload: reads the settings again when SIGHUP comes; None if they cannot change.

    Raises:
        SettingsError: the certificate cannot be served.
        ProviderError, RegistryError, KeysError: a part cannot be opened, or there is no key yet.
    """
    events = configure_logging(settings.log_format, background=len(sockets) == 1)
    if len(sockets) == 1:
        code = _serve_alone(settings, events, sockets[0], scraped, only, reload)
    else:
        code = _serve_with_workers(settings, events, sockets, scraped, only, reload)
    events("server.stopped")
    events.flush()
    return code


def _serve_alone(
    settings: Settings,
    events: Events,
    own: socket.socket,
    scraped: socket.socket | None,
    only: Part | None,
    reload: Callable[[], Settings] | None,
) -> int:
    metrics = Metrics(events)
    certificate = Certificate.of(settings, metrics)
    provider = Provider(
        settings,
        metrics,
        value=MemoryValue(),
        started=wall_clock(),
        only=only,
        metrics_port=_port(scraped),
    )
    _announce(settings, metrics, [own], scraped)
    server = _server(provider, settings, metrics, certificate)
    kept = own.dup()  # the server closes its own
    reloading = threading.Event()

    def check() -> None:
        try:
            check_settings(reload() if reload else settings, only, events)
        except Exception as error:
            metrics("server.reload_failed", reason=_reason(error))
        else:
            reloading.set()
            server.retire()

    def hung_up(sig: int, frame: FrameType | None) -> None:
        if reload is None or os.isatty(2):
            # Who closes a terminal wants what runs in it to end.
            server.handle_exit(signal.SIGTERM, frame)
        else:
            threading.Thread(target=check, name="reload", daemon=True).start()

    signal.signal(signal.SIGHUP, hung_up)
    server.run(_listening(own, scraped))
    if reloading.is_set() and server.signal is None:
        events("server.reloaded")
        events.flush()
        exec_again(kept)
    kept.close()
    return server.exit_code


def _serve_with_workers(
    settings: Settings,
    events: Events,
    sockets: list[socket.socket],
    scraped: socket.socket | None,
    only: Part | None,
    reload: Callable[[], Settings] | None,
) -> int:
    # POSIX only, like the forks that it is shared over.
    from resource_api.demo.values import SharedValue

    value, seats = SharedValue(), Seats(1 + _SEATS * len(sockets))
    own = Metrics(events, seats=seats)

    def record(event: str, /, **fields: object) -> None:
        own(event, **fields)
        own.publish()

    if only != "api":
        load_engine(settings.database)
    # A fault that would end every worker is reported once, here.
    check_in_child(lambda: check_settings(settings, only, events))
    _announce(settings, record, sockets, scraped)

    def worker_with(own_settings: Settings) -> RunWorker:
        started = wall_clock()  # of all the workers with these settings
        shared = Shared(value, seats, scraped, started)
        return lambda context: _run_worker(own_settings, context, shared, only)

    def read_again() -> RunWorker:
        try:
            again = reload() if reload else settings
            check_in_child(lambda: check_settings(again, only, events))
        except Exception as error:
            raise ProviderError(_reason(error)) from None
        return worker_with(again)

    gc.freeze()  # what is loaded by now is shared by all workers, and stays so
    return Supervisor(
        sockets,
        worker_with(settings),
        record,
        reload=read_again,
        seats=range(1, seats.count),
    ).run()


def check_settings(settings: Settings, only: Part | None, events: Events) -> None:
    """Open all that these settings name and close it again.

    Raises:
        SettingsError: the certificate cannot be served.
        ProviderError, RegistryError, KeysError: a part cannot be opened, or there is no key.
    """
    Certificate.of(settings, events)
    if only != "api":
        ClientAuthorities(settings.client_ca_file, events)
        IssuerApp.check(settings, events)


def check_in_child(work: Callable[[], None]) -> None:
    """Run `work` in a child process, so that this process stays without threads.

    A process that forks workers must have no thread. One that was joined does not count as ended:
    until Python 3.13 `join` returns while the thread still ends, and what it then cleans up, such
    as OpenSSL's state, takes locks. A child forked in that moment finds them locked for ever.

    Args:
        work: what to try; nothing of it stays but what it did outside the process.

    Raises:
        ProviderError: the child ended without an answer; else what `work` raised there.
    """
    import multiprocessing

    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_send_outcome, args=(work, sender))
    child.start()
    sender.close()
    try:
        error = receiver.recv()
    except EOFError:
        child.join()
        raise ProviderError(f"a first try to open everything ended with {child.exitcode}") from None
    finally:
        receiver.close()
    child.join()
    if error is not None:
        raise error


def _send_outcome(work: Callable[[], None], sender: "Connection") -> None:
    try:
        work()
    except Exception as error:
        sender.send(error)
    else:
        sender.send(None)


def _reason(error: Exception) -> str:
    """Say in one line why something cannot be served; of unforeseen errors only the type."""
    match error:
        case SettingsError():
            return "; ".join(error.lines)
        case ProviderError() | RegistryError() | KeysError():
            return str(error)
    return type(error).__name__


def _run_worker(
    settings: Settings, context: WorkerContext, shared: Shared, only: Part | None
) -> int:
    events = configure_logging(settings.log_format, background=True)
    try:
        seats = None if context.seat is None else shared.seats
        metrics = Metrics(events, seats=seats, seat=context.seat or 0)
        provider = Provider(
            settings,
            metrics,
            value=shared.value,
            started=shared.started,
            only=only,
            metrics_port=_port(shared.scraped),
            checked=not context.replaces,
        )
        server = _server(provider, settings, metrics, Certificate.of(settings, metrics), context)
        # Its successor accepts on the same socket already.
        signal.signal(signal.SIGHUP, lambda *_: server.retire())
        server.run(_listening(context.socket, shared.scraped))
        return server.exit_code
    except Exception as error:
        events("worker.failed", reason=_reason(error), exception=error)
        return 1
    finally:
        events.flush()


def _server(
    provider: Provider,
    settings: Settings,
    events: EventSink,
    certificate: Certificate | None,
    context: WorkerContext | None = None,
) -> GracefulServer:
    gc.freeze()  # what is loaded by now stays, so that no collection need look at it again
    gc.set_threshold(_GARBAGE_THRESHOLD)
    return GracefulServer(
        provider,
        on_leaving=provider.leave,
        drain_seconds=settings.drain_seconds,
        events=events,
        proxies=settings.proxy_networks,
        certificate=certificate,
        client_certificates=settings.tls_client_ca is not None,
        on_ready=context.ready if context else lambda: None,
        parent=context.parent if context else None,
    )


def _listening(own: socket.socket, scraped: socket.socket | None) -> list[socket.socket]:
    return [own] if scraped is None else [own, scraped]


def _port(bound: socket.socket | None) -> int | None:
    return None if bound is None else int(bound.getsockname()[1])


def _announce(
    settings: Settings,
    events: EventSink,
    sockets: list[socket.socket],
    scraped: socket.socket | None,
) -> None:
    host, port = sockets[0].getsockname()[:2]
    events(
        "server.started",
        issuer=settings.issuer,
        host=host,
        port=port,
        metrics_port=_port(scraped),
        workers=len(sockets),
    )
    for warning in warnings_at_start(settings, port=port):
        events("server.warning", message=warning)


def warnings_at_start(settings: Settings, *, port: int) -> list[str]:
    """List what an operator should know before the first request.

    Args:
        settings: all settings, checked.
        port: where the provider listens.
    """
    found = []
    if not settings.failed_auth_limit:
        found.append(
            "WATCHWORD_FAILED_AUTH_LIMIT is 0: secrets can be guessed at any rate; set how many"
            " failed authentications a client may have a minute"
        )
    if settings.allow_insecure_http:
        found.append(
            "WATCHWORD_ALLOW_INSECURE_HTTP is set: over plain http secrets and tokens can be read"
            " on the way, and keys replaced; use https outside of development"
        )
    issuer = urlsplit(settings.issuer)
    if is_loopback(issuer.hostname) and (issuer.port or DEFAULT_PORTS[issuer.scheme]) != port:
        found.append(
            f"clients look for the issuer at {settings.issuer}, but this server listens on port"
            f" {port}; set WATCHWORD_ISSUER"
        )
    return found
