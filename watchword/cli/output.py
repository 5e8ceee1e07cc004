"""Why a command fails, what it says to people, and the standard streams.

These are checked before anything is done: which are there, and whether the result can be written.
"""

import fcntl
import os
import re
import select
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from issuer.registry.mistakes import Mistake
    from issuer.registry.schema import Json


class CommandFailed(Exception):
    """The operation was refused or failed; the text is one line that says why (exit code 1)."""

    exit_code = 1


class WrongUsage(CommandFailed):
    """The command line or its input is invalid: one line for every mistake (exit code 2)."""

    exit_code = 2

    def __init__(self, *lines: str) -> None:
        super().__init__("; ".join(lines))
        self.lines = lines


_MEMBER = re.compile(r"\b(?:[a-z]+_[a-z_]+|jwks)\b")
_SAME_OPTION = re.compile(r"(--[a-z-]+)(?:, \1(?![a-z-]))+")


class Mistakes:
    """What is wrong with a command line so far.

    Args:
        labels: the option or argument for each member of the document that the command sends; for
            a member of an object in it, by both names with a dot between.
    """

    def __init__(self, labels: Mapping[str, str] | None = None) -> None:
        self._labels = labels or {}
        self._lines: list[str] = []

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self._lines)

    def add(self, *lines: str) -> None:
        """Add mistakes, a line each."""
        self._lines += lines

    @contextmanager
    def of(self, label: str) -> Iterator[None]:
        """Count an invalid value as a mistake of the option or argument `label`."""
        from issuer.registry.errors import InvalidValue

        try:
            yield
        except (ValueError, InvalidValue) as error:
            self.add(f"{label}: {error}")

    @contextmanager
    def gathered(self) -> Iterator[None]:
        """Count what the settings, or a part of the command line, refuse as mistakes of it all."""
        from watchword.settings import SettingsError

        try:
            yield
        except (WrongUsage, SettingsError) as error:
            self.add(*error.lines)

    def exclude(self, label: str, others: Iterable[tuple[str, object]]) -> None:
        """Refuse `label` beside any of the others that is given."""
        for other, value in others:
            if value is not None and value is not False:
                self.add(f"{label}: not together with {other}")

    def check(self, model: type[Any], document: "Json", *, part: bool = False) -> None:
        """Add what the schema finds wrong with a document.

        What does not fit together is left out if there are mistakes already, whose consequence it
        may be.

        Args:
            model: the schema.
            document: what the command sends.
            part: the document has some of its members only, as a patch does.
        """
        from issuer.administration.documents import read_document
        from issuer.registry.errors import InvalidDocument

        try:
            read_document(model, document)
        except InvalidDocument as error:
            found = [
                each for each in error.mistakes if not part or document.keys() & set(each.path[:1])
            ]
            members = [each for each in found if each.path]
            self.add(*self._labelled(members if members or self else found))

    def refuse(self) -> None:
        """End the command if there is any mistake.

        Raises:
            WrongUsage: with a line for each.
        """
        if self._lines:
            raise WrongUsage(*dict.fromkeys(self._lines))

    @contextmanager
    def labelled(self) -> Iterator[None]:
        """Name the options in what the registry finds wrong with a document.

        Raises:
            WrongUsage: with a line for each mistake.
        """
        from issuer.registry.errors import InvalidDocument

        try:
            yield
        except InvalidDocument as error:
            if not self._labels:
                raise
            raise WrongUsage(*self._labelled(error.mistakes)) from None

    def _labelled(self, mistakes: "Iterable[Mistake]") -> Iterator[str]:
        for mistake in mistakes:
            member, *within = [each for each in mistake.path if isinstance(each, str)] or [""]
            of_part = self._labels.get(".".join([member, *within[:1]]))
            if within and of_part is not None:
                member, within = of_part, within[1:]
            why = mistake.why if mistake.path else self._with_options(mistake.why)
            label = self._labels.get(member, member)
            yield ": ".join(filter(None, [label, *within, why]))

    def _with_options(self, why: str) -> str:
        """Write the options of several members into what is said of them together."""
        named = _MEMBER.sub(lambda found: self._labels.get(found[0], found[0]), why)
        return _SAME_OPTION.sub(r"\1", named)


_REFUSAL = "the output cannot be written: standard output is {}; nothing was done"


def say(message: str) -> None:
    """Write one line for people on standard error, where it never mixes with data."""
    sys.stderr.write(printable(message) + "\n")


def printable(text: str) -> str:
    """Escape what a terminal would act upon instead of showing it, line ends included."""
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )


def hold_streams() -> bool:
    """Open the null device in the place of standard streams that are closed.

    Otherwise the next file or socket that is opened takes a closed stream's number, and what is
    meant for the stream is written into it.

    Returns:
        whether there is a standard output.
    """
    closed = []
    for file in range(3):
        try:
            os.fstat(file)
        except OSError:
            closed.append(file)
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
    original = sys.__stdout__
    if original is None or sys.stdout is not original:
        return  # a caller in this process reads it
    file = original.fileno()
    if fcntl.fcntl(file, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
        raise CommandFailed(_REFUSAL.format("open for reading only"))
    poll = select.poll()
    poll.register(file, select.POLLOUT)
    if any(state & (select.POLLERR | select.POLLHUP) for _, state in poll.poll(0)):
        raise BrokenPipeError
