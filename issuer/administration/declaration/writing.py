"""Write a registry as a declaration, which `reader` reads back to the same.

YAML, with words unquoted only where every reader takes them for text. Secrets are not in it: they
are not known, and clients whose declaration has none keep those that they have.
"""

import re
from typing import Any

import yaml

from issuer.registry.client import ClientRegistration
from issuer.registry.resource import Resource
from issuer.registry.schema import Json, members_of, read, write

_WORD = re.compile(r"[A-Za-z][\w./:@ -]*", re.ASCII)
_UNLIMITED = 1 << 20  # characters a line: folded text would not be read back by every reader


class _Dumper(yaml.SafeDumper):
    """Writes text so that it stays text."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ANN401 - the base class has no types
        """Write equal parts in full, each time."""
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    # `1e3` is text to one generation of readers and a number to the next, and unquoted line ends
    # of Unicode are spaces to both.
    style = None if _WORD.fullmatch(text) else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def write_declaration(resources: list[Json], clients: list[Json]) -> str:
    """Write resources and clients as a declaration in YAML.

    Args:
        resources: as they are shown; what is not decided by an operator is left out.
        clients: the same.
    """
    declaration = {
        "version": 1,
        "resources": [_decided(Resource, each) for each in resources],
        "clients": [_decided(ClientRegistration, each) for each in clients],
    }
    return yaml.dump(
        declaration, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_UNLIMITED
    )


def _decided(model: type[ClientRegistration | Resource], shown: Json) -> Json:
    """Keep what the document has that is not as it would be anyway."""
    known = {name: value for name, value in shown.items() if name in members_of(model)}
    decided = write(read(model, known), exclude_defaults=True)
    return {name: decided[name] for name in shown if name in decided}
