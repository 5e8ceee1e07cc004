"""The name of a resource, wherever it is written: its identifier URI (RFC 8707 §2)."""

from typing import Annotated

from pydantic import AfterValidator, Field

from issuer.registry.errors import InvalidValue
from issuer.registry.schema import Text
from keys.identifiers import check_resource


def check_resource_identifier(text: str) -> str:
    """Return a resource identifier unchanged if RFC 8707 §2 allows it.

    Raises:
        InvalidValue: it is not an absolute URI without fragment, of at most 2048 characters.
    """
    try:
        check_resource(text)
    except ValueError as error:
        raise InvalidValue(f"the resource identifier {text!a} {error}") from None
    return text


ResourceName = Annotated[
    Text,
    AfterValidator(check_resource_identifier),
    Field(json_schema_extra={"format": "uri", "maxLength": 2048}),
]
