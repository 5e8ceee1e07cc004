"""`TokenExchange` under real clients of both libraries: requests in the name of callers."""

import copy
import pickle
from dataclasses import dataclass
from urllib.parse import parse_qs

import anyio
import httpx
import httpx2
import pytest

from consumer import auth, httpx2_auth
from consumer.errors import TokenRequestRefused
from consumer.token_exchange import MAX_CALLERS
from resource_api.access_token import verify
from resource_api.config import ResourcePolicy
from tests.support.consumer_flow import ISSUER
from tests.support.exchange import FORGE, issuer_of
from tests.support.issuer import API as OWN_API
from tests.support.issuer import ISSUER as REAL_ISSUER
from tests.support.issuer import NOW, SECRET
from watchword.testing.clock import Clock

API = "https://api.example"
LIBRARIES = {"httpx": (httpx, auth), "httpx2": (httpx2, httpx2_auth)}
HOWS = ["sync", "asyncio", "trio"]


@dataclass(frozen=True)
class Caller:
    """The token of an incoming request."""

    text: str


class World:
    """An issuer and an API in one library's terms; what came in is kept."""

    def __init__(self, http, module):
        self.http, self.module, self.clock = http, module, Clock(1000)
        self.forms, self.api_requests = [], []
        self.refused = set()
        self.answer = None

    def issuer(self, request):
        form = {name: value[0] for name, value in parse_qs(request.content.decode()).items()}
        self.forms.append(form)
        if self.answer is not None:
            return self.answer
        token = f"for-{form['subject_token']}-{len(self.forms)}"
        document = {"access_token": token, "token_type": "Bearer", "expires_in": 300}
        return self.http.Response(200, json=document)

    def api(self, request):
        shown = request.headers["Authorization"].removeprefix("Bearer ")
        self.api_requests.append(shown)
        if shown in self.refused:
            challenge = {"WWW-Authenticate": 'Bearer realm="api", error="invalid_token"'}
            return self.http.Response(401, headers=challenge)
        return self.http.Response(200)

    def exchange(self, **changes):
        """Make the object under test."""
        options = {
            "transport": self.http.MockTransport(self.issuer),
            "token_endpoint": f"{ISSUER}/token",
            "resource": API,
            "scope": "read",
            "clock": self.clock,
        }
        return self.module.TokenExchange(ISSUER, "orders", "s3cret", **(options | changes))

    def send(self, how, acting):
        """Send one request with a sync client, or with an async one on asyncio or trio."""
        options = {"auth": acting, "transport": self.http.MockTransport(self.api)}
        if how == "sync":
            with self.http.Client(**options) as client:
                return client.get(API).status_code

        async def send():
            async with self.http.AsyncClient(**options) as client:
                return (await client.get(API)).status_code

        return anyio.run(send, backend=how)


@pytest.fixture(params=LIBRARIES)
def world(request):
    """Each HTTP library in turn."""
    return World(*LIBRARIES[request.param])


@pytest.mark.rfc("8693-2.1-1")
@pytest.mark.parametrize("how", HOWS)
def test_a_request_goes_out_with_what_was_given_for_the_callers_token(world, how):
    """RFC 8693 §2.1: the caller's token is the subject token, and the client authenticates."""
    exchange = world.exchange()
    assert world.send(how, exchange.for_caller(Caller("one"))) == 200
    assert world.api_requests == ["for-one-1"]
    assert world.forms == [
        {
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "subject_token": "one",
            "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
            "scope": "read",
            "resource": API,
        }
    ]


@pytest.mark.parametrize("how", HOWS)
def test_each_caller_has_its_own_token_and_it_is_asked_for_once(world, how):
    """However often; never is one caller's request sent with what was given for another."""
    exchange = world.exchange()
    for name in ("one", "two", "one", "two", "one"):
        world.send(how, exchange.for_caller(Caller(name)))
    assert [form["subject_token"] for form in world.forms] == ["one", "two"]
    assert world.api_requests == ["for-one-1", "for-two-2", "for-one-1", "for-two-2", "for-one-1"]


def test_a_token_that_ended_is_asked_for_again(world):
    """What was given ends with the caller's token at the latest, as `expires_in` says."""
    exchange = world.exchange()
    world.send("sync", exchange.for_caller(Caller("one")))
    world.clock.advance(300)
    world.send("sync", exchange.for_caller(Caller("one")))
    assert world.api_requests == ["for-one-1", "for-one-2"]


def test_a_token_that_the_api_refuses_is_replaced_once(world):
    """As with the client's own token."""
    exchange = world.exchange()
    world.refused.add("for-one-1")
    assert world.send("sync", exchange.for_caller(Caller("one"))) == 200
    assert world.api_requests == ["for-one-1", "for-one-2"]


