"""Client authentication by a signed assertion in place of a secret (RFC 7521 §4.2, RFC 7523 §2.2).

An assertion is made for each request, says for which issuer it is, and lives for a minute.
"""

import hmac
import re
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING

from consumer.client_auth import REDACTED, check_client_id
from consumer.signing_key import SigningKey, signing_input
from keys.encoding import encode_base64url

if TYPE_CHECKING:
    from consumer.signing_key import PrivateKey

LIFETIME = 60
"""Seconds that an assertion lives."""
_JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_TYPE = "client-authentication+jwt"  # RFC 10070 §4
# Every JWS begins so: it is how base64url spells the brace and the quote of its header.
_JWS = re.compile(r"eyJ[A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]*)*")
_SHORTEST_SECRET = 32  # RFC 7518 §3.2: a key for HS256 has at least the size of its hash


@dataclass(frozen=True, slots=True, init=False)
class PrivateKeyJwt:
    """`private_key_jwt`: an assertion signed with a private key, which the issuer does not have."""

    client_id: str
    key: SigningKey
    kid: str

    def __init__(
        self, client_id: str, key: "PrivateKey", alg: str | None = None, kid: str | None = None
    ) -> None:
        """Read the key.

        Args:
            client_id: the client.
            key: PEM text or bytes, the path of a PEM file, or a key of `cryptography`.
            alg: what it signs with; None for RS256, ES256, ES384, ES512 or Ed25519, as it fits.
            kid: what the issuer calls the key; None for its thumbprint (RFC 7638).

        Raises:
            ValueError: the id cannot be one, or this is no private key, or not one to sign with.
            OSError: the file cannot be read.
        """
        check_client_id(client_id)
        signing = SigningKey(key, alg)
        for name, value in (
            ("client_id", client_id),
            ("key", signing),
            ("kid", kid or signing.thumbprint),
        ):
            object.__setattr__(self, name, value)

    def apply(  # noqa: D102 - see `ClientAuth`
        self,
        form: MutableMapping[str, str],
        headers: MutableMapping[str, str],
        *,
        audience: str,
        now: float,
    ) -> None:
        header = {"typ": _TYPE, "kid": self.kid}
        assertion = self.key.sign(header, _claims(self.client_id, audience, now))
        add_assertion(form, self.client_id, assertion)

    def redact(self, text: str) -> str:  # noqa: D102 - see `ClientAuth`
        return redact_jws(text)


@dataclass(frozen=True, slots=True)
class ClientSecretJwt:
    """`client_secret_jwt`: an assertion signed with the secret (HS256), which is never sent."""

    client_id: str
    client_secret: str = field(repr=False)

    def __post_init__(self) -> None:
        """Check both.

        Raises:
            ValueError: the id cannot be one, or the secret is too short.
        """
        check_client_id(self.client_id)
        if len(self.client_secret.encode()) < _SHORTEST_SECRET:
            raise ValueError(f"a secret that signs has at least {_SHORTEST_SECRET} bytes")

    def apply(  # noqa: D102 - see `ClientAuth`
        self,
        form: MutableMapping[str, str],
        headers: MutableMapping[str, str],
        *,
        audience: str,
        now: float,
    ) -> None:
        claims = _claims(self.client_id, audience, now)
        signed = signing_input({"alg": "HS256", "typ": _TYPE}, claims)
        signature = hmac.digest(self.client_secret.encode(), signed.encode(), sha256)
        add_assertion(form, self.client_id, f"{signed}.{encode_base64url(signature)}")

    def redact(self, text: str) -> str:  # noqa: D102 - see `ClientAuth`
        return redact_jws(text)


def add_assertion(form: MutableMapping[str, str], client_id: str, assertion: str) -> None:
    """Add an assertion to a request (RFC 7521 §4.2), and whose it is."""
    form["client_id"] = client_id
    form["client_assertion_type"] = _JWT_BEARER
    form["client_assertion"] = assertion


def redact_jws(text: str) -> str:
    """Replace whatever may be an assertion in text that comes from elsewhere."""
    return _JWS.sub(REDACTED, text)


def _claims(client_id: str, audience: str, now: float) -> Mapping[str, object]:
    # RFC 10070 §4: the issuer identifier alone, as a string, and never the token endpoint's URL.
    issued_at = int(now)
    return {
        "iss": client_id,
        "sub": client_id,
        "aud": audience,
        "iat": issued_at,
        "exp": issued_at + LIFETIME,
    }
