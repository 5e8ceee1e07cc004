"""The `watchword` command, also `python -m watchword`."""

import gc
import sys

_START_THRESHOLD = 1_000_000
"""Objects between two garbage collections while modules are imported and a command runs.

Hardly any of them is garbage: with Python's 700 the collector takes a fifth of a start.
"""


def main() -> int:
    """Run the command line; say what is missing where only the light install is there."""
    gc.set_threshold(_START_THRESHOLD)
    try:
        import typer  # noqa: F401 - the first of what the `server` extra brings
    except ModuleNotFoundError:
        sys.stderr.write(
            "watchword: the command line is not installed; install watchword[server] "
            "(pip install '.[server]' in a checkout)\n"
        )
        return 1
    from watchword.cli import run

    return run()


if __name__ == "__main__":
    sys.exit(main())
