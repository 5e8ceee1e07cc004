"""The `watchword resources` commands: the APIs that tokens are for, and their scopes."""

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from watchword.cli.options import (
    Attributes,
    attribute_labels,
    read_attributes,
    read_unset,
    read_words,
    unset_choices,
    with_options,
)
from watchword.cli.output import CommandFailed, Mistakes, WrongUsage, say
from watchword.cli.printing import TABLE, Output, prints, prints_table
from watchword.cli.registry import (
    ServerOption,
    YesFlag,
    administration,
    again_after_conflict,
    require_yes,
)
from watchword.cli.tables import Column

if TYPE_CHECKING:
    from issuer.administration.operations import Versioned
    from issuer.registry.schema import Json
    from watchword.cli.registry import Operations

app = typer.Typer(no_args_is_help=True)

Identifier = Annotated[str, typer.Argument(metavar="URI", help="The resource's identifier.")]
_LABELS = {**attribute_labels("resource"), "resource": "URI"}
_TYPES = "authorization_details_types"
_COLUMNS = (
    Column("resource"),
    Column("scopes", "words"),
    Column("token_ttl", wide=True),
    Column("signing_alg", wide=True),
    Column("bound_to", wide=True),
)
_HOLDERS = (Column("client_id"), Column("scope", "words"))
_BOUND_TO = {
    "dpop_bound_access_tokens_required": "DPoP key",
    "tls_client_certificate_bound_access_tokens": "certificate",
}


@dataclass(frozen=True, kw_only=True)
class ResourceChanges(Attributes):
    """Options for a resource that exists already, as typed."""

    add_scope: Annotated[
        list[str] | None, typer.Option(metavar="SCOPE", help="A scope that it has from now on.")
    ] = None
    remove_scope: Annotated[
        list[str] | None,
        typer.Option(metavar="SCOPE", help="A scope that it loses; refused while clients hold it."),
    ] = None
    withdraw: Annotated[
        bool,
        typer.Option(
            "--withdraw", help="Take removed scopes and types from the clients that hold them."
        ),
    ] = False
    unset: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help=f"Remove a value: {unset_choices('resource')}."),
    ] = None

    def applied_to(self, held: list[str]) -> list[str]:
        """Return the scopes as they become.

        Raises:
            CommandFailed: a scope that shall go is not there.
        """
        removed = read_words(self.remove_scope or ())
        for scope in removed:
            if scope not in held:
                raise CommandFailed(f"the resource has no scope {scope}")
        kept = [scope for scope in held if scope not in removed]
        return list(dict.fromkeys([*kept, *read_words(self.add_scope or ())]))


@app.command()
@prints
@with_options(Attributes, "resource")
def create(
    identifier: Annotated[
        str, typer.Argument(metavar="URI", help="Absolute URI without fragment; the audience.")
    ],
    options: Attributes,
    server: ServerOption = None,
    output: Output = TABLE,
) -> None:
    """Add a resource.

    Example: watchword resources create https://orders.example.com --scope orders:read
    """
    from issuer.registry.resource import Resource

    mistakes = Mistakes(_LABELS)
    document = {"resource": identifier, **read_attributes("resource", options.typed, mistakes)}
    mistakes.check(Resource, document)
    with administration(server, mistakes) as operations:
        created = operations.create_resource(document).document
    _print(created, output)


@app.command("list")
@prints_table
def list_resources(server: ServerOption = None, output: Output = TABLE) -> None:
    """List all resources.

    Example: watchword resources list --json
    """
    with administration(server, reading=True) as operations:
        resources = operations.list_resources()
    if output.is_document:
        output.document({"resources": resources})
    else:
        output.table(_COLUMNS, map(_for_people, resources))


@app.command()
@prints
def show(identifier: Identifier, server: ServerOption = None, output: Output = TABLE) -> None:
    """Show one resource and the clients that hold a grant on it, at most 100 of them.

    Example: watchword resources show https://orders.example.com
    """
    with administration(server, check_identifier(identifier), reading=True) as operations:
        resource = operations.show_resource(identifier).document
        held = _holders(operations, identifier)
    if output.is_document:
        output.document(resource | held)
        return
    output.fields(_for_people(resource))
    if held.get("clients"):
        output.table(_HOLDERS, held["clients"])
    if "next" in held:
        say(f"There are more: watchword clients list --resource {identifier}")


