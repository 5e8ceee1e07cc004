"""The standard streams of a command: which are there, and whether its result can be written."""

import fcntl
import os
import select
import sys

from watchword.cli.errors import CommandFailed

_REFUSAL = "the output cannot be written: standard output is {}; nothing was done"


def hold_streams() -> bool:
    """Put the null device in the place of standard streams that are closed.

    Otherwise the next file or socket that is opened takes a closed stream's number, and what is
    meant for the stream is written into it.

    Returns:
        whether there is a standard output.
    """
    closed = [file for file in range(3) if not _is_open(file)]
    for file in closed:
        os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
        os.set_inheritable(file, True)
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - for the whole process
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    return 1 not in closed


def require_output(*, present: bool) -> None:
    """Refuse a command whose result cannot be written, before it changes anything.

    Args:
        present: whether there was a standard output when the process started.

    Raises:
        CommandFailed: it is closed, or open for reading only.
        BrokenPipeError: its reader has gone.
    """
    if not present:
        raise CommandFailed(_REFUSAL.format("closed"))
    own = sys.__stdout__
    if own is None or sys.stdout is not own:
        return  # a caller in this process takes it
    file = own.fileno()
    if fcntl.fcntl(file, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
        raise CommandFailed(_REFUSAL.format("open for reading only"))
    poll = select.poll()
    poll.register(file, select.POLLOUT)
    if any(told & (select.POLLERR | select.POLLHUP) for _, told in poll.poll(0)):
        raise BrokenPipeError


def _is_open(file: int) -> bool:
    try:
        os.fstat(file)
    except OSError:
        return False
    return True
