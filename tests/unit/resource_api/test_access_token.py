"""Where foreign code is called, foreign exceptions stop."""

from typing import Any

import cryptography.exceptions
import jwt
import pytest

from keys.jwk import PublicJwk
from resource_api import InvalidToken, Reason, ResourcePolicy, access_token, verify
from resource_api.access_token import parse_token, verify_parsed
from tests.support.forge import ISSUER, NOW, RESOURCE, TokenForge

FORGE = TokenForge()
POLICY = ResourcePolicy(issuer=ISSUER, resource=RESOURCE)


def descendants(base: type[BaseException]) -> set[type[BaseException]]:
    """Give a class and all its subclasses."""
    return {base}.union(*map(descendants, base.__subclasses__()))


FOREIGN = sorted(
    descendants(jwt.PyJWTError)
    | {
        value
        for value in vars(cryptography.exceptions).values()
        if isinstance(value, type) and issubclass(value, Exception)
    }
    | {ValueError, TypeError, OverflowError, MemoryError, AttributeError},
    key=lambda kind: kind.__qualname__,
)


@pytest.mark.parametrize("kind", FOREIGN, ids=lambda kind: kind.__qualname__)
def test_library_errors_are_bad_signatures(
    kind: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the signature library raises, the token is refused and nothing leaks."""

    class Broken:
        def verify(self, *arguments: Any) -> bool:
            raise kind.__new__(kind)

    monkeypatch.setattr(access_token, "verifier", lambda name: Broken())
    with pytest.raises(InvalidToken) as caught:
        verify(FORGE.token(), FORGE.keys, POLICY, now=NOW)
    assert caught.value.reason is Reason.BAD_SIGNATURE


@pytest.mark.rfc("8725-3.1-1")
def test_key_is_used_with_its_own_algorithm_only() -> None:
    """A key bound to another algorithm verifies nothing, however it was selected."""
    other = PublicJwk(kid=FORGE.jwk.kid, alg="PS256", kty="RSA", key=FORGE.jwk.key)
    with pytest.raises(InvalidToken) as caught:
        verify_parsed(parse_token(FORGE.token(), POLICY), other, POLICY, now=NOW)
    assert caught.value.reason is Reason.BAD_SIGNATURE
