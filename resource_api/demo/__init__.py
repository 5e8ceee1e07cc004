"""The demo API."""

from typing import Final

PUBLIC: Final = "/public"
READ_RESOURCE: Final = "/read-resource"
WRITE_RESOURCE: Final = "/write-resource"
PATHS: Final = (PUBLIC, READ_RESOURCE, WRITE_RESOURCE)
