"""The administration API over HTTP."""

from typing import Final

BASE: Final = "/admin/api/v1"
"""The path of the API below the issuer."""
