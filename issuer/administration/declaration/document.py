"""The schema of declarations: as a file in TOML or YAML, and as it is sent to a server.

The two differ in the secrets of a client: a file refers to them, what is sent has them.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Annotated, Any, Final, Literal, Self, TypeVar

from pydantic import ConfigDict, Field, PrivateAttr, ValidationError, model_validator
from pydantic.dataclasses import dataclass
from pydantic.json_schema import GenerateJsonSchema

from issuer.administration.documents import SecretText
from issuer.registry.client import ClientRegistration
from issuer.registry.credentials import MAXIMUM_SECRETS, SecretHash
from issuer.registry.errors import InvalidDocument
from issuer.registry.mistakes import KeyPath, Mistake, mistakes_of, suggest, write_path
from issuer.registry.resource import Resource, describe_resource
from issuer.registry.schema import (
    MODEL,
    Document,
    Json,
    Time,
    narrowed,
    parse_scope,
    read,
    write,
    write_time,
)

VERSION: Final = 1
"""The version of the format that is read here."""

SOURCES = ("env", "file", "generate_to")
"""Where a secret can come from; a reference names one."""

_END = "when it ends; as it is if left out"
_SECRETS = "its secrets; left alone if there is no such list"
_RESOURCES = "the APIs that tokens are for"
_CLIENTS = "who may ask for tokens"


class SecretValue:
    """A secret, shown by nothing; remembers its comparisons, which may take 40 ms each."""

    __slots__ = ("_text", "_verdicts")

    def __init__(self, text: str) -> None:
        self._text = text
        self._verdicts: dict[SecretHash, bool] = {}

    def __repr__(self) -> str:
        """Show that there is a secret, not which."""
        return "SecretValue(…)"

    def reveal(self) -> str:
        """Return the secret itself, to be sent to the server that is to know it."""
        return self._text

    def matches(self, stored: SecretHash) -> bool:
        """Tell whether the hash is one of this secret."""
        if stored not in self._verdicts:
            self._verdicts[stored] = stored.verify(self._text)
        return self._verdicts[stored]


class SecretReference(Document):
    """Where one of a client's secrets is; the secret itself does not belong in the file."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": [source]} for source in SOURCES]}
    )

    env: str | None = Field(
        None, min_length=1, description="the environment variable that holds it"
    )
    file: str | None = Field(
        None,
        min_length=1,
        description="the file that holds it; relative to the folder of the declaration",
    )
    generate_to: str | None = Field(
        None,
        min_length=1,
        description="the file that it is written to when it is made; as `file` once that exists",
    )
    expires_at: Time | None = Field(None, description=_END)
    _value: SecretValue | None = PrivateAttr(None)

    @model_validator(mode="before")
    @classmethod
    def _refuse_secret(cls, table: Any) -> Any:  # noqa: ANN401 - whatever was written
        if isinstance(table, dict) and not {"value", "secret", "client_secret"}.isdisjoint(table):
            raise ValueError(f"a secret does not belong in the file; use {', '.join(SOURCES)}")
        return table

    @model_validator(mode="after")
    def _check(self) -> Self:
        if sum(getattr(self, source) is not None for source in SOURCES) != 1:
            raise ValueError(f"must have exactly one of {', '.join(SOURCES)}")
        return self

    @property
    def source(self) -> str:
        """The reference in words: `env ORDERS_SECRET`."""
        named = ((source, getattr(self, source)) for source in SOURCES)
        source, name = next((source, name) for source, name in named if name is not None)
        return f"{source} {name if name.isprintable() else ascii(name)}"

    @property
    def value(self) -> SecretValue | None:
        """The secret that was found there; None as long as it is still to be generated."""
        return self._value

    def found(self, text: str) -> None:
        """Keep the secret that the reference leads to."""
        self._value = SecretValue(text)


class SentSecret(Document):
    """One of a client's secrets."""

    source: str = Field(
        min_length=1, max_length=4096, description="what people know it by: `env ORDERS_SECRET`"
    )
    client_secret: SecretText | None = Field(
        None, repr=False, description="the secret; none if it is still to be made: a dry run tells"
    )
    expires_at: Time | None = Field(None, description=_END)

    @cached_property
    def value(self) -> SecretValue | None:
        """The secret; None as long as it is still to be generated."""
        return None if self.client_secret is None else SecretValue(self.client_secret)


DeclaredSecret = SecretReference | SentSecret


@dataclass(frozen=True, kw_only=True, config=MODEL)
class DeclaredClient(ClientRegistration):
    """A client as it should be."""

    secrets: tuple[DeclaredSecret, ...] | None = None

    @model_validator(mode="after")
    def _check_secrets(self) -> Self:
        method = self.token_endpoint_auth_method
        if self.secrets and not method.uses_secret:
            raise ValueError(f"{method} uses no secrets")
        known = [each.value.reveal() for each in self.secrets or () if each.value]
        if len(set(known)) < len(known):
            raise ValueError("two of its secrets are the same")
        return self

    @cached_property
    def registration(self) -> ClientRegistration:
        """The client without its secrets."""
        return narrowed(ClientRegistration, self)


@dataclass(frozen=True, kw_only=True, config=MODEL)
class ClientInFile(DeclaredClient):
    """A client as it should be, with where its secrets are."""

    secrets: Annotated[tuple[SecretReference, ...], Field(max_length=MAXIMUM_SECRETS)] | None = (
        Field(default=None, description=_SECRETS)
    )


