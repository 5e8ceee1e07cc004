"""The flow of one request, stepped by hand."""

from urllib.parse import parse_qs

import pytest

from consumer.errors import (
    InsecureUrl,
    InvalidTokenResponse,
    MetadataError,
    TokenEndpointUnreachable,
    TokenRequestRefused,
)
from consumer.flow import Fetch, Wait
from consumer.origin import Origin
from consumer.token_scheme import BearerScheme
from tests.support.consumer_flow import (
    API,
    ISSUER,
    OTHER_API,
    HandClock,
    Walk,
    answer,
    make_flow,
    token_answer,
    warm,
)

DOWN = TokenEndpointUnreachable("down")
METADATA = {"issuer": ISSUER, "token_endpoint": f"{ISSUER}/token"}


@pytest.fixture
def clock():
    """A clock turned by hand."""
    return HandClock()


@pytest.fixture
def flow(clock):
    """A flow without a token yet."""
    return make_flow(clock)


def test_a_cold_start_fetches_then_sends(flow):
    """The second request uses the same token without asking anyone."""
    warm(flow)
    assert Walk(flow).sends == "t1"


def test_the_token_endpoint_is_discovered_once(clock):
    """Metadata first, then the token; the next token needs no metadata."""
    flow = make_flow(clock, token_endpoint=None)
    walk = Walk(flow)
    assert f"{ISSUER}/.well-known/oauth-authorization-server" == walk.step.request.url
    walk.fetched(answer(METADATA))
    assert f"{ISSUER}/token" == walk.step.request.url
    assert walk.fetched(token_answer("t1")).sends == "t1"
    clock.advance(3600)
    assert f"{ISSUER}/token" == Walk(flow).step.request.url


def test_an_endpoint_that_no_longer_speaks_oauth_is_looked_up_again(clock):
    """It may have moved; an OAuth error instead shows that it is the right one."""
    flow = make_flow(clock, token_endpoint=None)
    walk = Walk(flow).fetched(answer(METADATA))
    with pytest.raises(TokenRequestRefused):
        walk.fetched(answer({"error": "invalid_client"}, 401))
    walk = Walk(flow)
    assert f"{ISSUER}/token" == walk.step.request.url
    with pytest.raises(InvalidTokenResponse):
        walk.fetched(answer({}, 404))
    assert Walk(flow).step.request.url.endswith("/oauth-authorization-server")


def test_anothers_metadata_end_the_request(clock):
    """No token request follows."""
    walk = Walk(make_flow(clock, token_endpoint=None))
    with pytest.raises(MetadataError):
        walk.fetched(answer(METADATA | {"issuer": ISSUER + "/"}))


def test_a_step_that_was_not_carried_out_is_no_answer(flow):
    """A shell that forgets to settle a step gets an error, not a loop."""
    walk = Walk(flow)
    with pytest.raises(TokenEndpointUnreachable, match="not asked"):
        walk.go_on()


def test_the_second_caller_waits_and_gets_the_same_token(flow):
    """Cold, with two callers: one token request."""
    leader, follower = Walk(flow), Walk(flow)
    assert isinstance(leader.step, Fetch)
    assert isinstance(follower.step, Wait)
    assert leader.fetched(token_answer("t1")).sends == "t1"
    assert follower.go_on().sends == "t1"


def test_those_who_waited_share_the_failure(flow):
    """One failed token request is not repeated by each of them."""
    leader, follower = Walk(flow), Walk(flow)
    with pytest.raises(TokenEndpointUnreachable):
        leader.fetched(DOWN)
    with pytest.raises(TokenEndpointUnreachable, match="down") as caught:
        follower.go_on()
    assert caught.value is not DOWN


def test_a_cancelled_leader_is_replaced(flow):
    """One of those who waited leads; nobody hangs."""
    leader, follower = Walk(flow), Walk(flow)
    leader.steps.close()
    assert isinstance(follower.go_on().step, Fetch)


def test_a_lost_leader_is_replaced_after_a_while(flow, clock):
    """Its event loop may have been stopped, its process forked away."""
    lost, follower = Walk(flow), Walk(flow)
    clock.advance(follower.step.timeout)
    assert follower.go_on().fetched(token_answer("t2")).sends == "t2"
    assert lost.fetched(token_answer("t3")).sends == "t3"  # it was alive after all


def test_one_renews_early_while_the_others_go_on(flow, clock):
    """Near expiry nobody waits but the one that renews."""
    warm(flow)
    clock.advance(3550)
    renewing = Walk(flow)
    assert isinstance(renewing.step, Fetch)
    assert [Walk(flow).sends, Walk(flow).sends] == ["t1", "t1"]
    assert renewing.fetched(token_answer("t2")).sends == "t2"
    assert Walk(flow).sends == "t2"


def test_a_failed_early_renewal_is_survived(flow, clock):
    """The old token serves, and the next callers do not try at once."""
    warm(flow)
    clock.advance(3550)
    assert Walk(flow).fetched(DOWN).sends == "t1"
    assert Walk(flow).sends == "t1"
    clock.advance(1)
    assert isinstance(Walk(flow).step, Fetch)


def test_an_early_renewal_that_takes_too_long_is_not_survived(flow, clock):
    """When it fails after the old token's end there is nothing left to send."""
    warm(flow)
    clock.advance(3550)
    walk = Walk(flow)
    clock.advance(60)
    with pytest.raises(TokenEndpointUnreachable):
        walk.fetched(DOWN)


def test_an_issuer_that_asks_for_quiet_is_left_alone(flow, clock):
    """Callers learn at once what it said."""
    with pytest.raises(TokenRequestRefused):
        Walk(flow).fetched(answer({"error": "slow_down"}, 429, **{"retry-after": "30"}))
    with pytest.raises(TokenRequestRefused, match="429 slow_down"):
        Walk(flow)
    clock.advance(30)
    assert isinstance(Walk(flow).step, Fetch)


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


