"""A flow whose tokens are bound to a key: proofs, nonces, and what is done only once."""

import json
from urllib.parse import parse_qs

import pytest

from consumer.client_assertion import PrivateKeyJwt
from consumer.dpop import DpopKey
from consumer.errors import InvalidTokenResponse, TokenRequestRefused
from consumer.steps import Attempt
from keys.dpop import check_proof
from keys.encoding import decode_base64url
from tests.support.consumer_flow import API, ISSUER, NOW, Walk, answer, make_flow, token_answer
from watchword.testing.clock import Clock
from watchword.testing.keys import private_key

KEY = DpopKey(private_key("ES256"))
URL = "https://api.example/orders"
ENDPOINT = f"{ISSUER}/token"
WANTED = {"error": "use_dpop_nonce"}
NONCE_CHALLENGE = ['DPoP error="use_dpop_nonce", algs="ES256"']
REJECTION = ['DPoP error="invalid_token", algs="ES256"']


@pytest.fixture
def flow():
    """A flow with a key."""
    return make_flow(Clock(1000), dpop=KEY)


def bound_answer(value="t1", **headers):
    """Return a good answer of the token endpoint."""
    document = {"access_token": value, "token_type": "DPoP", "expires_in": 3600}
    return answer(document, **headers)


def proof_of(headers):
    """Return the claims of the proof of a request."""
    return json.loads(decode_base64url(headers["DPoP"].split(".")[1]))


def sent(attempt, method="GET"):
    """Return the headers that an attempt puts on a request, once they were checked."""
    headers = {}
    attempt.authorize(headers, method, URL)
    proof, token = headers["DPoP"].encode(), attempt.token.value.encode()
    found = check_proof([proof], method=method, url=URL, now=NOW, token=token)
    assert found.jkt == KEY.thumbprint
    return headers


@pytest.mark.rfc("9449-5-1-C")
@pytest.mark.rfc("9449-7.1-1-C")
def test_the_token_request_and_the_api_request_carry_proofs(flow):
    """One of the token endpoint, and one of the API and the token."""
    walk = Walk(flow)
    proof = walk.step.request.headers["DPoP"].encode()
    assert check_proof([proof], method="POST", url=ENDPOINT, now=NOW).jkt == KEY.thumbprint
    walk.fetched(bound_answer())
    assert sent(walk.step)["Authorization"] == "DPoP t1"
    assert sent(walk.step)["DPoP"] != sent(walk.step)["DPoP"]


@pytest.mark.rfc("9449-5-1-C")
@pytest.mark.parametrize("given", [token_answer("t1"), bound_answer()])
def test_a_token_of_the_other_kind_is_discarded(given):
    """An unbound one is worth less than was asked for; a bound one cannot be used without a key."""
    is_bound = b"DPoP" in given.body
    with pytest.raises(InvalidTokenResponse, match="the token_type is not"):
        Walk(make_flow(Clock(1000), dpop=None if is_bound else KEY)).fetched(given)


@pytest.mark.rfc("9449-8-1-C")
def test_the_issuers_nonce_is_answered_once_with_everything_made_anew():
    """Proof and client assertion count once; the second answer stands, whatever it is."""
    auth = PrivateKeyJwt("id", private_key("ES256"))
    walk = Walk(make_flow(Clock(1000), dpop=KEY, auth=auth))
    first = walk.step.request
    walk.fetched(answer(WANTED, 400, **{"dpop-nonce": "n1"}))
    second = walk.step.request
    assert proof_of(second.headers)["nonce"] == "n1"
    assert proof_of(second.headers)["jti"] != proof_of(first.headers)["jti"]
    assertions = [parse_qs(each.body.decode())["client_assertion"] for each in (first, second)]
    assert assertions[0] != assertions[1]
    with pytest.raises(TokenRequestRefused, match="use_dpop_nonce"):
        walk.fetched(answer(WANTED, 400, **{"dpop-nonce": "n2"}))


