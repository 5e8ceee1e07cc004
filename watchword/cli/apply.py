"""The `watchword apply` and `export` commands: the registry from a file, and as a file."""

import json
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from watchword.cli.output import CommandFailed, WrongUsage, say
from watchword.cli.printing import TABLE, Output, prints
from watchword.cli.progress import still_working, watched
from watchword.cli.registry import ServerOption, administration
from watchword.cli.token_revocation import describe_live_tokens

if TYPE_CHECKING:
    from issuer.administration.declaration.document import DeclarationFile
    from issuer.registry.schema import Json
    from watchword.declared_secrets import DeclaredSecrets

Form = Literal["toml", "yaml"]


RevokeTokensFlag = Annotated[
    bool,
    typer.Option(
        "--revoke-tokens", help="Revoke all tokens of clients that are deleted or disabled, too."
    ),
]
_FORMS: dict[str, Form] = {".toml": "toml", ".yaml": "yaml", ".yml": "yaml"}
_STANDARD_INPUT = "-"
_SIGNS = {"create": "+", "update": "~", "delete": "-"}
_DONE = {
    "+": ("to create", "created"),
    "~": ("to change", "changed"),
    "-": ("to delete", "deleted"),
}


@prints
def apply(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="A .toml, .yaml or .yml file, or - for stdin.")
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the difference and change nothing.")
    ] = False,
    prune: Annotated[
        bool,
        typer.Option(
            "--prune",
            help="Delete clients and resources that the file does not name, and secrets that its"
            " clients do not declare.",
        ),
    ] = False,
    usage_days: Annotated[
        int,
        typer.Option(
            metavar="DAYS", min=0, max=3650, help="How far back to look for uses of what goes."
        ),
    ] = 30,
    form: Annotated[
        str | None,
        typer.Option("--format", metavar="FORM", help="toml or yaml, for a file without suffix."),
    ] = None,
    revoke_tokens: RevokeTokensFlag = False,
    server: ServerOption = None,
    output: Output = TABLE,
) -> None:
    """Make clients and resources as a file says, in one transaction, and print the difference.

    Example: watchword apply registry.toml --dry-run --prune
    """
    declaration = read_file(file, form)
    if prune and declaration.names_nothing:
        raise WrongUsage(
            f"{file}: names neither clients nor resources;"
            " if --prune is to delete them all, write `clients = []`"
        )
    secrets = _load_secrets(file, declaration)
    with administration(server, by_file=True, reading=dry_run) as operations, all_reasons():
        carry_out = partial(
            operations.apply,
            declaration,
            prune=prune,
            usage_days=usage_days,
            revoke_tokens=revoke_tokens,
        )
        # Look first: only the registry knows which secrets must be made.
        with still_working(output):
            outcome = carry_out(dry_run=True)
        if not dry_run:
            with secrets.generated(outcome) as written, still_working(output):
                outcome = carry_out()
            for path, client_id in written.items():
                say(f"the secret of client {client_id} is in {path}")
    output.document(outcome) if output.is_document else sys.stdout.write(render_outcome(outcome))
    _say_what_is_live(outcome)


def _say_what_is_live(outcome: "Json") -> None:
    """Say of each client that is deleted or disabled what becomes of its tokens."""
    for each in outcome["tokens"]["live"]:
        left = describe_live_tokens(each["client_id"], each["tokens"])
        ended = "are revoked" if outcome["applied"] else "would be revoked"
        told = f"its tokens {ended}" if outcome["tokens"]["revoke"] else left
        say(f"client {each['client_id']}: {told}")


def export(server: ServerOption = None) -> None:
    """Print clients and resources as a YAML file for `watchword apply`, without secrets.

    Example: watchword export > registry.yaml
    """
    from issuer.administration.declaration.yaml_form import write_declaration
    from issuer.administration.operations import pages

    with administration(server, reading=True) as operations:
        resources = operations.list_resources()
        found = pages(lambda after, limit: operations.list_clients(after=after, limit=limit))
        clients = [client for page in watched(found, TABLE) for client in page.items]
    sys.stdout.write(write_declaration(resources, clients))


def read_file(file: str, form: str | None = None) -> "DeclarationFile":
    """Read a declaration.

    Args:
        file: its name; `-` for standard input.
        form: `toml` or `yaml`, for a name without suffix.

    Raises:
        WrongUsage: with a line for everything that is wrong with it.
    """
    from issuer.administration.declaration.reader import read_declaration

    chosen = _form(file, form)
    with _all_mistakes(file):
        return read_declaration(_text(file), chosen)


def _form(file: str, form: str | None) -> Form:
    if form is None and file == _STANDARD_INPUT:
        raise WrongUsage("--format: say toml or yaml for what comes from standard input")
    if form is not None and f".{form}" not in _FORMS:
        raise WrongUsage("--format: must be toml or yaml")
    suffix = Path(file).suffix.lower() if form is None else f".{form}"
    if suffix not in _FORMS:
        raise WrongUsage(f"{file}: ends neither in .toml nor in .yaml; say --format toml or yaml")
    return _FORMS[suffix]


