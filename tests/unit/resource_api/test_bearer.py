"""Reading the Authorization header; the attack table has the hostile cases."""

import pytest

from resource_api.bearer import parse_bearer
from resource_api.errors import InvalidRequest, MissingToken


@pytest.mark.rfc("6750-2.1-1")
@pytest.mark.parametrize("token", [b"a", b"a=", b"a==", b"X", b"mF_9.B5f-4.1JqM", b"aZ09-._~+/"])
def test_every_token68_is_a_token(token: bytes) -> None:
    """The grammar is that of RFC 9110 §11.2, wider than a JWT: that comes later."""
    headers = [(b"host", b"x"), (b"authorization", b"Bearer " + token), (b"accept", b"*/*")]
    assert parse_bearer(headers) == token


def test_leading_blanks_change_nothing_about_the_verdict() -> None:
    """A server that did not strip a value still gets a refusal and never a token."""
    with pytest.raises(InvalidRequest):
        parse_bearer([(b"authorization", b" Bearer a")])
    with pytest.raises(MissingToken):
        parse_bearer([(b"authorization", b" Basic a")])
