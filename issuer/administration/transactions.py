"""The transactions of one actor: each counts only within the actor's authority."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from issuer.administration.authority import Authority, check_authority, settle_authority
from issuer.registry.audit import Actor, AuditEntry
from issuer.storage.edit import RegistryEdit
from issuer.storage.reading import RegistryReading
from issuer.storage.registry import Registry

T = TypeVar("T")


class Transactions:
    """Reads and changes a registry in the name of one actor.

    Args:
        registry: what is read and changed.
        by: the actor.
        now: the clock, seconds since the epoch.
        authority: what the actor's token says that it holds; None for an operator who has the
            database itself.

    Raises:
        RegistryError: from each method, when it is refused or the registry cannot answer; it has
            changed nothing then.
    """

    def __init__(
        self, registry: Registry, *, by: Actor, now: Callable[[], int], authority: Authority | None
    ) -> None:
        self._registry = registry
        self._by = by
        self._now = now
        self._authority = authority

    def read(self, work: Callable[[RegistryReading], T]) -> T:
        """Read in one transaction, as long as the actor may."""

        def within_authority(reading: RegistryReading) -> T:
            self._settled(reading)
            return work(reading)

        return self._registry.read(within_authority)

    def foresee(self, work: Callable[[RegistryReading], tuple[T, Iterable[AuditEntry]]]) -> T:
        """Read in one transaction what a change would come to, as long as the actor may make it.

        Args:
            work: returns that, and what the audit trail would say.
        """

        def within_authority(reading: RegistryReading) -> T:
            authority = self._settled(reading)
            result, entries = work(reading)
            if authority is not None:
                check_authority(authority, entries, reading.find_client)
            return result

        return self._registry.read(within_authority)

    def change(self, work: Callable[[RegistryEdit], T]) -> T:
        """Make changes in one transaction, which counts only within the actor's authority."""

        def within_authority(edit: RegistryEdit) -> T:
            authority = self._settled(edit)
            result = work(edit)
            if authority is not None:
                check_authority(authority, edit.entries, edit.find_client)
            return result

        return self._registry.change(within_authority, by=self._by)

    def _settled(self, reading: RegistryReading) -> Authority | None:
        """Return what the actor holds now; None for an operator who has the database itself."""
        if self._authority is None:
            return None
        return settle_authority(self._authority, reading.find_client(self._by.name), self._now())
