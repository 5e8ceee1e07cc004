"""The `watchword serve` command."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from watchword.cli.output import Mistakes, WrongUsage

if TYPE_CHECKING:
    from socket import socket

    from issuer.administration.declaration.document import DeclarationFile
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
    apply: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="With --dev: also the clients and resources of this file."
        ),
    ] = None,
    dev_secret: Annotated[
        str | None,
        typer.Option(
            metavar="SECRET",
            help="With --dev: the secret of every client, instead of one made at start; @FILE"
            " reads it from a file, - from stdin.",
        ),
    ] = None,
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
    for name, value in (("--apply", apply), ("--dev-secret", dev_secret)):
        if value is not None and not dev:
            raise WrongUsage(f"{name}: goes with --dev alone; use watchword apply otherwise")
    if apply == "-":
        raise WrongUsage("--apply: must name a file; standard input is for --dev-secret")
    from watchword.settings import load_settings

    demo_api = "on" if demo else None

    def read_settings() -> "Settings":
        return load_settings(
            with_hooks=only != "api", host=host, port=port, workers=workers, demo_api=demo_api
        )

    if dev:
        raise typer.Exit(_serve_dev(read_settings(), apply, dev_secret))
    raise typer.Exit(_serve(read_settings, cast("Part | None", only)))


def _serve(read_settings: "Callable[[], Settings]", only: "Part | None") -> int:
    from watchword.process.serving import serve_provider

    settings = read_settings()
    sockets, scraped = _bind(settings)
    return serve_provider(settings, sockets, scraped=scraped, only=only, reload=read_settings)


def _bind(settings: "Settings") -> "tuple[list[socket], socket | None]":
    """Bind a socket for each worker, and the one that serves the metrics alone, if any."""
    from watchword.errors import AddressUnavailable
    from watchword.process.workers import bind_sockets

    sockets = bind_sockets(settings.host, settings.port, settings.workers)
    if settings.metrics_port is None:
        return sockets, None
    try:
        return sockets, bind_sockets(settings.host, settings.metrics_port, 1)[0]
    except AddressUnavailable as error:
        raise AddressUnavailable(f"WATCHWORD_METRICS_PORT: {error}") from None


def _serve_dev(settings: "Settings", file: str | None, dev_secret: str | None) -> int:
    from watchword.cli.apply import read_file
    from watchword.process.dev_mode import check_dev_host, describe, throw_away
    from watchword.process.serving import serve_provider

    check_dev_host(settings.host)
    given = None if dev_secret is None else _read_dev_secret(dev_secret)
    declared = None if file is None else read_file(file)
    sockets, scraped = _bind(settings)
    with throw_away(settings, port=sockets[0].getsockname()[1], secret=given) as (own, secret):
        others = () if declared is None else _declare(own, declared, secret)
        typer.echo(describe(own, secret, given=given is not None, others=others))
        return serve_provider(own, sockets, scraped=scraped)


def _read_dev_secret(given: str) -> str:
    from issuer.registry.credentials import check_secret
    from watchword.cli.registry import read_secret
    from watchword.declared_secrets import read_secret_file

    mistakes = Mistakes()
    secret = given
    with mistakes.of("--dev-secret"):
        if given == "-":
            secret = read_secret()
        elif given.startswith("@"):
            secret = read_secret_file(Path(given[1:]))
        check_secret(secret)
    mistakes.refuse()
    return secret


def _declare(settings: "Settings", declared: "DeclarationFile", secret: str) -> "tuple[str, ...]":
    """Put the clients and resources of a file into the registry; returns the clients' ids."""
    from watchword.cli.apply import all_reasons
    from watchword.cli.registry import at_hand
    from watchword.process.dev_mode import with_secret

    with at_hand(settings, by_file=True) as administration, all_reasons():
        administration.apply(with_secret(declared, secret))
    return tuple(client.client_id for client in declared.clients)