@dataclass(frozen=True, kw_only=True, config=MODEL)
class SentClient(DeclaredClient):
    """A client as it should be, with its secrets."""

    secrets: Annotated[tuple[SentSecret, ...], Field(max_length=MAXIMUM_SECRETS)] | None = Field(
        default=None, description=_SECRETS
    )


class Declaration(Document):
    """Clients and resources as they should be."""

    model_config = ConfigDict(strict=False, defer_build=True)

    version: Literal[1] = Field(VERSION, description="of this format")
    resources: tuple[Resource, ...] = Field((), description=_RESOURCES)
    clients: tuple[DeclaredClient, ...] = ()


class DeclarationFile(Declaration):
    """Clients and resources as they should be."""

    editor_schema: str | None = Field(
        None, alias="$schema", description="where editors find this schema; not used otherwise"
    )
    clients: tuple[ClientInFile, ...] = Field((), description=_CLIENTS)

    @property
    def names_nothing(self) -> bool:
        """Whether the file has neither of the lists, not even an empty one."""
        return not {"resources", "clients"} & self.model_fields_set


class SentDeclaration(Declaration):
    """Clients and resources as they should be, as a server is told."""

    clients: tuple[SentClient, ...] = Field((), description=_CLIENTS)


DeclarationT = TypeVar("DeclarationT", bound=Declaration)


def declaration_schema() -> Json:
    """Build the JSON Schema of a file (draft 2020-12)."""
    return {
        "$schema": GenerateJsonSchema.schema_dialect,
        **DeclarationFile.model_json_schema(),
        "title": "Watchword registry file",
    }


def write_sent(declaration: Declaration) -> Json:
    """Write a declaration for its journey to a server; it holds secrets."""
    clients = []
    for client in declaration.clients:
        document = write(client.registration)
        if client.secrets is not None:
            document["secrets"] = [
                {
                    "source": secret.source,
                    "client_secret": None if secret.value is None else secret.value.reveal(),
                    "expires_at": write_time(secret.expires_at),
                }
                for secret in client.secrets
            ]
        clients.append(document)
    resources = [describe_resource(resource) for resource in declaration.resources]
    return {"version": VERSION, "resources": resources, "clients": clients}


def read_sent(document: Json) -> SentDeclaration:
    """Read a declaration that has arrived, as `write_sent` writes it.

    Raises:
        InvalidDocument: with every mistake in it.
    """
    sent, mistakes = find_mistakes(SentDeclaration, document)
    if mistakes or sent is None:
        raise InvalidDocument(mistakes)
    return sent


def find_mistakes(
    model: type[DeclarationT], document: Mapping[str, Any]
) -> tuple[DeclarationT | None, list[Mistake]]:
    """Read a declaration by a model, and check what must hold between its parts.

    Returns:
        The declaration, None if the model refuses it; and every mistake, one for each place.
    """
    found: dict[KeyPath, Mistake] = {}
    declaration = None
    try:
        declaration = read(model, document)
    except ValidationError as error:
        found = {each.path: each for each in mistakes_of(error, model)}
    for mistake in _conflicts(document):
        found.setdefault(mistake.path, mistake)
    return declaration, list(found.values())


_Table = Mapping[str, Any]


def _conflicts(values: _Table) -> Iterator[Mistake]:
    """Yield what is given twice, and granted scopes that their resource does not have.

    Works on the values as they were written and passes over what the models refuse, so that one
    mistake does not hide another.
    """
    resources, clients = [list(_tables(values, name)) for name in ("resources", "clients")]
    yield from _repeated(_texts(resources, "resource"))
    yield from _repeated(_texts(clients, "client_id"))
    grants = [each for path, client in clients for each in _tables(client, "grants", path)]
    secrets = [each for path, client in clients for each in _tables(client, "secrets", path)]
    # Two secrets that are written to one file would be one, or one of them lost.
    yield from _repeated(_texts(secrets, "generate_to"))
    scopes = {table["resource"]: table.get("scopes") for _, table in resources if _is_named(table)}
    for path, grant in grants:
        # A resource that is not in the file may be in the registry, which is asked later.
        resource, asked = grant.get("resource"), grant.get("scope")
        known = scopes.get(resource) if isinstance(resource, str) else None
        if isinstance(known, list) and isinstance(asked, str):
            names = [each for each in known if isinstance(each, str)]
            for scope in _scopes_of(asked):
                if scope not in names:
                    why = f"no such scope on {resource}: {scope}{suggest(scope, names)}"
                    yield Mistake((*path, "scope"), why)


def _tables(around: _Table, name: str, path: KeyPath = ()) -> Iterator[tuple[KeyPath, _Table]]:
    listed = around.get(name)
    for index, each in enumerate(listed if isinstance(listed, list) else ()):
        if isinstance(each, dict):
            yield (*path, name, index), each


def _texts(tables: Iterable[tuple[KeyPath, _Table]], name: str) -> Iterator[tuple[KeyPath, str]]:
    for path, table in tables:
        if isinstance(text := table.get(name), str):
            yield (*path, name), text


def _repeated(texts: Iterable[tuple[KeyPath, str]]) -> Iterator[Mistake]:
    seen: dict[str, KeyPath] = {}
    for path, text in texts:
        first = seen.setdefault(text, path)
        if first != path:
            yield Mistake(path, f"is given twice; first as {write_path(first)}")


def _is_named(resource: _Table) -> bool:
    """Tell whether a resource has what could be an identifier, so that messages may have it."""
    text = resource.get("resource")
    return isinstance(text, str) and text.isascii() and text.isprintable()


def _scopes_of(text: str) -> tuple[str, ...]:
    try:
        return parse_scope(text)
    except ValueError:
        return ()
