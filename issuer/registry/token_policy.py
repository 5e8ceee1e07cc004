"""What a resource asks of the tokens for it: life, algorithm, sender constraint."""

from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic.dataclasses import dataclass

from issuer.registry.errors import InvalidValue
from issuer.registry.schema import MODEL, Flag, Option, Text, TokenTtl
from keys.algorithms import ALGORITHMS


def check_signing_alg(name: str) -> str:
    """Return a JWS algorithm unchanged if tokens can be signed with it.

    Raises:
        InvalidValue: it is not in the table (RFC 8725 §3.1).
    """
    if name not in ALGORITHMS:
        known = " or ".join(ALGORITHMS)
        raise InvalidValue(f"{name!a} is no signing algorithm here; use {known}")
    return name


_SigningAlg = Annotated[
    Text, AfterValidator(check_signing_alg), Field(json_schema_extra={"enum": list(ALGORITHMS)})
]


@dataclass(frozen=True, slots=True, kw_only=True, config=MODEL)
class TokenPolicy:
    """How tokens for one resource are made; the names of the requirements are of RFC 9728 §2."""

    token_ttl: Annotated[
        TokenTtl | None, Option(flag="--token-ttl", metavar="SECONDS", unset=True)
    ] = Field(default=None, description="life of tokens for it in seconds")
    signing_alg: Annotated[_SigningAlg | None, Option(flag="--alg", metavar="ALG", unset=True)] = (
        Field(default=None, description="how tokens for it are signed")
    )
    dpop_bound_access_tokens_required: Annotated[Flag, Option(flag="--dpop/--no-dpop")] = Field(
        default=False, description="only DPoP-bound tokens"
    )
    tls_client_certificate_bound_access_tokens: Annotated[
        Flag, Option(flag="--certificate-bound/--no-certificate-bound")
    ] = Field(default=False, description="only certificate-bound tokens")
