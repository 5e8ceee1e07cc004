"""The `watchword` command: one module a command group.

Whatever takes long to import is imported inside the command that needs it.
"""

import sys
from collections.abc import Sequence

import typer

from watchword.cli import clients, db, keys, resources, scenario, serve, token
from watchword.cli.errors import CommandFailed
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
    try:
        return int(
            app(list(sys.argv[1:] if arguments is None else arguments), standalone_mode=False) or 0
        )
    except typer.Exit as ended:
        return ended.exit_code
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except CommandFailed as failed:
        say(f"watchword: {failed}")
        return failed.exit_code
    except Exception as problem:
        return _explain(problem)


def _explain(problem: Exception) -> int:
    """Say in one line what the packages below say in their own words; raise what nobody foresaw."""
    from consumer.errors import ConsumerError
    from issuer.registry.errors import RegistryError
    from keys.errors import KeysError
    from watchword.errors import ProviderError
    from watchword.settings import SettingsError

    if isinstance(problem, SettingsError):
        for line in problem.lines:
            say(f"watchword: {line}")
        return 2
    if isinstance(problem, KeysError | RegistryError | ConsumerError | ProviderError):
        say(f"watchword: {problem}")
        return 1
    if isinstance(problem, BrokenPipeError):
        return 1
    if isinstance(problem, typer.TyperException):
        say(f"watchword: {problem.format_message()}")
        return problem.exit_code
    raise problem
