"""Serve the provider on bound sockets: in this process, or with a worker for each."""

import gc
import socket
from urllib.parse import urlsplit

from issuer.storage.database import load_engine
from keys.identifiers import is_loopback
from resource_api.resource_value import MemoryValue
from watchword.app import Half, Provider
from watchword.issuer_half import IssuerHalf
from watchword.logging import Events, configure_logging
from watchword.rehearsal import rehearse
from watchword.server import PoliteServer
from watchword.settings import WITHOUT_EFFECT, Settings
from watchword.workers import Supervisor

_DEFAULT_PORTS = {"http": 80, "https": 443}


def serve_provider(
    settings: Settings, sockets: list[socket.socket], *, only: Half | None = None
) -> int:
    """Serve until signalled; returns the exit code.

    Args:
        settings: all settings, checked.
        sockets: one for each worker, listening.
        only: serve one half alone.

    Raises:
        ProviderError, RegistryError, KeysError: a part cannot be opened, or there is no key yet.
    """
    events = configure_logging(settings.log_format, background=len(sockets) == 1)
    if len(sockets) == 1:
        provider = Provider(settings, events, value=MemoryValue(), only=only)
        _announce(settings, events, sockets)
        code = _run(provider, settings, sockets[0], events)
    else:
        code = _run_workers(settings, events, sockets, only)
    events("server.stopped")
    events.flush()
    return code


def _run_workers(
    settings: Settings, events: Events, sockets: list[socket.socket], only: Half | None
) -> int:
    # POSIX only, like the forks that it is shared over.
    from resource_api.shared_value import SharedValue

    value = SharedValue()
    if only != "api":
        load_engine(settings.database)
        # What every worker would die of is told once, here.
        rehearse(lambda: IssuerHalf.check(settings))
    _announce(settings, events, sockets)

    def run_worker(own: socket.socket) -> int:
        own_events = configure_logging(settings.log_format, background=True)
        try:
            provider = Provider(settings, own_events, value=value, only=only)
            return _run(provider, settings, own, own_events)
        finally:
            own_events.flush()

    gc.freeze()  # what is loaded by now is shared by all workers, and stays so
    return Supervisor(sockets, run_worker, events).run()


def _run(provider: Provider, settings: Settings, own: socket.socket, events: Events) -> int:
    server = PoliteServer(
        provider,
        on_leaving=provider.leave,
        drain_seconds=settings.drain_seconds,
        events=events,
    )
    server.run([own])
    return server.exit_code


def _announce(settings: Settings, events: Events, sockets: list[socket.socket]) -> None:
    host, port = sockets[0].getsockname()[:2]
    workers = len(sockets)
    events("server.started", issuer=settings.issuer, host=host, port=port, workers=workers)
    for warning in warnings_at_start(settings, port=port):
        events("server.warning", message=warning)


def warnings_at_start(settings: Settings, *, port: int) -> list[str]:
    """List what an operator should know before the first request.

    Args:
        settings: all settings, checked.
        port: where the provider listens.
    """
    found = [
        f"WATCHWORD_{name.upper()} has no effect in this version"
        for name in WITHOUT_EFFECT
        if name in settings.model_fields_set
    ]
    issuer = urlsplit(settings.issuer)
    if is_loopback(issuer.hostname) and (issuer.port or _DEFAULT_PORTS[issuer.scheme]) != port:
        found.append(
            f"clients look for the issuer at {settings.issuer}, but this server listens on port"
            f" {port}; set WATCHWORD_ISSUER"
        )
    return found
