"""The one schema of declarations, in TOML and in YAML; editors get it as JSON Schema."""

from typing import Annotated, Any, Final, Literal, Self

from pydantic import ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass
from pydantic.json_schema import GenerateJsonSchema

from issuer.registry.client import ClientRegistration, ResourcePermission
from issuer.registry.client_secret import MAXIMUM_SECRETS
from issuer.registry.resource import Resource
from issuer.registry.schema import MODEL, Document, Time

VERSION: Final = 1
"""The version of the format that is read here."""

SOURCES = ("env", "file", "generate_to")
"""Where a secret can come from; a reference names one."""


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
    expires_at: Time | None = Field(None, description="when it ends; as it is if left out")

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


@dataclass(frozen=True, slots=True, kw_only=True, config=MODEL)
class DeclaredClient(ClientRegistration):
    """A client as it should be, with where its secrets are."""

    secrets: Annotated[list[SecretReference], Field(max_length=MAXIMUM_SECRETS)] | None = Field(
        default=None,
        description="its secrets; left alone if there is no such list",
    )

    @model_validator(mode="after")
    def _check_whole(self) -> Self:
        method = self.token_endpoint_auth_method
        if self.secrets and not method.uses_secret:
            raise ValueError(f"{method} uses no secrets")
        return self


class Declaration(Document):
    """Clients and resources as they should be."""

    editor_schema: str | None = Field(
        None, alias="$schema", description="where editors find this schema; not used otherwise"
    )
    version: Literal[1] = Field(VERSION, description="of this format")
    resources: list[Resource] = Field(
        default_factory=list, description="the APIs that tokens are for"
    )
    clients: list[DeclaredClient] = Field(
        default_factory=list, description="who may ask for tokens"
    )

    @property
    def names_nothing(self) -> bool:
        """Whether the file has neither of the lists, not even an empty one."""
        return not {"resources", "clients"} & self.model_fields_set


LISTED: dict[str, type[Any]] = {
    "resources": Resource,
    "clients": DeclaredClient,
    "grants": ResourcePermission,
    "secrets": SecretReference,
}
"""What the lists of a declaration hold, by their names."""


def declaration_schema() -> dict[str, Any]:
    """Build the JSON Schema of a declaration (draft 2020-12)."""
    return {
        "$schema": GenerateJsonSchema.schema_dialect,
        **Declaration.model_json_schema(),
        "title": "Watchword registry file",
    }
