"""Every way in which a protected request is refused (RFC 6750 §3.1).

`Reason` is for our side: a stable code, the same in logs and metrics. What the caller is told is
`description`, from the fixed list below; it never names an expected value nor repeats an input.
"""

from enum import StrEnum
from typing import Any

from keys.dpop import ProofFault
from keys.errors import JwtFault


class Scheme(StrEnum):
    """A scheme of the Authorization header, as challenges write it (RFC 6750 §3, RFC 9449 §7.1)."""

    BEARER = "Bearer"
    DPOP = "DPoP"


class Reason(StrEnum):
    """Say why a request was refused; values are stable, logs and metric labels hold them."""

    NO_CREDENTIALS = "no_credentials"
    FOREIGN_SCHEME = "foreign_scheme"
    MALFORMED_AUTHORIZATION = "malformed_authorization"
    SEVERAL_CREDENTIALS = "several_credentials"
    TOKEN_TOO_LONG = JwtFault.TOKEN_TOO_LONG.value
    MALFORMED_TOKEN = JwtFault.MALFORMED_TOKEN.value
    WRONG_TYPE = JwtFault.WRONG_TYPE.value
    WRONG_ALGORITHM = JwtFault.WRONG_ALGORITHM.value
    FORBIDDEN_HEADER = JwtFault.FORBIDDEN_HEADER.value
    INVALID_KID = JwtFault.INVALID_KID.value
    UNKNOWN_KEY = "unknown_key"
    BAD_SIGNATURE = JwtFault.BAD_SIGNATURE.value
    WRONG_ISSUER = "wrong_issuer"
    WRONG_AUDIENCE = "wrong_audience"
    INVALID_TIME = JwtFault.INVALID_TIME.value
    EXPIRED = JwtFault.EXPIRED.value
    NOT_YET_VALID = JwtFault.NOT_YET_VALID.value
    LIFETIME_TOO_LONG = JwtFault.LIFETIME_TOO_LONG.value
    INVALID_IDENTITY = JwtFault.INVALID_IDENTITY.value
    INVALID_CONFIRMATION = "invalid_confirmation_claim"
    BINDING_REQUIRED = "binding_required"
    UNCHECKED_BINDING = "unchecked_binding"
    SENDER_CONSTRAINED = "sender_constrained"
    UNBOUND_TOKEN = "unbound_token"  # noqa: S105  # a reason, not a secret
    NO_CERTIFICATE = "no_certificate"
    WRONG_CERTIFICATE = "wrong_certificate"
    MALFORMED_CERTIFICATE = "malformed_certificate"
    PROOF_MISSING = ProofFault.MISSING.value
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
    PROOF_TOKEN = ProofFault.TOKEN.value
    PROOF_NONCE = ProofFault.NONCE.value
    PROOF_REPLAYED = ProofFault.REPLAYED.value
    WRONG_PROOF_KEY = "wrong_proof_key"
    REPLAYS_UNAVAILABLE = "replays_unavailable"
    INVALID_STATUS = "invalid_status"
    STATUS_REQUIRED = "status_required"
    UNCHECKED_STATUS = "unchecked_status"
    TOKEN_REVOKED = "token_revoked"  # noqa: S105  # a reason, not a secret
    TOKEN_SUSPENDED = "token_suspended"  # noqa: S105
    STATUS_UNAVAILABLE = "status_unavailable"
    INVALID_SCOPE_CLAIM = "invalid_scope_claim"
    INSUFFICIENT_SCOPE = "insufficient_scope"
    INSUFFICIENT_CLAIM = "insufficient_claim"
    INVALID_DETAILS_CLAIM = "invalid_authorization_details_claim"
    INSUFFICIENT_DETAILS = "insufficient_authorization_details"
    NO_KEYS = "no_keys"


# One sentence for many reasons: which check failed is not told. The exceptions are what a client
# can read in the token itself and act on: "expired" calls for another token, issuer and audience
# for other settings. The consumer knows the sentences of these two (`consumer/token_scheme.py`).
_UNTRUSTED = "the access token is not valid here"
_MALFORMED = "the access token is malformed"
_UNDECIDED = "access tokens cannot be checked at the moment"
_BAD_PROOF = "the DPoP proof is not valid for this request"

# Unless listed below, a reason tells the caller no more than that.
DESCRIPTIONS: dict[Reason, str] = {
    **dict.fromkeys(Reason, _UNTRUSTED),
    **dict.fromkeys((Reason(fault) for fault in ProofFault), _BAD_PROOF),
    Reason.NO_CREDENTIALS: "an access token is required",
    Reason.FOREIGN_SCHEME: "an access token is required",
    Reason.MALFORMED_AUTHORIZATION: "the Authorization header is malformed",
    Reason.SEVERAL_CREDENTIALS: "send exactly one Authorization header",
    Reason.TOKEN_TOO_LONG: "the access token is too long",
    Reason.MALFORMED_TOKEN: _MALFORMED,
    Reason.WRONG_ISSUER: "the access token is from another issuer",
    Reason.WRONG_AUDIENCE: "the access token is for another audience",
    Reason.INVALID_TIME: _MALFORMED,
    Reason.EXPIRED: "the access token expired",
    Reason.INVALID_IDENTITY: _MALFORMED,
    Reason.INVALID_CONFIRMATION: _MALFORMED,
    Reason.SENDER_CONSTRAINED: "the access token is bound to a key; send it as DPoP with a proof",
    Reason.UNBOUND_TOKEN: "the access token is bound to no key; send it as Bearer",
    Reason.MALFORMED_CERTIFICATE: "the Client-Cert header is malformed",
    Reason.PROOF_NONCE: "use the nonce of this answer in the DPoP proof",
    Reason.REPLAYS_UNAVAILABLE: _UNDECIDED,
    Reason.INVALID_SCOPE_CLAIM: _MALFORMED,
    Reason.INSUFFICIENT_SCOPE: "the access token lacks a needed scope",
    Reason.INSUFFICIENT_CLAIM: "the access token lacks a needed claim",
    Reason.INVALID_DETAILS_CLAIM: _MALFORMED,
    Reason.INSUFFICIENT_DETAILS: "the access token lacks needed authorization details",
    Reason.NO_KEYS: _UNDECIDED,
    Reason.STATUS_UNAVAILABLE: _UNDECIDED,
}


