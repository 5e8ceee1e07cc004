"""The `watchword` command: one module for each group of commands.

Modules that are slow to import are imported inside the command that needs them.
"""

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType
from typing import Annotated, NamedTuple

import typer

from watchword.cli.help import Group
from watchword.cli.output import CommandFailed, WrongUsage, hold_streams, require_output, say


class _Entry(NamedTuple):
    """A command, or a group of them, in the list of commands.

    Args:
        section: where it is listed.
        summary: what it does.
        example: of a group, as a command has one.
        module: of a command by itself, the module that it is in.
    """

    section: str
    summary: str
    example: str = ""
    module: str = ""


_COMPLETING = "_WATCHWORD_COMPLETE"
_ENTRIES = {
    "clients": _Entry(
        "Registry",
        "Clients: create, list, show, update, disable, delete; their secrets.",
        "watchword clients list --expiring 30d",
    ),
    "resources": _Entry(
        "Registry",
        "Resources: the APIs that tokens are for, and their scopes.",
        "watchword resources create https://orders.example.com --scope orders:read",
    ),
    "registration-tokens": _Entry(
        "Registry",
        "Tokens for registering clients: create, list, revoke.",
        "watchword registration-tokens list",
    ),
    "apply": _Entry(
        "Registry",
        "Make clients and resources equal to a file, in one transaction.",
        module="apply",
    ),
    "export": _Entry(
        "Registry",
        "Print clients and resources as a file for apply, without secrets.",
        module="apply",
    ),
    "usage": _Entry(
        "Registry", "Which client uses which scope of which resource, and when.", module="usage"
    ),
    "audit": _Entry("Registry", "The audit trail: list.", "watchword audit list --since 24h"),
    "keys": _Entry(
        "Keys and tokens",
        "Signing keys: generate, list, rotate, revoke, delete, export, move, passphrase.",
        "watchword keys list",
    ),
    "token": _Entry(
        "Keys and tokens",
        "Tokens: get one, read one, say why one is refused, revoke.",
        "watchword token get | watchword token explain",
    ),
    "serve": _Entry(
        "Service", "Serve the provider: issuer and demo API, or one of them.", module="serve"
    ),
    "console": _Entry(
        "Service", "Open the administration console, signed in as this user.", module="console"
    ),
    "db": _Entry(
        "Service",
        "The registry database: status, upgrade, backup, restore.",
        "watchword db status",
    ),
    "doctor": _Entry(
        "Service", "Check this installation, and say what mends each finding.", module="doctor"
    ),
    "mock": _Entry(
        "Development",
        "Serve a mock issuer for tests, which gives any token to anyone.",
        module="mock",
    ),
    "scenario": _Entry(
        "Development", "Run the consumer's scenario against a running provider.", module="token"
    ),
}


def command_line(word: str | None = None) -> typer.Typer:
    """Build the command line.

    Args:
        word: the command to build with its options; the others have their summary only, since
            building all options would double the time to print help. None builds them all.
    """
    app = typer.Typer(
        name="watchword",
        cls=Group,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # importing rich for help would double the time to print it
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_of_all_commands)
    for name, entry in _ENTRIES.items():
        wanted = word is None or word == name
        if entry.module:
            command = _module(entry.module).__dict__[name] if wanted else _not_loaded
            listed = app.command(name, short_help=entry.summary, rich_help_panel=entry.section)
            listed(command)
        else:
            app.add_typer(
                _module(name).app if wanted else typer.Typer(),
                name=name,
                cls=Group,
                help=f"{entry.summary}\n\nExample: {entry.example}",
                rich_help_panel=entry.section,
            )
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"watchword {version('watchword')}")
        raise typer.Exit


def _of_all_commands(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print it."),
    ] = False,
) -> None:
    """OAuth 2.0 access tokens for services: issue, validate, consume."""


def _module(name: str) -> ModuleType:
    return import_module(f"watchword.cli.{name.replace('-', '_')}")


def _not_loaded() -> None:
    """Stand for a command in the list of commands."""


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Args:
        arguments: the words after the program's name; those of the process if None.

    Returns:
        0 done, 1 refused or failed, 2 wrong usage or settings, 130 interrupted.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    present = hold_streams()
    try:
        _check_words(words)
        named = next((word for word in words if not word.startswith("-")), "")
        is_completing = _COMPLETING in os.environ  # noqa: TID251 - how shells ask for completions
        if named != "serve" or "--dev" in words:  # serving prints nothing
            require_output(present=present)
        code = int(
            command_line(None if is_completing else named)(words, standalone_mode=False) or 0
        )
        sys.stdout.flush()  # so that a failure to write is reported here
    except typer.Exit as ended:
        return ended.exit_code
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except WrongUsage as wrong:
        return _tell(2, *wrong.lines)
    except CommandFailed as failed:
        return _tell(1, str(failed))
    except typer.TyperException as wrong:
        return _tell_usage(wrong)
    except Exception as problem:
        return _explain(problem)
    return code


def _check_words(words: Sequence[str]) -> None:
    if any("\udc80" <= character <= "\udcff" for word in words for character in word):
        raise WrongUsage("the command line is not valid in the encoding of this locale")


def _explain(problem: Exception) -> int:
    """Print the message of a known error and return its exit code; raise any other error again."""
    from consumer.errors import ConsumerError
    from issuer.registry.errors import InvalidDocument, InvalidValue, IssuerMismatch, RegistryError
    from keys.errors import KeysError
    from watchword.errors import ProviderError
    from watchword.settings import SettingsError

    match problem:
        case SettingsError():
            return _tell(2, *problem.lines)
        case InvalidDocument():
            return _tell(2, *str(problem).splitlines())
        case InvalidValue() | IssuerMismatch():
            return _tell(2, str(problem))
        case KeysError() | RegistryError() | ConsumerError() | ProviderError():
            return _tell(1, str(problem))
        case BrokenPipeError():
            return _abandon_output()
        case OSError() if problem.filename is None:
            _abandon_output()
            return _tell(1, f"the output cannot be written: {str(problem.strerror).lower()}")
    raise problem


def _tell_usage(wrong: typer.TyperException) -> int:
    # typer does not export this one: no command was named, and the message is the whole help.
    if type(wrong).__name__ == "NoArgsIsHelpError":
        sys.stderr.write(wrong.format_message() + "\n")
        return wrong.exit_code
    # Its choices are on lines of their own.
    return _tell(wrong.exit_code, " ".join(wrong.format_message().split()))


def _tell(code: int, *lines: str) -> int:
    for line in lines:
        say(f"watchword: {line}")
    return code


def _abandon_output() -> int:
    """Keep the interpreter from trying to write the rest of the output again as it exits."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
    return 1
