"""How a command fails: why, the exit code that scripts rely on, and all mistakes at once."""

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


class Mistakes:
    """What is wrong with a command line so far.

    Args:
        labels: the option or argument for each member of the document that the command sends.
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
        from issuer.administration.errors import InvalidDocument

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
        from issuer.administration.errors import InvalidDocument

        try:
            yield
        except InvalidDocument as error:
            if not self._labels:
                raise
            raise WrongUsage(*self._labelled(error.mistakes)) from None

    def _labelled(self, mistakes: "Iterable[Mistake]") -> Iterator[str]:
        for mistake in mistakes:
            member = str(mistake.path[0]) if mistake.path else ""
            label = self._labels.get(member, member)
            yield f"{label}: {mistake.why}" if member else mistake.why