def test_a_token_without_life_serves_those_who_waited(flow):
    """`expires_in: 0` makes a token request for each batch of callers, and no loop."""
    leader, follower = Walk(flow), Walk(flow)
    assert leader.fetched(token_answer("t1", 0)).sends == "t1"
    assert follower.go_on().sends == "t1"
    assert isinstance(Walk(flow).step, Fetch)


def test_a_token_is_not_sent_over_plain_http(clock):
    """The request fails before anything is fetched, unless someone said so aloud."""
    away = Origin("http", "api.example")
    with pytest.raises(InsecureUrl):
        Walk(make_flow(clock), away)
    assert isinstance(Walk(make_flow(clock, allow_insecure_http={"api.example"}), away).step, Fetch)


def test_an_attempt_of_which_nothing_is_known_changes_nothing(flow):
    """A shell that was interrupted says nothing: the token serves on, and nothing is repeated."""
    walk = Walk(flow).fetched(token_answer("t1"))
    step = walk.step
    assert (step.accepted, step.rejected, step.replayable) == (False, False, False)
    assert walk.go_on().step is None
    assert Walk(flow).sends == "t1"


def test_a_forked_child_goes_on_with_the_token_and_fetches_by_itself(clock):
    """What the parent has under way, or holds locked, is nothing that a child could wait for."""
    flow = make_flow(clock, token_endpoint=None, scope="read")
    Walk(flow).fetched(answer(METADATA)).fetched(token_answer("t1")).answered()
    assert Walk(flow.inherited()).sends == "t1"
    clock.advance(3600)
    assert isinstance(Walk(flow).step, Fetch)
    child = Walk(flow.inherited())
    assert child.step.request.url == f"{ISSUER}/token"
    assert child.fetched(token_answer("t2")).sends == "t2"


def test_a_token_request_names_scope_and_resource(clock):
    """What the plan asks for is what the issuer is asked for."""
    request = Walk(make_flow(clock, scope="read", resource="https://api.example")).step.request
    form = parse_qs(request.body.decode())
    assert (form["scope"], form["resource"]) == (["read"], ["https://api.example"])


def test_who_waits_is_told_for_how_long(flow, clock):
    """As long as the leader has left, and no longer."""
    leader = Walk(flow)
    clock.advance(20)
    assert isinstance(leader.step, Fetch)
    assert Walk(flow).step.timeout == 40


def test_an_api_that_heals_is_forgiven_and_asked_as_before(flow, clock):
    """Only by a newer token that it accepts, and only itself."""
    warm(flow)
    Walk(flow).answered(rejected=True).fetched(token_answer("t2")).answered()
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


def test_an_attempt_of_which_nothing_is_known_heals_nothing(flow):
    """Only a yes to the newer token does; here t2 is the second fresh one that is refused."""
    warm(flow)
    walk = Walk(flow).answered(rejected=True).fetched(token_answer("t2"))
    assert walk.go_on().step is None
    assert Walk(flow).answered(rejected=True).step is None


def test_a_yes_to_the_refused_token_itself_heals_nothing(flow):
    """An open route of the same API says yes to any token."""
    warm(flow)
    early, late = Walk(flow), Walk(flow)
    early.answered(rejected=True, replayable=False)
    assert late.answered().step is None
    assert isinstance(Walk(flow).step, Fetch)


def test_a_token_endpoint_over_plain_http_is_taken_where_the_plan_allows_it(clock):
    """The metadata are judged by the same rule as the API's address."""
    plain = METADATA | {"token_endpoint": "http://as.example/token"}
    walk = Walk(make_flow(clock, token_endpoint=None, allow_insecure_http={"as.example"}))
    assert walk.fetched(answer(plain)).step.request.url == "http://as.example/token"
    with pytest.raises(InsecureUrl):
        Walk(make_flow(clock, token_endpoint=None)).fetched(answer(plain))


def test_the_kind_of_token_that_the_plan_names_is_the_one_that_is_taken(clock):
    """The issuer's `token_type` is compared with the plan's scheme."""
    document = {"access_token": "t1", "token_type": "Other", "expires_in": 3600}
    other = make_flow(clock, scheme=BearerScheme("Other"))
    assert Walk(other).fetched(answer(document)).sends == "t1"
    with pytest.raises(InvalidTokenResponse):
        Walk(make_flow(clock)).fetched(answer(document))


def test_a_fresh_token_is_sent_without_a_step(flow, clock):
    """Nothing is to be decided; a cold start, a token near its end and a refusal need a step."""
    assert flow.fresh_attempt() is None
    warm(flow)
    assert flow.fresh_attempt().authorization == "Bearer t1"
    clock.advance(3600 - 30)
    assert flow.fresh_attempt() is None


def test_what_was_sent_without_a_step_goes_on_with_one(flow):
    """401 `invalid_token`: a new token and a second attempt; from then on the steps decide."""
    warm(flow)
    made = flow.fresh_attempt()
    made.answered(401, ['Bearer error="invalid_token"'], can_repeat=True)
    steps = flow.steps(API, made)
    fetch = next(steps)
    fetch.answer = token_answer("t2")
    assert next(steps).authorization == "Bearer t2"
    assert flow.fresh_attempt() is None


@pytest.mark.parametrize("challenge", ['Bearer error="insufficient_scope"', "Bearer"])
def test_another_401_ends_what_was_sent_without_a_step(flow, challenge):
    """Another token would not help."""
    warm(flow)
    made = flow.fresh_attempt()
    made.answered(401, [challenge], can_repeat=True)
    assert list(flow.steps(API, made)) == []
