"""Administer the registry beside its database: every operation is one transaction."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

from issuer.admin.documents import NewClientDocument, NewSecretDocument, read_document
from issuer.admin.errors import InvalidDocument
from issuer.admin.merge_patch import merge_patch
from issuer.admin.operations import Page, Versioned
from issuer.registry.audit import Actor
from issuer.registry.client import Client, ClientRegistration, check_time
from issuer.registry.client_secret import NewSecret
from issuer.registry.documents import ClientDocument, ResourceDocument
from issuer.registry.errors import InvalidValue
from issuer.registry.representation import (
    Json,
    describe_client,
    describe_entry,
    describe_registered_resource,
    describe_registration,
    describe_resource,
    describe_secret,
)
from issuer.registry.rfc3339 import parse_time, write_time
from issuer.registry.secret_hash import SALT_BYTES, SecretHash, generate_secret, hash_secret
from issuer.scope import parse_scope
from issuer.storage.edit import RegistryEdit
from issuer.storage.registry import Registry

T = TypeVar("T")

MAXIMUM_LIMIT = 1000
"""Documents that one page may have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Created:
    """What was made: its document, which may show a secret this once, and its revision."""

    document: Json = field(repr=False)
    revision: int
    replayed: bool = False


class Administration:
    """The operations on a registry at hand. See `Operations` for each.

    Args:
        registry: what is administered.
        by: who does it, for the audit trail.
        now: the clock, seconds since the epoch.
        random_bytes: the operating system's randomness, `secrets.token_bytes`.
        default_resource: what clients get tokens for whose document names no resource.
    """

    def __init__(
        self,
        registry: Registry,
        *,
        by: Actor,
        now: Callable[[], int],
        random_bytes: Callable[[int], bytes],
        default_resource: str,
    ) -> None:
        self._registry = registry
        self._by = by
        self._now = now
        self._random_bytes = random_bytes
        self._default_resource = default_resource

    def list_clients(self, *, after: str | None = None, limit: int = 100) -> Page:  # noqa: D102
        check_limit(limit)
        found = self._registry.list_clients(after or "", limit + 1)
        return Page(
            items=[describe_client(client) for client in found[:limit]],
            next=found[limit - 1].client_id if len(found) > limit else None,
        )

    def show_client(self, client_id: str) -> Versioned:  # noqa: D102
        return _shown(self._registry.read(lambda reading: reading.require_client(client_id)))

    def create_client(  # noqa: D102
        self, document: Json, *, idempotency_key: str | None = None
    ) -> Json:
        return self.register_client(document, idempotency_key=idempotency_key).document

    def register_client(self, document: Json, *, idempotency_key: str | None = None) -> Created:
        """Register a client as `create_client` does, and tell its revision."""
        new = read_document(NewClientDocument, document)
        registration = _built(new.build)
        secret, shown = None, None
        if registration.auth_method.uses_secret:
            end = new.client_secret_expires_at
            secret, shown = self._new_secret(
                new.client_secret, expires_at=None if end is None else parse_time(end)
            )

        def work(edit: RegistryEdit) -> Created:
            client = edit.create_client(
                self._with_grants(edit, new, registration), [] if secret is None else [secret]
            )
            document = {"client_id": client.client_id, **_first_secret(secret, shown)}
            return Created(document=document | describe_client(client), revision=client.revision)

        return self._change(work)

    def update_client(  # noqa: D102
        self, client_id: str, patch: Json, *, revision: int | None = None
    ) -> Versioned:
        _check_name_stays(patch, "client_id", client_id)

        def work(edit: RegistryEdit) -> Versioned:
            before = edit.require_client(client_id).registration
            merged = merge_patch(describe_registration(before), patch)
            after = _built(read_document(ClientDocument, merged).build)
            return _shown(edit.replace_client(after, revision=revision))

        return self._change(work)

    def delete_client(self, client_id: str, *, revision: int | None = None) -> None:  # noqa: D102
        self._change(lambda edit: edit.delete_client(client_id, revision=revision))

    def list_secrets(self, client_id: str) -> list[Json]:  # noqa: D102
        client = self._registry.read(lambda reading: reading.require_client(client_id))
        return [describe_secret(secret) for secret in client.secrets]

    def add_secret(  # noqa: D102
        self, client_id: str, document: Json, *, idempotency_key: str | None = None
    ) -> Json:
        return self.issue_secret(client_id, document, idempotency_key=idempotency_key).document

    def issue_secret(
        self, client_id: str, document: Json, *, idempotency_key: str | None = None
    ) -> Created:
        """Give a client one more secret as `add_secret` does, and tell the client's revision."""
        new = read_document(NewSecretDocument, document)
        secret, shown = self._new_secret(
            new.client_secret,
            starts_at=None if new.starts_at is None else parse_time(new.starts_at),
            expires_at=new.end(self._now()),
        )

        def work(edit: RegistryEdit) -> Created:
            method = edit.require_client(client_id).registration.auth_method
            if not method.uses_secret:
                raise InvalidValue(f"{client_id} authenticates by {method}, which has no secret")
            added = describe_secret(edit.add_secret(client_id, secret))
            if shown is not None:
                added = {"secret_id": added["secret_id"], "client_secret": shown, **added}
            return Created(document=added, revision=edit.require_client(client_id).revision)

        return self._change(work)

    def revoke_secret(self, client_id: str, secret_id: str) -> None:  # noqa: D102
        self._change(lambda edit: edit.revoke_secret(client_id, secret_id))

    def list_resources(self) -> list[Json]:  # noqa: D102
        return [describe_registered_resource(each) for each in self._registry.list_resources()]

    def show_resource(self, identifier: str) -> Versioned:  # noqa: D102
        found = self._registry.read(lambda reading: reading.require_resource(identifier))
        return Versioned(document=describe_registered_resource(found), revision=found.revision)

    def create_resource(self, document: Json) -> Json:  # noqa: D102
        return self.register_resource(document).document

    def register_resource(self, document: Json) -> Created:
        """Add a resource as `create_resource` does, and tell its revision."""
        resource = _built(read_document(ResourceDocument, document).build)
        added = self._change(lambda edit: edit.create_resource(resource))
        return Created(document=describe_registered_resource(added), revision=added.revision)

    def update_resource(  # noqa: D102
        self, identifier: str, patch: Json, *, revision: int | None = None, withdraw: bool = False
    ) -> Versioned:
        _check_name_stays(patch, "resource", identifier)

        def work(edit: RegistryEdit) -> Versioned:
            before = edit.require_resource(identifier).resource
            merged = merge_patch(describe_resource(before), patch)
            after = _built(read_document(ResourceDocument, merged).build)
            found = edit.replace_resource(after, revision=revision, withdraw=withdraw)
            return Versioned(document=describe_registered_resource(found), revision=found.revision)

        return self._change(work)

    def delete_resource(  # noqa: D102
        self, identifier: str, *, revision: int | None = None
    ) -> None:
        self._change(lambda edit: edit.delete_resource(identifier, revision=revision))

    def list_audit(  # noqa: D102
        self, *, target: str | None = None, before: str | None = None, limit: int = 100
    ) -> Page:
        check_limit(limit)
        found = self._registry.list_audit(
            target=target, before=_entry_number(before), limit=limit + 1
        )
        return Page(
            items=[describe_entry(entry) for entry in found[:limit]],
            next=str(found[limit - 1].number) if len(found) > limit else None,
        )

    def apply(  # noqa: D102
        self, declaration: Json, *, dry_run: bool = False, prune: bool = False, usage_days: int = 30
    ) -> Json:
        raise NotImplementedError

    def list_registration_tokens(self) -> list[Json]:  # noqa: D102
        raise NotImplementedError

    def create_registration_token(self, document: Json) -> Json:  # noqa: D102
        raise NotImplementedError

    def revoke_registration_token(self, token_id: str) -> None:  # noqa: D102
        raise NotImplementedError

    def _change(self, work: Callable[[RegistryEdit], T]) -> T:
        return self._registry.change(work, by=self._by)

    def _with_grants(
        self, edit: RegistryEdit, new: NewClientDocument, registration: ClientRegistration
    ) -> ClientRegistration:
        if "grants" in new.model_fields_set:
            return registration
        scopes = () if new.scope is None else parse_scope(new.scope)
        resources = new.resources or [self._default_resource]
        return replace(registration, grants=edit.grants_for(resources, scopes))

    def _new_secret(
        self, supplied: str | None, *, starts_at: int | None = None, expires_at: int | None = None
    ) -> tuple[NewSecret, str | None]:
        """Return a secret ready to be added, and its text if it was made here."""
        check_time(expires_at)
        if expires_at is not None and expires_at <= self._now():
            raise InvalidValue("a secret must end in the future")
        text = generate_secret(self._random_bytes) if supplied is None else supplied
        hashed = SecretHash.parse(hash_secret(text, salt=self._random_bytes(SALT_BYTES)))
        new = NewSecret(hash=hashed, starts_at=starts_at, expires_at=expires_at)
        return new, text if supplied is None else None