@pytest.mark.parametrize(
    "given",
    [
        answer(WANTED, 400),
        answer(WANTED, 400, **{"dpop-nonce": "n1, n2"}),
        answer({"error": "invalid_dpop_proof"}, 400, **{"dpop-nonce": "n1"}),
    ],
)
def test_without_a_nonce_or_for_another_fault_nothing_is_repeated(flow, given):
    """The refusal is the caller's to see."""
    with pytest.raises(TokenRequestRefused):
        Walk(flow).fetched(given)


def test_an_answer_that_is_not_json_is_not_taken_for_a_wish(flow):
    """A gateway's page with a nonce is what it is without one."""
    given = answer({}, 400, **{"dpop-nonce": "n1", "content-type": "text/html"})
    with pytest.raises(InvalidTokenResponse):
        Walk(flow).fetched(given)


@pytest.mark.rfc("9449-8-1-C")
def test_a_nonce_that_rides_on_a_good_answer_is_used_next(flow):
    """At the issuer and at the API, each its own."""
    walk = Walk(flow).fetched(bound_answer(**{"dpop-nonce": "n1"}))
    assert "nonce" not in proof_of(sent(walk.step))
    walk.step.answered(200, [], can_repeat=True, nonce="a1")
    walk.go_on()
    assert proof_of(sent(Walk(flow).step))["nonce"] == "a1"
    flow._cache.token = None
    assert proof_of(Walk(flow).step.request.headers)["nonce"] == "n1"


@pytest.mark.rfc("9449-8-1-C")
def test_the_apis_nonce_is_answered_once_with_the_same_token(flow):
    """A new proof, no new token; if it is asked for again, the API's answer stands."""
    walk = Walk(flow).fetched(bound_answer())
    first = walk.step
    first.answered(401, NONCE_CHALLENGE, can_repeat=True, nonce="a1")
    walk.go_on()
    assert walk.step.token is first.token
    assert proof_of(sent(walk.step))["nonce"] == "a1"
    walk.step.answered(401, NONCE_CHALLENGE, can_repeat=True, nonce="a2")
    assert walk.go_on().step is None
    assert proof_of(sent(Walk(flow).step))["nonce"] == "a2"


@pytest.mark.parametrize(
    ("status", "challenges", "nonce", "can_repeat"),
    [
        (401, NONCE_CHALLENGE, None, True),
        (401, NONCE_CHALLENGE, "a1", False),
        (401, ['Bearer error="use_dpop_nonce"'], "a1", True),
        (401, ['DPoP error="invalid_dpop_proof"'], "a1", True),
        (403, NONCE_CHALLENGE, "a1", True),
    ],
)
def test_other_answers_of_the_api_repeat_nothing(flow, status, challenges, nonce, can_repeat):
    """No nonce, a body that is gone, another challenge or another status."""
    walk = Walk(flow).fetched(bound_answer())
    walk.step.answered(status, challenges, can_repeat=can_repeat, nonce=nonce)
    assert walk.go_on().step is None


@pytest.mark.rfc("6750-3.1-3")
def test_a_rejected_token_is_renewed_after_the_nonce_was_answered(flow):
    """Each is done once: nonce, renewal; the answer to the third attempt stands."""
    walk = Walk(flow).fetched(bound_answer())
    walk.step.answered(401, NONCE_CHALLENGE, can_repeat=True, nonce="a1")
    walk.go_on()
    walk.step.answered(401, REJECTION, can_repeat=True, nonce="a2")
    walk.go_on().fetched(bound_answer("t2"))
    assert walk.step.token.value == "t2"
    assert proof_of(sent(walk.step))["nonce"] == "a2"
    walk.step.answered(401, NONCE_CHALLENGE, can_repeat=True, nonce="a3")
    assert walk.go_on().step is None


def test_a_bound_token_always_needs_a_step(flow):
    """There is a proof to make, so no request goes without one."""
    walk = Walk(flow).fetched(bound_answer())
    assert isinstance(walk.step, Attempt)
    assert flow.fresh_attempt(API) is None


def test_flows_of_one_client_share_the_nonce(flow):
    """A token that is exchanged is bound to the same key."""
    Walk(flow).fetched(bound_answer(**{"dpop-nonce": "n1"}))
    for other in (flow.acting_for("caller"), flow.inherited()):
        other._cache.token = None
        assert proof_of(Walk(other).step.request.headers)["nonce"] == "n1"
