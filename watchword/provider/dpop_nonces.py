"""The nonces of DPoP proofs, under a key that all nodes of a registry share."""

from issuer.binding import NonceSource
from issuer.errors import Reason, TemporarilyUnavailable
from issuer.storage.registry import Registry
from issuer.storage.shared_keys import DPOP_NONCE_KEY, find_shared_key
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
            key = find_shared_key(opened, DPOP_NONCE_KEY)
        except BaseException:
            opened.close()
            raise
        self._nonces = Nonces(key)

    def _current(self) -> Nonces:
        if self._nonces is None:
            raise TemporarilyUnavailable(Reason.STORE_UNAVAILABLE)
        return self._nonces
