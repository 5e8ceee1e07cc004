"""Tokens that are bound to a DPoP key or a certificate, and requests that show them."""

import ssl
from typing import Any

from keys.client_cert import certificate_thumbprint
from tests.support.dpop import ProofForge
from tests.support.protected_api import Answer, ProtectedApi, ask
from watchword.testing.forge import RESOURCE, TokenForge

FORGE = TokenForge()
SENDER = ProofForge(method="GET", url=f"{RESOURCE}/read")
DER = b"\x30\x81\x80" + b"c" * 128
PEM = ssl.DER_cert_to_PEM_cert(DER)
OTHER_PEM = ssl.DER_cert_to_PEM_cert(b"\x30\x81\x80" + b"d" * 128)
CLIENT_CERT = (
    b":"
    + ssl.DER_cert_to_PEM_cert(DER).split("\n", 1)[1].rsplit("\n", 2)[0].replace("\n", "").encode()
    + b":"
)
KEY_BOUND = FORGE.token(cnf={"jkt": SENDER.jkt})
CERTIFICATE_BOUND = FORGE.token(cnf={"x5t#S256": certificate_thumbprint(DER)})


async def send(
    api: ProtectedApi,
    token: bytes,
    *proofs: bytes,
    scheme: bytes = b"DPoP ",
    pem: str | None = None,
    more: tuple[tuple[bytes, bytes], ...] = (),
    **request: Any,
) -> Answer:
    """Send a token, with these proofs and this certificate, to the protected route."""
    lines = [(b"authorization", scheme + token), *((b"dpop", proof) for proof in proofs), *more]
    if pem is not None:
        request["extensions"] = {"tls": {"client_cert_chain": [pem], "client_cert_error": None}}
    return await ask(api.app, "GET", "/read", *lines, **request)
