"""Access tokens as vendors issue them, with their quirks, signed with a key of the tests.

The claims are those of the vendors' documentation, with names and times changed.
"""

from typing import Any

from watchword.testing.forge import DROP, NOW, TokenForge

TIMES = {"iat": NOW - 5, "exp": NOW + 295}
HOUR = {"iat": NOW - 5, "nbf": NOW - 5, "exp": NOW + 3595}
GUID = "6e74172b-be56-4843-9ff4-e66a39bb12e3"
TENANT = "72f988bf-86f1-41af-91ab-2d7cd011db47"

KEYCLOAK: dict[str, Any] = {
    **TIMES,
    "jti": "trrtcc:19b582b8-28c5-4a7e-ae0b-0500e11c6bd4",
    "iss": "https://sso.example.com/realms/demo",
    "aud": ["orders-api", "account"],
    "sub": "d952cf23-bf92-4c8f-a3ff-4972b4f2bc5b",
    "typ": "Bearer",
    "azp": "billing",
    "acr": "1",
    "allowed-origins": ["/*"],
    "realm_access": {"roles": ["offline_access", "default-roles-demo"]},
    "resource_access": {"orders-api": {"roles": ["reader", "writer"]}},
    "scope": "orders:read email profile",
    "clientHost": "10.0.0.7",
    "email_verified": False,
    "preferred_username": "service-account-billing",
    "clientAddress": "10.0.0.7",
    "client_id": "billing",
}
AUTH0: dict[str, Any] = {
    "iss": "https://example.eu.auth0.com/",
    "sub": "awZfdIir8YFdGZWkvCejDoUb7SjTDicx@clients",
    "aud": "https://orders.example.com",
    "iat": NOW - 5,
    "exp": NOW - 5 + 86_400,
    "scope": "orders:read",
    "gty": "client-credentials",
    "azp": "awZfdIir8YFdGZWkvCejDoUb7SjTDicx",
    "permissions": ["orders:read", "orders:delete"],
}
ENTRA_V2: dict[str, Any] = {
    **HOUR,
    "aud": GUID,
    "iss": f"https://login.microsoftonline.com/{TENANT}/v2.0",
    "aio": "E2NgYGj8uS/6Mw==",
    "azp": "a1b2c3d4-0000-4000-8000-00000000b111",
    "azpacr": "1",
    "oid": "58b3c0a6-93f5-4d0a-9d0b-1f9fcb2b1d11",
    "rh": "0.ARoAv4j5cvGGr0GRqy180BHbRw",
    "roles": ["orders.read", "orders.write"],
    "sub": "58b3c0a6-93f5-4d0a-9d0b-1f9fcb2b1d11",
    "tid": TENANT,
    "uti": "fqiBqXLPj0eQa82S-IYFAA",
    "ver": "2.0",
}
ENTRA_V1: dict[str, Any] = {
    **HOUR,
    "aud": f"api://{GUID}",
    "iss": f"https://sts.windows.net/{TENANT}/",
    "appid": "a1b2c3d4-0000-4000-8000-00000000b111",
    "appidacr": "1",
    "idp": f"https://sts.windows.net/{TENANT}/",
    "oid": "58b3c0a6-93f5-4d0a-9d0b-1f9fcb2b1d11",
    "roles": ["orders.read"],
    "sub": "58b3c0a6-93f5-4d0a-9d0b-1f9fcb2b1d11",
    "tid": TENANT,
    "uti": "bPqLeYXH9E2WkkFCbg4QAA",
    "ver": "1.0",
}
COGNITO: dict[str, Any] = {
    "sub": "1example23456789",
    "token_use": "access",
    "scope": "orders-api/read orders-api/write",
    "auth_time": NOW - 5,
    "iss": "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_EXAMPLE",
    "exp": NOW + 3595,
    "iat": NOW - 5,
    "version": 2,
    "jti": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
    "client_id": "1example23456789",
}
OKTA: dict[str, Any] = {
    **TIMES,
    "ver": 1,
    "jti": "AT.MNAoEQ_jbKqoinrQo1D0XKjMX28U5d7ZszBceot7-Ts",
    "iss": "https://dev-1.okta.com/oauth2/default",
    "aud": "api://default",
    "cid": "0oa1billing",
    "scp": ["orders.read"],
    "sub": "0oa1billing",
}
KEYCLOAK_HEADER = {"alg": "RS256", "typ": "JWT"}
NO_TYPE = {"alg": "RS256"}

VENDORS: dict[str, tuple[str, dict[str, Any], dict[str, Any], str]] = {
    "keycloak": ("keycloak", KEYCLOAK, KEYCLOAK_HEADER, "orders-api"),
    "keycloak at+jwt": ("keycloak", KEYCLOAK, {"alg": "RS256", "typ": "at+jwt"}, "orders-api"),
    "auth0": ("auth0", AUTH0, {"alg": "RS256", "typ": "JWT"}, AUTH0["aud"]),
    "auth0 rfc9068": (
        "auth0",
        {name: value for name, value in AUTH0.items() if name not in ("azp", "gty")}
        | {"client_id": AUTH0["azp"], "jti": "73WakrfVbNJBaAmhQtEeDv"},
        {"alg": "RS256", "typ": "at+jwt"},
        AUTH0["aud"],
    ),
    "entra v2": ("entra", ENTRA_V2, {"typ": "JWT", "alg": "RS256"}, GUID),
    "entra v1": (
        "entra",
        ENTRA_V1,
        {"typ": "JWT", "alg": "RS256", "x5t": "kg2LYs2T0CTjIfj4rt6JIynen38"},
        f"api://{GUID}",
    ),
    "cognito": ("cognito", COGNITO, NO_TYPE, "orders-api"),
    "cognito resource": (
        "cognito",
        {**COGNITO, "aud": "https://orders.example.com", "scope": "orders:read"},
        NO_TYPE,
        "https://orders.example.com",
    ),
    "okta": ("okta", OKTA, NO_TYPE, "api://default"),
}
"""By name: profile, claims, header, and the resource that the token is for."""

FORGE = TokenForge()


def sign(claims: dict[str, Any], header: dict[str, Any], forge: TokenForge = FORGE) -> bytes:
    """Sign a vendor's token with a key of ours; DROP leaves a claim out."""
    gone = dict.fromkeys([*forge.good_claims.keys() - claims.keys()], DROP)
    typ = {"typ": DROP} if "typ" not in header else {}
    return forge.token(header={**header, **typ}, **gone, **claims)
