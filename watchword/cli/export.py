"""The `watchword export` command: the registry as a file that `apply` takes."""

import sys
from typing import TYPE_CHECKING

from watchword.cli.registry import ServerOption, administration

if TYPE_CHECKING:
    from issuer.administration.operations import Operations
    from issuer.registry.representation import Json

_PAGE = 500


def export(server: ServerOption = None) -> None:
    """Print clients and resources as a YAML file for `watchword apply`, without secrets.

    Example: watchword export > registry.yaml
    """
    from issuer.administration.declaration.writing import write_declaration

    with administration(server, reading=True) as operations:
        resources, clients = operations.list_resources(), _all_clients(operations)
    sys.stdout.write(write_declaration(resources, clients))


def _all_clients(operations: "Operations") -> "list[Json]":
    found: list[Json] = []
    after: str | None = None
    while True:
        page = operations.list_clients(after=after, limit=_PAGE)
        found += page.items
        if (after := page.next) is None:
            return found
