"""The `watchword` command: one module a command group.

Whatever takes long to import is imported inside the command that needs it.
"""

import os
import sys
from collections.abc import Sequence

import typer

from watchword.cli import (
    apply,
    audit,
    clients,
    db,
    export,
    keys,
    registration_tokens,
    resources,
    scenario,
    serve,
    token,
)
from watchword.cli.errors import CommandFailed, WrongUsage
from watchword.cli.output import say

app = typer.Typer(
    name="watchword",
    help="OAuth 2.0 access tokens for services: issue, validate, consume.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: importing rich for it would double the time to print it
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(keys.app, name="keys")
app.add_typer(clients.app, name="clients")
app.add_typer(resources.app, name="resources")
app.add_typer(registration_tokens.app, name="registration-tokens")
app.add_typer(audit.app, name="audit")
app.command("apply")(apply.apply)
app.command("export")(export.export)
app.add_typer(token.app, name="token")
app.add_typer(db.app, name="db")
app.command("serve")(serve.serve)
app.command("scenario")(scenario.scenario)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Args:
        arguments: the words after the program's name; those of the process if None.

    Returns:
        0 done, 1 refused or failed, 2 wrong usage or settings, 130 interrupted.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        _check_words(words)
        code = int(app(words, standalone_mode=False) or 0)
        sys.stdout.flush()  # what cannot be written must not go unnoticed
    except typer.Exit as ended:
        return ended.exit_code
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except WrongUsage as wrong:
        return _tell(2, *wrong.lines)
    except CommandFailed as failed:
        return _tell(1, str(failed))
    except typer.TyperException as wrong:
        return _tell(wrong.exit_code, wrong.format_message())
    except Exception as problem:
        return _explain(problem)
    return code


def _check_words(words: Sequence[str]) -> None:
    if any("\udc80" <= character <= "\udcff" for word in words for character in word):
        raise WrongUsage("the command line is not valid in the encoding of this locale")


def _explain(problem: Exception) -> int:
    """Say what the packages below say in their own words; raise what nobody foresaw."""
    from consumer.errors import ConsumerError
    from issuer.admin.errors import InvalidDocument
    from issuer.registry.errors import InvalidValue, RegistryError
    from keys.errors import KeysError
    from watchword.errors import ProviderError
    from watchword.settings import SettingsError

    match problem:
        case SettingsError():
            return _tell(2, *problem.lines)
        case InvalidDocument():
            return _tell(2, *str(problem).splitlines())
        case InvalidValue():
            return _tell(2, str(problem))
        case KeysError() | RegistryError() | ConsumerError() | ProviderError():
            return _tell(1, str(problem))
        case BrokenPipeError():
            return _abandon_output()
        case OSError() if problem.filename is None:
            _abandon_output()
            return _tell(1, f"the output cannot be written: {str(problem.strerror).lower()}")
    raise problem


def _tell(code: int, *lines: str) -> int:
    for line in lines:
        say(f"watchword: {line}")
    return code


def _abandon_output() -> int:
    """Keep the interpreter from writing the rest of the output once more, at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
    return 1
