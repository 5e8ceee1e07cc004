"""The `watchword scenario` command."""


def scenario() -> None:
    """Tell the story."""
