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
from consumer.origin import Origin
from consumer.steps import Fetch, Renew, Wait
from consumer.token_cache import MAX_ORIGINS
from tests.support.consumer_flow import API, ISSUER, Walk, answer, make_flow, token_answer, warm
from watchword.testing.clock import Clock

DOWN = TokenEndpointUnreachable("down")
METADATA = {"issuer": ISSUER, "token_endpoint": f"{ISSUER}/token"}


@pytest.fixture
def clock():
    """A clock turned by hand."""
    return Clock(1000)


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


def test_no_request_waits_for_a_renewal(flow, clock):
    """Near expiry one request starts it, and goes on with the old token as the others do."""
    warm(flow)
    clock.advance(3540)
    first = Walk(flow)
    renewal = first.renewing()
    assert [first.sends, Walk(flow).sends, Walk(flow).sends] == ["t1", "t1", "t1"]
    assert renewal.fetched(token_answer("t2")).step is None
    assert Walk(flow).sends == "t2"


def test_a_failed_renewal_is_tried_again_later(flow, clock):
    """The old token serves, and the next requests do not try at once."""
    warm(flow)
    clock.advance(3540)
    assert Walk(flow).renewing().fetched(DOWN).step is None
    assert Walk(flow).sends == "t1"
    clock.advance(1)
    assert isinstance(Walk(flow).step, Renew)


def test_a_renewal_waits_as_long_as_the_issuer_asks(flow, clock):
    """`Retry-After` counts while the old token serves, and after its end too."""
    warm(flow, lifetime=3600)
    clock.advance(3540)
    quiet = answer({"error": "slow_down"}, 429, **{"retry-after": "70"})
    Walk(flow).renewing().fetched(quiet)
    clock.advance(50)
    assert Walk(flow).sends == "t1"
    clock.advance(10)
    with pytest.raises(TokenRequestRefused, match="slow_down"):
        Walk(flow)
    clock.advance(10)
    assert isinstance(Walk(flow).step, Fetch)


def test_who_comes_after_the_end_waits_for_the_renewal(flow, clock):
    """It is under way already: no second token request, and a failure is told to all."""
    warm(flow)
    clock.advance(3540)
    renewal = Walk(flow).renewing()
    clock.advance(57)
    late, later = Walk(flow), Walk(flow)
    assert isinstance(late.step, Wait)
    renewal.fetched(token_answer("t2"))
    assert [late.go_on().sends, later.go_on().sends] == ["t2", "t2"]


def test_a_renewal_that_cannot_be_started_is_one_that_failed(flow, clock):
    """No thread is to be had: the old token serves, and a second later it is tried again."""
    warm(flow)
    clock.advance(3540)
    walk = Walk(flow)
    walk.renewing(is_started=False)
    assert [walk.sends, Walk(flow).sends] == ["t1", "t1"]
    clock.advance(1)
    assert isinstance(Walk(flow).step, Renew)


def test_a_renewal_that_is_broken_off_is_one_that_failed(flow, clock):
    """Its event loop was closed, or a client's own authentication method raised something."""
    warm(flow)
    clock.advance(3540)
    Walk(flow).renewing().steps.close()
    assert Walk(flow).sends == "t1"
    clock.advance(1)
    assert isinstance(Walk(flow).step, Renew)


def test_processes_renew_at_moments_of_their_own():
    """A minute's window, over which random numbers spread them; a fork draws another one."""
    clock, drawn = Clock(1000), iter([1.0, 0.5, 0.25, 0.0])
    flow = make_flow(clock)
    flow._draw = lambda: next(drawn)
    warm(flow)
    clock.advance(3480)
    assert isinstance(Walk(flow).step, Renew)
    child = flow.inherited()
    assert Walk(child).sends == "t1"
    clock.advance(30)
    assert isinstance(Walk(child).step, Renew)


def test_an_issuer_that_asks_for_quiet_is_left_alone(flow, clock):
    """Callers learn at once what it said."""
    with pytest.raises(TokenRequestRefused):
        Walk(flow).fetched(answer({"error": "slow_down"}, 429, **{"retry-after": "30"}))
    with pytest.raises(TokenRequestRefused, match="429 slow_down"):
        Walk(flow)
    clock.advance(30)
    assert isinstance(Walk(flow).step, Fetch)


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


def test_a_forked_child_goes_on_with_the_token_and_fetches_by_itself(clock):
    """What the parent has under way, or holds locked, is nothing that a child could wait for."""
    flow = make_flow(clock, token_endpoint=None, scope="read", subject_token="a-caller")
    Walk(flow).fetched(answer(METADATA)).fetched(token_answer("t1")).answered()
    assert Walk(flow.inherited()).sends == "t1"
    clock.advance(3600)
    assert isinstance(Walk(flow).step, Fetch)
    child = Walk(flow.inherited())
    assert child.step.request.url == f"{ISSUER}/token"
    assert parse_qs(child.step.request.body.decode())["subject_token"] == ["a-caller"]
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


def test_a_token_endpoint_over_plain_http_is_taken_where_the_plan_allows_it(clock):
    """The metadata are judged by the same rule as the API's address."""
    issuer = "http://as.example"
    plain = answer({"issuer": issuer, "token_endpoint": f"{issuer}/token"})
    asked = {"issuer": issuer, "token_endpoint": None}
    walk = Walk(make_flow(clock, **asked, allow_insecure_http={"as.example"}))
    assert walk.fetched(plain).step.request.url == "http://as.example/token"
    with pytest.raises(InsecureUrl):
        Walk(make_flow(clock, **asked)).fetched(plain)


def test_a_fresh_token_is_sent_without_a_step(flow, clock):
    """Nothing is to be decided; a cold start, a token near its end and a refusal need a step."""
    assert flow.fresh_attempt(API) is None
    warm(flow)
    assert flow.fresh_attempt(API).authorization == "Bearer t1"
    clock.advance(3600 - 30)
    assert flow.fresh_attempt(API) is None


def test_what_was_sent_without_a_step_goes_on_with_one(flow):
    """401 `invalid_token`: a new token and a second attempt; from then on the steps decide."""
    warm(flow)
    made = flow.fresh_attempt(API)
    made.answered(401, ['Bearer error="invalid_token"'], can_repeat=True)
    steps = flow.steps(API, made)
    fetch = next(steps)
    fetch.answer = token_answer("t2")
    assert next(steps).authorization == "Bearer t2"
    assert flow.fresh_attempt(API) is None


def test_an_api_on_plain_http_is_found_safe_once(clock):
    """Whether it may have the token is a decision, which the first request to it takes."""
    flow = make_flow(clock, allow_insecure_http=True)
    inside, outside = Origin("http", "orders", 8080), Origin("http", "api.example")
    warm(flow)
    assert flow.fresh_attempt(inside) is None
    assert Walk(flow, inside).sends == "t1"
    assert flow.fresh_attempt(inside).authorization == "Bearer t1"
    with pytest.raises(InsecureUrl):
        Walk(flow, outside)
    assert flow.fresh_attempt(outside) is None


def test_the_memory_of_safe_apis_is_bounded(clock):
    """An API beyond it costs a decision for each request, and gets its token."""
    flow = make_flow(clock, allow_insecure_http=True)
    warm(flow)
    origins = [Origin("http", "orders", port) for port in range(1, MAX_ORIGINS + 2)]
    assert {Walk(flow, origin).sends for origin in origins} == {"t1"}
    assert [flow.fresh_attempt(origin) is None for origin in origins] == [False] * MAX_ORIGINS + [
        True
    ]
