"""Gather the mistakes of a command line, so that whoever typed it is told all of them at once."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from watchword.cli.errors import WrongUsage


class Mistakes:
    """What is wrong with a command line so far."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self._lines)

    def add(self, *lines: str) -> None:
        """Take note of some."""
        self._lines += lines

    @contextmanager
    def of(self, label: str) -> Iterator[None]:
        """Take a value that cannot be as a mistake of the option or argument `label`."""
        from issuer.registry.errors import InvalidValue

        try:
            yield
        except (ValueError, InvalidValue) as error:
            self.add(f"{label}: {error}")

    @contextmanager
    def gathered(self) -> Iterator[None]:
        """Take what a part of the command line, or the settings, refuses as mistakes of it all."""
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

    def refuse(self) -> None:
        """End the command if there is any mistake.

        Raises:
            WrongUsage: with a line for each.
        """
        if self._lines:
            raise WrongUsage(*dict.fromkeys(self._lines))
