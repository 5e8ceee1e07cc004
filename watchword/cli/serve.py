"""The `watchword serve` command."""

from typing import TYPE_CHECKING, Annotated

import typer

from watchword.cli.errors import WrongUsage

if TYPE_CHECKING:
    import socket

    from watchword.logging import Events
    from watchword.settings import Settings


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one.")] = None,
    workers: Annotated[int | None, typer.Option(help="Worker processes.")] = None,
    only: Annotated[str | None, typer.Option(help="Serve one half: issuer or api.")] = None,
    dev: Annotated[
        bool, typer.Option("--dev", help="Throw-away keys, data and a demo client; loopback only.")
    ] = False,
) -> None:
    """Serve the provider: issuer and API, or one half of it.

    Example: watchword serve --port 8080 --workers 2
    """
    from watchword.settings import load_settings

    if only not in (None, "issuer", "api"):
        raise WrongUsage("--only: must be issuer or api")
    settings = load_settings(host=host, port=port, workers=workers)
    raise typer.Exit(_serve(settings, only))


def _serve(settings: "Settings", only: str | None) -> int:
    from watchword.logging import configure_logging
    from watchword.workers import Supervisor, bind_sockets

    events = configure_logging(settings.log_format)
    sockets = bind_sockets(settings.host, settings.port, settings.workers)
    address = sockets[0].getsockname()
    events("server.started", host=address[0], port=address[1], workers=settings.workers)
    if settings.workers == 1:
        return _run_worker(settings, events, only, sockets[0])
    return Supervisor(sockets, lambda own: _run_worker(settings, events, only, own), events).run()


def _run_worker(
    settings: "Settings", events: "Events", only: str | None, own: "socket.socket"
) -> int:
    from watchword.app import Provider
    from watchword.server import PoliteServer

    provider = Provider(settings, events, only=only)  # type: ignore[arg-type]
    server = PoliteServer(provider, on_leaving=provider.leave, drain_seconds=settings.drain_seconds)
    server.run([own])
    events("server.stopped")
    events.flush()
    return server.exit_code