def test_many_requests_for_one_caller_exchange_once(world):
    """Tasks at the same moment share one exchange, and so one signature."""
    exchange, seen = world.exchange(), []

    async def call():
        async with world.http.AsyncClient(
            auth=exchange.for_caller(Caller("one")), transport=world.http.MockTransport(world.api)
        ) as client:
            seen.append((await client.get(API)).status_code)

    async def call_all():
        async with anyio.create_task_group() as group:
            for _ in range(50):
                group.start_soon(call)

    anyio.run(call_all)
    assert (seen, len(world.forms)) == ([200] * 50, 1)


def test_callers_are_remembered_up_to_a_bound(world):
    """Those seen last stay; a caller that comes back after many others is exchanged again."""
    exchange = world.exchange()
    first = exchange.for_caller(Caller("first"))
    for number in range(MAX_CALLERS // 2):
        exchange.for_caller(Caller(f"other-{number}"))
        assert exchange.for_caller(Caller("first")) is first
    for number in range(MAX_CALLERS + 2):
        exchange.for_caller(Caller(f"more-{number}"))
    assert exchange.for_caller(Caller("first")) is not first
    assert len(exchange._young) + len(exchange._old) <= MAX_CALLERS


def test_the_endpoint_is_looked_for_once_for_all_callers(world):
    """Not for each caller, which would double the requests."""
    found = []

    def answer(request):
        if request.url.path == "/token":
            return world.issuer(request)
        found.append(request.url.path)
        document = {"issuer": ISSUER, "token_endpoint": f"{ISSUER}/token"}
        return world.http.Response(200, json=document)

    transport = world.http.MockTransport(answer)
    exchange = world.exchange(token_endpoint=None, transport=transport)
    for name in ("one", "two", "three"):
        world.send("sync", exchange.for_caller(Caller(name)))
    assert (len(found), len(world.forms)) == (1, 3)


def test_a_refused_exchange_is_told_without_the_token(world):
    """Such as of a caller whose token was revoked; an issuer may repeat what it was sent."""
    exchange = world.exchange()
    text = "head.payload.signature"
    for said in (f"bad token {text}", "ends in signature"):
        document = {"error": "invalid_request", "error_description": said}
        world.answer = world.http.Response(400, json=document)
        with pytest.raises(TokenRequestRefused) as caught:
            world.send("sync", exchange.for_caller(Caller(text)))
        assert "invalid_request" in str(caught.value)
        assert "signature" not in str(caught.value)


def test_without_a_caller_there_is_nothing_to_exchange(world):
    """The object itself is not an `Auth` of its own: the request would go out as the service."""
    exchange = world.exchange()
    with pytest.raises(TypeError, match="for_caller"):
        world.send("sync", exchange)
    acting = exchange.for_caller(Caller("one"))
    with pytest.raises(TypeError, match="a caller already"):
        acting.for_caller(Caller("two"))
    assert world.forms == []


def test_no_token_of_a_caller_is_shown_copied_or_pickled(world):
    """What has the callers' tokens is as secret as they are; the settings alone may be copied."""
    exchange = world.exchange(transport=None)
    acting = exchange.for_caller(Caller("one"))
    for shown in (repr(exchange), repr(acting), repr(acting._plan)):
        assert "one" not in shown.replace("None", "")
    for copied in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="not copied"):
            copied(acting)
    again = pickle.loads(pickle.dumps(exchange))
    assert again.for_caller(Caller("one")) is not acting
    assert acting._issuer_http is exchange._issuer_http


async def test_the_issuer_gives_what_the_consumer_asks_for():
    """With the access token of a request that an API verified, and our own issuer."""
    policy = ResourcePolicy(issuer=REAL_ISSUER, resource=OWN_API)
    token = verify(FORGE.token(), FORGE.keys, policy, now=NOW)
    issuer, seen = issuer_of(), []
    exchange = auth.TokenExchange(
        REAL_ISSUER,
        "orders",
        SECRET,
        token_endpoint=f"{REAL_ISSUER}/token",
        transport=httpx.ASGITransport(issuer.endpoint),
    )

    def api(request):
        seen.append(request.headers["Authorization"].removeprefix("Bearer "))
        return httpx.Response(200)

    async with httpx.AsyncClient(
        auth=exchange.for_caller(token), transport=httpx.MockTransport(api)
    ) as client:
        assert (await client.get("https://other.example")).status_code == 200
    claims = issuer.own_tokens.verify(seen[0], now=NOW).claims
    assert (claims["sub"], claims["act"]) == ("svc-a", {"sub": "orders"})


def test_a_text_is_no_token_of_a_caller(world):
    """It may not have been verified; the message says what is wanted."""
    with pytest.raises(TypeError, match="is an AccessToken, as verified, not <class 'str'>"):
        world.exchange().for_caller("eyJ")
