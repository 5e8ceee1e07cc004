"""Seal client secrets that have to be recovered, by a key that is kept beside them (RFC 7523 §2.2).

Pure but for the random bytes, which come from an argument. AES-256-GCM under one random key, which
the registry keeps sealed with a passphrase: so a secret opens in microseconds, and another
passphrase seals the key anew and no secret.
"""

from collections.abc import Callable
from dataclasses import replace

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from issuer.registry.auth_methods import AuthMethod
from issuer.registry.client import ClientRegistration
from issuer.registry.credentials import NewSecret, is_generated
from issuer.registry.errors import InvalidValue

KEY_BYTES = 32
_NONCE_BYTES = 12


class SecretSeal:
    """Seals secrets and opens them; its repr shows no key.

    Args:
        key: `KEY_BYTES` random bytes.
        random_bytes: the operating system's randomness, `secrets.token_bytes`.
    """

    def __init__(self, key: bytes, *, random_bytes: Callable[[int], bytes]) -> None:
        self._cipher = AESGCM(key)
        self._random_bytes = random_bytes

    def seal(self, client_id: str, secret: str) -> bytes:
        """Seal a secret of a client; that of another one does not open in its place."""
        nonce = self._random_bytes(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, secret.encode(), client_id.encode())

    def open(self, client_id: str, sealed: bytes) -> bytes | None:
        """Return the secret; None if it is damaged, of another client or sealed by another key."""
        nonce, content = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        try:
            return self._cipher.decrypt(nonce, content, client_id.encode())
        except (InvalidTag, ValueError):
            return None


def check_method(
    client: ClientRegistration,
    seal: SecretSeal | None,
    *,
    before: ClientRegistration | None = None,
) -> None:
    """Refuse a client whose secrets have to be recovered where they cannot be.

    Args:
        client: what it is to be.
        seal: what its secrets would be sealed with.
        before: what it was; one that has the method already may change otherwise.

    Raises:
        InvalidValue: client_secret_jwt is switched off.
    """
    method = client.token_endpoint_auth_method
    if before is not None and before.token_endpoint_auth_method is method:
        return
    if seal is None and method is AuthMethod.CLIENT_SECRET_JWT:
        raise InvalidValue(f"{method} is off; WATCHWORD_CLIENT_SECRET_JWT=on switches it on")


def sealed(new: NewSecret, client: ClientRegistration, seal: SecretSeal | None) -> NewSecret:
    """Return a new secret as a client of its method needs it kept: recoverable if it signs with it.

    Raises:
        InvalidValue: client_secret_jwt is switched off, or the secret was chosen.
    """
    method = client.token_endpoint_auth_method
    if method is not AuthMethod.CLIENT_SECRET_JWT:
        return new
    check_method(client, seal)
    # RFC 8725 §3.5: whoever sees one assertion can try secrets on it, as many as they like.
    if seal is None or new.text is None or not is_generated(new.text):
        raise InvalidValue(f"{method} takes no secret that was chosen, only one that was made here")
    kept = replace(new.hash, sealed=seal.seal(client.client_id, new.text))
    return replace(new, hash=kept)
