"""What an administrator can do, whether beside the database or through a server.

Documents go in as `documents` reads them and come out as `issuer.registry` describes them, so that
the command line shows the same whichever way it takes.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from issuer.registry.schema import Json

if TYPE_CHECKING:
    from issuer.administration.declaration.document import Declaration

MAXIMUM_PAGE = 1000
"""Documents that one page may have."""

_PAGE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Versioned:
    """A document and the revision that it was read at."""

    document: Json
    revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Created:
    """What was made.

    Args:
        document: describes it, and may show a secret this once.
        revision: what it was made at; None for what never changes.
        replayed: whether it was made by an earlier request with the same idempotency key.
    """

    document: Json = field(repr=False)
    revision: int | None = None
    replayed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some documents, and where the next ones begin; None at the end."""

    items: list[Json]
    next: str | None


class Operations(Protocol):
    """The operations.

    Raises:
        RegistryError: from each, when it is refused or the registry cannot answer; it has changed
            nothing then. `InvalidDocument` has one line for every mistake of a document.
    """

    def list_clients(self, *, after: str | None = None, limit: int = 100) -> Page:
        """List clients by id, without their secrets."""
        ...

    def show_client(self, client_id: str) -> Versioned:
        """Show one client, with the times of its `secrets`."""
        ...

    def create_client(self, document: Json, *, idempotency_key: str | None = None) -> Created:
        """Register a client.

        Args:
            document: a `ClientRegistration`; instead of `grants` it may have `resources` (default:
                the configured one) and `scope` (default: none), or `all_scopes` for all that they
                have. For secret methods it may have a `client_secret`, otherwise one is made and
                returned this once, and `client_secret_expires_at`.
            idempotency_key: a retry with the same key does not do it again, nor show the secret.
        """
        ...

    def update_client(
        self, client_id: str, patch: Json, *, revision: int | None = None
    ) -> Versioned:
        """Change a client by a JSON merge patch (RFC 7396) on its document."""
        ...

    def delete_client(self, client_id: str, *, revision: int | None = None) -> None:
        """Delete a client with its grants and secrets."""
        ...

    def list_secrets(self, client_id: str) -> list[Json]:
        """List the times of a client's secrets, when each was last used among them."""
        ...

    def add_secret(
        self, client_id: str, document: Json, *, idempotency_key: str | None = None
    ) -> Created:
        """Give a client one more secret.

        Args:
            client_id: whose.
            document: optionally `client_secret`, `starts_at`, `expires_at`, or `expires_in` in
                seconds; without `client_secret` one is made and returned this once.
            idempotency_key: a retry with the same key does not do it again, nor show the secret.
        """
        ...

    def revoke_secret(self, client_id: str, secret_id: str) -> None:
        """End a secret at once."""
        ...

    def list_resources(self) -> list[Json]:
        """List resources by identifier."""
        ...

    def show_resource(self, identifier: str) -> Versioned:
        """Show one resource."""
        ...

    def create_resource(self, document: Json) -> Created:
        """Add a resource, a `Resource`."""
        ...

    def update_resource(
        self, identifier: str, patch: Json, *, revision: int | None = None, withdraw: bool = False
    ) -> Versioned:
        """Change a resource by a JSON merge patch (RFC 7396) on its document.

        Args:
            identifier: which.
            patch: what changes.
            revision: what it must still be at, if that matters.
            withdraw: take a scope that goes from the clients that hold it, instead of refusing.
        """
        ...

    def delete_resource(self, identifier: str, *, revision: int | None = None) -> None:
        """Delete a resource that no client holds a grant on."""
        ...

    def list_audit(
        self, *, target: str | None = None, before: str | None = None, limit: int = 100
    ) -> Page:
        """Read the audit trail, the latest entry first."""
        ...

    def apply(
        self,
        declaration: "Declaration",
        *,
        dry_run: bool = False,
        prune: bool = False,
        usage_days: int = 30,
    ) -> Json:
        """Make the registry what a declaration says, in one transaction.

        Args:
            declaration: with the secrets that are at hand.
            dry_run: only tell what would be done.
            prune: what the declaration does not have, goes.
            usage_days: how far back to look for who used what goes.

        Returns:
            The difference.
        """
        ...

    def list_registration_tokens(self) -> list[Json]:
        """List the initial access tokens of dynamic registration, never the tokens themselves."""
        ...

    def create_registration_token(
        self, document: Json, *, idempotency_key: str | None = None
    ) -> Created:
        """Make an initial access token (RFC 7591 §3); it is returned this once."""
        ...

    def revoke_registration_token(self, token_id: str) -> None:
        """End an initial access token."""
        ...


def pages(
    fetch: Callable[[str | None, int], Page],
    *,
    after: str | None = None,
    limit: int | None = None,
) -> Iterator[Page]:
    """Fetch page after page until there are no more, or enough; at least one.

    Args:
        fetch: fetches the page behind a place, with at most so many documents.
        after: the place that the first page is behind; None for the beginning.
        limit: documents in all; None for all that there are.
    """
    while True:
        page = fetch(after, _PAGE if limit is None else min(_PAGE, limit))
        yield page
        limit = None if limit is None else limit - len(page.items)
        after = page.next
        if after is None or limit == 0:
            return
