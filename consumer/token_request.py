"""Build the token request and parse the response (RFC 6749 §4.4.2, §5.1, §5.2, RFC 8693 §2).

The access token itself is opaque to a client and is never parsed.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, Protocol
from urllib.parse import urlencode

from consumer.client_auth import ClientAuth
from consumer.errors import (
    ConsumerError,
    InvalidTokenResponse,
    TokenEndpointUnreachable,
    TokenRequestRefused,
)
from consumer.fetch import FetchAnswer, FetchRequest, parse_json_object, retry_after
from consumer.token_cache import Token
from consumer.token_scheme import BEARER, TokenScheme

ASSUMED_LIFETIME = 300.0
"""Seconds that a token is used for when the issuer does not say how long it lives."""

# RFC 6750 §2.1: b64token. It also keeps line breaks out of our request header.
_BEARER_TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]+=*")
# RFC 6749 §5.2: the characters of `error`; what lies outside is no code.
_ERROR_CODE = re.compile(r"[\x20-\x21\x23-\x5B\x5D-\x7E]{1,100}")
# RFC 6749 §3.3: scope-token.
_SCOPE_NAME = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+")
_DECIMAL = re.compile(r"[0-9]{1,16}")
_NOT_PRINTABLE = re.compile(r"[^\x20-\x7E]")
_LONGEST_DESCRIPTION = 200

_TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"  # noqa: S105 - a name
_ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - a name


class Redacting(Protocol):
    """Knows what is secret of a token request."""

    def redact(self, text: str) -> str:
        """Replace what is secret in text that comes from elsewhere."""
        ...


def build_token_request(
    endpoint: str,
    auth: ClientAuth,
    *,
    issuer: str,
    now: float,
    scope: str | None = None,
    resource: str | None = None,
    authorization_details: str | None = None,
    subject_token: str | None = None,
    proof: str | None = None,
) -> FetchRequest:
    """Build the request of the client credentials grant, or of a token exchange.

    Args:
        endpoint: the token endpoint's URL; nothing is ever added to it (RFC 6749 §2.3.1).
        auth: the one authentication method of this request.
        issuer: the issuer identifier.
        now: the wall clock, in seconds since the epoch.
        scope: names divided by single spaces, or None for the issuer's default.
        resource: the API that the token is for (RFC 8707), or None for the issuer's default.
        authorization_details: rights in detail (RFC 9396 §2), a JSON array, or None for none.
        subject_token: the access token that is exchanged, or None for the client's own token.
        proof: of the key that the token is to be bound to (RFC 9449 §5), or None for none.
    """
    wanted = {
        "grant_type": "client_credentials",
        "scope": scope,
        "resource": resource,
        "authorization_details": authorization_details,
    }
    if subject_token is not None:
        # RFC 8693 §2.1. Without an actor token: the client authenticates, and acts as itself.
        wanted |= {
            "grant_type": _TOKEN_EXCHANGE,
            "subject_token": subject_token,
            "subject_token_type": _ACCESS_TOKEN,
        }
    # RFC 6749 §3.2: a parameter without a value counts as omitted, so it is left out.
    form = {name: value for name, value in wanted.items() if value}
    headers = {
        "Accept": "application/json",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    if proof is not None:
        headers["DPoP"] = proof
    auth.apply(form, headers, audience=issuer, now=now)
    return FetchRequest(
        method="POST", url=endpoint, headers=headers, body=urlencode(form).encode("ascii")
    )


def write_scope(scope: str | Iterable[str] | None) -> str | None:
    """Write a scope as the parameter has it (RFC 6749 §3.3); None stays None.

    Args:
        scope: names, one by one or in a text that divides them by single spaces.

    Raises:
        ValueError: there is none, or one that cannot be a name.
    """
    if scope is None:
        return None
    names = _listed(scope)
    if not any(names):
        # RFC 6749 §3.3: to ask for nothing is to ask for the issuer's default.
        raise ValueError("the scope names nothing; leave it out for the issuer's default")
    for name in names:
        if not (isinstance(name, str) and _SCOPE_NAME.fullmatch(name)):
            raise ValueError(
                f"{name!r} is no name of a scope: printable ASCII without space, quote or "
                "backslash; in a text, names are divided by single spaces"
            )
    return " ".join(map(str, names))


def _listed(scope: object) -> list[object]:
    if isinstance(scope, str):
        return [*scope.split(" ")]
    return [*scope] if isinstance(scope, Iterable) else [scope]


def write_details(details: Iterable[Mapping[str, Any]] | None) -> str | None:
    """Write authorization details as the parameter has them (RFC 9396 §2); None stays None.

    Raises:
        ValueError: there is none, one has no `type`, or they are not JSON.
    """
    if details is None:
        return None
    objects = list(details)
    if not objects or not all(_has_type(each) for each in objects):
        raise ValueError("authorization details are objects, at least one, each with a type")
    try:
        return json.dumps(
            list(map(dict, objects)), separators=(",", ":"), ensure_ascii=False, allow_nan=False
        )
    except (TypeError, RecursionError):
        raise ValueError("authorization details must be JSON") from None


def _has_type(value: object) -> bool:
    return isinstance(value, Mapping) and isinstance(value.get("type"), str)


def parse_token_response(
    answer: FetchAnswer, secrets: Redacting, *, now: float, scheme: TokenScheme = BEARER
) -> Token:
    """Return the token of a good answer.

    Args:
        answer: what the token endpoint said.
        secrets: keeps what was sent and is secret out of an error's description.
        now: the moment of receipt, in seconds of a monotonic clock.
        scheme: the one kind of token that is understood.

    Raises:
        TokenRequestRefused: an error of RFC 6749 §5.2.
        TokenEndpointUnreachable: the server is overloaded or broken and says no more.
        InvalidTokenResponse: anything else that is not a token response of RFC 6749 §5.1.
    """
    if answer.status != 200:
        raise _refusal(answer, secrets)
    try:
        document = parse_json_object(answer)
    except ValueError as error:
        raise InvalidTokenResponse(f"the token response cannot be read: {error}") from None
    if "error" in document and "access_token" not in document:
        raise _refusal(answer, secrets)
    return _token(document, now, scheme)


def _token(document: dict[str, Any], now: float, scheme: TokenScheme) -> Token:
    # RFC 6749 §5.1: members that we do not know are ignored; a refresh token is one of them.
    value = document.get("access_token")
    if not isinstance(value, str) or not _BEARER_TOKEN.fullmatch(value):
        raise InvalidTokenResponse("the token response has no usable access_token")
    kind = document.get("token_type")
    # RFC 6749 §5.1, §7.1: the type is compared without regard to case; a client MUST NOT use a
    # token of a type that it does not understand.
    # RFC 9449 §5: nor one that is bound to no key, where that was asked for.
    if not isinstance(kind, str) or kind.lower() != scheme.name.lower():
        raise InvalidTokenResponse(
            f"the token_type is not {scheme.name}, and no other is understood"
        )
    scope = document.get("scope")
    if scope is not None and not isinstance(scope, str):
        raise InvalidTokenResponse("the scope of the token response is not a string")
    lifetime = _lifetime(document.get("expires_in"))
    return Token(value=value, received_at=now, lifetime=lifetime, scope=scope)


def _lifetime(expires_in: object) -> float:
    if expires_in is None:
        return ASSUMED_LIFETIME
    # RFC 6749 §5.1 wants a number; servers in the wild write its digits in a string.
    if isinstance(expires_in, str) and _DECIMAL.fullmatch(expires_in):
        expires_in = int(expires_in)
    if isinstance(expires_in, bool) or not isinstance(expires_in, int | float):
        raise InvalidTokenResponse("expires_in is not a number")
    if not 0 <= expires_in < 2**53 or not math.isfinite(expires_in):
        raise InvalidTokenResponse("expires_in is not a possible number of seconds")
    return float(expires_in)


def _refusal(answer: FetchAnswer, secrets: Redacting) -> ConsumerError:
    if 300 <= answer.status < 400:
        # A redirect would carry the secret to an address that was not configured.
        return InvalidTokenResponse(f"the token endpoint redirects ({answer.status}); not followed")
    try:
        document = parse_json_object(answer)
    except ValueError:
        document = {}
    code = document.get("error")
    if isinstance(code, str) and _ERROR_CODE.fullmatch(code):
        description = _readable(document.get("error_description"), secrets)
        return TokenRequestRefused(
            secrets.redact(code), description, answer.status, retry_after(answer)
        )
    reason = f"the token endpoint answered {answer.status} without an OAuth error"
    if answer.status == 429 or answer.status >= 500:
        return TokenEndpointUnreachable(reason, retry_after(answer))
    return InvalidTokenResponse(reason)


def _readable(description: object, secrets: Redacting) -> str | None:
    if not isinstance(description, str):
        return None
    # The secret is replaced before the text is shortened, which could leave half of it in place.
    return _NOT_PRINTABLE.sub("?", secrets.redact(description))[:_LONGEST_DESCRIPTION]
