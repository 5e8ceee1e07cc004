"""The `watchword resources` commands: the APIs that tokens are for, and their scopes."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from watchword.cli.errors import CommandFailed
from watchword.cli.output import JsonFlag, print_fields, print_json, print_table, say
from watchword.cli.registry import (
    YesFlag,
    opened_registry,
    require_yes,
    scopes_of,
    usage_checked,
)

if TYPE_CHECKING:
    from issuer.registry.resource import Resource

app = typer.Typer(no_args_is_help=True, help="Resources: the APIs and the scopes each has.")

Identifier = Annotated[str, typer.Argument(metavar="URI", help="The resource's identifier.")]


@app.command()
def create(
    identifier: Annotated[
        str, typer.Argument(metavar="URI", help="Absolute URI without fragment; the audience.")
    ],
    scope: Annotated[
        list[str], typer.Option(help="A scope that the resource has; repeat it for more.")
    ],
    token_ttl: Annotated[
        int | None,
        typer.Option(metavar="SECONDS", help="Lifetime of tokens for it, up to 86400."),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Add a resource.

    Example: watchword resources create https://orders.example.com --scope orders:read
    """
    from issuer.registry.resource import Resource

    with usage_checked():
        resource = Resource(identifier=identifier, scopes=scopes_of(scope), token_ttl=token_ttl)
    with opened_registry() as (registry, _):
        registry.create_resource(resource)
    _print(resource, as_json)


@app.command("list")
def list_resources(as_json: JsonFlag = False) -> None:
    """Show all resources.

    Example: watchword resources list --json
    """
    with opened_registry() as (registry, _):
        facts = [_describe(resource) for resource in registry.list_resources()]
    if as_json:
        print_json({"resources": facts})
    else:
        print_table(list(facts[0]), (list(_for_people(each).values()) for each in facts))


@app.command()
def show(identifier: Identifier, as_json: JsonFlag = False) -> None:
    """Show one resource.

    Example: watchword resources show https://orders.example.com
    """
    with opened_registry() as (registry, _):
        resource = registry.find_resource(identifier)
    if resource is None:
        raise CommandFailed(f"no such resource: {identifier}")
    _print(resource, as_json)


@app.command()
def delete(identifier: Identifier, yes: YesFlag = False) -> None:
    """Delete a resource that no client holds a grant on.

    Example: watchword resources delete https://orders.example.com --yes
    """
    with opened_registry() as (registry, settings):
        if registry.find_resource(identifier) is None:
            raise CommandFailed(f"no such resource: {identifier}")
        if identifier == settings.default_resource:
            raise CommandFailed("the configured API resource cannot be deleted")
        require_yes(f"Delete the resource {identifier}?", yes=yes)
        registry.delete_resource(identifier)
    say(f"resource {identifier} is deleted")


def _describe(resource: "Resource") -> dict[str, Any]:
    return {
        "resource": resource.identifier,
        "scopes": list(resource.scopes),
        "token_ttl": resource.token_ttl,
    }


def _for_people(facts: dict[str, Any]) -> dict[str, Any]:
    return facts | {"scopes": " ".join(facts["scopes"])}


def _print(resource: "Resource", as_json: bool) -> None:
    facts = _describe(resource)
    print_json(facts) if as_json else print_fields(_for_people(facts))
