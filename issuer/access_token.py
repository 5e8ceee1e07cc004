"""Build RFC 9068 access tokens: header, claims and the bytes to sign.

Pure. The header is one constant segment for each key; the claims are those of RFC 9068 §2.2.
"""

import json
from dataclasses import dataclass
from functools import lru_cache

from issuer.grants.client_credentials import Grant
from keys.encoding import encode_base64url

TOKEN_TYPE = "at+jwt"  # noqa: S105 - RFC 9068 §2.1
_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedToken:
    """A signed token and what its response says beside it (RFC 6749 §5.1)."""

    access_token: str
    client_id: str
    scopes: tuple[str, ...]
    expires_in: int
    jti: str
    kid: str

    def __repr__(self) -> str:
        """Show whose token it is, never the token."""
        return f"IssuedToken(client_id={self.client_id!r}, jti={self.jti!r})"


def build_claims(grant: Grant, *, issuer: str, now: int, jti: str) -> dict[str, object]:
    """Build the claims of a client-credentials token.

    Args:
        grant: what is granted; `sub` is the client itself (RFC 9068 §2.2).
        issuer: the issuer identifier, verbatim.
        now: seconds since the epoch.
        jti: the token's id, never used before.
    """
    claims: dict[str, object] = {
        "iss": issuer,
        "sub": grant.client_id,
        "client_id": grant.client_id,
        "aud": grant.resource,
        "iat": now,
        "exp": now + grant.token_ttl,
        "jti": jti,
    }
    if grant.scopes:
        claims["scope"] = " ".join(grant.scopes)
    return claims


@lru_cache(maxsize=64)
def header_segment(alg: str, kid: str) -> str:
    """Encode the header of every token of one key (RFC 9068 §2.1, RFC 7515 §4.1)."""
    return encode_base64url(_encode({"alg": alg, "typ": TOKEN_TYPE, "kid": kid}).encode())


def build_signing_input(header: str, claims: dict[str, object]) -> bytes:
    """Join header and payload segments as they will be signed (RFC 7515 §5.1)."""
    return f"{header}.{encode_base64url(_encode(claims).encode())}".encode("ascii")


def assemble(signing_input: bytes, signature: bytes) -> str:
    """Append the signature: the compact serialisation (RFC 7515 §7.1)."""
    return f"{signing_input.decode('ascii')}.{encode_base64url(signature)}"
