"""How a command ends badly: why, and the exit code that scripts rely on."""


class CommandFailed(Exception):
    """The operation was refused or failed; the text is one line that says why (exit code 1)."""

    exit_code = 1


class WrongUsage(CommandFailed):
    """The command line or its input cannot be: one line for every mistake (exit code 2)."""

    exit_code = 2

    def __init__(self, *lines: str) -> None:
        super().__init__("; ".join(lines))
        self.lines = lines
