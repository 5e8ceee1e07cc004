"""Errors of the endpoints that authenticate clients (RFC 6749 §5.2, RFC 7009 §2.2.1, RFC 8707 §2).

A class fixes code and status; an instance adds a stable reason (for logs and metrics) and a public
description. Neither echoes input (RFC 6749 §5.2 allows %x20-21 / %x23-5B / %x5D-7E only).
"""

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, ClassVar

from keys.dpop import ProofFault
from keys.errors import JwtFault


class Reason(StrEnum):
    """Why a request was refused: a stable code for logs, scripts and metrics."""

    METHOD_NOT_ALLOWED = "method_not_allowed"
    MEDIA_TYPE = "media_type"
    CONTENT_ENCODING = "content_encoding"
    BODY_TOO_LARGE = "body_too_large"
    MALFORMED_BODY = "malformed_body"
    REPEATED_PARAMETER = "repeated_parameter"
    CREDENTIALS_IN_QUERY = "credentials_in_query"
    SEVERAL_MECHANISMS = "several_mechanisms"
    CLIENT_ID_MISMATCH = "client_id_mismatch"
    NO_CREDENTIALS = "no_credentials"
    UNSUPPORTED_SCHEME = "unsupported_scheme"
    MALFORMED_BASIC = "malformed_basic"
    UNSUPPORTED_METHOD = "unsupported_method"
    WRONG_METHOD = "wrong_method"
    ASSERTION_MALFORMED = "assertion_malformed"
    ASSERTION_TYPE = "assertion_type"
    ASSERTION_ALGORITHM = "assertion_algorithm"
    ASSERTION_IDENTITY = "assertion_identity"
    ASSERTION_AUDIENCE = "assertion_audience"
    ASSERTION_EXPIRED = "assertion_expired"
    ASSERTION_TIMES = "assertion_times"
    ASSERTION_KEY = "assertion_key"
    ASSERTION_KEYS_UNAVAILABLE = "assertion_keys_unavailable"
    ASSERTION_SIGNATURE = "assertion_signature"
    ASSERTION_REPLAYED = "assertion_replayed"
    ASSERTION_SECRET = "assertion_secret"  # noqa: S105 - a reason, not a secret
    ASSERTION_MISSING = "assertion_missing"
    FEDERATED_MISMATCH = "federated_mismatch"
    FEDERATED_TOKEN = "federated_token"  # noqa: S105 - a reason, not a secret
    TRUSTED_ISSUER_UNAVAILABLE = "trusted_issuer_unavailable"
    CERTIFICATE_UNTRUSTED = "certificate_untrusted"
    CERTIFICATE_EXPIRED = "certificate_expired"
    CERTIFICATE_SUBJECT = "certificate_subject"
    CERTIFICATE_KEY = "certificate_key"
    CERTIFICATE_AUTHORITY = "certificate_authority"
    UNKNOWN_CLIENT = "unknown_client"
    WRONG_SECRET = "wrong_secret"  # noqa: S105 - a reason, not a secret
    SECRET_EXPIRED = "secret_expired"  # noqa: S105 - a reason, not a secret
    CLIENT_DISABLED = "client_disabled"
    CLIENT_EXPIRED = "client_expired"
    TOO_MANY_FAILURES = "too_many_failures"
    QUOTA_USED_UP = "quota_used_up"
    TOKEN_MISSING = "token_missing"  # noqa: S105 - a reason, not a secret
    INTROSPECTS_NOTHING = "introspects_nothing"
    FOREIGN_TOKEN = "foreign_token"  # noqa: S105 - a reason, not a secret
    NOT_REVOCABLE = "not_revocable"
    GRANT_TYPE_MISSING = "grant_type_missing"
    UNSUPPORTED_GRANT = "unsupported_grant"
    GRANT_NOT_ALLOWED = "grant_not_allowed"
    NOTHING_GRANTED = "nothing_granted"
    DPOP_REQUIRED = "dpop_required"
    CERTIFICATE_REQUIRED = "certificate_required"
    BINDING_REQUIRED = "binding_required"
    AUTH_METHOD_NOT_TAKEN = "auth_method_not_taken"
    PROFILE_ALGORITHM = "profile_algorithm"
    PROOF_SEVERAL = ProofFault.SEVERAL.value
    PROOF_TOO_LONG = ProofFault.TOO_LONG.value
    PROOF_MALFORMED = ProofFault.MALFORMED.value
    PROOF_TYPE = ProofFault.TYPE.value
    PROOF_ALGORITHM = ProofFault.ALGORITHM.value
    PROOF_KEY = ProofFault.KEY.value
    PROOF_SIGNATURE = ProofFault.SIGNATURE.value
    PROOF_CLAIMS = ProofFault.CLAIMS.value
    PROOF_METHOD = ProofFault.METHOD.value
    PROOF_URL = ProofFault.URL.value
    PROOF_TIME = ProofFault.TIME.value
    PROOF_NONCE = ProofFault.NONCE.value
    PROOF_REPLAYED = ProofFault.REPLAYED.value
    INVALID_TARGET = "invalid_target"
    MALFORMED_SCOPE = "malformed_scope"
    SCOPE_NOT_ALLOWED = "scope_not_allowed"
    RESOURCES_DIFFER = "resources_differ"
    MALFORMED_DETAILS = "malformed_authorization_details"
    DETAILS_NOT_ALLOWED = "authorization_details_not_allowed"
    DETAILS_NOT_VALID = "authorization_details_not_valid"
    DETAILS_ELSEWHERE = "authorization_details_elsewhere"
    SUBJECT_MISSING = "subject_token_missing"
    SUBJECT_TYPE = "subject_token_type"
    ACTOR_TYPE = "actor_token_type"
    ACTOR_TOKEN = "actor_token"  # noqa: S105 - a reason, not a secret
    REQUESTED_TYPE = "requested_token_type"
    NOTHING_EXCHANGED = "nothing_exchanged"
    SUBJECT_AUDIENCE = "subject_audience"
    SUBJECT_IS_OWN = "subject_is_own"
    SUBJECT_BOUND = "subject_bound"
    SUBJECT_NOT_ACTIVE = "subject_not_active"
    SUBJECT_NOT_ALLOWED = "subject_not_allowed"
    MAY_NOT_ACT = "may_not_act"
    CHAIN_TOO_LONG = "chain_too_long"
    SEVERAL_TARGETS = "several_targets"
    TARGET_NOT_EXCHANGED = "target_not_exchanged"
    DETAILS_NOT_EXCHANGED = "authorization_details_not_exchanged"
    MALFORMED_AUTHORIZATION = "malformed_authorization"
    REGISTRATION_TOKEN = "registration_token"  # noqa: S105 - a reason, not a secret
    CLIENT_METADATA = "client_metadata"
    NO_SIGNING_KEY = "no_signing_key"
    CLAIM_HOOK_FAILED = "claim_hook_failed"
    TOKEN_TOO_LONG = JwtFault.TOKEN_TOO_LONG.value
    MALFORMED_TOKEN = JwtFault.MALFORMED_TOKEN.value
    WRONG_TYPE = JwtFault.WRONG_TYPE.value
    WRONG_ALGORITHM = JwtFault.WRONG_ALGORITHM.value
    FORBIDDEN_HEADER = JwtFault.FORBIDDEN_HEADER.value
    INVALID_KID = JwtFault.INVALID_KID.value
    UNKNOWN_KEY = "unknown_key"
    BAD_SIGNATURE = JwtFault.BAD_SIGNATURE.value
    WRONG_ISSUER = "wrong_issuer"
    INVALID_TIME = JwtFault.INVALID_TIME.value
    EXPIRED = JwtFault.EXPIRED.value
    NOT_YET_VALID = JwtFault.NOT_YET_VALID.value
    LIFETIME_TOO_LONG = JwtFault.LIFETIME_TOO_LONG.value
    INVALID_IDENTITY = JwtFault.INVALID_IDENTITY.value
    INVALID_STATUS = "invalid_status"
    TOKEN_REVOKED = "token_revoked"  # noqa: S105 - a reason, not a secret
    TOKEN_SUSPENDED = "token_suspended"  # noqa: S105 - a reason, not a secret
    SIGNER_UNAVAILABLE = "signer_unavailable"
    NO_STATUS_INDEX = "no_status_index"
    STORE_UNAVAILABLE = "store_unavailable"
    OVERLOADED = "overloaded"
    INTERNAL = "internal"


