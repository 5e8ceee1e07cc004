"""Make every ill-formed token from one good one by naming the single change."""

import json
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from keys.encoding import encode_base64url
from keys.jwk import public_jwk
from keys.jwks import JwkSet, build_jwk_set
from keys.key_types import verifier
from watchword.testing.keys import private_key as key_for

ISSUER = "https://as.example"
RESOURCE = "https://api.example"
NOW = 1_800_000_000
DROP = object()
"""As a value of `header` or `claims`: leave this member out."""


class TokenForge:
    """Hold one signing key and one good token, and forge the rest from it."""

    def __init__(
        self,
        private_key: PrivateKeyTypes | None = None,
        *,
        alg: str = "RS256",
        issuer: str = ISSUER,
        resource: str = RESOURCE,
        now: float = NOW,
    ) -> None:
        """Take the first key of this process unless told otherwise."""
        self.private_key = private_key or key_for(alg)
        self.jwk = public_jwk(self.private_key, alg)
        self.issuer = issuer
        self.resource = resource
        self.now = int(now)

    @property
    def keys(self) -> JwkSet:
        """Give the set that a validator would hold."""
        return JwkSet(keys=(self.jwk,))

    @property
    def jwks_document(self) -> bytes:
        """Give the set as an issuer would publish it."""
        return json.dumps(build_jwk_set([self.jwk])).encode()

    @property
    def good_header(self) -> dict[str, Any]:
        """Give the header of the good token."""
        return {"alg": self.jwk.alg, "typ": "at+jwt", "kid": self.jwk.kid}

    @property
    def good_claims(self) -> dict[str, Any]:
        """Give the claims of the good token."""
        return {
            "iss": self.issuer,
            "sub": "svc-a",
            "client_id": "svc-a",
            "aud": self.resource,
            "iat": self.now,
            "exp": self.now + 300,
            "jti": "token-1",
            "scope": "read write",
        }

    def token(self, *, header: Mapping[str, Any] | None = None, **claims: object) -> bytes:
        """Give the good token with these members changed, properly signed."""
        return self.raw(
            dump(_changed(self.good_header, header or {})),
            dump(_changed(self.good_claims, claims)),
        )

    def raw(self, header: bytes, payload: bytes) -> bytes:
        """Sign these very bytes, whatever they are."""
        return self.sign(segment(header) + b"." + segment(payload))

    def sign(self, signing_input: bytes) -> bytes:
        """Append the signature over a signing input, whatever it is."""
        signature = verifier(self.jwk.alg).sign(signing_input, self.private_key)
        return signing_input + b"." + segment(signature)

    def parts(self) -> tuple[bytes, bytes, bytes]:
        """Give the three segments of the good token."""
        header, payload, signature = self.token().split(b".")
        return header, payload, signature


def segment(data: bytes) -> bytes:
    """Encode a segment as RFC 7515 §2 wants it."""
    return encode_base64url(data).encode()


def dump(members: Mapping[str, Any]) -> bytes:
    """Write compact JSON; NaN and Infinity included."""
    return json.dumps(members, separators=(",", ":")).encode()


def _changed(good: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in (good | dict(changes)).items() if value is not DROP}
