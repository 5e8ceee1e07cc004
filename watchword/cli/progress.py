"""Say on a terminal that a command is still at work, once that takes more than two seconds."""

import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING

from watchword.cli.printing import Output

if TYPE_CHECKING:
    from issuer.administration.operations import Page

_PATIENCE = 2.0
"""Seconds before the first line."""
_EVERY = 1.0
"""Seconds between two lines; each takes the place of the one before."""
_ERASE = "\x1b[K"


@contextmanager
def still_working(
    output: Output, *, since: float | None = None, fetched: int = 0
) -> Iterator[None]:
    """Say each second how long the work has taken; the line is erased when the work ends.

    Nothing is written if standard error is no terminal, or if the result is a document. The work
    writes nothing itself.

    Args:
        output: how the command prints its result.
        since: when the work began, on the monotonic clock; now if left out.
        fetched: entries of a list that are there already, to be named in the line.
    """
    if output.is_document or not sys.stderr.isatty():
        yield
        return
    begin = monotonic() if since is None else since
    is_done = threading.Event()
    writer = threading.Thread(target=_write_lines, args=(is_done, begin, fetched), daemon=True)
    writer.start()
    try:
        yield
    finally:
        is_done.set()
        writer.join()


def watched(pages: "Iterable[Page]", output: Output) -> "Iterator[Page]":
    """Yield pages; while one is being fetched, say after a while how many entries there are."""
    begin, fetched, source = monotonic(), 0, iter(pages)
    while True:
        with still_working(output, since=begin, fetched=fetched):
            page = next(source, None)
        if page is None:
            return
        fetched += len(page.items)
        yield page


def _write_lines(is_done: threading.Event, begin: float, fetched: int) -> None:
    written, wait = "", max(begin + _PATIENCE - monotonic(), 0)
    while not is_done.wait(wait):
        so_far = f"{fetched:,} entries, " if fetched else ""
        written = f"still working ({so_far}{monotonic() - begin:.0f} s)"
        # With the cursor at its start, the line is overwritten by whatever comes next.
        sys.stderr.write(f"{written}{_ERASE}\r")
        sys.stderr.flush()
        wait = _EVERY
    if written:
        sys.stderr.write(_ERASE)
        sys.stderr.flush()
