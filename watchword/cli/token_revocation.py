"""The `watchword token revoke` command, and what is asked and said of a client's live tokens."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from watchword.cli.output import CommandFailed, Mistakes, say
from watchword.cli.printing import TABLE, Output, prints
from watchword.cli.progress import still_working
from watchword.cli.registry import ServerOption, YesFlag, administration, read_token, require_yes

if TYPE_CHECKING:
    from issuer.registry.schema import Json
    from watchword.cli.registry import Operations

_LABELS = {
    "token": "TOKEN",
    "jti": "--jti",
    "client_id": "--client",
    "subject": "--subject",
    "resource": "--resource",
    "issued_before": "--issued-before",
}
_ALONE = ("token", "jti")
_ONE_OF = (*_ALONE, "client_id", "subject")
_DONE = {"revoke": "revoked", "suspend": "suspended", "restore": "restored"}

RevokeTokensFlag = Annotated[
    bool, typer.Option("--revoke-tokens", help="Revoke all tokens that it has, too.")
]

IssuedBefore = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="Only tokens issued before this time, such as 2027-01-31T12:00:00Z; some of the"
        " 15 minutes after it may be among them.",
    ),
]


@prints
def revoke(
    token: Annotated[
        str | None, typer.Argument(metavar="TOKEN", help="One token, or - for stdin.")
    ] = None,
    jti: Annotated[str | None, typer.Option(metavar="ID", help="The token of this id.")] = None,
    client: Annotated[
        str | None, typer.Option(metavar="ID", help="Tokens issued to this client.")
    ] = None,
    subject: Annotated[
        str | None, typer.Option(metavar="SUB", help="Tokens of this subject.")
    ] = None,
    resource: Annotated[
        str | None, typer.Option(metavar="URI", help="Only tokens for this resource.")
    ] = None,
    issued_before: IssuedBefore = None,
    suspend: Annotated[
        bool, typer.Option("--suspend", help="Refuse them until they are restored.")
    ] = False,
    restore: Annotated[
        bool, typer.Option("--restore", help="Accept suspended tokens again.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell how many it would be.")
    ] = False,
    yes: YesFlag = False,
    server: ServerOption = None,
    output: Output = TABLE,
) -> None:
    """Have APIs refuse tokens before they expire: one, or all that the options say.

    Example: watchword token revoke --client orders-service --yes
    """
    from issuer.administration.token_changes import TokenChangeDocument
    from issuer.registry.errors import StoreUnavailable

    mistakes = Mistakes(_LABELS)
    action = "suspend" if suspend else "restore" if restore else "revoke"
    values = (token, jti, client, subject, resource, issued_before)
    given = {name: each for name, each in zip(_LABELS, values, strict=True) if each is not None}
    if suspend:
        mistakes.exclude("--suspend", [("--restore", restore)])
    _check_selection(given, mistakes)
    if token is not None and not mistakes:
        given["token"] = read_token(token)
    document: Json = {"action": action, "dry_run": dry_run, **given}
    mistakes.check(TokenChangeDocument, document)
    try:
        with administration(server, mistakes, reading=dry_run) as operations:
            if not (dry_run or yes or given.keys() & set(_ALONE)):
                _ask(operations, document)
            with still_working(output):
                done = operations.change_tokens(document)
    except StoreUnavailable as error:
        raise CommandFailed(f"not {_DONE[action]} yet: {error}") from None
    if output.is_document:
        output.document(done)
    else:
        would = "would be " if dry_run else ""
        final = "; what is revoked stays so" if restore else ""
        say(f"{would}{_DONE[action]}: {_count(done['tokens'])}{final}")


def _check_selection(given: "Json", mistakes: Mistakes) -> None:
    first, *others = [name for name in _ONE_OF if name in given] or [""]
    if others:
        mistakes.add(f"{_LABELS[first]}: not together with {_LABELS[others[0]]}")
    elif first in _ALONE:
        narrowing = [(_LABELS[name], given.get(name)) for name in ("resource", "issued_before")]
        mistakes.exclude(_LABELS[first], narrowing)
    elif not given:
        *most, last = _LABELS.values()
        mistakes.add(f"say which tokens: {', '.join(most)} or {last}")


def _ask(operations: "Operations", document: "Json") -> None:
    """Ask before many tokens are changed."""
    found = operations.change_tokens({**document, "dry_run": True})
    if found["tokens"]:
        require_yes(f"{document['action'].capitalize()} {_count(found['tokens'])}?", yes=False)


def _count(tokens: int) -> str:
    if not tokens:
        return "no live token that is on a status list"
    return f"at most {tokens} live token{'' if tokens == 1 else 's'}"


def decide_revocation(
    operations: "Operations", client_id: str, *, wanted: bool, may_ask: bool = True
) -> tuple[bool, str]:
    """Tell whether the tokens of a client that is disabled or deleted go too, and what to say.

    Args:
        operations: tell how many live tokens it has.
        client_id: the client.
        wanted: whether the command line says so.
        may_ask: whether to ask on a terminal if it does not.
    """
    live = 0 if wanted else _live_tokens(operations, client_id)
    if wanted or (live and may_ask and _agreed(f"{client_id} has {_count(live)}.")):
        return True, "its tokens are revoked"
    if not live:
        return False, "tokens that it has remain valid until they expire"
    return False, describe_live_tokens(client_id, live)


def describe_live_tokens(client_id: str, live: int) -> str:
    """Say of a client that is no more how many tokens of it are good, and how to end them."""
    return (
        f"{_count(live)} of it will be accepted until they expire; to end them:"
        f" watchword token revoke --client {client_id}"
    )


def _live_tokens(operations: "Operations", client_id: str) -> int:
    from issuer.registry.errors import AccessRefused, BeyondAuthority, UnknownClient

    wanted = {"action": "revoke", "client_id": client_id, "dry_run": True}
    try:
        tokens: int = operations.change_tokens(wanted)["tokens"]
    except (AccessRefused, BeyondAuthority, UnknownClient):  # the change itself says so
        return 0
    return tokens


def _agreed(what: str) -> bool:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    try:
        require_yes(f"{what} Revoke them as well?", yes=False)
    except CommandFailed:
        return False
    return True
