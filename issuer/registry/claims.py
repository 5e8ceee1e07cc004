"""Constant claims: what an operator has in every token of a client, or for a resource.

Which names are free is one rule for constant claims and claim hooks.
"""

from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from issuer.registry.errors import InvalidValue
from issuer.registry.schema import check_json_size

MAXIMUM_BYTES = 2048
"""Bytes of the constant claims of one client or resource: they travel with every request."""

_LONGEST_NAME = 255

CLOSED_CLAIMS = frozenset(
    # RFC 7519 §4.1, RFC 9068 §2.2, RFC 7800 §3.1, RFC 8693 §4, RFC 9396 §9.1, and the status of a
    # token (Token Status List §6.1): what a resource server decides by.
    {"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "scope", "auth_time", "acr"}
    | {"amr", "cnf", "act", "may_act", "authorization_details", "status"}
    # What some libraries read where `scope` and `client_id` are meant.
    | {"scp", "cid", "azp", "appid"}
    # OpenID Connect Core §2, §3.3.2.11, and RFC 8417 §2.2: of an ID token, logout or event.
    | {"nonce", "at_hash", "c_hash", "s_hash", "sid", "events", "toe", "txn"}
    # OpenID Connect Core §5.1, §5.6.2: a person, and where claims of another party are.
    | {"email", "email_verified", "phone_number", "phone_number_verified", "preferred_username"}
    | {"upn", "sub_id", "sub_jwk", "verified_claims", "_claim_names", "_claim_sources"}
    # RFC 7662 §2.2, RFC 9701 §5: members of an introspection response.
    | {"active", "username", "token_type", "token_introspection"}
    # RFC 9449 §4.2, RFC 9200 §5.10, RFC 8747: proofs of possession and lives of other formats.
    | {"htm", "htu", "ath", "exi", "cnonce", "ace_profile", "rs_cnf"}
    # SD-JWT, status lists, verifiable credentials: other kinds of JWT.
    | {"_sd", "_sd_alg", "vc", "vct", "vp", "status_list", "ttl"}
)
"""Names that neither constant claims nor hooks may have, whether or not the token has the claim."""


def check_claim_names(names: Iterable[object]) -> None:
    """Refuse names that a resource server would take for something else, or nobody could read.

    Raises:
        InvalidValue: naming the first one.
    """
    for name in names:
        if not isinstance(name, str):
            raise InvalidValue("the name of a claim is a string")
        if not (1 <= len(name) <= _LONGEST_NAME and name.isprintable()):
            raise InvalidValue(f"the name of a claim is 1 to {_LONGEST_NAME} printable characters")
        if name in CLOSED_CLAIMS:
            raise InvalidValue(f"the claim {name} has a meaning of its own; choose another name")


def _check_claims(claims: dict[str, Any]) -> dict[str, Any]:
    check_claim_names(claims)
    check_json_size(claims, "claims", maximum=MAXIMUM_BYTES)
    return claims


Claims = Annotated[
    dict[str, Any],
    AfterValidator(_check_claims),
    Field(
        json_schema_extra={
            "propertyNames": {
                "minLength": 1,
                "maxLength": _LONGEST_NAME,
                "not": {"enum": sorted(CLOSED_CLAIMS)},
            }
        }
    ),
]
"""Claims by name: an object of JSON, of at most `MAXIMUM_BYTES`."""
