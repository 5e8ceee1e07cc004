"""The `watchword serve` command."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, cast

import typer

from watchword.cli.output import WrongUsage

if TYPE_CHECKING:
    from watchword.provider.app import Part
    from watchword.settings import Settings


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one.")] = None,
    workers: Annotated[int | None, typer.Option(help="Worker processes.")] = None,
    only: Annotated[
        str | None, typer.Option(help="Serve one part: issuer, or api for the demo API.")
    ] = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="Serve the demo API on a public issuer too.")
    ] = False,
    dev: Annotated[
        bool, typer.Option("--dev", help="Throw-away keys, data and a demo client; loopback only.")
    ] = False,
) -> None:
    """Serve the provider: the issuer, and the demo API while the issuer is on loopback.

    Example: watchword serve --port 8080 --workers 2
    """
    if only not in (None, "issuer", "api"):
        raise WrongUsage("--only: must be issuer or api")
    if dev and only:
        raise WrongUsage("--dev: serves issuer and demo API; leave --only out")
    if demo and only == "issuer":
        raise WrongUsage("--demo: --only issuer leaves the demo API out; give one of them")
    from watchword.settings import load_settings

    demo_api = "on" if demo else None

    def read_settings() -> "Settings":
        return load_settings(
            with_hooks=only != "api", host=host, port=port, workers=workers, demo_api=demo_api
        )

    part = cast("Part | None", only)
    raise typer.Exit(_serve_dev(read_settings()) if dev else _serve(read_settings, part))


def _serve(read_settings: "Callable[[], Settings]", only: "Part | None") -> int:
    from watchword.process.serving import serve_provider
    from watchword.process.workers import bind_sockets

    settings = read_settings()
    sockets = bind_sockets(settings.host, settings.port, settings.workers)
    return serve_provider(settings, sockets, only=only, reload=read_settings)


def _serve_dev(settings: "Settings") -> int:
    from watchword.process.dev_mode import check_dev_host, describe, throw_away
    from watchword.process.serving import serve_provider
    from watchword.process.workers import bind_sockets

    check_dev_host(settings.host)
    sockets = bind_sockets(settings.host, settings.port, settings.workers)
    with throw_away(settings, port=sockets[0].getsockname()[1]) as (own, secret):
        typer.echo(describe(own, secret))
        return serve_provider(own, sockets)
