"""The nonces of DPoP proofs, under a key that all nodes of a registry share."""

from issuer.binding import NonceSource
from issuer.errors import Reason, TemporarilyUnavailable
from issuer.registry.audit import SYSTEM
from issuer.storage.registry import Registry
from keys.dpop_nonce import Nonces


class SharedNonces:
    """The nonces of an issuer, where proofs have to carry one.

    Args:
        registry: has the key; if it is not open yet, `load` is called once it is.
        wanted: whether proofs have to carry one.
    """

    def __init__(self, registry: Registry, *, wanted: bool) -> None:
        self._nonces: Nonces | None = None
        self.source: NonceSource | None = self._current if wanted else None
        """For the token endpoint; None if proofs need no nonce."""
        if registry.is_open:
            self.load(registry)

    def load(self, opened: Registry) -> None:
        """Read the key from a registry that was opened, or make it.

        Raises:
            StoreUnavailable: it does not answer, and was closed again.
        """
        if self.source is None:
            return
        try:
            key = opened.read(lambda reading: reading.identity().dpop_nonce_key)
            key = key or opened.change(lambda edit: edit.make_dpop_nonce_key(), by=SYSTEM)
        except BaseException:
            opened.close()
            raise
        self._nonces = Nonces(bytes.fromhex(key))

    def _current(self) -> Nonces:
        if self._nonces is None:
            raise TemporarilyUnavailable(Reason.STORE_UNAVAILABLE)
        return self._nonces
