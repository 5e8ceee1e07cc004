"""Call all that a provider describes for as long as wanted; print what schemathesis finds."""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.described_api.run import call_all, called_provider


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line asks for; return 1 if something was found."""
    parser = argparse.ArgumentParser(
        prog="scripts/schemathesis",
        description="Serve a provider, and call all that its /openapi.json describes as the "
        "document allows and forbids, with an administrator's token. Further arguments are of "
        "`schemathesis run`, such as --include-operation-id create_client.",
    )
    parser.add_argument("--seconds", type=int, default=600, help="for how long (600)")
    parser.add_argument("--seed", type=int, default=1, help="of what is generated (1)")
    options, further = parser.parse_known_args(arguments)
    limits = ["--max-time", str(options.seconds), "--seed", str(options.seed)]
    with (
        tempfile.TemporaryDirectory(prefix="watchword-described-") as folder,
        called_provider(Path(folder)) as (place, credentials),
    ):
        code, output = call_all(place, credentials, *limits, *further)
    print(output)
    return code


if __name__ == "__main__":
    sys.exit(main())
