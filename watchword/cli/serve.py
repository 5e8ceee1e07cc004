"""The `watchword serve` command."""


def serve() -> None:
    """Serve."""
