"""Decide the steps from the registry as it is to the registry as declared.

Resources grow first and shrink last, so that grants can move between them on the way. A registry
that is as declared needs no step.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from issuer.administration.declaration.document import Declaration, DeclaredSecret
from issuer.registry.auth_methods import AuthMethod
from issuer.registry.client import Client, ClientRegistration
from issuer.registry.client_description import Facts, facts_of_client
from issuer.registry.credentials import MAXIMUM_SECRETS, ClientSecret, NewSecret
from issuer.registry.errors import DeclarationRefused
from issuer.registry.permission import Right, named_subjects, unknown_subject
from issuer.registry.resource import Resource, facts_of_resource
from issuer.registry.schema import same_json

_NAMED_AT_MOST = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryState:
    """Resources and clients by their names, as far as a plan needs to know them.

    Args:
        resources: all of them.
        clients: those that are declared, or that these may exchange tokens of; all if any could be
            in the way, or is to go.
        now: seconds since the epoch.
    """

    resources: Mapping[str, Resource]
    clients: Mapping[str, Client]
    now: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyOptions:
    """How far a declaration reaches.

    Args:
        prune: what it does not name goes.
        kept_resources: resources that stay in any case.
        kept_clients: clients that stay in any case.
        usage_days: how far back to look for who used what goes.
        revoke_tokens: whether clients that are deleted or disabled lose their tokens too.
        administration: whose tokens only those may revoke who hold what they are for; None for an
            operator who has the database itself.
    """

    prune: bool = False
    kept_resources: frozenset[str] = field(default=frozenset())
    kept_clients: frozenset[str] = field(default=frozenset())
    usage_days: int = 30
    revoke_tokens: bool = False
    administration: str | None = None


@dataclass(frozen=True, slots=True)
class ChangeResource:
    """Create a resource (nothing before), change it, or delete it (nothing after)."""

    name: str
    before: Resource | None
    after: Resource | None


@dataclass(frozen=True, slots=True)
class ChangeClient:
    """Register a client, change what was decided of it, or delete it with its secrets."""

    name: str
    before: Client | None
    after: ClientRegistration | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AddSecret:
    """Give a client one more secret."""

    client_id: str
    secret: DeclaredSecret

    @property
    def must_be_generated(self) -> bool:
        """Whether there is no such secret yet."""
        return self.secret.value is None

    def new_secret(self, random_bytes: Callable[[int], bytes]) -> NewSecret:
        """Build what is stored of it.

        Args:
            random_bytes: the operating system's randomness, for the salt.

        Raises:
            ValueError: it is still to be generated.
        """
        if self.secret.value is None:
            raise ValueError(f"there is no secret yet for {self.secret.source}")
        return NewSecret.of(
            self.secret.value.reveal(), random_bytes, expires_at=self.secret.expires_at
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeSecret:
    """End a secret at once."""

    client_id: str
    secret: ClientSecret


Step = ChangeResource | ChangeClient | AddSecret | RevokeSecret


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Steps in an order in which each is legal, and what is to be said beside them."""

    steps: tuple[Step, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class SecretPlan:
    """What is decided so far of one client's secrets.

    Args:
        client_id: whose.
        method: how the client authenticates.
        lasting: those in the registry that have not ended.
    """

    client_id: str
    method: AuthMethod
    lasting: Sequence[ClientSecret] = ()
    added: list[DeclaredSecret] = field(default_factory=list)
    revoked: list[ClientSecret] = field(default_factory=list)
    kept: list[ClientSecret] = field(default_factory=list)
    absent: list[DeclaredSecret] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def steps(self) -> tuple[RevokeSecret | AddSecret, ...]:
        """The steps; those that make room come first."""
        return (
            *(RevokeSecret(client_id=self.client_id, secret=each) for each in self.revoked),
            *(AddSecret(client_id=self.client_id, secret=each) for each in self.added),
        )

    @property
    def is_too_much(self) -> bool:
        """Whether the client would have more secrets than one may have."""
        count = len(self.lasting) - len(self.revoked) + len(self.added)
        return bool(self.added) and count > MAXIMUM_SECRETS

    def decide(self, secret: DeclaredSecret, now: int) -> None:
        """Decide what happens for one of the declared secrets."""
        end, value = secret.expires_at, secret.value
        same = [] if value is None else [each for each in self.lasting if value.matches(each.hash)]
        if end is not None and end <= now:
            self.revoked += same
        elif value is not None:
            # One that is there and ends as declared is kept; what ends otherwise is added anew.
            right = [
                each for each in same if each.serves(self.method) and end in (None, each.expires_at)
            ]
            self.kept += right
            self.revoked += [each for each in same if each not in right]
            if not right:
                self.added.append(secret)
        elif not self.lasting:
            self.added.append(secret)
        else:  # a client that has a secret may be using the very one whose file is absent
            self.absent.append(secret)
            self.notes.append(
                f"client {self.client_id}: {secret.source} is not there;"
                " none is generated, since the client has a secret"
            )

    def prune(self) -> None:
        """Take away what is not declared, unless it may be the very secret whose file is absent."""
        decided = [*self.kept, *self.revoked]
        others = [each for each in self.lasting if each not in decided]
        if not self.absent:
            self.revoked += others
        elif others:
            self.notes.append(
                f"client {self.client_id}: its other secrets are left, since one of them may be"
                f" {self.absent[0].source}"
            )


def make_plan(declaration: Declaration, state: RegistryState, options: ApplyOptions) -> Plan:
    """Plan what to do.

    Args:
        declaration: what should be.
        state: what is.
        options: what happens to the rest.

    Raises:
        DeclarationRefused: it cannot be, for all the reasons named.
    """
    gone_clients, gone_resources = _pruned(declaration, state, options)
    secrets = _secret_plans(declaration, state, options)
    reasons = [
        *_conflicts(declaration, state, gone_clients, gone_resources),
        *(
            f"client {each.client_id}: it would have more than {MAXIMUM_SECRETS} secrets;"
            " revoke some first"
            for each in secrets
            if each.is_too_much
        ),
    ]
    if reasons:
        raise DeclarationRefused(reasons)
    return Plan(
        steps=(
            *_growing(declaration, state),
            *_clients(declaration, state),
            *(step for each in secrets for step in each.steps),
            *(ChangeClient(client.client_id, client, None) for client in gone_clients),
            *_shrinking(declaration, state),
            *(ChangeResource(resource.resource, resource, None) for resource in gone_resources),
        ),
        notes=(
            *(note for each in secrets for note in each.notes),
            *_without_credentials(declaration, state),
            *_unknown_subjects(declaration, state, gone_clients),
        ),
    )


def _pruned(
    declaration: Declaration, state: RegistryState, options: ApplyOptions
) -> tuple[list[Client], list[Resource]]:
    if not options.prune:
        return [], []
    clients = {each.client_id for each in declaration.clients} | options.kept_clients
    resources = {each.resource for each in declaration.resources} | options.kept_resources
    return (
        [client for name, client in sorted(state.clients.items()) if name not in clients],
        [resource for name, resource in sorted(state.resources.items()) if name not in resources],
    )


def _secret_plans(
    declaration: Declaration, state: RegistryState, options: ApplyOptions
) -> list[SecretPlan]:
    """Decide what happens to the secrets of each client; those it declares none of are left."""
    plans = []
    for client in declaration.clients:
        present = state.clients.get(client.client_id)
        stored = present.secrets if present else ()
        plan = SecretPlan(
            client.client_id,
            client.token_endpoint_auth_method,
            [each for each in stored if not each.has_ended(state.now)],
        )
        for secret in client.secrets or ():
            plan.decide(secret, state.now)
        if options.prune and client.secrets is not None:
            plan.prune()
        plans.append(plan)
    return plans


def _conflicts(
    declaration: Declaration,
    state: RegistryState,
    gone_clients: list[Client],
    gone_resources: list[Resource],
) -> Iterator[str]:
    """Yield a line for each grant, or scope of one, that nothing would be left for."""
    gone = {each.resource for each in gone_resources}
    kept = {name: each for name, each in state.resources.items() if name not in gone}
    resources = kept | {each.resource: each for each in declaration.resources}
    for client in declaration.clients:
        for resource, right in _dangling(client, resources):
            if right is not None:
                why = f"no such {right.kind} on {resource}: {right.name}"
            elif resource in gone:
                why = f"its resource {resource} would be pruned; name it in the file"
            else:
                why = f"no such resource: {resource}"
            yield f"client {client.client_id}: {why}"
    others = {each.client_id for each in declaration.clients}
    others |= {each.client_id for each in gone_clients}
    holders = defaultdict[tuple[str, Right | None], list[str]](list)
    for client_id, staying in sorted(state.clients.items()):
        if client_id not in others:
            for dangling in _dangling(staying.registration, resources):
                holders[dangling].append(client_id)
    for (resource, right), clients in holders.items():
        what = resource if right is None else f"{right.name} on {resource}"
        yield f"{what} cannot go: it is granted to {_names(clients)}, which the file does not name"


def _dangling(
    registration: ClientRegistration, resources: Mapping[str, Resource]
) -> Iterator[tuple[str, Right | None]]:
    """Yield each grant on a resource that there will not be, and each right that it will lack."""
    for grant in registration.grants:
        resource = resources.get(grant.resource)
        if resource is None:
            yield grant.resource, None
            continue
        for right in grant.rights:
            if right not in resource.rights:
                yield grant.resource, right


def _names(clients: list[str]) -> str:
    more = len(clients) - _NAMED_AT_MOST
    named = ", ".join(clients[:_NAMED_AT_MOST])
    return named if more <= 0 else f"{named} and {more} more"


def _growing(declaration: Declaration, state: RegistryState) -> Iterator[Step]:
    """Create resources and change those that are there, but for the rights that they lose."""
    for after in declaration.resources:
        before = state.resources.get(after.resource)
        wide = after if before is None else _widened(before, after)
        if before is None or _differ(facts_of_resource(before), facts_of_resource(wide)):
            yield ChangeResource(after.resource, before, wide)


def _shrinking(declaration: Declaration, state: RegistryState) -> Iterator[Step]:
    """Take from resources the scopes and types that they lose."""
    for after in declaration.resources:
        if before := state.resources.get(after.resource):
            wide = _widened(before, after)
            if _differ(facts_of_resource(wide), facts_of_resource(after)):
                yield ChangeResource(after.resource, wide, after)


def _differ(before: Facts, after: Facts) -> bool:
    return any(not same_json(before.get(key), after.get(key)) for key in {*before, *after})


def _widened(before: Resource, after: Resource) -> Resource:
    known = {each.type: each for each in before.authorization_details_types}
    wanted = {each.type: each for each in after.authorization_details_types}
    return replace(
        after,
        scopes=tuple(dict.fromkeys([*after.scopes, *before.scopes])),
        authorization_details_types=tuple((known | wanted).values()),
    )


def _clients(declaration: Declaration, state: RegistryState) -> Iterator[Step]:
    for client in declaration.clients:
        present, after = state.clients.get(client.client_id), client.registration
        if present is None or _differ(
            facts_of_client(present.registration), facts_of_client(after)
        ):
            yield ChangeClient(client.client_id, present, after)


def _without_credentials(declaration: Declaration, state: RegistryState) -> Iterator[str]:
    """Yield a note on each new client that could not authenticate."""
    for client in declaration.clients:
        is_new = client.client_id not in state.clients
        if is_new and client.token_endpoint_auth_method.uses_secret and not client.secrets:
            yield f"client {client.client_id}: it has no secret yet, so it gets no token"


def _unknown_subjects(
    declaration: Declaration, state: RegistryState, gone_clients: list[Client]
) -> Iterator[str]:
    """Yield a note on each client whose tokens may be exchanged and that there will not be."""
    known = {*state.clients, *(each.client_id for each in declaration.clients)}
    known -= {each.client_id for each in gone_clients}
    for client in declaration.clients:
        for subject in named_subjects(each.subjects for each in client.token_exchange):
            if subject not in known:
                yield f"client {client.client_id}: {unknown_subject(subject, sorted(known))}"
