"""A verifier of plain secrets without a thread."""

from collections.abc import Sequence

from issuer.client_auth.methods import KnownClients
from issuer.client_auth.secret import SecretVerifier
from issuer.registry.credentials import SecretHash


class SlowHere:
    """Verifies slow hashes at once, and counts."""

    def __init__(self) -> None:
        self.verified = 0

    async def find(
        self, hashes: Sequence[SecretHash], secret: str, *, client_id: str | None
    ) -> int | None:
        """Return the number of the hash that the secret has, or None."""
        for number, each in enumerate(hashes):
            self.verified += 1
            if each.verify(secret):
                return number
        return None


def verifier_of(clients: KnownClients, slow: SlowHere | None = None) -> SecretVerifier:
    """Make the verifier of these clients' secrets."""
    return SecretVerifier(
        slow or SlowHere(), any_slow=lambda: clients.has_slow_secrets, memo_key=bytes(32)
    )
