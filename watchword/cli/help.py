"""How help is laid out: commands in sections, each with its whole first sentence.

typer does that by rich alone, whose import would double the time to print help.
"""

from typing import TYPE_CHECKING

from typer.core import TyperGroup

if TYPE_CHECKING:
    from typer._click import Context, HelpFormatter

SECTIONS = ("Registry", "Keys and tokens", "Service", "Development", "Commands")
"""Where commands are listed, in this order; those that name no section are in the last."""


class Group(TyperGroup):
    """A group that says of each command all of its first sentence."""

    def format_commands(self, ctx: "Context", formatter: "HelpFormatter") -> None:
        """Write the commands, in the sections that they name (`rich_help_panel`)."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for name in self.list_commands(ctx):
            command = self.get_command(ctx, name)
            if command is not None:
                section = getattr(command, "rich_help_panel", None) or SECTIONS[-1]
                summary = command.get_short_help_str(limit=1_000)
                sections.setdefault(section, []).append((name, summary))
        for title in sorted(sections, key=SECTIONS.index):
            with formatter.section(title):
                formatter.write_dl(sections[title])
