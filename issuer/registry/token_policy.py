"""What a resource asks of the tokens for it: life, algorithm, sender constraint."""

from dataclasses import dataclass

from issuer import config
from issuer.registry.errors import InvalidValue
from keys.algorithms import ALGORITHMS


def check_token_ttl(seconds: int | None) -> None:
    """Refuse a token lifetime that `issuer.config` does not allow; None is no opinion.

    Raises:
        InvalidValue: the lifetime is out of bounds.
    """
    if seconds is None:
        return
    try:
        config.check_token_ttl(seconds)
    except ValueError as error:
        raise InvalidValue(f"a token lifetime {error}") from None


def check_signing_alg(name: str | None) -> None:
    """Refuse a JWS algorithm that nothing is signed with here; None is no opinion.

    Raises:
        InvalidValue: it is not in the table (RFC 8725 §3.1).
    """
    if name is not None and name not in ALGORITHMS:
        known = " or ".join(ALGORITHMS)
        raise InvalidValue(f"{name!a} is no signing algorithm here; use {known}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPolicy:
    """How tokens for one resource are made.

    Args:
        token_ttl: life in seconds; None leaves it to the client and the settings.
        signing_alg: the JWS algorithm (RFC 7518 §3.1); None takes the configured one.
        dpop_required: tokens must be bound to a DPoP key (RFC 9449 §5).
        certificate_required: tokens must be bound to a client certificate (RFC 8705 §3).

    Raises:
        InvalidValue: a field is outside what the registry accepts.
    """

    token_ttl: int | None = None
    signing_alg: str | None = None
    dpop_required: bool = False
    certificate_required: bool = False

    def __post_init__(self) -> None:
        check_token_ttl(self.token_ttl)
        check_signing_alg(self.signing_alg)


NO_POLICY = TokenPolicy()
"""For resources that ask for nothing of their own."""