_LONGEST_LISTING = 400  # characters
# RFC 6749 §5.2: error_description = 1*( %x20-21 / %x23-5B / %x5D-7E )
_NOT_DESCRIBABLE = re.compile(r"[^\x20\x21\x23-\x5b\x5d-\x7e]")


def listing(words: str, names: Iterable[str]) -> str:
    """List what an operator has named, in the characters and the length of a description."""
    listed = _NOT_DESCRIBABLE.sub("?", " ".join(names))
    if len(listed) > _LONGEST_LISTING:
        listed = listed[:_LONGEST_LISTING] + "..."
    return f"{words}: {listed}"


class OAuthError(Exception):
    """A refused request of a client.

    Args:
        reason: why, for logs and metrics.
        description: `error_description` of the response: fixed words and, for an authenticated
            client, what it is granted; never input.
        client_id: the client, once it is known to exist; for logs only.
        asked: what an authenticated client asked for and does not get, or how what it proves itself
            by differs from what is registered; for logs only.
    """

    code: ClassVar[str]
    status: ClassVar[int] = 400
    headers: tuple[tuple[bytes, bytes], ...] = ()
    request: Mapping[str, str | None] = MappingProxyType({})
    """What logs and metrics say of the request that is refused, once it could be parsed."""

    def __init__(
        self,
        reason: Reason,
        description: str | None = None,
        *,
        client_id: str | None = None,
        asked: str | None = None,
    ) -> None:
        super().__init__(f"{self.code}: {reason}")
        self.reason = reason
        self.description = description
        self.client_id = client_id
        self.asked = asked

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy and pickle without `__init__`, whose parameters differ by class."""
        return Exception.__new__, (type(self), *self.args), vars(self)


class InvalidRequest(OAuthError):
    """A parameter is missing, repeated or malformed, or there are several credentials."""

    code = "invalid_request"


class MethodNotAllowed(InvalidRequest):
    """The endpoint takes POST only (RFC 6749 §3.2, RFC 9110 §15.5.6)."""

    status = 405
    headers = ((b"allow", b"POST"),)


class BodyTooLarge(InvalidRequest):
    """The body is longer than the limit; the connection is closed with the response."""

    status = 413
    headers = ((b"connection", b"close"),)


class InvalidClient(OAuthError):
    """Client authentication failed; an unknown client and a wrong secret have the same response."""

    code = "invalid_client"
    status = 401
    # RFC 6749 §5.2: MUST carry the challenge of the scheme that the client used. Basic is the only
    # scheme here, and RFC 9110 §11.6.1 requires a challenge on every 401.
    headers = ((b"www-authenticate", b'Basic realm="token", charset="UTF-8"'),)


class InvalidGrant(OAuthError):
    """An assertion that was to be a grant proves nothing (RFC 7521 §4.1.1)."""

    code = "invalid_grant"


class UnauthorizedClient(OAuthError):
    """The authenticated client may not use this grant, or this endpoint for this token."""

    code = "unauthorized_client"


class UnsupportedTokenType(OAuthError):
    """The issuer cannot revoke a token of this kind (RFC 7009 §2.2.1)."""

    code = "unsupported_token_type"


class UnsupportedGrantType(OAuthError):
    """The issuer does not support the grant type."""

    code = "unsupported_grant_type"


class InvalidScope(OAuthError):
    """The scope is malformed, unknown, or not granted to the client (RFC 6749 §3.3)."""

    code = "invalid_scope"


class InvalidTarget(OAuthError):
    """The resource is malformed, unknown, or not granted to the client (RFC 8707 §2)."""

    code = "invalid_target"


class InvalidAuthorizationDetails(OAuthError):
    """Authorization details are malformed, unknown, or not granted to the client (RFC 9396 §5)."""

    code = "invalid_authorization_details"


class InvalidDpopProof(OAuthError):
    """A DPoP proof is wrong, was used before, or is needed and missing (RFC 9449 §5)."""

    code = "invalid_dpop_proof"


class UseDpopNonce(OAuthError):
    """A DPoP proof has no nonce of ours, or an old one (RFC 9449 §8).

    Args:
        nonce: the one that the client is to use.
    """

    code = "use_dpop_nonce"

    def __init__(self, reason: Reason, description: str, *, client_id: str, nonce: str) -> None:
        super().__init__(reason, description, client_id=client_id)
        self.headers = ((b"dpop-nonce", nonce.encode("ascii")),)


class TemporarilyUnavailable(OAuthError):
    """The database, the keys or capacity is unavailable for now (RFC 9110 §15.6.4)."""

    code = "temporarily_unavailable"
    status = 503
    headers = ((b"retry-after", b"1"),)


class TooManyRequests(OAuthError):
    """A limit is used up (RFC 6585 §4). RFC 6749 has no code for that; this one means "later".

    Args:
        retry_after: seconds until requests are taken again.
    """

    code = "temporarily_unavailable"
    status = 429

    def __init__(
        self, reason: Reason, description: str, *, client_id: str | None, retry_after: int
    ) -> None:
        super().__init__(reason, description, client_id=client_id)
        self.headers = ((b"retry-after", b"%d" % retry_after),)


class ServerError(OAuthError):
    """An internal error; the log has the details."""

    code = "server_error"
    status = 500


class ClaimHookFailed(ServerError):
    """A claim hook of the operator failed; there is no token without its claims.

    Args:
        hook: its name; for logs only.
        problem: what is wrong with what it gave; None if it raised an error of its own.
        client_id: whom the token would have been for.
    """

    def __init__(self, hook: str, problem: str | None, *, client_id: str) -> None:
        super().__init__(Reason.CLAIM_HOOK_FAILED, client_id=client_id)
        self.hook = hook
        self.problem = problem
