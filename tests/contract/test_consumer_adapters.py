"""`TokenAuth` for `requests` and `TokenMiddleware` for aiohttp, over real sockets."""

import asyncio
import io
import pickle
from concurrent.futures import ThreadPoolExecutor

import aiohttp
import pytest
import requests

from consumer import InsecureUrl, TokenExchange, TokenRequestRefused, TokenSource
from consumer.aiohttp_auth import TokenMiddleware
from consumer.requests_auth import TokenAuth
from tests.support.local_issuer import served_issuer
from watchword.testing.clock import Clock

CALLS = 50


@pytest.fixture
def issuer():
    """A real issuer on a local socket, with an API."""
    with served_issuer() as issuer:
        yield issuer


@pytest.fixture
def clock():
    """A clock turned by hand, so that tokens expire without waiting."""
    return Clock(1000)


@pytest.fixture
def source(issuer, clock):
    """Whose tokens are sent."""
    return TokenSource(issuer.url, "id", "s3cret", clock=clock)


def send_with_requests(source, api, method, path, count=1, **options):
    """Send from as many threads; return status, token seen and the statuses before it."""

    def send(session):
        answer = session.request(method, api + path, **options)
        seen = answer.json().get("seen")
        return answer.status_code, seen, [each.status_code for each in answer.history]

    with requests.Session() as session, ThreadPoolExecutor(count) as pool:
        session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=count))
        session.auth = TokenAuth(source)
        return list(pool.map(send, [session] * count))


def send_with_aiohttp(source, api, method, path, count=1, **options):
    """Send from as many tasks; return status, token seen and the statuses before it."""

    async def send(session):
        async with session.request(method, api + path, **options) as answer:
            seen = (await answer.json()).get("seen")
            return answer.status, seen, [each.status for each in answer.history]

    async def main():
        middleware = TokenMiddleware(source, api)
        async with aiohttp.ClientSession(middlewares=[middleware]) as session:
            return await asyncio.gather(*(send(session) for _ in range(count)))

    return asyncio.run(main())


@pytest.fixture(params=[send_with_requests, send_with_aiohttp], ids=["requests", "aiohttp"])
def send(request):
    """Each library in turn."""
    return request.param


def test_however_many_calls_get_one_token(send, source, issuer, clock):
    """Cold and again when it has expired: one token request each time."""
    for number in (1, 2):
        answers = send(source, issuer.url, "GET", "/api", CALLS)
        assert answers == [(200, f"t{number}", [])] * CALLS
        assert issuer.requests["/token"] == number
        clock.advance(issuer.lifetime)


@pytest.mark.rfc("6750-3.1-3")
def test_a_rejected_token_is_replaced_once(send, source, issuer):
    """401 `invalid_token`: a new token, the same request with its body, and success."""
    issuer.revoked = {"t1"}
    [(status, seen, _)] = send(source, issuer.url, "POST", "/api", json={"a": 1})
    assert (status, seen) == (200, "t2")
    assert issuer.bodies[1] == issuer.bodies[3]  # beside those of the token requests
    assert issuer.requests["/api"] == 2


@pytest.mark.rfc("6750-3.1-3")
def test_a_fresh_token_that_is_refused_is_the_end(send, source, issuer):
    """Two attempts, two tokens, and the API's answer; later requests ask for none."""
    issuer.revoked = {f"t{number}" for number in range(10)}
    assert [status for status, _, _ in send(source, issuer.url, "GET", "/api")] == [401]
    send(source, issuer.url, "GET", "/api", 5)
    assert (issuer.requests["/token"], issuer.requests["/api"]) == (2, 7)


@pytest.mark.parametrize("body", [io.BytesIO(b"once"), iter([b"once"])])
def test_requests_repeats_no_stream(source, issuer, body):
    """What was read for the first attempt is gone for a second."""
    issuer.revoked = {"t1"}
    [(status, _, _)] = send_with_requests(source, issuer.url, "POST", "/api", data=body)
    assert (status, issuer.requests["/api"]) == (401, 1)


def test_aiohttp_repeats_no_stream(source, issuer):
    """What was read for the first attempt is gone for a second."""

    async def body():
        yield b"once"

    issuer.revoked = {"t1"}
    [(status, _, _)] = send_with_aiohttp(source, issuer.url, "POST", "/api", data=body())
    assert (status, issuer.requests["/api"]) == (401, 1)


def test_the_token_does_not_follow_to_another_origin(send, source, issuer):
    """The other server sees no token, and its 401 costs the client none."""
    with served_issuer() as other:
        issuer.moved_to = f"{other.url}/api"
        assert send(source, issuer.url, "GET", "/moved") == [(401, None, [307])]
        assert other.requests["/api"] == 1
    assert issuer.requests["/token"] == 1


def test_the_token_follows_within_the_origin(send, source, issuer):
    """There a refused token is replaced too."""
    issuer.moved_to = f"{issuer.url}/api"
    issuer.revoked = {"t1"}
    [(status, seen, _)] = send(source, issuer.url, "POST", "/moved", data=b"1")
    assert (status, seen) == (200, "t2")
    assert issuer.requests["/moved"] == 1


def test_no_token_over_plain_http(send, source):
    """Nothing is sent to another machine that others could read."""
    with pytest.raises(InsecureUrl, match="not https"):
        send(source, "http://api.example", "GET", "/")


def test_a_refusal_of_the_issuer_is_raised(send, issuer):
    """As an error of the consumer, and of the library that asks."""
    source = TokenSource(issuer.url, "id", "s3cret", token_endpoint=f"{issuer.url}/refusing")
    with pytest.raises(TokenRequestRefused, match="invalid_client") as refused:
        send(source, issuer.url, "GET", "/api")
    library = requests.RequestException if send is send_with_requests else aiohttp.ClientError
    assert isinstance(refused.value, library)
    assert (refused.value.code, refused.value.status) == ("invalid_client", 401)
    assert str(pickle.loads(pickle.dumps(refused.value))) == str(refused.value)
    assert issuer.requests["/api"] == 0


def test_a_callers_token_can_be_exchanged(send, issuer):
    """`TokenExchange` gives a source for each caller."""

    class Caller:
        text = "caller"

    exchange = TokenExchange(issuer.url, "id", "s3cret")
    assert send(exchange.for_caller(Caller), issuer.url, "GET", "/api") == [(200, "t1", [])]
    assert b"subject_token=caller" in issuer.bodies[0][1]


def test_aiohttp_needs_to_know_the_apis(source):
    """Without them, a redirect could lead the token anywhere."""
    with pytest.raises(ValueError, match="name the APIs"):
        TokenMiddleware(source)
    with pytest.raises(ValueError, match="URL of an API must be an absolute URL"):
        TokenMiddleware(source, "api.example.com")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://api.example/x", "Bearer t1"),
        ("https://api.example:8443/x", None),
        ("https://b.example", None),
    ],
)
def test_aiohttp_sends_tokens_to_named_apis_alone(source, url, shown):
    """A port that the scheme has anyway is the same API; another port or host is not."""

    class Seen(Exception):
        """What the request shows, instead of sending it."""

    async def stop(request, handler):
        raise Seen(request.headers.get("Authorization"))

    async def main():
        middlewares = [TokenMiddleware(source, "https://api.example:443/v1"), stop]
        async with aiohttp.ClientSession(middlewares=middlewares) as session:
            await session.get(url)

    with pytest.raises(Seen) as seen:
        asyncio.run(main())
    assert seen.value.args == (shown,)
