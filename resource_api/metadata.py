"""Own the protected resource metadata document (RFC 9728 §2, §3.1)."""

import json
from urllib.parse import unquote, urlsplit

from resource_api.config import ResourcePolicy, insert_well_known

WELL_KNOWN = "oauth-protected-resource"


def metadata_url(resource: str) -> str:
    """Give the URL of the document: the well-known name goes between host and path (§3.1)."""
    return insert_well_known(resource, WELL_KNOWN)


def metadata_path(resource: str) -> str:
    """Give the path on which this API serves the document, decoded as servers decode it."""
    return unquote(urlsplit(metadata_url(resource)).path)


def build_metadata(policy: ResourcePolicy) -> bytes:
    """Write the document; empty arrays are left out (§3.2)."""
    document: dict[str, object] = {
        "resource": policy.resource,
        "authorization_servers": [policy.issuer],
        "bearer_methods_supported": ["header"],
    }
    if policy.scopes_supported:
        document["scopes_supported"] = list(policy.scopes_supported)
    return json.dumps(document, separators=(",", ":")).encode()
