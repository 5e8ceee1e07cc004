"""Introspection: what a caller that cannot validate tokens is told of one (RFC 7662, RFC 9701).

Pure. Whatever a token is not (ours, live, for the caller's resources), the answer is the same one.
"""

from collections.abc import Collection, Iterable, Mapping

from issuer.access_token import token_type
from issuer.own_tokens import NotOwnToken, OwnToken, OwnTokens
from keys.identifiers import other_form

RESPONSE_TYPE = "token-introspection+jwt"

Answer = Mapping[str, object]

INACTIVE: Answer = {"active": False}
"""RFC 7662 §2.2: no other member, so that nothing is told of why."""


def introspect(token: str, introspects: Collection[str], tokens: OwnTokens, *, now: int) -> Answer:
    """Say what a token is to a caller.

    Args:
        token: as the caller sent it.
        introspects: the resources whose tokens the caller may ask about.
        tokens: verifies it.
        now: seconds since the epoch.
    """
    try:
        found = tokens.verify(token, now=now)
    except NotOwnToken:
        return INACTIVE
    # RFC 7662 §4: only to those whom the token is for, else anyone could scan tokens.
    named = {form for each in introspects for form in (each, other_form(each))}
    return INACTIVE if named.isdisjoint(found.audience) else _describe(found)


def _describe(token: OwnToken) -> Answer:
    """Write the members of RFC 7662 §2.2, and the other claims under their own names (§2.2).

    The status is left out: it is what `active` says.
    """
    claims = {name: value for name, value in token.claims.items() if name != "status"}
    # Last, so that no claim stands for them. RFC 9449 §6.2 has `token_type` and `cnf`.
    return {**claims, "active": True, "token_type": token_type(claims.get("cnf"))}


def signed_claims(answer: Answer, *, issuer: str, audience: str, now: int) -> dict[str, object]:
    """Build the claims of a signed answer (RFC 9701 §5).

    `sub` and `exp` are left out, and the type is one of its own, so that it cannot be taken for an
    access token (RFC 9701 §8.1).

    Args:
        answer: from `introspect`.
        issuer: the issuer identifier.
        audience: the client that asked.
        now: seconds since the epoch.
    """
    return {"iss": issuer, "aud": audience, "iat": now, "token_introspection": answer}


def wants_signed(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Tell by `Accept` whether the caller wants a signed answer (RFC 9701 §4, RFC 9110 §12.5.1).

    Only if it names the type, and prefers no JSON to it.
    """
    weights: dict[str, float] = {}
    for name, value in headers:
        if name == b"accept":
            for each in value.decode("latin-1").lower().split(","):
                media_type, _, parameters = each.partition(";")
                weights[media_type.strip()] = _weight(parameters)
    signed = weights.get(f"application/{RESPONSE_TYPE}", 0.0)
    return signed > 0 and signed >= weights.get("application/json", 0.0)


def _weight(parameters: str) -> float:
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
