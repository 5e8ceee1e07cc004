"""What can be done on the way from the registry as it is to the registry as declared."""

from dataclasses import dataclass

from issuer.administration.declaration.resolved import ResolvedSecret
from issuer.registry.client import Client, ClientRegistration
from issuer.registry.client_secret import ClientSecret
from issuer.registry.resource import Resource


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateResource:
    """Add a resource."""

    resource: Resource


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplaceResource:
    """Change a resource."""

    before: Resource
    after: Resource


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteResource:
    """Delete a resource."""

    resource: Resource


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateClient:
    """Register a client, without secrets as yet."""

    registration: ClientRegistration


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplaceClient:
    """Change what was decided of a client."""

    before: ClientRegistration
    after: ClientRegistration


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteClient:
    """Delete a client with its grants and secrets."""

    client: Client


@dataclass(frozen=True, slots=True, kw_only=True)
class AddSecret:
    """Give a client one more secret."""

    client_id: str
    secret: ResolvedSecret

    @property
    def must_be_generated(self) -> bool:
        """Whether there is no such secret yet."""
        return self.secret.value is None


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeSecret:
    """End a secret at once."""

    client_id: str
    secret: ClientSecret


Step = (
    CreateResource
    | ReplaceResource
    | DeleteResource
    | CreateClient
    | ReplaceClient
    | DeleteClient
    | AddSecret
    | RevokeSecret
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Steps in an order in which each is legal, and what is to be said beside them."""

    steps: tuple[Step, ...] = ()
    notes: tuple[str, ...] = ()
