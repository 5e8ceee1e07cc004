"""Reading the Authorization header; the attack table has the hostile cases."""

import pytest

from resource_api.bearer import check_token68, find_bearer
from resource_api.errors import InvalidRequest, MissingToken, Reason, ResourceError


def token_of(*values: bytes) -> bytes:
    """Read the token of a request with these Authorization lines."""
    headers = [(b"host", b"x"), *((b"authorization", each) for each in values), (b"accept", b"*/*")]
    return check_token68(find_bearer(headers))


@pytest.mark.rfc("6750-2.1-1")
@pytest.mark.parametrize("token", [b"a", b"a=", b"a==", b"X", b"mF_9.B5f-4.1JqM", b"aZ09-._~+/"])
def test_every_token68_is_a_token(token: bytes) -> None:
    """The grammar is that of RFC 9110 §11.2, wider than a JWT: that comes later."""
    assert token_of(b"Bearer " + token) == token


def test_leading_blanks_change_nothing_about_the_verdict() -> None:
    """A server that did not strip a value still gets a refusal and never a token."""
    with pytest.raises(InvalidRequest):
        token_of(b" Bearer a")
    with pytest.raises(MissingToken):
        token_of(b" Basic a")


@pytest.mark.parametrize(
    ("values", "error", "reason"),
    [
        ((), MissingToken, Reason.NO_CREDENTIALS),
        ((b"",), MissingToken, Reason.NO_CREDENTIALS),
        ((b" \t",), MissingToken, Reason.NO_CREDENTIALS),
        ((b"Basic YTpi",), MissingToken, Reason.FOREIGN_SCHEME),
        ((b"Bearertoken",), MissingToken, Reason.FOREIGN_SCHEME),
        ((b"Basic YTpi Bearer a",), MissingToken, Reason.FOREIGN_SCHEME),
        ((b"Bearer",), InvalidRequest, Reason.MALFORMED_AUTHORIZATION),
        ((b"Bearer ",), InvalidRequest, Reason.MALFORMED_AUTHORIZATION),
        ((b"Bearer\ta",), InvalidRequest, Reason.MALFORMED_AUTHORIZATION),
        ((b"\tBearer a",), InvalidRequest, Reason.MALFORMED_AUTHORIZATION),
        ((b"Bearer =",), InvalidRequest, Reason.MALFORMED_AUTHORIZATION),
        ((b"Bearer a=a",), InvalidRequest, Reason.MALFORMED_AUTHORIZATION),
        ((b"Bearer a b",), InvalidRequest, Reason.MALFORMED_AUTHORIZATION),
        ((b"Bearer \ta",), InvalidRequest, Reason.MALFORMED_AUTHORIZATION),
        ((b"Bearer a\x0b",), InvalidRequest, Reason.MALFORMED_AUTHORIZATION),
        ((b"Bearer a\x0c",), InvalidRequest, Reason.MALFORMED_AUTHORIZATION),
        ((b"Bearer \x0ba",), InvalidRequest, Reason.MALFORMED_AUTHORIZATION),
        ((b"\x0b",), MissingToken, Reason.FOREIGN_SCHEME),
        ((b"\x0cBearer a",), MissingToken, Reason.FOREIGN_SCHEME),
        ((b"Bearer a, Bearer b",), InvalidRequest, Reason.MALFORMED_AUTHORIZATION),
        ((b"Basic YTpi, Bearer a",), InvalidRequest, Reason.SEVERAL_CREDENTIALS),
        ((b"Basic YTpi,Bearer",), InvalidRequest, Reason.SEVERAL_CREDENTIALS),
        ((b"Bearer a", b"Bearer a"), InvalidRequest, Reason.SEVERAL_CREDENTIALS),
        ((b"Bearer a", b""), InvalidRequest, Reason.SEVERAL_CREDENTIALS),
    ],
)
def test_each_other_header_has_its_own_reason(
    values: tuple[bytes, ...], error: type[ResourceError], reason: Reason
) -> None:
    """What is malformed is told apart from what is somebody else's, and both are refused."""
    with pytest.raises(ResourceError) as caught:
        token_of(*values)
    assert (type(caught.value), caught.value.reason) == (error, reason)


@pytest.mark.parametrize("value", [b"bEARER a", b"Bearer   a", b"Bearer a  ", b"Bearer a \t"])
def test_blanks_and_case_of_the_scheme_change_nothing(value: bytes) -> None:
    """RFC 9110 §5.5, §11.1: a server may leave blanks around the value."""
    assert token_of(value) == b"a"
