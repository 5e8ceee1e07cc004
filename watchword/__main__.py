"""The `watchword` command, also `python -m watchword`."""

import sys


def main() -> int:
    """Run the command line; say what is missing where only the light install is there."""
    try:
        import typer  # noqa: F401 - the first of what the `server` extra brings
    except ModuleNotFoundError:
        sys.stderr.write(
            "watchword: the command line is not installed; run: pip install 'watchword[server]'\n"
        )
        return 1
    from watchword.cli import run

    return run()


if __name__ == "__main__":
    sys.exit(main())
