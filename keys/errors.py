"""Errors of this package: one base, one class for each thing that can be wrong.

The text of an error never holds key material. ``KeyStoreError`` is written for a person: one line
that names the file and the remedy.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple


class KeysError(Exception):
    """Any refusal by the key side; catch this to catch them all."""


class InvalidJwk(KeysError):
    """A JWK that cannot serve as a signature verification key (RFC 7517 §4)."""


class InvalidJwkSet(KeysError):
    """A document that is not a usable JWK set (RFC 7517 §5)."""


class UnknownAlgorithm(KeysError):
    """An ``alg`` that is not in the closed table (RFC 8725 §3.1)."""


class InvalidJws(KeysError):
    """A string that is not a well-formed compact JWS (RFC 7515 §7.1)."""


class JwtFault(StrEnum):
    """Why a JWT is refused; values are stable, logs and metric labels hold them."""

    TOKEN_TOO_LONG = "token_too_long"  # noqa: S105  # a reason, not a secret
    MALFORMED_TOKEN = "malformed_token"  # noqa: S105
    WRONG_TYPE = "wrong_type"
    WRONG_ALGORITHM = "wrong_algorithm"
    FORBIDDEN_HEADER = "forbidden_header"
    INVALID_KID = "invalid_kid"
    BAD_SIGNATURE = "bad_signature"
    INVALID_TIME = "invalid_time"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    LIFETIME_TOO_LONG = "lifetime_too_long"
    INVALID_IDENTITY = "invalid_identity"


class Diagnosis(NamedTuple):
    """Why there is a refusal, and what to do about it; for operators, never for an answer."""

    cause: str
    remedy: str


JWT_DIAGNOSES: Mapping[JwtFault, Diagnosis] = {
    JwtFault.TOKEN_TOO_LONG: Diagnosis(
        "The token has more bytes than are looked at.",
        "Have fewer scopes and claims in it, or raise `max_token_bytes` of the API.",
    ),
    JwtFault.MALFORMED_TOKEN: Diagnosis(
        "It is not three base64url parts with strict JSON in the first two, such as with white "
        "space inside, or its header asks for an extension.",
        "Send the whole access token as the issuer gave it: not cut off, broken into lines, "
        "encrypted or encoded.",
    ),
    JwtFault.WRONG_TYPE: Diagnosis(
        "`typ` is not `at+jwt` (RFC 9068): an ID token, or a JWT of another kind.",
        "Send an access token; for an issuer of another make, set its profile, such as "
        '`profile="keycloak"`.',
    ),
    JwtFault.WRONG_ALGORITHM: Diagnosis(
        "The token is signed with an algorithm that is not accepted here.",
        "Add the algorithm to `algorithms` of the API, if the issuer signs with it. None signs with"
        " `none`, and none of ours with `HS256`: such a token is forged, or of another issuer.",
    ),
    JwtFault.FORBIDDEN_HEADER: Diagnosis(
        "The header brings a key, an address of keys, compression or a nested token.",
        "None if it is an attack; an issuer that writes such headers is to leave them out.",
    ),
    JwtFault.INVALID_KID: Diagnosis(
        "`kid` is missing, empty, too long or no string.",
        "Have the issuer write `kid` in every token, and in every key that it publishes.",
    ),
    JwtFault.BAD_SIGNATURE: Diagnosis(
        "The signature was not made with the key that `kid` names: changed, cut off or forged.",
        "Compare the token with the one that the issuer gave; a forged one has no remedy here.",
    ),
    JwtFault.INVALID_TIME: Diagnosis(
        "`iat` or `exp` is missing, a time is no number of seconds, or `exp` is before `iat`.",
        "Have the issuer write `iat` and `exp` as JSON numbers.",
    ),
    JwtFault.EXPIRED: Diagnosis(
        "`exp` is over.",
        "Get a new token before the old one ends; compare the clocks if it is new.",
    ),
    JwtFault.NOT_YET_VALID: Diagnosis(
        "`nbf` or `iat` is in the future.",
        "Compare the clocks of issuer and API.",
    ),
    JwtFault.LIFETIME_TOO_LONG: Diagnosis(
        "From `iat` to `exp` it is longer than is accepted.",
        "Have the issuer give shorter tokens, or raise `max_lifetime` of the API.",
    ),
    JwtFault.INVALID_IDENTITY: Diagnosis(
        "`sub`, `client_id` or `jti` is missing, empty, too long or no string.",
        "Have the issuer write them; for one of another make, set `profile` of the API.",
    ),
}


class InvalidJwt(KeysError):
    """A JWT that must not be accepted; ``fault`` says why."""

    def __init__(self, fault: JwtFault) -> None:
        """Refuse for this reason."""
        super().__init__(fault)
        self.fault = fault


class UnknownKey(KeysError):
    """The issuer's JWK set has no key of this ``kid`` and algorithm."""


class NoKeySet(KeysError):
    """There is no usable JWK set; the next fetch may start in ``retry_after`` seconds."""

    def __init__(self, retry_after: int) -> None:
        """Say when to ask again."""
        super().__init__(retry_after)
        self.retry_after = retry_after


class FetchFailed(KeysError):
    """A peer's answer is not what was asked for; the text says what it was, not its content."""


class CopyRefused(KeysError):
    """A copy of what an issuer published, which cannot be used; its text is one line."""


class KeyStoreError(KeysError):
    """A key store that cannot be read or written; its text is one line with the remedy."""


class NoSuchKey(KeyStoreError):
    """The store has no key of this ``kid``, or none that signs with this algorithm."""


class RotationUnderWay(KeyStoreError):
    """The signing key is about to change, or has just changed."""


class KeyInUse(KeyStoreError):
    """A key that cannot be deleted while it signs, or while its tokens may be valid."""


class NoSigningKey(KeysError):
    """There is no key to sign with."""


class SignerUnavailable(KeysError):
    """What keeps the private key gives no right signature now; the text says why, in one line."""


class KeyFromTheFuture(KeysError):
    """A key of the store is dated after this machine's clock, so no later key can be placed."""
