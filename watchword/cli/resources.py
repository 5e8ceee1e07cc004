"""The `watchword resources` commands: the APIs that tokens are for, and their scopes."""

from typing import TYPE_CHECKING, Annotated

import typer

from watchword.cli import option_values as values
from watchword.cli.errors import CommandFailed, WrongUsage
from watchword.cli.not_yet import warn_of_resource
from watchword.cli.option_groups import with_options
from watchword.cli.output import JsonFlag, print_fields, print_json, print_table, say
from watchword.cli.registry import (
    ServerOption,
    YesFlag,
    administration,
    again_after_conflict,
    labelled,
    require_yes,
)
from watchword.cli.resource_options import (
    LABELS,
    ResourceChanges,
    ResourceOptions,
    checked_resource,
    read_members,
    read_patch,
    read_scope_change,
)

if TYPE_CHECKING:
    from issuer.administration.operations import Operations, Versioned
    from issuer.registry.schema import Json
    from watchword.cli.resource_options import ScopeChange

app = typer.Typer(no_args_is_help=True)

Identifier = Annotated[str, typer.Argument(metavar="URI", help="The resource's identifier.")]
_COLUMNS = ("resource", "scopes", "token_ttl", "signing_alg", "bound_to")


@app.command()
@with_options(ResourceOptions)
def create(
    identifier: Annotated[
        str, typer.Argument(metavar="URI", help="Absolute URI without fragment; the audience.")
    ],
    options: ResourceOptions,
    server: ServerOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Add a resource.

    Example: watchword resources create https://orders.example.com --scope orders:read
    """
    mistakes = checked_resource(identifier)
    document: Json = {"resource": identifier, **read_members(options, mistakes)}
    with mistakes.of("--scope"):
        document["scopes"] = values.parse_scopes(options.scope or ())
    if not options.scope:
        mistakes.add("--scope: name at least one")
    with administration(server, mistakes) as operations, labelled(LABELS):
        created = operations.create_resource(document).document
    _print(created, as_json)
    warn_of_resource(created)


@app.command("list")
def list_resources(server: ServerOption = None, as_json: JsonFlag = False) -> None:
    """Show all resources.

    Example: watchword resources list --json
    """
    with administration(server, reading=True) as operations:
        resources = operations.list_resources()
    if as_json:
        print_json({"resources": resources})
    else:
        rows = [_for_people(each) for each in resources]
        print_table(_COLUMNS, ([row[column] for column in _COLUMNS] for row in rows))


@app.command()
def show(identifier: Identifier, server: ServerOption = None, as_json: JsonFlag = False) -> None:
    """Show one resource.

    Example: watchword resources show https://orders.example.com
    """
    with administration(server, checked_resource(identifier), reading=True) as operations:
        resource = operations.show_resource(identifier).document
    _print(resource, as_json)


@app.command()
@with_options(ResourceChanges)
def update(
    identifier: Identifier,
    options: ResourceChanges,
    server: ServerOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Change a resource: what is not named stays as it is; running issuers know within a second.

    Example: watchword resources update https://orders.example.com --add-scope orders:cancel
    """
    mistakes = checked_resource(identifier)
    patch = read_patch(options, mistakes)
    change = read_scope_change(options, mistakes)
    if not (patch or change or mistakes):
        raise WrongUsage("say what changes; see: watchword resources update --help")
    with administration(server, mistakes) as operations, labelled(LABELS):
        resource = again_after_conflict(lambda: _update(operations, identifier, patch, change))
    _print(resource.document, as_json)
    warn_of_resource(resource.document)


@app.command()
def delete(identifier: Identifier, yes: YesFlag = False, server: ServerOption = None) -> None:
    """Delete a resource that no client holds a grant on.

    Example: watchword resources delete https://orders.example.com --yes
    """
    with administration(server, checked_resource(identifier)) as operations:
        operations.show_resource(identifier)  # nobody is asked about what is not there
        if server is None:
            _refuse_own(identifier)
        require_yes(f"Delete the resource {identifier}?", yes=yes)
        operations.delete_resource(identifier)
    say(f"resource {identifier} is deleted")


def _update(
    operations: "Operations", identifier: str, patch: "Json", change: "ScopeChange"
) -> "Versioned":
    from issuer.registry.errors import ScopeInUse

    if not change:
        return operations.update_resource(identifier, patch)
    before = operations.show_resource(identifier)
    scopes = change.applied_to(before.document["scopes"])
    try:
        return operations.update_resource(
            identifier,
            patch | {"scopes": scopes},
            revision=before.revision,
            withdraw=change.withdraw,
        )
    except ScopeInUse as error:
        raise CommandFailed(f"{error}; --withdraw takes it from them") from None


def _refuse_own(identifier: str) -> None:
    """Keep what every command makes anew: the resources that the provider itself serves."""
    from watchword.settings import load_settings

    settings = load_settings()
    if identifier == settings.default_resource:
        raise CommandFailed("the configured API resource cannot be deleted")
    if identifier == settings.administration:
        raise CommandFailed("the resource of the administration API cannot be deleted")


def _for_people(resource: "Json") -> "Json":
    bound = [
        word
        for word, member in (
            ("DPoP key", "dpop_bound_access_tokens_required"),
            ("certificate", "tls_client_certificate_bound_access_tokens"),
        )
        if resource.get(member)
    ]
    times = {name: resource[name] for name in ("created_at", "updated_at")}
    return {
        "resource": resource["resource"],
        "scopes": " ".join(resource["scopes"]),
        "token_ttl": resource["token_ttl"],
        "signing_alg": resource["signing_alg"],
        "bound_to": ", ".join(bound) or None,
        **times,
    }


def _print(resource: "Json", as_json: bool) -> None:
    print_json(resource) if as_json else print_fields(_for_people(resource))
