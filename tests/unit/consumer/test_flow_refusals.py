"""What a flow does when an API refuses the token, stepped by hand."""

import pytest

from consumer.errors import TokenEndpointUnreachable
from consumer.steps import Fetch
from tests.support.consumer_flow import API, OTHER_API, Walk, make_flow, token_answer, warm
from watchword.testing.clock import Clock

DOWN = TokenEndpointUnreachable("down")


@pytest.fixture
def clock():
    """A clock turned by hand."""
    return Clock(1000)


@pytest.fixture
def flow(clock):
    """A flow without a token yet."""
    return make_flow(clock)


def test_a_rejected_token_is_replaced_and_the_request_sent_again(flow):
    """One token request, one retry."""
    warm(flow)
    walk = Walk(flow).answered(rejected=True)
    assert isinstance(walk.step, Fetch)
    assert walk.fetched(token_answer("t2")).sends == "t2"
    assert walk.answered().step is None


def test_a_token_that_is_newer_than_the_rejected_one_is_used(flow):
    """A late 401 does not cost a second token request."""
    warm(flow)
    early, late = Walk(flow), Walk(flow)
    early.answered(rejected=True).fetched(token_answer("t2"))
    assert late.answered(rejected=True).sends == "t2"


def test_a_request_that_cannot_be_repeated_is_not(flow):
    """But the next one does not use the rejected token."""
    warm(flow)
    assert Walk(flow).answered(rejected=True, replayable=False).step is None
    assert isinstance(Walk(flow).step, Fetch)


def test_there_is_never_a_second_retry(flow):
    """A fresh token that is refused as well ends the matter."""
    warm(flow)
    walk = Walk(flow).answered(rejected=True).fetched(token_answer("t2"))
    assert walk.answered(rejected=True).step is None


def test_an_incurable_401_costs_no_more_token_requests(flow, clock):
    """One call, one answer, until the API has been left alone for a while."""
    warm(flow)
    Walk(flow).answered(rejected=True).fetched(token_answer("t2")).answered(rejected=True)
    for _ in range(100):
        assert Walk(flow).answered(rejected=True).step is None
    clock.advance(60)
    assert isinstance(Walk(flow).step, Fetch)


def test_other_apis_keep_the_token_that_one_rejected(flow):
    """One API out of order does not stop the others, not even while the issuer is down."""
    warm(flow)
    Walk(flow, API).answered(rejected=True).fetched(DOWN)
    assert Walk(flow, OTHER_API).sends == "t1"


def test_if_no_new_token_is_to_be_had_the_answer_stands(flow):
    """The 401 is the answer; the next request reports what is wrong with the issuer."""
    warm(flow)
    assert Walk(flow).answered(rejected=True).fetched(DOWN).step is None
    with pytest.raises(TokenEndpointUnreachable):
        Walk(flow).fetched(DOWN)


def test_an_attempt_of_which_nothing_is_known_changes_nothing(flow):
    """A shell that was interrupted says nothing: the token serves on, and nothing is repeated."""
    walk = Walk(flow).fetched(token_answer("t1"))
    step = walk.step
    assert (step.accepted, step.rejected, step.replayable) == (False, False, False)
    assert walk.go_on().step is None
    assert Walk(flow).sends == "t1"


def test_an_api_that_heals_is_forgiven_and_asked_as_before(flow, clock):
    """Only by a newer token that it accepts, and only itself."""
    warm(flow)
    Walk(flow).answered(rejected=True).fetched(token_answer("t2")).answered()
    clock.advance(60)
    walk = Walk(flow)
    assert walk.sends == "t2"
    walk.answered()
    # The refusal of t1 is forgotten: one of t2 is the first one, and costs no waiting.
    assert isinstance(Walk(flow).answered(rejected=True).step, Fetch)


def test_a_refusal_of_the_second_token_is_noted_for_that_api_alone(flow):
    """The other API's next request is not held up by it, nor is its refusal counted there."""
    warm(flow)
    Walk(flow).answered(rejected=True).fetched(token_answer("t2")).answered(rejected=True)
    assert isinstance(Walk(flow, OTHER_API).answered(rejected=True).step, Fetch)


def test_what_an_api_says_yes_to_heals_no_other_api(flow):
    """An API that refuses fresh tokens is left alone, whatever its neighbour accepts."""
    warm(flow)
    Walk(flow).answered(rejected=True).fetched(token_answer("t2")).answered(rejected=True)
    Walk(flow, OTHER_API).answered()
    assert Walk(flow).answered(rejected=True).step is None


def test_a_refusal_of_the_second_token_is_noted_for_the_api_that_refused(flow, clock):
    """Not before it was left alone for a while, and then for certain, a third one is fetched."""
    warm(flow)
    Walk(flow).answered(rejected=True).fetched(token_answer("t2")).answered(rejected=True)
    assert Walk(flow).sends == "t2"
    clock.advance(60)
    assert isinstance(Walk(flow).step, Fetch)
    assert Walk(flow, OTHER_API).sends == "t2"


@pytest.mark.parametrize("status", [None, 401, 500])
def test_what_is_neither_yes_nor_no_to_the_token_heals_nothing(flow, clock, status):
    """Only a yes to the newer token does; here t2 is the second fresh one that is refused."""
    warm(flow)
    walk = Walk(flow).answered(rejected=True).fetched(token_answer("t2"))
    clock.advance(60)
    if status:
        walk.step.answered(status, [], can_repeat=True)
    assert walk.go_on().step is None
    assert Walk(flow).answered(rejected=True).step is None


def test_a_yes_to_the_refused_token_itself_heals_nothing(flow):
    """An open route of the same API says yes to any token."""
    warm(flow)
    early, late = Walk(flow), Walk(flow)
    early.answered(rejected=True, replayable=False)
    assert late.answered().step is None
    assert isinstance(Walk(flow).step, Fetch)


@pytest.mark.parametrize("challenge", ['Bearer error="insufficient_scope"', "Bearer"])
def test_another_401_ends_what_was_sent_without_a_step(flow, challenge):
    """Another token would not help."""
    warm(flow)
    made = flow.fresh_attempt(API)
    made.answered(401, [challenge], can_repeat=True)
    assert list(flow.steps(API, made)) == []
