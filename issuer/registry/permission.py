"""What a client may ask for on one resource: scopes, types of authorization details, exchanges."""

import dataclasses
from collections.abc import Collection, Iterable
from typing import Annotated, Literal, NamedTuple

from pydantic import AfterValidator, Field
from pydantic.dataclasses import dataclass

from issuer.registry.authorization_details import TypeName, check_type_names
from issuer.registry.errors import InvalidValue
from issuer.registry.mistakes import suggest
from issuer.registry.names import ClientId, ResourceName
from issuer.registry.schema import MODEL, Scopes, Text, is_unset


class Right(NamedTuple):
    """What can be granted on a resource: a scope, or a type of authorization details."""

    kind: Literal["scope", "type of authorization details"]
    name: str


def rights_of(scopes: Iterable[str], types: Iterable[str]) -> tuple[Right, ...]:
    """List scopes and types of authorization details as rights."""
    return (
        *(Right("scope", each) for each in scopes),
        *(Right("type of authorization details", each) for each in types),
    )


@dataclass(frozen=True, slots=True, kw_only=True, config=MODEL)
class ResourcePermission:
    """What a client may ask for on one resource."""

    resource: Text = Field(description="the resource's identifier")
    scopes: Scopes = Field(
        validation_alias="scope",
        serialization_alias="scope",
        description="scopes that it may ask for, with spaces between",
    )
    # RFC 6749 §3.3. None and all of `scopes` mean the same, and None is the one spelling of it;
    # fewer are kept in the order of `scopes`. So equal grants compare equal.
    default_scopes: Scopes | None = Field(
        default=None,
        validation_alias="default_scope",
        serialization_alias="default_scope",
        exclude_if=is_unset,
        description="what a request that names no scope gets; all of `scope` if left out",
    )
    # RFC 9396 §10
    authorization_details_types: Annotated[
        tuple[TypeName, ...], AfterValidator(check_type_names)
    ] = Field(
        default=(),
        exclude_if=is_unset,
        description="types of authorization details that it may ask for",
    )

    def __post_init__(self) -> None:
        """Refuse a permission without a scope, and default scopes that are not among them."""
        if not self.scopes:
            raise InvalidValue(f"a grant on {self.resource} needs at least one scope")
        if self.default_scopes is None:
            return
        if not self.default_scopes:
            raise InvalidValue(f"a grant on {self.resource} needs a default scope, or none named")
        for scope in self.default_scopes:
            if scope not in self.scopes:
                raise InvalidValue(f"the default scope {scope} is not granted on {self.resource}")
        defaults = tuple(scope for scope in self.scopes if scope in self.default_scopes)
        object.__setattr__(self, "default_scopes", None if defaults == self.scopes else defaults)

    @property
    def defaults(self) -> tuple[str, ...]:
        """The scopes of a request that names none."""
        return self.scopes if self.default_scopes is None else self.default_scopes

    @property
    def rights(self) -> tuple[Right, ...]:
        """Scopes and types."""
        return rights_of(self.scopes, self.authorization_details_types)

    def without(self, gone: Collection[Right]) -> "ResourcePermission | None":
        """Return what is left when rights go; None if no scope is."""
        kept = [each.name for each in self.rights if each not in gone and each.kind == "scope"]
        if not kept:
            return None
        return dataclasses.replace(
            self,
            scopes=tuple(kept),
            default_scopes=tuple(each for each in self.defaults if each in kept) or None,
            authorization_details_types=tuple(
                each.name for each in self.rights if each not in gone and each.kind != "scope"
            ),
        )


ANY_SUBJECT = "*"
"""In the place of client ids: the tokens of every client."""


@dataclass(frozen=True, slots=True, kw_only=True, config=MODEL)
class ExchangePermission:
    """Tokens of which callers a client may exchange, and what for (RFC 8693)."""

    subject_resource: ResourceName = Field(
        description="the API that the client itself is: the audience of the tokens that it is sent"
    )
    resource: ResourceName = Field(
        description="what the new tokens are for; the client needs a grant on it as well"
    )
    # The client ids of RFC 6749 have `*` among them: here it can name no client of that id.
    subjects: tuple[ClientId, ...] = Field(
        description="clients whose tokens it may exchange, or * for every client",
        json_schema_extra={"minItems": 1},
    )
    max_depth: Annotated[int, Field(strict=True, ge=1, le=5)] = Field(
        default=1, description="how many clients may act one for another, itself included"
    )

    def __post_init__(self) -> None:
        """Refuse a permission for no subject."""
        if not self.subjects:
            raise InvalidValue(f"an exchange for {self.resource} needs at least one subject, or *")

    def covers(self, parties: Collection[str]) -> bool:
        """Tell whether tokens that these clients stand behind may be exchanged."""
        return ANY_SUBJECT in self.subjects or set(parties) <= set(self.subjects)


def named_subjects(subjects: Iterable[Iterable[str]]) -> tuple[str, ...]:
    """Return the clients that the subjects of some permissions name, each once."""
    return tuple(dict.fromkeys(one for each in subjects for one in each if one != ANY_SUBJECT))


def unknown_subject(client_id: str, known: list[str]) -> str:
    """Say that a subject is no client, and which one was probably meant."""
    return (
        f"{client_id} is no client here, so there is no token of it to exchange"
        f"{suggest(client_id, known)}"
    )


def check_exchanges(exchanges: tuple[ExchangePermission, ...]) -> tuple[ExchangePermission, ...]:
    """Return permissions unchanged if no two are for the same tokens and the same resource.

    Raises:
        InvalidValue: naming the first two that are.
    """
    seen: set[tuple[str, str]] = set()
    for each in exchanges:
        pair = (each.subject_resource, each.resource)
        if pair in seen:
            raise InvalidValue(
                f"two exchanges of tokens for {pair[0]} on {pair[1]}; put their subjects into one"
            )
        seen.add(pair)
    return exchanges
