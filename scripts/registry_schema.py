"""Write docs/reference/registry.schema.json, which editors read, from the models of the file.

Run from the root of the checkout, as scripts/docs does. With ``--check``: change nothing, exit 1 if
the schema is not what would be written.
"""

import json
import sys
from pathlib import Path

from issuer.administration.declaration.document import declaration_schema

SCHEMA = Path(__file__).resolve().parent.parent / "docs" / "reference" / "registry.schema.json"


def main(arguments: list[str]) -> int:
    """Write or check the schema; return the exit code."""
    schema = json.dumps(declaration_schema(), indent=2, ensure_ascii=False) + "\n"
    if arguments != ["--check"]:
        SCHEMA.write_text(schema, encoding="utf-8")
    elif not SCHEMA.exists() or SCHEMA.read_text(encoding="utf-8") != schema:
        print(f"{SCHEMA.name} is not up to date; run scripts/docs", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