class ResourceError(Exception):
    """A refusal; the class fixes the answer, the reason says why."""

    status: int
    """The status of the answer."""
    error: str
    """The code in the body; the challenge carries it unless `challenge_error` says otherwise."""
    scheme: Scheme = Scheme.BEARER
    """With which the request brought its token."""

    def __init__(self, reason: Reason) -> None:
        """Refuse for this reason."""
        super().__init__(reason.value)
        self.reason = reason

    def __reduce__(self) -> tuple[Any, ...]:
        """Be copied and pickled without `__init__`, whose parameters differ by class."""
        return Exception.__new__, (type(self), *self.args), vars(self)

    @property
    def description(self) -> str:
        """Give the sentence that the caller may read."""
        return DESCRIPTIONS[self.reason]

    @property
    def challenge_error(self) -> str | None:
        """Give the `error` of the Bearer challenge."""
        return self.error


class MissingToken(ResourceError):
    """No credentials, or a scheme that is not ours."""

    status = 401
    error = "unauthorized"

    @property
    def challenge_error(self) -> str | None:
        """Say nothing: RFC 6750 §3.1 wants no error code where no credentials came."""
        return None


class InvalidRequest(ResourceError):
    """A malformed header, or several credentials at once (RFC 6750 §2, §3.1)."""

    status = 400
    error = "invalid_request"


class InvalidToken(ResourceError):
    """A token that must not be accepted (RFC 6750 §3.1); `kid` names its key once it is read."""

    status = 401
    error = "invalid_token"

    def __init__(self, reason: Reason, *, kid: str | None = None) -> None:
        """Refuse a token for this reason."""
        super().__init__(reason)
        self.kid = kid


class InvalidDpopProof(ResourceError):
    """A DPoP proof that does not belong to this request (RFC 9449 §7.1)."""

    status = 401
    error = "invalid_dpop_proof"


class NonceNeeded(ResourceError):
    """A DPoP proof without a current nonce of this API (RFC 9449 §9)."""

    status = 401
    error = "use_dpop_nonce"

    def __init__(self, nonce: str) -> None:
        """Ask for a proof with this nonce."""
        super().__init__(Reason.PROOF_NONCE)
        self.nonce = nonce


class InsufficientScope(ResourceError):
    """A valid token that lacks a scope (RFC 6750 §3.1)."""

    status = 403
    error = "insufficient_scope"

    def __init__(self, needed: tuple[str, ...]) -> None:
        """Refuse, naming all scopes that the route needs."""
        super().__init__(Reason.INSUFFICIENT_SCOPE)
        self.needed = needed


class InsufficientClaim(InsufficientScope):
    """A valid token without a claim that the route needs; the challenge names no scope."""

    def __init__(self) -> None:
        """Refuse; what is needed is not told."""
        ResourceError.__init__(self, Reason.INSUFFICIENT_CLAIM)
        self.needed = ()


class InsufficientDetails(InsufficientScope):
    """A valid token whose authorization details do not allow the request (RFC 9396 §9.1).

    RFC 9396 has no code for it. `insufficient_scope` means the same, that the request takes higher
    privileges than the token has (RFC 6750 §3.1), and every client knows it. The challenge names no
    scope, since none would help.
    """

    def __init__(self) -> None:
        """Refuse; what is needed is not told."""
        ResourceError.__init__(self, Reason.INSUFFICIENT_DETAILS)
        self.needed = ()


class CheckUnavailable(ResourceError):
    """Something that is needed to accept or refuse a token cannot be had right now."""

    status = 503
    error = "temporarily_unavailable"

    def __init__(self, reason: Reason, retry_after: int) -> None:
        """Ask the caller to come back after so many seconds (RFC 9110 §10.2.3)."""
        super().__init__(reason)
        self.retry_after = retry_after


class KeysUnavailable(CheckUnavailable):
    """There is no usable key set."""

    def __init__(self, retry_after: int) -> None:
        """Ask the caller to come back after so many seconds."""
        super().__init__(Reason.NO_KEYS, retry_after)


class StatusUnavailable(CheckUnavailable):
    """The status list that a token names cannot be had."""

    def __init__(self, retry_after: int) -> None:
        """Ask the caller to come back after so many seconds."""
        super().__init__(Reason.STATUS_UNAVAILABLE, retry_after)
