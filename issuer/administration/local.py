"""Administer the registry beside its database: every operation is one transaction."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from issuer.administration.authority import Authority
from issuer.administration.documents import (
    MadeSecret,
    NewClientDocument,
    NewSecretDocument,
    WantedClientDocument,
    built,
    make_secret,
    patched_client,
    patched_resource,
    read_document,
)
from issuer.administration.idempotency import once, parse_retryable
from issuer.administration.operations import MAXIMUM_USAGE_DAYS, Page, Versioned
from issuer.administration.queries import find_clients, find_entries, find_uses, shown_client
from issuer.administration.token_changes import (
    TokenChangeDocument,
    change_tokens,
    foresee_token_change,
    revoke_all_tokens,
)
from issuer.administration.transactions import Transactions
from issuer.registry.audit import Actor, AuditEntry, Via
from issuer.registry.client import ClientRegistration
from issuer.registry.client_description import EVERY_CLIENT, ClientFilter, describe_client
from issuer.registry.credentials import describe_secret
from issuer.registry.errors import InvalidValue, ResourceInUse
from issuer.registry.initial_access_token import (
    RegistrationTokenDocument,
    describe_registration_token,
    make_registration_token,
)
from issuer.registry.resource import Resource, describe_registered_resource
from issuer.registry.schema import Json, narrowed
from issuer.storage.edit import RegistryEdit
from issuer.storage.reading import RegistryReading
from issuer.storage.registry import Registry

if TYPE_CHECKING:
    from issuer.administration.declaration.apply import Outcome
    from issuer.administration.declaration.document import Declaration


class Administration:
    """The operations on a registry at hand; each is one transaction.

    Args:
        registry: what is administered.
        by: who does it, for the audit trail.
        now: the clock, seconds since the epoch.
        random_bytes: the operating system's randomness, `secrets.token_bytes`.
        default_resource: what clients get tokens for whose document names no resource.
        kept_resources: what is never deleted, beside the default resource.
        authority: what the actor's token says that it holds, beyond which it hands nothing out;
            None for an operator who has the database itself.

    Raises:
        RegistryError: from each, when it is refused or the registry cannot answer; it has changed
            nothing then. `InvalidDocument` has one line for every mistake of a document.
    """

    def __init__(
        self,
        registry: Registry,
        *,
        by: Actor,
        now: Callable[[], int],
        random_bytes: Callable[[int], bytes],
        default_resource: str,
        kept_resources: Iterable[str] = (),
        authority: Authority | None = None,
    ) -> None:
        self._transactions = Transactions(registry, by=by, now=now, authority=authority)
        self._administration = None if authority is None else authority.administration
        self._by = by
        self._now = now
        self._random_bytes = random_bytes
        self._default_resource = default_resource
        self._kept_resources = frozenset({default_resource, *kept_resources})
        self._authority = authority

    def list_clients(
        self, wanted: ClientFilter = EVERY_CLIENT, *, after: str | None = None, limit: int = 100
    ) -> Page:
        """List clients by id, without their secrets."""
        find = partial(find_clients, wanted=wanted, now=self._now(), after=after, limit=limit)
        return self._transactions.read(find)

    def show_client(self, client_id: str) -> Versioned:
        """Show one client, with the times of its `secrets`."""
        client = self._transactions.read(lambda reading: reading.require_client(client_id))
        return shown_client(client, self._now())

    def create_client(self, document: Json, *, idempotency_key: str | None = None) -> Versioned:
        """Register a client.

        Args:
            document: a `ClientRegistration`; instead of `grants` it may have `resources` (default:
                the configured one) and `scope` (default: none), or `all_scopes` for all that they
                have. For secret methods it may have a `client_secret`, otherwise one is made and
                returned this once, and `client_secret_expires_at`.
            idempotency_key: a retry with the same key does not do it again, nor show the secret.
        """
        new = read_document(NewClientDocument, document)
        made = None
        if new.token_endpoint_auth_method.uses_secret:
            made = self._make_secret(new.client_secret, expires_at=new.client_secret_expires_at)

        def create(edit: RegistryEdit) -> Versioned:
            client = edit.create_client(
                self._registration(edit, new, all_scopes=new.all_scopes),
                [] if made is None else [made.new],
            )
            beside = {} if made is None else made.in_client_response()
            described = describe_client(client, self._now())
            document = {"client_id": client.client_id, **beside, **described}
            return Versioned(document=document, revision=client.revision)

        asked = ("clients", document, new.client_id)
        return self._create(create, asked, idempotency_key, made)

    def update_client(
        self,
        client_id: str,
        patch: Json,
        *,
        revision: int | None = None,
        revoke_tokens: bool = False,
    ) -> Versioned:
        """Change a client by a JSON merge patch (RFC 7396), and revoke its tokens if asked to."""

        def work(edit: RegistryEdit) -> Versioned:
            before = shown_client(edit.require_client(client_id), self._now())
            new = patched_client(before.document, patch)
            after = self._registration(edit, new)
            changed = edit.replace_client(after, revision=revision)
            if revoke_tokens:
                revoke_all_tokens(edit, client_id, administration=self._administration)
            return shown_client(changed, self._now())

        return self._transactions.change(work)

    def delete_client(
        self, client_id: str, *, revision: int | None = None, revoke_tokens: bool = False
    ) -> None:
        """Delete a client with its grants and secrets, and revoke its tokens if asked to."""

        def work(edit: RegistryEdit) -> None:
            edit.delete_client(client_id, revision=revision)
            if revoke_tokens:
                revoke_all_tokens(edit, client_id, administration=self._administration)

        self._transactions.change(work)

    def change_tokens(self, document: Json) -> Json:
        """Revoke, suspend or restore tokens, a `TokenChangeDocument`, or tell how many it would be.

        Returns:
            `action`, `dry_run`, and `tokens`: at most how many live tokens it is about.
        """
        wanted = read_document(TokenChangeDocument, document)
        if not wanted.dry_run:
            return self._transactions.change(
                lambda edit: change_tokens(edit, wanted, administration=self._administration)
            )
        return self._transactions.foresee(
            lambda reading: foresee_token_change(
                reading, wanted, by=self._by, now=self._now(), administration=self._administration
            )
        )

    def list_secrets(self, client_id: str) -> list[Json]:
        """List the times of a client's secrets, when each was last used among them."""
        client = self._transactions.read(lambda reading: reading.require_client(client_id))
        return [describe_secret(secret) for secret in client.secrets]

    def add_secret(
        self, client_id: str, document: Json, *, idempotency_key: str | None = None
    ) -> Versioned:
        """Give a client one more secret.

        Args:
            client_id: whose.
            document: optionally `client_secret`, `starts_at`, `expires_at`, or `expires_in` in
                seconds; without `client_secret` one is made and returned this once.
            idempotency_key: a retry with the same key does not do it again, nor show the secret.
        """
        new = read_document(NewSecretDocument, document)
        made = self._make_secret(
            new.client_secret, starts_at=new.starts_at, expires_at=new.end(self._now())
        )

        def add(edit: RegistryEdit) -> Versioned:
            method = edit.require_client(client_id).registration.token_endpoint_auth_method
            if not method.uses_secret:
                raise InvalidValue(f"{client_id} authenticates by {method}, which has no secret")
            return Versioned(document=made.in_secret_response(edit.add_secret(client_id, made.new)))

        asked = (f"secrets of {client_id}", document, client_id)
        return self._create(add, asked, idempotency_key, made)

    def revoke_secret(self, client_id: str, secret_id: str) -> None:
        """End a secret at once."""
        self._transactions.change(lambda edit: edit.revoke_secret(client_id, secret_id))

    def list_resources(self) -> list[Json]:
        """List resources by identifier."""
        found = self._transactions.read(lambda reading: reading.list_resources())
        return [describe_registered_resource(each) for each in found]

    def show_resource(self, identifier: str) -> Versioned:
        """Show one resource."""
        found = self._transactions.read(lambda reading: reading.require_resource(identifier))
        return Versioned(document=describe_registered_resource(found), revision=found.revision)

    def create_resource(self, document: Json) -> Versioned:
        """Add a resource, a `Resource`."""
        resource = read_document(Resource, document)
        added = self._transactions.change(lambda edit: edit.create_resource(resource))
        return Versioned(document=describe_registered_resource(added), revision=added.revision)

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

        def work(edit: RegistryEdit) -> Versioned:
            shown = describe_registered_resource(edit.require_resource(identifier))
            after = patched_resource(shown, patch)
            found = edit.replace_resource(after, revision=revision, withdraw=withdraw)
            return Versioned(document=describe_registered_resource(found), revision=found.revision)

        return self._transactions.change(work)

    def delete_resource(self, identifier: str, *, revision: int | None = None) -> None:
        """Delete a resource that no client holds a grant on."""
        if identifier in self._kept_resources:
            raise ResourceInUse("a resource of the provider's own cannot be deleted")
        self._transactions.change(lambda edit: edit.delete_resource(identifier, revision=revision))

    def list_usage(
        self,
        *,
        unused_for: int | None = None,
        after: str | None = None,
        limit: int = 100,
        **named: str | None,
    ) -> Page:
        """List which client may use which scope, and when it last did, as `find_uses` has it."""
        now = self._now()
        return self._transactions.read(
            partial(find_uses, now=now, unused_for=unused_for, after=after, limit=limit, **named)
        )

    def list_audit(
        self, *, before: str | None = None, limit: int = 100, **wanted: str | None
    ) -> Page:
        """Read the audit trail, the latest entry first; `wanted` as `find_entries` has it."""
        find = partial(find_entries, before=before, limit=limit, **wanted)
        return self._transactions.read(find)

    def apply(
        self,
        declaration: "Declaration",
        *,
        dry_run: bool = False,
        prune: bool = False,
        usage_days: int = 30,
        revoke_tokens: bool = False,
    ) -> Json:
        """Make the registry what a declaration says, in one transaction; return the difference.

        Args:
            declaration: with the secrets that are at hand.
            dry_run: only tell what would be done.
            prune: what the declaration does not have, goes.
            usage_days: how far back to look for who used what goes.
            revoke_tokens: revoke all tokens of the clients that are deleted or disabled.
        """
        # Loaded by need: of all operations this one alone takes a declaration.
        from issuer.administration.declaration import apply as declared
        from issuer.administration.declaration.plan import ApplyOptions

        if not 0 <= usage_days <= MAXIMUM_USAGE_DAYS:
            raise InvalidValue(f"usage_days must be from 0 to {MAXIMUM_USAGE_DAYS}")
        options = ApplyOptions(
            prune=prune,
            kept_resources=self._kept_resources,
            # Never prune the calling client: it would lock itself out.
            kept_clients=frozenset({self._by.name} if self._by.via is Via.API else ()),
            usage_days=usage_days,
            revoke_tokens=revoke_tokens,
            administration=self._administration,
        )

        def preview(reading: RegistryReading) -> tuple["Outcome", list[AuditEntry]]:
            now = self._now()
            found = declared.preview_declaration(reading, declaration, options, now=now)
            return found, declared.foresee_entries(found.plan, by=self._by, now=now)

        def carry_out(edit: RegistryEdit) -> "Outcome":
            return declared.apply_declaration(
                edit, declaration, options, random_bytes=self._random_bytes
            )

        run = self._transactions
        return declared.describe_outcome(run.foresee(preview) if dry_run else run.change(carry_out))

    def list_registration_tokens(self) -> list[Json]:
        """List the initial access tokens of dynamic registration, never the tokens themselves."""
        found = self._transactions.read(lambda reading: reading.list_registration_tokens())
        return [describe_registration_token(token) for token in found]

    def create_registration_token(
        self, document: Json, *, idempotency_key: str | None = None
    ) -> Versioned:
        """Make an initial access token (RFC 7591 §3); it is returned this once."""
        new = read_document(RegistrationTokenDocument, document)
        text, token = built(
            lambda: make_registration_token(new, now=self._now(), random_bytes=self._random_bytes)
        )

        def create(edit: RegistryEdit) -> Versioned:
            edit.create_registration_token(token)
            described = describe_registration_token(token)
            return Versioned(document={"token_id": token.token_id, "token": text, **described})

        return self._create(create, ("registration tokens", document, ""), idempotency_key)

    def revoke_registration_token(self, token_id: str) -> None:
        """End an initial access token."""
        self._transactions.change(lambda edit: edit.revoke_registration_token(token_id))

    def _create(
        self,
        work: Callable[[RegistryEdit], Versioned],
        asked: tuple[str, Json, str],
        idempotency_key: str | None,
        made: MadeSecret | None = None,
    ) -> Versioned:
        """Make something in one transaction, unless a request with the same key has made it.

        Args:
            work: makes it.
            asked: what is to be made, the document that says so, and the client that it is for.
            idempotency_key: what a retry is known by.
            made: the secret that comes with it.
        """
        if idempotency_key is None:
            return self._transactions.change(work)
        operation, document, client_id = asked
        request = parse_retryable(
            idempotency_key,
            actor=f"{self._by.via} {self._by.name}",
            operation=operation,
            document=document,
        )
        return self._transactions.change(lambda edit: once(edit, request, work, client_id, made))

    def _registration(
        self, edit: RegistryEdit, new: WantedClientDocument, *, all_scopes: bool = False
    ) -> ClientRegistration:
        registration = narrowed(ClientRegistration, new)
        if new.resources is None and new.scope is None and not all_scopes:
            return registration
        scopes = None if all_scopes else new.scope or ()
        resources = new.resources or [self._default_resource]
        return replace(registration, grants=edit.grants_for(resources, scopes))

    def _make_secret(
        self, supplied: str | None, *, starts_at: int | None = None, expires_at: int | None
    ) -> MadeSecret:
        return built(
            lambda: make_secret(
                supplied,
                starts_at=starts_at,
                expires_at=expires_at,
                now=self._now(),
                random_bytes=self._random_bytes,
            )
        )
