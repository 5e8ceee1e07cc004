"""What an administrator did wrong, beside what the registry itself refuses."""

from collections.abc import Sequence

from issuer.registry.errors import RegistryError
from issuer.registry.mistakes import Mistake


class InvalidDocument(RegistryError):
    """A document cannot be; `mistakes` has all that is wrong with it, `str` a line for each."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        super().__init__("\n".join(map(str, mistakes)))
        self.mistakes = tuple(mistakes)


class DeclarationRefused(RegistryError):
    """The registry cannot become what a declaration says; `reasons` has a line for each."""

    def __init__(self, reasons: Sequence[str]) -> None:
        more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
        super().__init__(reasons[0] + more)
        self.reasons = tuple(reasons)


class KeyReused(RegistryError):
    """An idempotency key was used before, for something else."""


class BeyondAuthority(RegistryError):
    """The caller would hand out, or take over, more than it holds itself."""


class CallerNotActive(RegistryError):
    """The client that a caller's access token was issued to may do nothing any more."""


class AccessRefused(RegistryError):
    """A server does not let the caller do what it asks for."""
