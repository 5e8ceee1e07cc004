"""Build RFC 9068 access tokens: claims, header and the bytes to sign.

Pure. Claims come from contributors, which are functions of what was authorized. The claims that a
resource server decides by are closed: hooks, which come last, may add others and replace none.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from functools import lru_cache
from typing import NamedTuple

from issuer.errors import ClaimHookFailed
from issuer.grants.authorization import Authorization
from issuer.registry.claims import check_claim_names
from issuer.registry.client import Client
from issuer.registry.errors import InvalidValue
from issuer.registry.schema import check_json_size
from keys.encoding import encode_base64url
from keys.jwt import ACCESS_TOKEN_TYPE

BEARER = "Bearer"
"""The token type of tokens that are not bound to a key (RFC 6750 §4)."""

DPOP = "DPoP"
"""That of tokens that are shown with a DPoP proof (RFC 9449 §5)."""


def token_type(confirmation: Mapping[str, object] | None) -> str:
    """Return how a token with this `cnf` is shown: one that has a key's thumbprint, as DPoP.

    A token that is bound to a certificate alone stays a Bearer token (RFC 8705 §3).
    """
    return DPOP if confirmation is not None and "jkt" in confirmation else BEARER


# Compact, and UTF-8 instead of escapes: every byte of a token travels with every request.
_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


class IssuedToken(NamedTuple):
    """A signed token and what its response says beside it (RFC 6749 §5.1)."""

    access_token: str
    client_id: str
    scopes: tuple[str, ...]
    expires_in: int
    jti: str
    kid: str
    token_type: str
    authorization_details: tuple[Mapping[str, object], ...] = ()
    issued_token_type: str | None = None
    subject: str | None = None
    """Whom the client acts for; None where it acts for itself."""
    reused: bool = False
    """Whether another request got it before."""
    resources: tuple[str, ...] = ()
    credential_id: str | None = None
    """What the client authenticated with, for the log; how, and by which grant, follows."""
    auth_method: str | None = None
    grant_type: str | None = None

    def __repr__(self) -> str:
        """Show whose token it is, never the token."""
        return f"IssuedToken(client_id={self.client_id!r}, jti={self.jti!r})"


Contributor = Callable[[Authorization], Mapping[str, object]]
"""Gives claims for what was authorized. Pure; none if it has nothing to say."""


def _scope(authorization: Authorization) -> Mapping[str, object]:
    # RFC 9068 §2.2.3. RFC 6749 §3.3 has no empty scope, so a token without one lacks the claim.
    return {"scope": " ".join(authorization.scopes)} if authorization.scopes else {}


def _actor(authorization: Authorization) -> Mapping[str, object]:
    # RFC 8693 §4.1: only the outermost actor counts for access decisions.
    return {} if authorization.actor is None else {"act": authorization.actor}


def _confirmation(authorization: Authorization) -> Mapping[str, object]:
    # RFC 7800 §3.1: the presenter has to prove possession of this key.
    return {} if authorization.confirmation is None else {"cnf": authorization.confirmation}


def _authorization_details(authorization: Authorization) -> Mapping[str, object]:
    # RFC 9396 §9.1: what was granted, which may be less than what was asked for.
    details = authorization.authorization_details
    return {"authorization_details": details} if details else {}


MAXIMUM_HOOK_BYTES = 4096
"""Bytes of JSON that one hook may add to a token."""


class ClaimHook(NamedTuple):
    """A function of the operator's that adds claims.

    Args:
        name: what the log calls it, `package.module:attribute`.
        run: gives the claims, by what was authorized; called for every token, on the event loop.
    """

    name: str
    run: Callable[[Authorization], object]


CONTRIBUTORS: tuple[Contributor, ...] = (_scope, _actor, _confirmation, _authorization_details)
"""Who writes claims beside the required ones; each has names that no other has."""

_NO_CLAIMS: Mapping[str, object] = {}


def constant_claims(client: Client, authorization: Authorization) -> Mapping[str, object]:
    """Return the claims that the operator has in every such token.

    Of a name that both have, the resource's claim counts: the API that decides by it belongs to the
    resource's owner. The client's are left out of a token for another subject, since a reader
    would take them for the subject's.

    Args:
        client: whom the token is issued to.
        authorization: what was decided.
    """
    of_resource = client.policies[authorization.resource].claims
    of_client = client.registration.claims
    if not of_client or authorization.subject != authorization.client_id:
        return of_resource
    return {**of_client, **of_resource}


def build_claims(
    authorization: Authorization,
    *,
    issuer: str,
    now: int,
    jti: str,
    status: Mapping[str, object] | None = None,
    constants: Mapping[str, object] = _NO_CLAIMS,
    hooks: Iterable[ClaimHook] = (),
) -> dict[str, object]:
    """Build the claims of a token.

    Args:
        authorization: what was decided.
        issuer: the issuer identifier, verbatim.
        now: seconds since the epoch.
        jti: the token's id, never used before.
        status: where its status is found; None if it is on no list.
        constants: claims of the operator that are the same in every such token; none is closed.
        hooks: of the operator, called last.

    Raises:
        ClaimHookFailed: a hook raises anything, or gives what is not a mapping, not JSON, too
            large, or has a name that is closed or taken.
    """
    # RFC 9068 §2.2: REQUIRED in every token.
    claims: dict[str, object] = {
        "iss": issuer,
        "sub": authorization.subject,
        "client_id": authorization.client_id,
        # RFC 7519 §4.1.3: a string where it is one, as nearly always.
        "aud": (
            list(authorization.resources)
            if authorization.further_resources
            else authorization.resource
        ),
        "iat": now,
        "exp": now + authorization.token_ttl,
        "jti": jti,
    }
    if status is not None:  # Token Status List §6.1
        claims["status"] = status
    for contribute in CONTRIBUTORS:
        claims.update(contribute(authorization))
    claims.update(constants)
    for hook in hooks:
        try:
            claims.update(_added_by(hook, authorization, claims))
        except KeyboardInterrupt:
            raise
        except BaseException as fault:  # `sys.exit` in a hook must not end the process either
            problem = str(fault) if isinstance(fault, InvalidValue) else None
            client_id = authorization.client_id
            raise ClaimHookFailed(hook.name, problem, client_id=client_id) from fault
    return claims


def _added_by(
    hook: ClaimHook, authorization: Authorization, claims: Mapping[str, object]
) -> Mapping[str, object]:
    """Run a hook and check what it gives.

    Raises:
        InvalidValue: it gives no claims that it may add.
        BaseException: whatever the hook itself raises.
    """
    # A copy, for what is authorized holds objects that a hook could alter.
    given = hook.run(deepcopy(authorization))
    if not isinstance(given, Mapping):
        raise InvalidValue(f"it gave {type(given).__name__!a} and no mapping")
    added = dict(given)
    check_claim_names(added)
    if taken := claims.keys() & added.keys():
        raise InvalidValue(f"the token has the claim {min(taken)} already")
    check_json_size(added, "what it gave", maximum=MAXIMUM_HOOK_BYTES)
    return added


@lru_cache(maxsize=64)
def header_segment(alg: str, kid: str, typ: str = ACCESS_TOKEN_TYPE) -> str:
    """Encode the header of every token of one key and type (RFC 9068 §2.1, RFC 7515 §4.1).

    `typ` keeps other JWTs of the issuer from being taken for access tokens (RFC 8725 §3.11).
    """
    return encode_base64url(_encode({"alg": alg, "typ": typ, "kid": kid}).encode())


def build_signing_input(header: str, claims: dict[str, object]) -> bytes:
    """Join header and payload segments as they will be signed (RFC 7515 §5.1)."""
    return f"{header}.{encode_base64url(_encode(claims).encode())}".encode("ascii")


def assemble(signing_input: bytes, signature: bytes) -> str:
    """Append the signature: the compact serialisation (RFC 7515 §7.1)."""
    return f"{signing_input.decode('ascii')}.{encode_base64url(signature)}"
