"""What administrators write: the registry's documents, and what goes beside them on creation.

A mistake names its place by JSON pointer; no message repeats what was written, since that may be a
secret.
"""

from collections.abc import Sequence
from typing import Annotated, Self, TypeVar

from pydantic import AfterValidator, Field, ValidationError, model_validator

from issuer.admin.errors import InvalidDocument, Mistake, write_pointer
from issuer.registry.auth_method import AuthMethod
from issuer.registry.documents import ClientDocument, Document, ScopeText, TimeText
from issuer.registry.errors import InvalidValue
from issuer.registry.representation import Json
from issuer.registry.rfc3339 import parse_time
from issuer.registry.secret_hash import check_secret

DocumentT = TypeVar("DocumentT", bound=Document)

_WORDS = {
    "missing": "is missing",
    "extra_forbidden": "is not known here",
    "string_type": "must be a string",
    "int_type": "must be a whole number",
    "bool_type": "must be true or false",
    "list_type": "must be an array",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "too_short": "must not be empty",
}


def _is_secret(text: str) -> str:
    try:
        check_secret(text)
    except InvalidValue as error:
        raise ValueError(str(error)) from None
    return text


SecretText = Annotated[str, AfterValidator(_is_secret)]


class NewClientDocument(ClientDocument):
    """A client to be registered.

    Instead of `grants` it may say `resources` and `scope`, which is the same with less to write.
    """

    resources: list[str] | None = Field(
        None, min_length=1, description="what it may get tokens for; the configured API if left out"
    )
    scope: ScopeText | None = Field(
        None, description="what it may ask for on them; all that they have if left out"
    )
    client_secret: SecretText | None = Field(
        None, repr=False, description="its first secret; one is made if left out"
    )
    client_secret_expires_at: TimeText | None = Field(
        None, description="when its first secret ends; never if left out"
    )

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        given = self.model_fields_set
        if "grants" in given and {"resources", "scope"} & given:
            raise ValueError("has either grants, or resources and scope")
        of_secret = {"client_secret", "client_secret_expires_at"} & given
        method = AuthMethod(self.token_endpoint_auth_method)
        if of_secret and not method.uses_secret:
            raise ValueError(f"{method} has no secret")
        return self


class NewSecretDocument(Document):
    """A secret to be added."""

    client_secret: SecretText | None = Field(
        None, repr=False, description="the secret; one is made if left out"
    )
    starts_at: TimeText | None = Field(None, description="from when it counts; at once if left out")
    expires_at: TimeText | None = Field(None, description="when it ends; never if left out")
    expires_in: int | None = Field(
        None, ge=1, description="seconds from now until it ends, instead of `expires_at`"
    )

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.expires_at is not None and self.expires_in is not None:
            raise ValueError("has either expires_at or expires_in")
        return self

    def end(self, now: int) -> int | None:
        """Return when it ends, seconds since the epoch."""
        if self.expires_in is not None:
            return now + self.expires_in
        return None if self.expires_at is None else parse_time(self.expires_at)


def read_document(model: type[DocumentT], document: Json) -> DocumentT:
    """Read a document.

    Raises:
        InvalidDocument: with every mistake in it.
    """
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise InvalidDocument(_mistakes(error)) from None


def _mistakes(error: ValidationError) -> Sequence[Mistake]:
    return [
        (write_pointer(details["loc"]), _why(details["type"], details["msg"]))
        for details in error.errors(include_url=False, include_input=False)
    ]


def _why(kind: str, message: str) -> str:
    return _WORDS.get(kind, message.removeprefix("Value error, "))
