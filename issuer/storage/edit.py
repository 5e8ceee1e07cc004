"""Change the registry within one transaction: every change is made here.

It is checked against what is there and leaves an entry in the audit trail and a note in the change
feed, all in the transaction that it is part of. What changes nothing leaves no trace.
"""

import secrets
from collections.abc import Sequence
from dataclasses import fields, replace

from sqlalchemy import Connection

from issuer.profile import NO_RULES, Rules
from issuer.registry.audit import TOKEN_ACTIONS, Action, Actor, AuditEntry, update_action
from issuer.registry.client import Client, ClientRegistration
from issuer.registry.credentials import (
    MAXIMUM_SECRETS,
    ClientSecret,
    NewSecret,
    SecretHash,
    describe_secret,
)
from issuer.registry.errors import (
    DuplicateClient,
    DuplicateResource,
    ResourceInUse,
    RevisionConflict,
    ScopeInUse,
    TooManySecrets,
    UnknownRegistrationToken,
    UnknownSecret,
)
from issuer.registry.initial_access_token import InitialAccessToken, describe_registration_token
from issuer.registry.mistakes import name_some
from issuer.registry.permission import ResourcePermission, Right
from issuer.registry.resource import (
    RegisteredResource,
    Resource,
    TokenPolicy,
    check_grant,
    decide_grants,
    describe_resource,
)
from issuer.registry.schema import Json, same_json, write
from issuer.registry.secret_seal import sealed
from issuer.status.positions import Status
from issuer.storage import rows
from issuer.storage.reading import RegistryReading
from issuer.storage.rows import ISSUER, SEAL_KEY, KeptAnswer, note_change
from issuer.storage.status_changes import IndexRange, append_changes
from keys.identifiers import other_form


