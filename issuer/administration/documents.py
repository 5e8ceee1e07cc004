"""What administrators write: the registry's documents, and what goes beside them on creation.

A mistake names its place by JSON pointer; no message repeats a value, since that may be a secret.
"""

from collections.abc import Callable
from typing import Annotated, Self, TypeVar

from pydantic import (
    AfterValidator,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    model_validator,
)
from pydantic.dataclasses import dataclass
from pydantic_core import ErrorDetails

from issuer.administration.errors import InvalidDocument, Mistake, write_pointer
from issuer.registry.client import ClientRegistration
from issuer.registry.errors import InvalidValue
from issuer.registry.schema import MODEL, Document, Json, Scopes, Text, Time, read
from issuer.registry.secret_hash import check_secret

T = TypeVar("T")

MAXIMUM_MISTAKES = 100
"""Mistakes that are told at once."""

_WORDS = {
    "missing": "is missing",
    "extra_forbidden": "is not known here",
    "unexpected_keyword_argument": "is not known here",
    "string_type": "must be a string",
    "int_type": "must be a whole number",
    "bool_type": "must be true or false",
    "list_type": "must be an array",
    "tuple_type": "must be an array",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "dataclass_type": "must be an object",
    "too_short": "must not be empty",
    "too_long": "must have at most {max_length} members",
    "string_too_short": "must not be empty",
    "string_too_long": "must have at most {max_length} characters",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be {expected}",
}

SecretText = Annotated[Text, AfterValidator(check_secret)]


@dataclass(frozen=True, slots=True, kw_only=True, config=MODEL)
class WantedClientDocument(ClientRegistration):
    """A client as somebody wants it.

    Instead of `grants` it may say `resources` and `scope`, which is the same with less to write.
    """

    resources: Annotated[tuple[Text, ...], Field(min_length=1)] | None = Field(
        default=None, description="what it may get tokens for; the configured API if left out"
    )
    scope: Scopes | None = Field(
        default=None, description="what it may ask for on them; nothing if left out"
    )

    @model_validator(mode="wrap")
    @classmethod
    def _check_grants(cls, document: object, read: ModelWrapValidatorHandler[Self]) -> Self:
        found = read(document)
        members = document if isinstance(document, dict) else {}
        if "grants" in members and {"resources", "scope"} & members.keys():
            raise ValueError("has either grants, or resources and scope")
        if "all_scopes" in members and {"grants", "scope"} & members.keys():
            raise ValueError("has either all_scopes, or scope or grants")
        return found


@dataclass(frozen=True, slots=True, kw_only=True, config=MODEL)
class NewClientDocument(WantedClientDocument):
    """A client to be registered."""

    all_scopes: bool = Field(
        default=False,
        strict=True,
        description="instead of `scope`: all that its resources have now",
    )
    client_secret: SecretText | None = Field(
        default=None, repr=False, description="its first secret; one is made if left out"
    )
    client_secret_expires_at: Time | None = Field(
        default=None, description="when its first secret ends; never if left out"
    )

    @model_validator(mode="after")
    def _check_secret(self) -> Self:
        method = self.token_endpoint_auth_method
        given = self.client_secret is not None or self.client_secret_expires_at is not None
        if given and not method.uses_secret:
            raise ValueError(f"{method} has no secret")
        return self


class NewSecretDocument(Document):
    """A secret to be added."""

    client_secret: SecretText | None = Field(
        None, repr=False, description="the secret; one is made if left out"
    )
    starts_at: Time | None = Field(None, description="from when it counts; at once if left out")
    expires_at: Time | None = Field(None, description="when it ends; never if left out")
    expires_in: int | None = Field(
        None, ge=1, description="seconds from now until it ends, instead of `expires_at`"
    )

    @model_validator(mode="after")
    def _check_end(self) -> Self:
        if self.expires_at is not None and self.expires_in is not None:
            raise ValueError("has either expires_at or expires_in")
        return self

    def end(self, now: int) -> int | None:
        """Return when it ends, seconds since the epoch."""
        if self.expires_in is not None:
            return now + self.expires_in
        return self.expires_at


def read_document(model: type[T], document: Json) -> T:
    """Read a document.

    Raises:
        InvalidDocument: with every mistake in it.
    """
    try:
        return read(model, document)
    except ValidationError as error:
        raise InvalidDocument(mistakes_of(error)) from None


def built(build: Callable[[], T]) -> T:
    """Count what the registry cannot accept of a whole document as a mistake in it.

    Raises:
        InvalidDocument: with that mistake.
    """
    try:
        return build()
    except InvalidValue as error:
        raise InvalidDocument([("", str(error))]) from None


def mistakes_of(error: ValidationError) -> list[Mistake]:
    """Say in our words what a model found wrong, at most `MAXIMUM_MISTAKES`."""
    return [
        (write_pointer(details["loc"]), _why(details))
        for details in error.errors(include_url=False, include_input=False)[:MAXIMUM_MISTAKES]
    ]


def _why(details: ErrorDetails) -> str:
    words = _WORDS.get(details["type"])
    if words is None:
        return details["msg"].removeprefix("Value error, ")
    return words.format(**details.get("ctx", {}))
