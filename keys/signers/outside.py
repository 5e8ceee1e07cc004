"""What keeps private keys outside of this process: a security module, a key management service.

The key store dispatches to it: such a key's text holds a reference in the place of the private key.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from keys.signers.local import Signer

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

    from keys.stores.key_file import StoredKey


class KeyHolder(Protocol):
    """Makes private keys that never leave it, and signs with them.

    Every method raises KeyStoreError, with one clear line, where it cannot.
    """

    @property
    def kind(self) -> str:
        """Return the ``kind`` of its references."""
        ...

    def generate(
        self, alg: str, bits: int | None, name: str
    ) -> "tuple[PublicKeyTypes, dict[str, str]]":
        """Make a key pair.

        Args:
            alg: the algorithm that it will serve.
            bits: the size of an RSA key; None for the usual one.
            name: what to call it; not used before.

        Returns:
            The public key, and the reference to the private one.
        """
        ...

    def signer(self, stored: "StoredKey") -> Signer:
        """Return the signer of a key that it made."""
        ...

    def delete(self, reference: Mapping[str, str]) -> None:
        """Destroy a private key; one that is not there any more is no error."""
        ...
