"""The `watchword clients` commands: register clients, see them, change them, end them."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from watchword.cli import client_secrets
from watchword.cli.client_document import (
    LABELS,
    check_material,
    checked_client_id,
    read_changed_choice,
    read_choice,
    read_members,
    read_patch,
)
from watchword.cli.client_grants import GrantChoice, changed_grants, described, first_grants
from watchword.cli.client_options import (
    AllScopesFlag,
    ClientChanges,
    ClientId,
    ClientOptions,
    SecretFlag,
)
from watchword.cli.client_tables import CLIENT_COLUMNS, client_row, print_client, secret_state
from watchword.cli.errors import WrongUsage
from watchword.cli.mistakes import Mistakes
from watchword.cli.not_yet import SERVED_METHODS, warn_of_client
from watchword.cli.option_groups import with_options
from watchword.cli.option_values import later, parse_count
from watchword.cli.output import JsonFlag, print_json, print_json_list, print_table, say
from watchword.cli.registry import (
    ServerOption,
    YesFlag,
    administration,
    again_after_conflict,
    labelled,
    read_secret,
    require_yes,
    resource_finder,
)
from watchword.clock import wall_clock

if TYPE_CHECKING:
    from issuer.administration.operations import Operations, Page, Versioned
    from issuer.registry.schema import Json
    from watchword.cli.client_grants import Grants

app = typer.Typer(no_args_is_help=True)
app.add_typer(client_secrets.app, name="secrets")

_MOST_ON_OFFER = 10


@app.command()
@with_options(ClientOptions)
def create(
    client_id: Annotated[
        str, typer.Argument(metavar="ID", help="1 to 255 visible ASCII characters, no space.")
    ],
    options: ClientOptions,
    all_scopes: AllScopesFlag = False,
    secret_stdin: SecretFlag = False,
    secret_expires_in: Annotated[
        str | None,
        typer.Option(metavar="SECONDS", help="End its first secret so many seconds from now."),
    ] = None,
    server: ServerOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Register a client and print its id and its secret, which is never shown again.

    Example: watchword clients create orders-service --scope read
    """
    mistakes, now = checked_client_id(client_id), wall_clock()
    document = {"client_id": client_id} | read_members(options, mistakes, now=now)
    check_material(options, document, mistakes)
    choice = read_choice(options, mistakes, all_scopes=all_scopes)
    if choice.defaults and choice.exact is None and not choice.resources:
        mistakes.add("--default-scope: name the resources, by --resource or --grant")
    if secret_stdin:
        with mistakes.of("--secret-stdin"):
            document["client_secret"] = read_secret()
    if secret_expires_in is not None:
        with mistakes.of("--secret-expires-in"):
            document["client_secret_expires_at"] = later(secret_expires_in, now)
    with administration(server, mistakes) as operations, labelled(LABELS):
        made = operations.create_client(document | _first_grants(choice, operations))
        created = made.document
        on_offer = () if created["grants"] else _on_offer(choice, operations)
    print_json(created) if as_json else print_client(created, now)
    if "client_secret" in created and not as_json:
        say("Keep the secret now: it is not shown again.")
    warn_of_client(created)
    if not (created["grants"] or options.no_grants):
        _say_what_is_on_offer(client_id, on_offer)