def check_limit(limit: int) -> None:
    """Refuse a page of no documents, or of too many.

    Raises:
        InvalidValue: the limit is not from 1 to `MAXIMUM_LIMIT`.
    """
    if not 1 <= limit <= MAXIMUM_LIMIT:
        raise InvalidValue(f"limit must be from 1 to {MAXIMUM_LIMIT}")


def _shown(client: Client) -> Versioned:
    secrets = [describe_secret(secret) for secret in client.secrets]
    return Versioned(
        document=describe_client(client) | {"secrets": secrets}, revision=client.revision
    )


def _first_secret(secret: NewSecret | None, shown: str | None) -> Json:
    if secret is None:
        return {}
    described: Json = {} if shown is None else {"client_secret": shown}
    return described | {
        "secret_id": secret.hash.secret_id,
        "client_secret_expires_at": write_time(secret.expires_at),
    }


def _built(build: Callable[[], T]) -> T:
    """Count what the registry cannot accept as a mistake of the document."""
    try:
        return build()
    except InvalidValue as error:
        raise InvalidDocument([("", str(error))]) from None


def _check_name_stays(patch: Json, member: str, name: str) -> None:
    if patch.get(member, name) != name:
        raise InvalidDocument([(f"/{member}", "cannot be changed")])


def _entry_number(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise InvalidValue("a place in the audit trail is a number")
    return int(text)
