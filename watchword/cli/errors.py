"""How a command ends badly: one line why, and the exit code that scripts rely on."""


class CommandFailed(Exception):
    """The operation was refused or failed; the text is one line that says why (exit code 1)."""

    exit_code = 1


class WrongUsage(CommandFailed):
    """The command line or its input cannot be; the text is one line that says why (exit code 2)."""

    exit_code = 2
