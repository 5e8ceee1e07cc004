"""The protected resource metadata document and where it is (RFC 9728 §2, §3.1)."""

import json
from collections.abc import Sequence
from urllib.parse import unquote, urlsplit

from keys.identifiers import insert_well_known, publishes_metadata
from resource_api.config import ResourcePolicy
from resource_api.open_routes import encode_path

WELL_KNOWN = "oauth-protected-resource"


def metadata_url(resource: str, root_path: str = "") -> str | None:
    """Give the URL of the document, or None for a resource that cannot have one."""
    # RFC 9728 §1.2: an https URL; not `urn:`, `api:` or plain http to another machine.
    if not publishes_metadata(resource):
        return None
    # §3.1: the well-known name goes between host and path.
    url = insert_well_known(resource, WELL_KNOWN)
    root = encode_path(root_path.rstrip("/")).decode()
    # An application that is mounted below a root path gets requests below it alone, so there the
    # challenge (§5.1) points to the document that it serves below that path.
    if not root:
        return url
    parts = urlsplit(url)
    return parts._replace(path=root + parts.path).geturl()


def metadata_path(resource: str) -> str | None:
    """Give the path on which this API serves the document, decoded as servers decode it."""
    url = metadata_url(resource)
    return None if url is None else unquote(urlsplit(url).path)


def build_metadata(policies: Sequence[ResourcePolicy]) -> bytes:
    """Write the document of a resource; empty arrays are left out (§3.2).

    Args:
        policies: of this one resource, one for each issuer that it trusts.
    """
    document: dict[str, object] = {
        "resource": policies[0].resource,
        "authorization_servers": [policy.issuer for policy in policies],
        "bearer_methods_supported": ["header"],
    }
    scopes = dict.fromkeys(scope for policy in policies for scope in policy.scopes_supported)
    if scopes:
        document["scopes_supported"] = list(scopes)
    return json.dumps(document, separators=(",", ":")).encode()