def _text(file: str) -> str:
    from issuer.administration.declaration.reader import MAXIMUM_CHARACTERS
    from issuer.registry.errors import InvalidDocument
    from issuer.registry.mistakes import Mistake

    try:
        if file == _STANDARD_INPUT:
            content = sys.stdin.buffer.read(MAXIMUM_CHARACTERS + 1)
        else:
            with Path(file).open("rb") as opened:
                content = opened.read(MAXIMUM_CHARACTERS + 1)
    except OSError as error:
        reason = (error.strerror or "input/output error").lower()
        raise InvalidDocument([Mistake((), f"cannot be read: {reason}")]) from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InvalidDocument([Mistake((), "is not UTF-8", line)]) from None


def _load_secrets(file: str, declaration: "DeclarationFile") -> "DeclaredSecrets":
    import os

    from watchword.declared_secrets import DeclaredSecrets

    environment = os.environ  # noqa: TID251 - the file says which variables hold its secrets
    folder = Path() if file == _STANDARD_INPUT else Path(file).parent
    secrets = DeclaredSecrets(declaration, folder=folder, environment=environment)
    with _all_mistakes(file):
        secrets.load()
    return secrets


@contextmanager
def _all_mistakes(file: str) -> Iterator[None]:
    """Take what is wrong with the file as wrong usage, a line for each mistake."""
    from issuer.registry.errors import InvalidDocument

    try:
        yield
    except InvalidDocument as error:
        name = "standard input" if file == _STANDARD_INPUT else file
        raise WrongUsage(*(f"{name}: {mistake}" for mistake in error.mistakes)) from None


@contextmanager
def all_reasons() -> Iterator[None]:
    """Say why the registry cannot become what the file says, a line for each reason."""
    from issuer.registry.errors import DeclarationRefused

    try:
        yield
    except DeclarationRefused as error:
        *others, last = error.reasons
        for reason in others:
            say(f"watchword: {reason}")
        raise CommandFailed(last) from None


def render_outcome(outcome: "Json") -> str:
    """Write what a declaration does, or has done: a line for each thing and each change of it.

    Args:
        outcome: what `Administration.apply` returns. The last line counts.
    """
    signs: dict[str, str] = {}
    details: dict[str, list[str]] = {}
    for change in outcome["changes"]:
        kind = "resource" if change["kind"] == "resource" else "client"
        title = f"{kind} {change.get('resource') or change['client_id']}"
        signs.setdefault(title, "~")  # of a client of which only the secrets change
        if change["kind"] == "secret":
            details.setdefault(title, []).append(_secret_line(change))
        else:
            signs[title] = _SIGNS[change["action"]]
            lines = (_field_line(each, change["action"]) for each in change["fields"])
            details.setdefault(title, []).extend(lines)
    written = []
    for title, sign in signs.items():
        written += [f"{sign} {title}", *(f"    {detail}" for detail in details.get(title, ()))]
    written += (f"! {_shown(note)}" for note in outcome["notes"])
    written += _usage_lines(outcome["usage"])
    written.append(_summary(Counter(signs.values()), applied=outcome["applied"]))
    return "".join(f"{line}\n" for line in written)


def _secret_line(change: "Json") -> str:
    if change["action"] == "revoke":
        return f"secret: -{change['secret_id']}"
    made = " (generated)" if change["generate"] else ""
    end = f", until {change['expires_at']}" if change["expires_at"] else ""
    return f"secret: +{_shown(change['source'])}{made}{end}"


def _field_line(changed: "Json", action: str) -> str:
    name = changed["name"]
    if "resource" in changed:
        name += f" on {changed['resource']}"
    if "added" in changed:
        signed = [f"+{each}" for each in changed["added"]]
        signed += [f"-{each}" for each in changed["removed"]]
        return f"{name}: {' '.join(map(_shown, signed))}"
    before, after = changed["before"], changed["after"]
    if isinstance(before or after, dict):
        return f"{name}: {'changed' if before and after else 'set' if after else 'removed'}"
    if action == "create":
        return f"{name}: {_shown(after)}"
    return f"{name}: {_shown(before)} -> {_shown(after)}"


def _shown(value: Any) -> str:  # noqa: ANN401 - JSON of any kind
    """Write a value so that a terminal shows all of it and does nothing else."""
    if value is None:
        return "none"
    if not isinstance(value, str):
        return json.dumps(value)
    return value if value.isprintable() else ascii(value)


def _usage_lines(usage: "Json") -> Iterator[str]:
    if not usage["takes_away"]:
        return
    days = f"{usage['days']} day{'' if usage['days'] == 1 else 's'}"
    if not usage["uses"]:
        yield f"Nothing of what goes was used in the last {days}."
        return
    yield f"Of what goes, this was used in the last {days}:"
    for use in usage["uses"]:
        what = f"{use['scope']} on {use['resource']}" if "scope" in use else use["secret_id"]
        kind = "" if "scope" in use else "secret "
        yield f"    client {use['client_id']}: {kind}{what}, last at {use['last_used_at']}"


def _summary(counts: Counter[str], *, applied: bool) -> str:
    said = [f"{counts[sign]} {words[applied]}" for sign, words in _DONE.items() if counts[sign]]
    if not said:
        return "Nothing to change: the registry is as the file says."
    return ", ".join(said) + ("." if applied else "; nothing is changed yet.")
