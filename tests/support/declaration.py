"""Declarations as tests write them, and the lines that a refusal has."""

from secrets import token_bytes
from textwrap import dedent
from typing import Any

import pytest

from issuer.administration.declaration.apply import Outcome, apply_declaration, preview_declaration
from issuer.administration.declaration.document import (
    DeclarationFile,
    SentClient,
    SentDeclaration,
    SentSecret,
)
from issuer.administration.declaration.plan import ApplyOptions, Plan, RegistryState, make_plan
from issuer.administration.declaration.reader import Form, read_declaration
from issuer.registry.client import Client, ClientRegistration
from issuer.registry.credentials import ClientSecret
from issuer.registry.errors import DeclarationRefused, InvalidDocument
from issuer.registry.permission import ResourcePermission
from issuer.registry.resource import Resource
from tests.support.registry import NOW, RESOURCE, SECRET, fast_hash


def read(text: str, form: Form = "toml") -> DeclarationFile:
    """Read a declaration from an indented text."""
    return read_declaration(dedent(text), form)


def mistakes(text: str, form: Form = "toml") -> list[str]:
    """Return what is wrong with a declaration, a line for each mistake."""
    with pytest.raises(InvalidDocument) as caught:
        read(text, form)
    return [str(mistake) for mistake in caught.value.mistakes]


def resource(*scopes: str, identifier: str = RESOURCE) -> Resource:
    """Make a resource."""
    return Resource(resource=identifier, scopes=scopes or ("read", "write"))


def grant(
    *scopes: str, on: str = RESOURCE, default: tuple[str, ...] | None = None
) -> ResourcePermission:
    """Make a grant, on the resource of the examples unless said otherwise."""
    return ResourcePermission(resource=on, scopes=scopes or ("read",), default_scopes=default)


def registration(client_id: str = "till", *grants: ResourcePermission, **members: Any) -> Any:
    """Make what is decided of a client."""
    return ClientRegistration(client_id=client_id, grants=grants, **members)


def declared(client_id: str = "till", *grants: ResourcePermission, **members: Any) -> SentClient:
    """Make a client as it should be; `secrets` are left alone unless given."""
    return SentClient(client_id=client_id, grants=grants, **members)


def known(text: str = SECRET, *, expires_at: int | None = None) -> SentSecret:
    """Make a declared secret that is at hand."""
    return SentSecret(source="env TILL", client_secret=text, expires_at=expires_at)


def absent(*, expires_at: int | None = None) -> SentSecret:
    """Make a declared secret that is still to be generated."""
    return SentSecret(source="generate_to till.secret", expires_at=expires_at)


def stored_secret(
    text: str = SECRET,
    secret_id: str = "s1",
    *,
    expires_at: int | None = None,
    last_used_at: int | None = None,
) -> ClientSecret:
    """Make a secret as the registry has it."""
    return ClientSecret(
        secret_id=secret_id,
        hash=fast_hash(text),
        created_at=0,
        starts_at=0,
        expires_at=expires_at,
        last_used_at=last_used_at,
    )


def registered(
    client_id: str = "till", *grants: ResourcePermission, secrets: Any = (), **members: Any
) -> Client:
    """Make a client as the registry has it."""
    return Client(
        registration=registration(client_id, *grants, **members),
        policies={},
        secrets=tuple(secrets),
        created_at=0,
        updated_at=0,
        revision=1,
    )


def declaration(*parts: Resource | SentClient) -> SentDeclaration:
    """Make a declaration of resources and clients."""
    return SentDeclaration(
        resources=tuple(each for each in parts if isinstance(each, Resource)),
        clients=tuple(each for each in parts if isinstance(each, SentClient)),
    )


def state(*parts: Resource | Client) -> RegistryState:
    """Make a registry of resources and clients, at `NOW`."""
    return RegistryState(
        resources={each.resource: each for each in parts if isinstance(each, Resource)},
        clients={each.client_id: each for each in parts if isinstance(each, Client)},
        now=NOW,
    )


def plan(wanted: SentDeclaration, present: RegistryState, **reach: Any) -> Plan:
    """Make the plan from what is present to what is wanted."""
    return make_plan(wanted, present, ApplyOptions(**reach))


def refusal(wanted: SentDeclaration, present: RegistryState, **reach: Any) -> list[str]:
    """Return why there is no plan."""
    with pytest.raises(DeclarationRefused) as caught:
        plan(wanted, present, **reach)
    return list(caught.value.reasons)


def preview(registry: Any, wanted: SentDeclaration, **reach: Any) -> Outcome:
    """Tell what a declaration would do to a registry."""

    def work(reading: Any) -> Outcome:
        return preview_declaration(reading, wanted, ApplyOptions(**reach), now=NOW)

    outcome: Outcome = registry.read(work)
    return outcome


def apply(registry: Any, wanted: SentDeclaration, by: Any, **reach: Any) -> Outcome:
    """Carry a declaration out on a registry."""

    def work(edit: Any) -> Outcome:
        return apply_declaration(edit, wanted, ApplyOptions(**reach), random_bytes=token_bytes)

    outcome: Outcome = registry.change(work, by=by)
    return outcome
