"""Unit tests of `issuer.client_auth`: the memory of proven slow secrets."""

import pytest

from issuer import client_auth
from issuer.client_auth import ClientAuthenticator
from issuer.errors import InvalidClient
from issuer.token_request import SecretPost
from tests.support.issuer import Clients, SlowHere, make_client, make_secret

SHORT = "hunter2hunter2"


def two_clients() -> Clients:
    """Make two clients with slow secrets."""
    return Clients(
        *(make_client(name, secrets=(make_secret(SHORT, secret_id=name),)) for name in ("a", "b"))
    )


async def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest proof goes first, and is paid again when it is needed again."""
    monkeypatch.setattr(client_auth, "REMEMBERED", 1)
    slow = SlowHere()
    authenticator = ClientAuthenticator(two_clients(), slow, memo_key=bytes(32))
    for name, verified in (("a", 1), ("b", 2), ("b", 2), ("a", 3)):
        proven = await authenticator.authenticate(SecretPost(name, SHORT), now=1)
        assert (proven.client.client_id, slow.verified) == (name, verified)


async def test_a_proof_does_not_outlive_its_secret() -> None:
    """Once the hash is replaced, the old secret is refused although it was proven."""
    clients = two_clients()
    authenticator = ClientAuthenticator(clients, SlowHere(), memo_key=bytes(32))
    await authenticator.authenticate(SecretPost("a", SHORT), now=1)
    changed = make_client("a", secrets=(make_secret("another-one", secret_id="a"),))
    clients.known["a"] = clients.stored["a"] = changed
    with pytest.raises(InvalidClient):
        await authenticator.authenticate(SecretPost("a", SHORT), now=1)