@app.command()
@prints
@with_options(ResourceChanges, "resource")
def update(
    identifier: Identifier,
    options: ResourceChanges,
    server: ServerOption = None,
    output: Output = TABLE,
) -> None:
    """Change a resource: what is not named stays as it is; running issuers know within a second.

    Example: watchword resources update https://orders.example.com --add-scope orders:cancel
    """
    from issuer.registry.resource import Resource

    mistakes = Mistakes(_LABELS)
    patch = read_attributes("resource", options.typed, mistakes)
    mistakes.check(Resource, {"resource": identifier, **patch}, part=True)
    read_unset("resource", options.unset or (), patch, mistakes)
    more = [("--add-scope", options.add_scope), ("--remove-scope", options.remove_scope)]
    if "scopes" in patch:
        mistakes.exclude("--scope", more)
    elif options.withdraw and not (options.remove_scope or _TYPES in patch):
        mistakes.add("--withdraw: name what goes, by --remove-scope, or by --scope what stays")
    if not (patch or options.add_scope or options.remove_scope or mistakes):
        raise WrongUsage("say what changes; see: watchword resources update --help")
    with administration(server, mistakes) as operations:
        change = partial(_update, operations, identifier, patch, options)
        resource = again_after_conflict(change)
    _print(resource.document, output)


@app.command()
def delete(identifier: Identifier, yes: YesFlag = False, server: ServerOption = None) -> None:
    """Delete a resource that no client holds a grant on.

    Example: watchword resources delete https://orders.example.com --yes
    """
    with administration(server, check_identifier(identifier)) as operations:
        operations.show_resource(identifier)  # the question is asked about one that exists
        if server is None:
            _refuse_to_delete_own(identifier)
        require_yes(f"Delete the resource {identifier}?", yes=yes)
        operations.delete_resource(identifier)
    say(f"resource {identifier} is deleted")


def check_identifier(identifier: str) -> Mistakes:
    """Return what is wrong with a resource identifier, as the first mistakes of a command."""
    from issuer.registry.names import check_resource_identifier

    mistakes = Mistakes()
    with mistakes.of("URI"):
        check_resource_identifier(identifier)
    return mistakes


def _holders(operations: "Operations", identifier: str) -> "Json":
    """List clients with their scopes on a resource; nothing if the caller may not read clients."""
    from issuer.registry.client_description import ClientFilter
    from issuer.registry.errors import AccessRefused

    try:
        page = operations.list_clients(ClientFilter(resource=identifier))
    except AccessRefused as error:
        say(f"warning: its clients cannot be listed: {error}")
        return {}
    clients = [
        {"client_id": each["client_id"], "scope": grant["scope"]}
        for each in page.items
        for grant in each["grants"]
        if grant["resource"] == identifier
    ]
    return {"clients": clients} | ({} if page.next is None else {"next": page.next})


def _update(
    operations: "Operations", identifier: str, patch: "Json", options: ResourceChanges
) -> "Versioned":
    from issuer.registry.errors import ScopeInUse

    revision = None
    if options.add_scope or options.remove_scope:
        before = operations.show_resource(identifier)
        revision = before.revision
        patch = patch | {"scopes": options.applied_to(before.document["scopes"])}
    try:
        return operations.update_resource(
            identifier, patch, revision=revision, withdraw=options.withdraw
        )
    except ScopeInUse as error:
        raise CommandFailed(f"{error}; --withdraw takes it from them") from None


def _refuse_to_delete_own(identifier: str) -> None:
    """Keep the resources that the provider itself serves, which every command makes anew."""
    from watchword.settings import load_settings

    settings = load_settings()
    if identifier == settings.default_resource:
        raise CommandFailed("the configured API resource cannot be deleted")
    if identifier == settings.administration:
        raise CommandFailed("the resource of the administration API cannot be deleted")


def _for_people(resource: "Json") -> "Json":
    bound = [word for member, word in _BOUND_TO.items() if resource.get(member)]
    shown = {name: value for name, value in resource.items() if name not in _BOUND_TO}
    shown |= {"scopes": " ".join(resource["scopes"]), "bound_to": ", ".join(bound) or None}
    if "auth_methods" in resource:
        shown["auth_methods"] = " ".join(resource["auth_methods"])
    if _TYPES in resource:
        shown[_TYPES] = " ".join(each["type"] for each in resource[_TYPES])
    return shown


def _print(resource: "Json", output: Output) -> None:
    output.show(resource, _for_people(resource))
