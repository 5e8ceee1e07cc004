"""The consumer and RFC 6749: the token request, and the answer to it."""

import base64
import json
from pathlib import Path
from urllib.parse import parse_qs, quote_plus, unquote_plus

import pytest

from consumer.client_auth import ClientSecretBasic, ClientSecretPost
from consumer.errors import InvalidTokenResponse
from consumer.fetch import FetchAnswer
from consumer.token_request import parse_token_response
from tests.support.consumer_flow import applied, token_request

FILE = Path(__file__).parent.parent / "vectors" / "rfc6749-client-auth.json"
VECTORS = json.loads(FILE.read_text())
CASES = VECTORS["basic"] + VECTORS["derived_cases"]
AUTH = ClientSecretBasic("billing", "s3cret")
GOOD = {"access_token": "t", "token_type": "Bearer", "expires_in": 3600}


def judged(document):
    """Judge a good answer with this document."""
    headers = {"content-type": "application/json"}
    answer = FetchAnswer(status=200, headers=headers, body=json.dumps(document).encode())
    return parse_token_response(answer, AUTH, now=0.0)


@pytest.mark.rfc("6749-2.3-1")
@pytest.mark.parametrize(
    ("method", "in_header", "in_body"),
    [(ClientSecretBasic, True, False), (ClientSecretPost, False, True)],
)
def test_2_3_a_request_has_one_way_of_authentication(method, in_header, in_body):
    """The secret is in the header or in the body, never in both."""
    request = token_request(method("billing", "s3cret"))
    assert in_header == ("Authorization" in request.headers)
    assert in_body == ("client_secret" in parse_qs(request.body.decode()))


@pytest.mark.rfc("6749-2.3.1-2")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["client_id"])
def test_2_3_1_basic_carries_form_encoded_id_and_secret(case):
    """Published and derived examples come out to the letter."""
    auth = ClientSecretBasic(case["client_id"], case["client_secret"])
    assert applied(auth)[1] == {"Authorization": case["authorization"]}


@pytest.mark.rfc("6749-2.3.1-2")
def test_2_3_1_appendix_b_encoding():
    """The example of Appendix B: UTF-8 first, space as plus."""
    example = VECTORS["form_encoding"]
    credentials = applied(ClientSecretBasic(example["input"], "x"))[1]["Authorization"]
    joined = base64.b64decode(credentials.removeprefix("Basic ")).decode()
    assert joined == f"{example['encoded']}:x"
    assert unquote_plus(quote_plus(example["input"])) == example["input"]


@pytest.mark.parametrize("method", [ClientSecretBasic, ClientSecretPost])
def test_2_3_1_credentials_are_never_in_the_uri(method):
    """The address of the token endpoint stays as it was given."""
    request = token_request(method("billing", "s3cret"))
    assert request.url == "https://as.example/token"


@pytest.mark.rfc("6749-3.2-1")
def test_3_2_the_token_request_is_a_post():
    """No other method is ever used, and the form says what it is."""
    request = token_request(AUTH)
    assert request.method == "POST"
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"


def test_3_2_parameters_without_a_value_are_left_out():
    """An empty scope counts as none."""
    request = token_request(AUTH, scope="", resource=None)
    assert request.body == b"grant_type=client_credentials"


@pytest.mark.rfc("6749-4.4-1")
def test_4_4_the_grant_type_is_exact():
    """`client_credentials`, and the client authenticates."""
    request = token_request(AUTH, scope="read write")
    assert request.body == b"grant_type=client_credentials&scope=read+write"
    assert request.headers["Authorization"].startswith("Basic ")


@pytest.mark.rfc("6749-5.1-3")
def test_5_1_unknown_members_are_ignored():
    """A refresh token, which nobody needs here, is one of them."""
    more = {"refresh_token": "r", "id_token": [], "x": {"y": None}}
    assert judged(GOOD | more).value == "t"


@pytest.mark.rfc("6749-5.1-3")
@pytest.mark.parametrize("kind", ["Bearer", "bearer", "BEARER", "bEaReR"])
def test_5_1_the_token_type_is_compared_without_case(kind):
    """Any spelling of Bearer will do."""
    assert judged(GOOD | {"token_type": kind}).value == "t"


@pytest.mark.rfc("6749-5.1-3")
@pytest.mark.parametrize("kind", ["DPoP", "mac", "N_A", "", "Bearer ", "bearer,dpop"])
def test_5_1_an_unknown_token_type_is_refused(kind):
    """A token that one does not know how to use must not be used."""
    with pytest.raises(InvalidTokenResponse, match="token_type"):
        judged(GOOD | {"token_type": kind})


@pytest.mark.rfc("6749-5.1-3")
@pytest.mark.parametrize("value", ["opaque", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", "x="])
def test_5_1_the_token_is_never_parsed(value):
    """Whether it looks like a JWT or not, what it says does not matter."""
    token = judged(GOOD | {"access_token": value})
    assert (token.value, token.lifetime) == (value, 3600.0)


@pytest.mark.rfc("6749-5.1-3", "21-3.2.3-1")
def test_5_1_expiry_is_receipt_and_lifetime_less_a_margin():
    """The token is not counted on for all of `expires_in`."""
    token = judged(GOOD | {"expires_in": 100})
    assert token.is_usable(94.9)
    assert not token.is_usable(95.0)
