"""What the access tokens of other vendors look like, each with the claims that are its own.

Tokens that a client got for itself, by client credentials; `resource_api.profiles` says what an API
reads of them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from watchword.testing.forge import DROP
from watchword.testing.status_lists import status

_OBJECT_ID = "5f1d2e6c-8a4b-4c3d-9e7f-0a1b2c3d4e5f"
_TENANT_ID = "9d1c3f80-2b7e-4a55-8c66-7e8f90a1b2c3"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """What a token says in whatever shape; times are seconds since the epoch."""

    issuer: str
    audience: str | list[str]
    client_id: str
    subject: str | None
    """None for the client itself, as the vendor has it."""
    scopes: tuple[str, ...]
    issued_at: int
    expires_at: int
    jti: str


Shape = Callable[[Stated], tuple[object, dict[str, Any]]]
"""Gives `typ` of the header and the claims."""


def _rfc9068(stated: Stated) -> tuple[object, dict[str, Any]]:
    claims: dict[str, Any] = {
        **_registered(stated, subject=stated.client_id),
        "client_id": stated.client_id,
        "jti": stated.jti,
        "status": status(f"{stated.issuer.rstrip('/')}/status-lists/{stated.jti}"),
    }
    return "at+jwt", claims | ({"scope": " ".join(stated.scopes)} if stated.scopes else {})


def _keycloak(stated: Stated) -> tuple[object, dict[str, Any]]:
    return "JWT", {
        **_registered(stated, subject=_OBJECT_ID),
        "jti": f"trrtcc:{stated.jti}",
        "typ": "Bearer",
        "azp": stated.client_id,
        "acr": "1",
        "allowed-origins": ["/*"],
        "realm_access": {"roles": ["default-roles-shop", "offline_access", "uma_authorization"]},
        "resource_access": {"account": {"roles": ["manage-account", "view-profile"]}},
        "scope": " ".join(stated.scopes),
        "clientHost": "192.0.2.7",
        "clientAddress": "192.0.2.7",
        "email_verified": False,
        "preferred_username": f"service-account-{stated.client_id}",
        "client_id": stated.client_id,
    }


def _auth0(stated: Stated) -> tuple[object, dict[str, Any]]:
    claims = {
        **_registered(stated, subject=f"{stated.client_id}@clients"),
        "gty": "client-credentials",
        "azp": stated.client_id,
    }
    return "JWT", claims | ({"scope": " ".join(stated.scopes)} if stated.scopes else {})


def _entra(stated: Stated) -> tuple[object, dict[str, Any]]:
    claims = {
        **_registered(stated, subject=_OBJECT_ID),
        "nbf": stated.issued_at,
        "aio": "k2RgYFBdp2bzpiXj9bNmqk1mFAEA",
        "azp": stated.client_id,
        "azpacr": "1",
        "oid": _OBJECT_ID,
        "rh": "1.AXoAgD8c",
        "tid": _TENANT_ID,
        "uti": stated.jti[:22],
        "ver": "2.0",
    }
    return "JWT", claims | ({"roles": list(stated.scopes)} if stated.scopes else {})


def _cognito(stated: Stated) -> tuple[object, dict[str, Any]]:
    claims = {
        **_registered(stated, subject=stated.client_id),
        "token_use": "access",
        "scope": " ".join(stated.scopes),
        "auth_time": stated.issued_at,
        "version": 2,
        "jti": stated.jti,
        "client_id": stated.client_id,
    }
    del claims["aud"]  # the resource server is in the scopes: `https://orders.example.com/read`
    return DROP, claims


def _okta(stated: Stated) -> tuple[object, dict[str, Any]]:
    claims = {
        **_registered(stated, subject=stated.client_id),
        "ver": 1,
        "jti": f"AT.{stated.jti}",
        "cid": stated.client_id,
    }
    return DROP, claims | ({"scp": list(stated.scopes)} if stated.scopes else {})


def _registered(stated: Stated, *, subject: str) -> dict[str, Any]:
    return {
        "iss": stated.issuer,
        "sub": stated.subject or subject,
        "aud": stated.audience,
        "iat": stated.issued_at,
        "exp": stated.expires_at,
    }


SHAPES: Mapping[str, Shape] = {
    "rfc9068": _rfc9068,
    "keycloak": _keycloak,
    "auth0": _auth0,
    "entra": _entra,
    "cognito": _cognito,
    "okta": _okta,
}
"""By the name that the profile has in `resource_api.profiles`."""


def shape_of(profile: str) -> Shape:
    """Give the shape of a profile.

    Raises:
        ValueError: no profile has that name.
    """
    if profile not in SHAPES:
        raise ValueError("profile must be one of " + ", ".join(SHAPES))
    return SHAPES[profile]
