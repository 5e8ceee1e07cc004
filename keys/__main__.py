"""Run ``python -m keys [ARGS]``, which is ``watchword keys generate [ARGS]``."""

import sys


def main() -> int:
    """Hand the arguments to the command and return its exit code."""
    from watchword.cli import run

    return run(["keys", "generate", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
