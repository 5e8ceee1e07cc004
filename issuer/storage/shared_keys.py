"""Keys that all nodes of a registry share: random, and made by the first node that asks."""

from typing import Final, Literal

from issuer.registry.audit import SYSTEM
from issuer.storage.registry import Registry

SharedKey = Literal["dpop_nonce_key", "console_key"]

DPOP_NONCE_KEY: Final = "dpop_nonce_key"
"""Of the nonces that DPoP proofs have to carry."""

CONSOLE_KEY: Final = "console_key"
"""Of the sessions of the administration console."""


def find_shared_key(registry: Registry, name: SharedKey) -> bytes:
    """Return a key of 32 bytes, made if there is none yet.

    Raises:
        StoreUnavailable: the registry does not answer.
    """
    key = registry.read(lambda reading: reading.shared_key(name))
    key = key or registry.change(lambda edit: edit.make_shared_key(name), by=SYSTEM)
    return bytes.fromhex(key)
