"""Registry errors: what an operator did wrong, or what the database cannot do now.

`str(error)` is always one clear line, fit for a terminal; it never holds a secret or a hash.
"""

from typing import Any


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
