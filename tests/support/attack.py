"""What the attack tests of a protected API share: tokens, keys, and what a refusal looks like."""

from tests.support.keys import rsa_key
from tests.support.protected_api import Answer, ProtectedApi
from watchword.testing.forge import TokenForge

FORGE = TokenForge()
GOOD = FORGE.token()
HEADER, PAYLOAD, SIGNATURE = FORGE.parts()
OTHER_KEY = TokenForge(rsa_key(1))
ATTACKER = OTHER_KEY.jwk.members()


async def assert_invalid_token(api: ProtectedApi, token: bytes) -> None:
    """401 `invalid_token`, nothing reached, nothing echoed, no fetch but that of the key set."""
    answer = await api.ask(token)
    assert answer.status == 401
    assert 'error="invalid_token"' in (answer.challenge or "")
    assert answer.json["error"] == "invalid_token"
    assert api.reached == []
    assert len(api.issuer.asked) <= 1
    assert len(token) < 8 or token.decode("latin-1") not in repr((answer, api.events))


def assert_invalid_request(answer: Answer) -> None:
    """400 `invalid_request`."""
    assert answer.status == 400
    assert 'error="invalid_request"' in (answer.challenge or "")


def assert_no_credentials(answer: Answer) -> None:
    """401 with a challenge that names no error (RFC 6750 §3.1)."""
    assert answer.status == 401
    assert answer.challenge is not None
    assert answer.challenge.startswith("Bearer realm=")
    assert "error" not in answer.challenge
