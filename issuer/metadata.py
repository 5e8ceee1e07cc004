"""The issuer's metadata document, derived from the tables of methods and grants (RFC 8414 §2)."""

from collections.abc import Collection, Iterable

from issuer.config import IssuerConfig
from issuer.grants import GRANTS
from issuer.profile import OPEN, SecurityProfile
from issuer.registry.auth_methods import HMAC_ALGORITHM, AuthMethod
from issuer.registry.grant_types import JWT_BEARER
from issuer.status.positions import LISTS_PATH

AUTHORIZATION_PATH = "/authorize"
TOKEN_PATH = "/token"  # noqa: S105 - a path
JWKS_PATH = "/jwks"
INTROSPECTION_PATH = "/introspect"
REVOCATION_PATH = "/revoke"
REGISTRATION_PATH = "/register"
_AUTHENTICATING = {
    "token": TOKEN_PATH,
    "revocation": REVOCATION_PATH,
    "introspection": INTROSPECTION_PATH,
}
_WELL_KNOWN = "/.well-known/oauth-authorization-server"
_WELL_KNOWN_OPENID = "/.well-known/openid-configuration"


def build_metadata(
    config: IssuerConfig,
    *,
    methods: Collection[AuthMethod],
    scopes: Iterable[str] = (),
    algorithms: Iterable[str] = (),
    details_types: Iterable[str] = (),
    signing_alg: str = "RS256",
    profile: SecurityProfile = OPEN,
) -> dict[str, object]:
    """Build the metadata document.

    Args:
        config: the issuer; its identifier appears verbatim.
        methods: by which clients authenticate, the one to prefer first.
        scopes: the scopes that resources understand; left out if there are none.
        algorithms: those that access tokens are signed with; left out if there are none.
        details_types: the types of authorization details that resources understand, likewise.
        signing_alg: what everything else is signed with.
        profile: bounds all algorithms.
    """
    federated = AuthMethod.FEDERATED in profile.methods
    document: dict[str, object] = {
        "issuer": config.issuer,
        **_authenticating_endpoints(config.base),
        "jwks_uri": config.base + JWKS_PATH,
        # Of our own (RFC 8414 §2 allows for that); `keys.remote` reads it.
        "jwks_revalidation_seconds": config.jwks_revalidation_seconds,
        "registration_endpoint": config.base + REGISTRATION_PATH,
        # Token Status List §9.1.
        "status_list_aggregation_endpoint": config.base + LISTS_PATH,
        "grant_types_supported": [each for each in GRANTS if federated or each != JWT_BEARER],
        # RFC 8414 §2: left out, it would mean client_secret_basic alone.
        **{f"{each}_endpoint_auth_methods_supported": list(methods) for each in _AUTHENTICATING},
        "dpop_signing_alg_values_supported": list(profile.proof_algorithms),  # RFC 9449 §5.1
        "introspection_signing_alg_values_supported": [signing_alg],  # RFC 9701 §7
        # REQUIRED by RFC 8414 §2; an authorization endpoint, if there is one, refuses them all.
        "response_types_supported": [],
    }
    # RFC 8414 §2: MUST be there with a method of assertions.
    signing = [*profile.assertion_algorithms] if AuthMethod.PRIVATE_KEY_JWT in methods else []
    if AuthMethod.CLIENT_SECRET_JWT in methods:
        signing.append(HMAC_ALGORITHM)
    for each in _AUTHENTICATING if signing else ():
        document[f"{each}_endpoint_auth_signing_alg_values_supported"] = signing
    if config.client_certificates:
        document["tls_client_certificate_bound_access_tokens"] = True  # RFC 8705 §3.3
    if config.mtls_base is not None:
        document["mtls_endpoint_aliases"] = _authenticating_endpoints(config.mtls_base)  # §5
    if config.authorization_endpoint:
        document["authorization_endpoint"] = config.base + AUTHORIZATION_PATH
    if names := sorted(set(scopes)):
        document["scopes_supported"] = names
    if names := sorted(set(details_types)):
        document["authorization_details_types_supported"] = names  # RFC 9396 §10
    # RFC 8414 has no name for it, and allows further ones (§2); after RFC 9701's
    # `introspection_signing_alg_values_supported`.
    if names := sorted(set(algorithms) & set(profile.token_algorithms)):
        document["access_token_signing_alg_values_supported"] = names
    return document


def _authenticating_endpoints(base: str) -> dict[str, str]:
    return {f"{name}_endpoint": base + path for name, path in _AUTHENTICATING.items()}


def metadata_paths(config: IssuerConfig) -> tuple[str, ...]:
    """List where the document is served: inserted before the issuer's path (RFC 8414 §3.1).

    For clients of OpenID Connect it is also at their well-known name, inserted and, as OpenID
    Connect Discovery §4 has it, appended (RFC 8414 §5).
    """
    inserted = (_WELL_KNOWN + config.path, _WELL_KNOWN_OPENID + config.path)
    return inserted if not config.path else (*inserted, config.path + _WELL_KNOWN_OPENID)