@app.command("list")
def list_clients(
    after: Annotated[
        str | None, typer.Option(metavar="ID", help="Only those behind this one.")
    ] = None,
    limit: Annotated[
        str | None, typer.Option(metavar="N", help="So many at the most; all if left out.")
    ] = None,
    server: ServerOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Show all clients, by id.

    Example: watchword clients list --json
    """
    from issuer.administration.operations import pages

    mistakes, most = Mistakes(), None
    if limit is not None:
        with mistakes.of("--limit"):
            most = parse_count(limit)
    with administration(server, mistakes, reading=True) as operations:
        found = pages(
            lambda after, limit: operations.list_clients(after=after, limit=limit),
            after=after,
            limit=most,
        )
        if not as_json:
            _print_pages(found)
        elif most is None:
            print_json_list("clients", (each for page in found for each in page.items))
        else:
            *_, last = fetched = list(found)
            following = {} if last.next is None else {"next": last.next}
            print_json({"clients": [each for page in fetched for each in page.items], **following})


@app.command()
def show(client_id: ClientId, server: ServerOption = None, as_json: JsonFlag = False) -> None:
    """Show one client: what it may ask for and its secrets' times, never a secret.

    Example: watchword clients show orders-service
    """
    with administration(server, checked_client_id(client_id), reading=True) as operations:
        client = operations.show_client(client_id).document
    print_json(client) if as_json else print_client(client, wall_clock())


@app.command()
@with_options(ClientChanges)
def update(
    client_id: ClientId,
    options: ClientChanges,
    server: ServerOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Change a client: what is not named stays as it is; running issuers know within a second.

    Example: watchword clients update orders-service --add-scope write --unset token-ttl
    """
    mistakes, now = checked_client_id(client_id), wall_clock()
    patch = read_patch(options, mistakes, now=now)
    choice = read_changed_choice(options, mistakes)
    if not (patch or choice or mistakes):
        raise WrongUsage("say what changes; see: watchword clients update --help")
    with administration(server, mistakes) as operations, labelled(LABELS):
        client = _update(operations, client_id, patch, choice).document
    print_json(client) if as_json else print_client(client, now)
    warn_of_client(client)
    if "token_endpoint_auth_method" in patch:
        _warn_without_secret(client, now)


@app.command()
def disable(client_id: ClientId, server: ServerOption = None) -> None:
    """Refuse a client from now on; running issuers know within a second.

    Example: watchword clients disable orders-service
    """
    _set_disabled(client_id, True, server)
    say(f"client {client_id} is disabled; tokens it holds live on until they expire")


@app.command()
def enable(client_id: ClientId, server: ServerOption = None) -> None:
    """Accept a disabled client again.

    Example: watchword clients enable orders-service
    """
    _set_disabled(client_id, False, server)
    say(f"client {client_id} is enabled")


@app.command()
def delete(client_id: ClientId, yes: YesFlag = False, server: ServerOption = None) -> None:
    """Delete a client with its grants and secrets.

    Example: watchword clients delete orders-service --yes
    """
    with administration(server, checked_client_id(client_id)) as operations:
        operations.show_client(client_id)  # nobody is asked about what is not there
        require_yes(f"Delete the client {client_id} and its secrets?", yes=yes)
        operations.delete_client(client_id)
    say(f"client {client_id} is deleted")


def _print_pages(pages: "Iterable[Page]") -> None:
    count, following = 0, None
    for page in pages:
        count, following = count + len(page.items), page.next
        if page.items:
            print_table(CLIENT_COLUMNS, (client_row(each) for each in page.items))
    if not count:
        say("There is no client yet; run: watchword clients create ID")
    if following is not None:
        say(f"There are more: --after {following}")


def _set_disabled(client_id: str, disabled: bool, server: str | None) -> None:
    with administration(server, checked_client_id(client_id)) as operations:
        operations.update_client(client_id, {"disabled": disabled})


def _first_grants(choice: GrantChoice, operations: "Operations") -> "Json":
    """Name resources and scopes for the registry to sort out, unless that is done here already."""
    if choice.exact is not None or choice.defaults:
        return described(first_grants(choice, resource_finder(operations)))
    named: Json = {"resources": list(choice.resources)} if choice.resources else {}
    if choice.all_scopes:
        return named | {"all_scopes": True}
    return named | ({"scope": " ".join(choice.scopes)} if choice.scopes else {})


def _on_offer(choice: GrantChoice, operations: "Operations") -> "list[tuple[str, str]]":
    """List what could be granted, by resource; nothing if the caller may not read resources."""
    from issuer.registry.errors import RegistryError

    try:
        found = operations.list_resources()
    except RegistryError:
        return []
    return [
        (each["resource"], " ".join(each["scopes"]))
        for each in found
        if (each["resource"] in choice.resources if choice.resources else not _administers(each))
    ][:_MOST_ON_OFFER]


def _say_what_is_on_offer(client_id: str, on_offer: "Iterable[tuple[str, str]]") -> None:
    say(
        f"{client_id} may ask for nothing yet; grant scopes with:"
        f" watchword clients update {client_id} --resource URI --add-scope SCOPE"
    )
    for resource, scopes in on_offer:
        say(f"  {resource} has: {scopes}")


def _administers(resource: "Json") -> bool:
    from watchword.registry import ADMIN_SCOPES

    return not set(ADMIN_SCOPES).isdisjoint(resource["scopes"])


def _update(
    operations: "Operations", client_id: str, patch: "Json", choice: GrantChoice
) -> "Versioned":
    if not choice:
        return operations.update_client(client_id, patch)
    find = resource_finder(operations)

    def decide_and_update() -> "Versioned":
        before = operations.show_client(client_id)
        grants = changed_grants(choice, _held(before.document), find)
        return operations.update_client(
            client_id, patch | described(grants), revision=before.revision
        )

    return again_after_conflict(decide_and_update)


def _held(client: "Json") -> "Grants":
    from issuer.registry.client import ResourcePermission

    return tuple(
        ResourcePermission(
            resource=each["resource"],
            scopes=tuple(each["scope"].split()),
            default_scopes=tuple(each.get("default_scope", "").split()) or None,
        )
        for each in client["grants"]
    )


def _warn_without_secret(client: "Json", now: int) -> None:
    live = any(secret_state(each, now) == "live" for each in client["secrets"])
    if client["token_endpoint_auth_method"] in SERVED_METHODS and not live:
        say(
            f"warning: {client['client_id']} has no live secret; run:"
            f" watchword clients secrets add {client['client_id']}"
        )
