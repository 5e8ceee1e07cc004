"""What clients and resources are named by, wherever it is written (RFC 6749 §2.2, RFC 8707 §2)."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from issuer.registry.errors import InvalidValue
from issuer.registry.schema import Text
from keys.identifiers import check_resource

# RFC 6749 appendix A.1: client-id = *VSCHAR. The space is left out (RFC 6749 allows it), since it
# would be lost in log lines and shells.
_CLIENT_ID = re.compile(r"[\x21-\x7e]{1,255}")


def check_client_id(text: str) -> str:
    """Return a client id unchanged if it is 1 to 255 visible ASCII characters.

    Raises:
        InvalidValue: the id is empty, too long, or holds a space, control or non-ASCII character.
    """
    if not _CLIENT_ID.fullmatch(text):
        raise InvalidValue("a client id is 1 to 255 visible ASCII characters without space")
    return text


ClientId = Annotated[
    Text,
    AfterValidator(check_client_id),
    Field(json_schema_extra={"pattern": f"^{_CLIENT_ID.pattern}$"}),
]


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
