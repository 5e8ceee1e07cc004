"""The `watchword export` command: the registry as a file that `apply` takes."""

import sys

from watchword.cli.registry import ServerOption, administration


def export(server: ServerOption = None) -> None:
    """Print clients and resources as a YAML file for `watchword apply`, without secrets.

    Example: watchword export > registry.yaml
    """
    from issuer.administration.declaration.yaml_form import write_declaration
    from issuer.administration.operations import pages

    with administration(server, reading=True) as operations:
        resources = operations.list_resources()
        found = pages(lambda after, limit: operations.list_clients(after=after, limit=limit))
        clients = [client for page in found for client in page.items]
    sys.stdout.write(write_declaration(resources, clients))