class RegistryEdit(RegistryReading):
    """Changes to the registry over the connection of a transaction that writes.

    Args:
        connection: the transaction; nothing else changes the registry while it runs.
        by: who makes the changes.
        now: the time of all of them, seconds since the epoch.
        rules: what the settings let clients and resources become.
    """

    def __init__(
        self, connection: Connection, *, by: Actor, now: int, rules: Rules = NO_RULES
    ) -> None:
        super().__init__(connection)
        self._rules = rules
        self.by = by
        self.now = now
        self.entries: list[AuditEntry] = []

    def grants_for(
        self, identifiers: Sequence[str], scopes: Sequence[str] | None
    ) -> tuple[ResourcePermission, ...]:
        """Give each resource those of the scopes that it understands; None for all that it has.

        Raises:
            UnknownResource: a resource does not exist.
            UnknownScope: a scope is on none of the resources.
            InvalidValue: a resource understands none of the scopes.
        """
        known = [self.require_resource(identifier).resource for identifier in identifiers]
        return decide_grants(known, scopes)

    def adopt_issuer(self, issuer: str) -> None:
        """Write which issuer the registry belongs to, if it belongs to none yet."""
        if self.identity().issuer is None:
            rows.write_identity(self._connection, ISSUER, issuer)

    def write_seal_key(self, wrapped: str) -> None:
        """Have another key of sealed secrets, itself sealed."""
        rows.write_identity(self._connection, SEAL_KEY, wrapped)

    def change_issuer(self, issuer: str) -> None:
        """Have the registry belong to an issuer, whichever it belonged to before."""
        before = self.identity().issuer
        if before != issuer:
            rows.write_identity(self._connection, ISSUER, issuer)
            described = None if before is None else {"issuer": before}
            self._record(Action.ISSUER_CHANGED, issuer, described, {"issuer": issuer})

    def make_shared_key(self, name: str) -> str:
        """Return a key that all nodes share, as `shared_key`; the first node that asks makes it."""
        key = self.shared_key(name)
        if key is None:
            key = secrets.token_hex(32)
            rows.write_identity(self._connection, name, key)
        return key

    def record_restore(self) -> None:
        """Note in the audit trail that all of it, and the signing keys, came from a backup."""
        self._record(Action.RESTORED, self.identity().issuer or "", None, None)

    def record_key(self, action: Action, kid: str, before: Json | None, after: Json | None) -> None:
        """Note a change of a signing key, which is kept elsewhere, in the audit trail."""
        self._record(action, kid, before, after)

    def create_client(
        self, registration: ClientRegistration, secrets_: Sequence[NewSecret] = ()
    ) -> Client:
        """Register a client with its first secrets.

        Raises:
            DuplicateClient: its id is taken.
            UnknownResource, UnknownScope: a grant is on what does not exist.
            InvalidValue: the method is switched off, or takes no secret that was chosen.
        """
        client_id = registration.client_id
        self._rules.check(None, registration)
        if self.find_client(client_id) is not None:
            raise DuplicateClient(f"the client exists already: {client_id}")
        policies = self._check_grants(registration.grants)
        revision = note_change(self._connection, client_id)
        rows.insert_client(self._connection, registration, now=self.now, revision=revision)
        self._record(Action.CLIENT_CREATED, client_id, None, write(registration))
        inserted = [self._insert_secret(registration, secret) for secret in secrets_]
        return Client(
            registration=registration,
            policies=policies,
            secrets=tuple(sorted(inserted, key=lambda secret: secret.secret_id)),
            created_at=self.now,
            updated_at=self.now,
            revision=revision,
        )

    def replace_client(
        self, registration: ClientRegistration, *, revision: int | None = None
    ) -> Client:
        """Make a client what it should be; its secrets stay.

        Args:
            registration: what the client becomes.
            revision: what it must still be at, if that matters.

        Raises:
            UnknownClient: there is no such id.
            RevisionConflict: it has changed since.
            UnknownResource, UnknownScope: a grant is on what does not exist.
            InvalidValue: the method is switched off.
        """
        before = self.require_client(registration.client_id)
        _require_revision(before.revision, revision)
        was, becomes = map(write, (before.registration, registration))
        if same_json(was, becomes):
            return before
        self._rules.check(before.registration, registration)
        policies = self._check_grants(registration.grants)
        after = replace(
            before,
            registration=registration,
            policies=policies,
            updated_at=self.now,
            revision=note_change(self._connection, registration.client_id),
        )
        rows.update_client(self._connection, before, after)
        action = update_action(before.registration.disabled, registration.disabled)
        self._record(action, registration.client_id, was, becomes)
        return after

    def delete_client(self, client_id: str, *, revision: int | None = None) -> None:
        """Delete a client with its grants and secrets.

        Raises:
            UnknownClient: there is no such id.
            RevisionConflict: it has changed since.
        """
        before = self.require_client(client_id)
        _require_revision(before.revision, revision)
        rows.delete_client(self._connection, client_id)
        note_change(self._connection, client_id)
        self._record(Action.CLIENT_DELETED, client_id, write(before.registration), None)

    def add_secret(self, client_id: str, new: NewSecret) -> ClientSecret:
        """Give a client one more secret; the others stay as they are.

        Raises:
            UnknownClient: there is no such id.
            TooManySecrets: it has as many as a client may have.
            InvalidValue: its method is switched off, or takes no secret that was chosen.
        """
        client = self.require_client(client_id)
        if sum(not each.has_ended(self.now) for each in client.secrets) >= MAXIMUM_SECRETS:
            raise TooManySecrets(
                f"{client_id} has {MAXIMUM_SECRETS} secrets already; revoke one first"
            )
        secret = self._insert_secret(client.registration, new)
        self._touch_client(client_id)
        return secret

    def revoke_secret(self, client_id: str, secret_id: str) -> None:
        """End a secret at once.

        Raises:
            UnknownClient: there is no such client.
            UnknownSecret: it has no such secret.
        """
        known = {secret.secret_id: secret for secret in self.require_client(client_id).secrets}
        if secret_id not in known:
            raise UnknownSecret(f"{client_id} has no secret {secret_id!a}")
        rows.delete_secret(self._connection, client_id, secret_id)
        self._touch_client(client_id)
        self._record(Action.SECRET_REVOKED, client_id, describe_secret(known[secret_id]), None)

    def change_tokens(
        self, ranges: Sequence[IndexRange], status: Status, target: str, described: Json
    ) -> None:
        """Give tokens another status; where all have it, there is nothing to note either."""
        if append_changes(self._connection, ranges, status):
            self._record(TOKEN_ACTIONS[status], target, None, described)

    def create_resource(self, resource: Resource) -> RegisteredResource:
        """Add a resource.

        Raises:
            DuplicateResource: its identifier is taken, or means the same as another's.
        """
        # RFC 3986 §6.2.3: a token request finds one by the other, so that both cannot be.
        for taken in (resource.resource, other_form(resource.resource)):
            if taken is not None and self.find_resource(taken) is not None:
                raise DuplicateResource(f"the resource exists already: {taken}")
        self._rules.check(None, resource)
        revision = note_change(self._connection, None)
        rows.insert_resource(self._connection, resource, now=self.now, revision=revision)
        self._record(Action.RESOURCE_CREATED, resource.resource, None, describe_resource(resource))
        return self._hold(
            RegisteredResource(
                resource=resource, created_at=self.now, updated_at=self.now, revision=revision
            )
        )

    def replace_resource(
        self, resource: Resource, *, revision: int | None = None, withdraw: bool = False
    ) -> RegisteredResource:
        """Make a resource what it should be.

        Args:
            resource: what it becomes.
            revision: what it must still be at, if that matters.
            withdraw: take a scope or type that goes from the clients that hold it.

        Raises:
            UnknownResource: there is no such identifier.
            RevisionConflict: it has changed since.
            ScopeInUse: clients hold a scope or type that goes, and it is not to be withdrawn.
        """
        before = self.require_resource(resource.resource)
        _require_revision(before.revision, revision)
        if same_json(describe_resource(before.resource), describe_resource(resource)):
            return before
        self._rules.check(before.resource, resource)
        gone = [right for right in before.resource.rights if right not in resource.rights]
        if withdraw and gone:
            self._withdraw(resource.resource, gone)
        for right in gone:
            if held := self.clients_holding(resource.resource, [right]):
                raise ScopeInUse(
                    f"clients still hold {right.name} on {resource.resource}: {name_some(held)}"
                )
        revision = note_change(self._connection, None)
        rows.update_resource(
            self._connection, before.resource, resource, now=self.now, revision=revision
        )
        self._record(
            Action.RESOURCE_UPDATED,
            resource.resource,
            describe_resource(before.resource),
            describe_resource(resource),
        )
        return self._hold(
            replace(before, resource=resource, updated_at=self.now, revision=revision)
        )

    def delete_resource(self, identifier: str, *, revision: int | None = None) -> None:
        """Delete a resource that no client holds a grant on.

        Raises:
            UnknownResource: there is no such identifier.
            RevisionConflict: it has changed since.
            ResourceInUse: clients hold grants on it; the text names some.
        """
        before = self.require_resource(identifier)
        _require_revision(before.revision, revision)
        if held := self.holders(identifier):
            raise ResourceInUse(f"clients still hold grants on {identifier}: {name_some(held)}")
        rows.delete_resource(self._connection, identifier)
        self._resources[identifier] = None
        note_change(self._connection, None)
        self._record(Action.RESOURCE_DELETED, identifier, describe_resource(before.resource), None)

    def create_registration_token(self, token: InitialAccessToken) -> None:
        """Add an initial access token (RFC 7591 §3).

        Raises:
            UnknownResource, UnknownScope: it allows what does not exist.
        """
        self._check_grants(token.grants)
        rows.insert_token(self._connection, token)
        described = describe_registration_token(token)
        self._record(Action.REGISTRATION_TOKEN_CREATED, token.token_id, None, described)

    def revoke_registration_token(self, token_id: str) -> None:
        """End an initial access token; clients that registered with it stay.

        Raises:
            UnknownRegistrationToken: there is no such id.
        """
        token = self.find_registration_token(token_id)
        if token is None:
            raise UnknownRegistrationToken(f"no such registration token: {token_id}")
        rows.delete_token(self._connection, token_id)
        self._record(
            Action.REGISTRATION_TOKEN_REVOKED, token_id, describe_registration_token(token), None
        )

    def claim_registration(self, token_id: str) -> bool:
        """Take one use of an initial access token; False if it is gone, ended or used up.

        The audit trail tells of it as the actor of what is registered with it.
        """
        return rows.claim_use(self._connection, token_id, now=self.now)

    def set_registration_access(self, client_id: str, access: SecretHash) -> None:
        """Let a client administer itself with the token of this hash (RFC 7592 §3)."""
        rows.write_access_hash(self._connection, client_id, access)

    def find_answer(self, key_hash: str) -> KeptAnswer | None:
        """Read what a request was answered that carried the key of this hash."""
        return rows.find_answer(self._connection, key_hash, now=self.now)

    def keep_answer(self, key_hash: str, kept: KeptAnswer) -> None:
        """Keep an answer for a day, for a retry of the same request."""
        rows.insert_answer(self._connection, key_hash, kept, now=self.now)

    def _check_grants(self, granted: Sequence[ResourcePermission]) -> dict[str, TokenPolicy]:
        """Check grants against their resources, and return what each asks of tokens."""
        policies = {}
        for grant in granted:
            resource = self.require_resource(grant.resource).resource
            check_grant(grant, resource)
            asked = {each.name: getattr(resource, each.name) for each in fields(TokenPolicy)}
            policies[grant.resource] = TokenPolicy(**asked)
        return policies

    def _hold(self, resource: RegisteredResource) -> RegisteredResource:
        self._resources[resource.resource.resource] = resource
        return resource

    def _withdraw(self, identifier: str, gone: Sequence[Right]) -> None:
        """Take rights from every client; a grant that is left without scope goes as well."""
        for client_id in self.clients_holding(identifier, gone):
            before = self.require_client(client_id).registration
            narrowed = [
                grant.without(gone) if grant.resource == identifier else grant
                for grant in before.grants
            ]
            kept = tuple(grant for grant in narrowed if grant is not None)
            self.replace_client(replace(before, grants=kept))

    def _insert_secret(self, client: ClientRegistration, new: NewSecret) -> ClientSecret:
        kept, client_id = sealed(new, client, self._rules.seal), client.client_id
        secret = rows.insert_secret(self._connection, client_id, kept, now=self.now)
        self._record(Action.SECRET_ADDED, client_id, None, describe_secret(secret))
        return secret

    def _touch_client(self, client_id: str) -> None:
        revision = note_change(self._connection, client_id)
        rows.touch_client(self._connection, client_id, now=self.now, revision=revision)

    def _record(self, action: Action, target: str, before: Json | None, after: Json | None) -> None:
        entry = AuditEntry(
            at=self.now, actor=self.by, action=action, target=target, before=before, after=after
        )
        rows.append_entry(self._connection, entry)
        self.entries.append(entry)


def _require_revision(current: int, expected: int | None) -> None:
    if expected is not None and expected != current:
        raise RevisionConflict("it has changed since it was read; read it again")
