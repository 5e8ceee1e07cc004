"""Where the administration API is; apart from all that it needs, for whoever mounts it."""

from typing import Final

BASE: Final = "/admin/api/v1"
"""The path below the issuer."""
