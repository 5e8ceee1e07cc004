"""Where a declaration is carried out: the registry at hand. A server can take its place."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from issuer.admin.operations import Operations
from issuer.admin.sent_declaration import write_sent
from issuer.declaration.apply import apply_declaration, preview_declaration
from issuer.declaration.difference import describe_outcome
from issuer.declaration.resolved import ResolvedDeclaration
from issuer.declaration.state import Reach
from issuer.registry.audit import Actor
from issuer.registry.representation import Json

if TYPE_CHECKING:
    from issuer.storage.registry import Registry


class DeclarationTarget(Protocol):
    """Takes declarations; what comes back is as `describe_outcome` has it."""

    def preview(self, declaration: ResolvedDeclaration, *, prune: bool, usage_days: int) -> Json:
        """Tell what would be done.

        Raises:
            RegistryError: it cannot be done.
        """
        ...

    def apply(self, declaration: ResolvedDeclaration, *, prune: bool, usage_days: int) -> Json:
        """Do it, all or nothing.

        Raises:
            RegistryError: it is refused, and nothing is done; `StoreUnavailable` leaves it open.
        """
        ...


class RegistryAtHand:
    """The registry in a database.

    Args:
        registry: what is changed.
        by: who changes it, for the audit trail.
        now: the clock, seconds since the epoch.
        kept_resources: resources that are never pruned.
    """

    def __init__(
        self,
        registry: "Registry",
        *,
        by: Actor,
        now: Callable[[], int],
        kept_resources: frozenset[str],
    ) -> None:
        self._registry = registry
        self._by = by
        self._now = now
        self._kept_resources = kept_resources

    def preview(  # noqa: D102 - the protocol says what it does
        self, declaration: ResolvedDeclaration, *, prune: bool, usage_days: int
    ) -> Json:
        reach, now = self._reach(prune), self._now()
        return self._registry.read(
            lambda reading: describe_outcome(
                preview_declaration(reading, declaration, reach, now=now, usage_days=usage_days)
            )
        )

    def apply(  # noqa: D102 - the protocol says what it does
        self, declaration: ResolvedDeclaration, *, prune: bool, usage_days: int
    ) -> Json:
        reach = self._reach(prune)
        return self._registry.change(
            lambda edit: describe_outcome(
                apply_declaration(edit, declaration, reach, usage_days=usage_days)
            ),
            by=self._by,
        )

    def _reach(self, prune: bool) -> Reach:
        return Reach(prune=prune, kept_resources=self._kept_resources)


class ThroughOperations:
    """Whatever the operations of an administrator reach: a registry at hand or a server's."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    def preview(  # noqa: D102 - the protocol says what it does
        self, declaration: ResolvedDeclaration, *, prune: bool, usage_days: int
    ) -> Json:
        return self._operations.apply(
            write_sent(declaration), dry_run=True, prune=prune, usage_days=usage_days
        )

    def apply(  # noqa: D102 - the protocol says what it does
        self, declaration: ResolvedDeclaration, *, prune: bool, usage_days: int
    ) -> Json:
        return self._operations.apply(write_sent(declaration), prune=prune, usage_days=usage_days)
