"""What the commands on clients and resources share: the open registry, scopes, a last question."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from watchword.cli.errors import CommandFailed, WrongUsage
from watchword.cli.output import say
from watchword.clock import wall_clock

if TYPE_CHECKING:
    from issuer.storage.registry import Registry
    from watchword.settings import Settings

YesFlag = Annotated[bool, typer.Option("--yes", help="Do it without asking.")]


@contextmanager
def opened_registry() -> "Iterator[tuple[Registry, Settings]]":
    """Open the registry that the settings name, for the length of a command."""
    from watchword.registry import open_registry
    from watchword.settings import load_settings

    settings = load_settings()
    with closing(open_registry(settings, now=wall_clock)) as registry:
        yield registry, settings


@contextmanager
def usage_checked() -> Iterator[None]:
    """Count a value that the registry can never accept as wrong usage."""
    from issuer.registry.errors import InvalidValue

    try:
        yield
    except InvalidValue as error:
        raise WrongUsage(str(error)) from None


def scopes_of(options: Iterable[str]) -> tuple[str, ...]:
    """Read `--scope` options, each one scope or several with spaces between them."""
    from issuer.scope import parse_scope

    try:
        return tuple(dict.fromkeys(scope for text in options for scope in parse_scope(text)))
    except ValueError:
        raise WrongUsage(
            "--scope: visible ASCII characters without quote and backslash, such as orders:read"
        ) from None


def require_yes(question: str, *, yes: bool) -> None:
    """Ask before something is lost, unless the answer was given with `--yes`.

    Raises:
        CommandFailed: the answer was not yes.
    """
    if yes:
        return
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):
        say("")
    if answer.strip().lower() not in ("y", "yes"):
        raise CommandFailed("nothing was deleted; answer y, or say --yes")
