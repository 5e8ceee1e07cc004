"""Write docs/reference/registry.schema.json, which editors read, from the models of the file."""

import json
import sys

from issuer.administration.declaration.document import declaration_schema
from scripts.generated import write_or_check


def write_schema() -> str:
    """Write the schema as JSON."""
    return json.dumps(declaration_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.exit(write_or_check("docs/reference/registry.schema.json", write_schema()))
