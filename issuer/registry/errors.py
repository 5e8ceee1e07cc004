"""Registry errors: what an operator did wrong, or what the database cannot do now.

`str(error)` is always one clear line, fit for a terminal; it never holds a secret or a hash.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from issuer.registry.mistakes import Mistake


class RegistryError(Exception):
    """Base of everything that the registry refuses or fails to do."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Be copied and pickled without `__init__`, whose parameters differ by class."""
        return Exception.__new__, (type(self), *self.args), vars(self)


class InvalidValue(RegistryError, ValueError):
    """A value is outside what the registry accepts. Pydantic collects it with other mistakes."""


class InvalidSecretHash(RegistryError):
    """A stored secret hash cannot be read; the secret itself is neither right nor wrong."""


class DuplicateClient(RegistryError):
    """The client id is taken."""


class UnknownClient(RegistryError):
    """No client has this id."""


class DuplicateResource(RegistryError):
    """The resource identifier is taken."""


class UnknownResource(RegistryError):
    """No resource has this identifier."""


class ResourceInUse(RegistryError):
    """Clients hold grants on the resource, so it cannot go."""


class UnknownScope(RegistryError):
    """None of the named resources understands the scope."""


class ScopeInUse(RegistryError):
    """Clients hold the scope, so the resource cannot lose it."""


class UnknownSecret(RegistryError):
    """The client has no secret of this id."""


class TooManySecrets(RegistryError):
    """The client has as many secrets as one may have."""


class UnknownRegistrationToken(RegistryError):
    """No initial access token has this id."""


class UnknownSigningKey(RegistryError):
    """There is no signing key of this id, or none that signs with the algorithm."""


class KeyChangeRefused(RegistryError):
    """The signing keys cannot be changed so now."""


class RevisionConflict(RegistryError):
    """It was changed since it was read (RFC 9110 §15.5.13)."""


class SchemaMismatch(RegistryError):
    """The database schema is not the one that this version works with."""


class IssuerMismatch(RegistryError):
    """The registry belongs to another issuer than the one that the settings name."""


class RegistryNotEmpty(RegistryError):
    """The registry has content, which a restore would delete."""


class StoreUnavailable(RegistryError):
    """The database cannot be used now: locked, full, read-only, damaged or gone."""


class InvalidDocument(RegistryError):
    """A document cannot be; `mistakes` has all that is wrong with it, `str` a line for each."""

    def __init__(self, mistakes: "Sequence[Mistake]") -> None:
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
    """A caller's access token, or the client that it was issued to, may do nothing any more."""


class AccessRefused(RegistryError):
    """A server does not let the caller do what it asks for."""
