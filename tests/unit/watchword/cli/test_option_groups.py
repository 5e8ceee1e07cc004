"""One group of options for several commands."""

from dataclasses import dataclass
from typing import Annotated

import typer

from watchword.cli.option_groups import with_options


@dataclass(frozen=True, kw_only=True)
class Size:
    """Two options."""

    width: Annotated[str | None, typer.Option(metavar="N", help="How wide.")] = None
    deep: Annotated[bool, typer.Option("--deep/--flat", help="Whether deep.")] = False


def test_a_command_gets_the_fields_of_a_group_as_options(capsys):
    """Beside its own, in the place of the group; the command gets them as one value."""
    app, got = typer.Typer(), []

    @app.command()
    @with_options(Size)
    def cut(name: str, options: Size, times: int = 1) -> None:
        """Cut."""
        got.append((name, options, times))

    app(["x", "--width", "3", "--deep", "--times", "2"], standalone_mode=False)
    app(["y"], standalone_mode=False)
    assert got == [("x", Size(width="3", deep=True), 2), ("y", Size(), 1)]
    app(["--help"], standalone_mode=False)
    shown = capsys.readouterr().out
    assert "Cut." in shown
    assert shown.index("--width") < shown.index("--deep") < shown.index("--times")
    assert "How wide." in shown
