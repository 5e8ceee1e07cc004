"""The `watchword` command: one module for each group of commands.

Modules that are slow to import are imported inside the command that needs them.
"""

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType

import typer

from watchword.cli.output import CommandFailed, WrongUsage, hold_streams, require_output, say

_SUMMARIES = {
    "keys": "Signing keys: generate, list, rotate, revoke, delete, export, move, passphrase.",
    "clients": "Clients: create, list, show, update, disable, delete; their secrets.",
    "resources": "Resources: the APIs that tokens are for, and their scopes.",
    "registration-tokens": "Tokens for registering clients: create, list, revoke.",
    "audit": "The audit trail: list.",
    "apply": "Make clients and resources equal to a file, in one transaction.",
    "export": "Print clients and resources as a file for apply, without secrets.",
    "token": "Tokens: get one, read one, say why one is refused, revoke.",
    "db": "The registry database: status, upgrade, backup, restore.",
    "serve": "Serve the provider: issuer and demo API, or one of them.",
    "mock": "Serve a mock issuer for tests, which gives any token to anyone.",
    "scenario": "Run the consumer's scenario against a running provider.",
}
_COMMANDS = {
    "apply": "apply",
    "export": "apply",
    "serve": "serve",
    "mock": "mock",
    "scenario": "token",
}
"""Commands by themselves, with the modules that they are in; the rest are groups."""


def command_line(word: str | None = None) -> typer.Typer:
    """Build the command line.

    Args:
        word: the command to build with its options; the others have their summary only, since
            building all options would double the time to print help. None builds them all.
    """
    app = typer.Typer(
        name="watchword",
        help="OAuth 2.0 access tokens for services: issue, validate, consume.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # importing rich for help would double the time to print it
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for name, summary in _SUMMARIES.items():
        wanted = word is None or word == name
        if name in _COMMANDS:
            command = _module(_COMMANDS[name]).__dict__[name] if wanted else _not_loaded
            app.command(name, short_help=summary)(command)
        else:
            group = _module(name).app if wanted else typer.Typer()
            app.add_typer(group, name=name, help=summary)
    return app


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
        if named != "serve" or "--dev" in words:  # serving prints nothing
            require_output(present=present)
        code = int(command_line(named)(words, standalone_mode=False) or 0)
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
