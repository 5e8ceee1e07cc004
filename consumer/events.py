"""Events of a source of tokens: their fixed names, the reasons of failures, and the log."""

import logging
from collections.abc import Callable, Mapping
from enum import StrEnum

from consumer.errors import (
    ConsumerError,
    CredentialUnavailable,
    InsecureUrl,
    InvalidTokenResponse,
    MetadataError,
    TokenRequestRefused,
)
from keys.events import LogEvents

LOGGER = logging.getLogger("watchword.consumer")


class Event(StrEnum):
    """An event by the name that log lines and metrics have; a name never changes."""

    TOKEN_RENEWED = "token.renewed"  # noqa: S105 - a name
    TOKEN_SHARED = "token.shared"  # noqa: S105
    """A store had one that another process got; the issuer was not asked."""
    TOKEN_RENEWAL_FAILED = "token.renewal_failed"  # noqa: S105
    """There is a token to go on with: no caller is told otherwise."""
    TOKEN_REQUEST_FAILED = "token.request_failed"  # noqa: S105
    """There is none, and the callers get the error."""
    TOKEN_REJECTED = "token.rejected"  # noqa: S105
    """An API refused one."""


_REMEDIES: Mapping[str, str] = {
    Event.TOKEN_RENEWAL_FAILED: "the old token is used while it lives",
    Event.TOKEN_REJECTED: "was it revoked, and does the API trust this issuer?",
}
# Of RFC 6749 §5.2, RFC 8707 §2, RFC 9396 §5 and RFC 9449 §5; what else an issuer says is no reason
# of ours.
_CODES = frozenset(
    {
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
        "invalid_target",
        "invalid_authorization_details",
        "invalid_dpop_proof",
        "use_dpop_nonce",
    }
)


def log_events(*, clock: Callable[[], float], about: str = "") -> LogEvents:
    """Make the sink of a source that names none: the logger `watchword.consumer`.

    Args:
        clock: monotonic seconds.
        about: the settings that warnings repeat.
    """
    return LogEvents(clock=clock, remedies=_REMEDIES, about=about, logger=LOGGER)


def reason_of(error: ConsumerError | None) -> str:
    """Name why there is no token, in one of a few words; None is a request that was broken off."""
    match error:
        case None:
            return "broken_off"
        case TokenRequestRefused():
            return error.code if error.code in _CODES else "refused"
        case InvalidTokenResponse():
            return "invalid_response"
        case MetadataError():
            return "invalid_metadata"
        case CredentialUnavailable():
            return "no_credential"
        case InsecureUrl():
            return "insecure_url"
        case _:
            return "unreachable"
