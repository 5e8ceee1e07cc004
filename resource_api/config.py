"""The policy of one protected resource, and the metadata document that publishes it (RFC 9728)."""

import json
import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import TypeVar
from urllib.parse import unquote, urlsplit

from keys.identifiers import (
    InsecureHttp,
    check_issuer,
    check_resource,
    insert_well_known,
    publishes_metadata,
)
from keys.jwt import MAX_TOKEN_BYTES
from keys.key_types import ALGORITHMS
from resource_api.confirmation import REQUIRED_MEMBERS, RequiredBinding
from resource_api.open_routes import encode_path
from resource_api.profiles import TokenProfile, find_profile
from resource_api.scope import check_scope_names

Given = TypeVar("Given")
Checked = TypeVar("Checked")

_MAX_LEEWAY = 60
_WORD = re.compile(r"[A-Za-z0-9._~/-]{1,255}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourcePolicy:
    """Say which tokens one API accepts; an instance that exists is sound.

    One issuer and one resource identifier (audience); another pair is another instance. Times are
    seconds.

    Raises:
        ValueError: a value that would make the checks meaningless.
    """

    issuer: str
    """The issuer identifier, compared byte for byte with `iss` (RFC 9068 §4)."""
    resource: str
    """This API's own identifier, which `aud` must contain (RFC 9068 §4, RFC 9728 §2)."""
    profile: TokenProfile | str = "rfc9068"
    """What the issuer's tokens look like: `rfc9068`, `keycloak`, `auth0`, `entra`, `cognito`,
    `okta`, or a profile of one's own."""
    token_profile: TokenProfile = field(init=False, repr=False, compare=False)
    """The profile that `profile` names or is."""
    algorithms: Collection[str] = ("RS256",)
    """The `alg` values that are accepted (RFC 8725 §3.1); several while an issuer changes."""
    leeway: int = 10
    """How far two clocks may differ; at most 60."""
    max_token_bytes: int = MAX_TOKEN_BYTES
    """The longest token that is looked at."""
    max_lifetime: int = 86_400
    """The longest `exp - iat` that is accepted."""
    status_lists: str = ""
    """The URL below which the issuer's status lists are; by default the issuer identifier."""
    allow_insecure_http: InsecureHttp = False
    """Which other machines the issuer may be on with plain http: for a compose file or a cluster
    without TLS. True for the hosts of a private network, a collection of host names for these
    besides; a machine on the way can put its own keys in place of the issuer's."""
    binding_required: RequiredBinding = ""
    """What tokens must be bound to: `dpop`, `certificate`, `any` of the two, or nothing."""
    status_required: bool = False
    """Whether each token must name a place on a status list, so that it can be revoked."""
    realm: str = "api"
    """The `realm` of challenges (RFC 9110 §11.5)."""
    scopes_supported: tuple[str, ...] = ()
    """What the RFC 9728 document names, and challenges where nothing narrower is known."""

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        check_url = partial(check_issuer, allow_insecure_http=self.allow_insecure_http)
        _check("issuer", check_url, self.issuer)
        profile = _check("profile", find_profile, self.profile)
        object.__setattr__(self, "token_profile", profile)
        check = partial(check_audience, profile=profile)
        _check("resource", check, self.resource)
        # A string would be a collection of its letters.
        if not self.algorithms or not ALGORITHMS.keys() >= set(self.algorithms):
            raise ValueError("algorithms must be some of " + ", ".join(ALGORITHMS))
        if not 0 <= self.leeway <= _MAX_LEEWAY:
            raise ValueError("leeway must be between 0 and 60 seconds")
        if self.max_token_bytes <= 0 or self.max_lifetime <= 0:
            raise ValueError("bounds must be positive")
        if self.binding_required not in REQUIRED_MEMBERS:
            raise ValueError('binding_required must be "", "any", "dpop" or "certificate"')
        if not self.realm.isascii() or not self.realm.isprintable() or set('"\\') & set(self.realm):
            raise ValueError("realm must be printable ASCII without quotes")
        if self.status_lists:
            # Like an issuer identifier: what is below it can be told without decoding anything.
            _check("status_lists", check_url, self.status_lists)
        if self.scopes_supported:
            check_scope_names(self.scopes_supported)


def _check(name: str, check: Callable[[Given], Checked], value: Given) -> Checked:
    try:
        return check(value)
    except ValueError as error:
        raise ValueError(f"{name} {error}") from None


def check_audience(identifier: str, profile: TokenProfile) -> str:
    """Return an API's identifier unchanged if tokens of a profile may have it as their audience.

    Raises:
        ValueError: it is no absolute URI without a fragment, nor a word where the profile allows
            one.
    """
    if not profile.plain_audience or ":" in identifier:
        return check_resource(identifier)
    if _WORD.fullmatch(identifier) is None:
        raise ValueError("must be a URI, or a word of letters, digits, '.', '_', '~', '/' and '-'")
    return identifier


WELL_KNOWN = "oauth-protected-resource"


@lru_cache(maxsize=64)  # asked for with every refusal; a resource has few root paths
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


def build_metadata(
    resource: str,
    policies: Collection[ResourcePolicy],
    scopes: Iterable[str] = (),
    *,
    proof_algorithms: Collection[str] = (),
    takes_certificates: bool = False,
) -> bytes:
    """Write the document of a resource; empty arrays are left out (§3.2).

    Args:
        resource: its identifier.
        policies: one for each issuer that it trusts.
        scopes: to be named besides those that the policies name.
        proof_algorithms: what DPoP proofs may be signed with; none where it takes no proofs.
        takes_certificates: whether it is known to see client certificates.
    """
    required = {policy.binding_required for policy in policies}
    document: dict[str, object] = {
        "resource": resource,
        "authorization_servers": [policy.issuer for policy in policies],
        "bearer_methods_supported": ["header"],
    }
    named = dict.fromkeys(scope for policy in policies for scope in policy.scopes_supported)
    if supported := [*(named | dict.fromkeys(scopes))]:
        document["scopes_supported"] = supported
    if proof_algorithms:
        document["dpop_signing_alg_values_supported"] = [*proof_algorithms]
    if required == {"dpop"}:
        document["dpop_bound_access_tokens_required"] = True
    if takes_certificates or "certificate" in required:
        document["tls_client_certificate_bound_access_tokens"] = True
    return json.dumps(document, separators=(",", ":")).encode()
