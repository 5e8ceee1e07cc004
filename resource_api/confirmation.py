"""The claim `cnf` of an access token: what the caller has to possess. Pure.

RFC 7800 §3.1, RFC 9449 §6.1 (`jkt`), RFC 8705 §3.1 (`x5t#S256`). Whether the caller possesses it
shows in each request alone: `resource_api.possession`.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal, TypeAlias

from keys.encoding import decode_base64url
from resource_api.errors import InvalidToken, Reason

KEY: Final = "jkt"
"""The member with the thumbprint of a DPoP key."""
CERTIFICATE: Final = "x5t#S256"
"""The member with the thumbprint of a client certificate."""

RequiredBinding: TypeAlias = Literal["", "any", "dpop", "certificate"]
"""What tokens must be bound to: nothing (the empty text), either of both, a DPoP key, or a
certificate."""

REQUIRED_MEMBERS: Final[Mapping[str, frozenset[str]]] = {
    "": frozenset(),
    "any": frozenset({KEY, CERTIFICATE}),
    "dpop": frozenset({KEY}),
    "certificate": frozenset({CERTIFICATE}),
}
"""The members of `cnf` one of which is required, by the value of the setting."""

_MEMBERS = frozenset({KEY, CERTIFICATE})
_DIGEST_OCTETS = 32


def check_confirmation(claims: Mapping[str, Any], required: RequiredBinding) -> None:
    """Check that a token is bound to what can be checked here, and bound at all where it has to be.

    Raises:
        InvalidToken: `cnf` has another member than the two, none, or what is no SHA-256 digest; or
            it lacks what is required.
    """
    if "cnf" not in claims:
        if required:
            raise InvalidToken(Reason.BINDING_REQUIRED)
        return
    confirmation = claims["cnf"]
    # RFC 7800 §3.1 has unknown members ignored, unless an application asks for more: here all of
    # them must be met, since each is a condition of the issuer's.
    if not isinstance(confirmation, dict) or not 0 < len(confirmation.keys() & _MEMBERS) == len(
        confirmation
    ):
        raise InvalidToken(Reason.INVALID_CONFIRMATION)
    if not all(map(_is_digest, confirmation.values())):
        raise InvalidToken(Reason.INVALID_CONFIRMATION)
    if required and not REQUIRED_MEMBERS[required] & confirmation.keys():
        raise InvalidToken(Reason.BINDING_REQUIRED)


def _is_digest(value: object) -> bool:
    """Tell the base64url form of a SHA-256 digest (RFC 7638 §3, RFC 8705 §3.1)."""
    try:
        return isinstance(value, str) and len(decode_base64url(value)) == _DIGEST_OCTETS
    except ValueError:
        return False
