"""`ClientCredentials` under real clients of both libraries, on mock transports."""

import inspect
import logging
from dataclasses import replace

import anyio
import httpx
import httpx2
import pytest

from consumer import ClientSecretBasic, ClientSecretPost, auth, httpx2_auth
from consumer.errors import InsecureUrl, InvalidTokenResponse, TokenEndpointUnreachable
from tests.support.consumer_flow import ISSUER
from watchword.testing.clock import Clock

API = "https://api.example"
LIBRARIES = {"httpx": (httpx, auth), "httpx2": (httpx2, httpx2_auth)}
OTHER = "the access token is for another audience"
REFUSED = {"WWW-Authenticate": 'Bearer realm="api", error="invalid_token"'}


class World:
    """An issuer and the APIs, in one library's terms; what came in is kept."""

    def __init__(self, library, module):
        self.http, self.module = library, module
        self.token_requests, self.api_requests = [], []
        self.answer_token = self.good_token
        self.answer_api = lambda request: library.Response(200)

    def good_token(self, request):
        number = len(self.token_requests)
        document = {"access_token": f"t{number}", "token_type": "Bearer", "expires_in": 3600}
        return self.http.Response(200, json=document)

    def issuer(self, request):
        self.token_requests.append(request)
        return self.answer_token(request)

    def api(self, request):
        # The headers as they are now: a retry changes the request object.
        self.api_requests.append((str(request.url), request.headers.get("Authorization")))
        return self.answer_api(request)

    def credentials(self, **changes):
        transport = self.http.MockTransport(self.issuer)
        options = {"transport": transport, "token_endpoint": f"{ISSUER}/token"} | changes
        auth = options.pop("auth", None) or ClientSecretBasic("billing", "s3cret")
        return self.module.ClientCredentials(ISSUER, auth, **options)

    def send(self, how, *arguments, credentials=None, **options):
        """Send one request with a sync client, or with an async one on asyncio or trio."""
        credentials = credentials or self.credentials()
        client_options = {
            "auth": credentials,
            "transport": self.http.MockTransport(self.api),
            "follow_redirects": True,
        }
        if how == "sync":
            with self.http.Client(**client_options) as client:
                return client.request(*arguments, **options)

        async def send():
            async with self.http.AsyncClient(**client_options) as client:
                return await client.request(*arguments, **options)

        return anyio.run(send, backend=how)

    def only(self, *tokens):
        """Have the API accept these tokens and call all others invalid."""
        accepted = {f"Bearer {token}" for token in tokens}
        self.answer_api = lambda request: (
            self.http.Response(200)
            if request.headers.get("Authorization") in accepted
            else self.http.Response(401, headers=REFUSED)
        )


@pytest.fixture(params=LIBRARIES)
def world(request):
    """The world of one library."""
    return World(*LIBRARIES[request.param])


@pytest.fixture(params=["sync", "asyncio", "trio"])
def how(request):
    """Each way to send."""
    return request.param


def test_a_request_carries_the_token(world, how):
    """One token request with Basic, then the call with the token in the header."""
    assert world.send(how, "GET", f"{API}/x").status_code == 200
    assert world.api_requests == [(f"{API}/x", "Bearer t1")]
    assert world.token_requests[0].headers["Authorization"].startswith("Basic ")
    assert world.token_requests[0].headers["Accept-Encoding"] == "identity"


def test_post_authentication_can_be_chosen(world):
    """The method is a value handed in."""
    credentials = world.credentials(auth=ClientSecretPost("billing", "s3cret"))
    world.send("sync", "GET", API, credentials=credentials)
    assert b"client_secret=s3cret" in world.token_requests[0].content
    assert "Authorization" not in world.token_requests[0].headers


def test_the_flow_can_be_stepped_by_hand(world):
    """It is a generator of requests, like every flow of the library."""
    flow = world.credentials().sync_auth_flow(world.http.Request("GET", API))
    assert next(flow).headers["Authorization"] == "Bearer t1"
    again = flow.send(world.http.Response(401, headers=REFUSED))
    assert again.headers["Authorization"] == "Bearer t2"
    with pytest.raises(StopIteration):
        flow.send(world.http.Response(401, headers=REFUSED))


@pytest.mark.rfc("6750-3.1-3")
def test_a_rejected_token_is_replaced_once(world, how):
    """401 `invalid_token`: a new token, the same request with its body, and success."""
    world.only("t2")
    assert world.send(how, "POST", API, json={"a": 1}).status_code == 200
    assert [token for _, token in world.api_requests] == ["Bearer t1", "Bearer t2"]


@pytest.mark.rfc("6750-3.1-3")
def test_a_fresh_token_that_is_refused_is_the_end(world, how):
    """Two calls, two tokens, and the API's answer."""
    world.only()
    assert world.send(how, "GET", API).status_code == 401
    assert (len(world.api_requests), len(world.token_requests)) == (2, 2)


@pytest.mark.rfc("6750-3.1-3")
@pytest.mark.parametrize(
    ("status", "challenge"),
    [
        (403, 'Bearer error="insufficient_scope", scope="write"'),
        (401, 'Bearer error="insufficient_scope"'),
        (401, 'Bearer error="invalid_request"'),
        (401, 'Bearer realm="api"'),
        (401, 'Basic realm="error=invalid_token"'),
        (401, f'Bearer error="invalid_token", error_description="{OTHER}"'),
        (403, 'Bearer error="invalid_token"'),
        (500, ""),
    ],
)
def test_nothing_else_is_retried(world, how, status, challenge):
    """A wider scope or another problem is not mended by another token."""
    headers = {"WWW-Authenticate": challenge} if challenge else {}
    world.answer_api = lambda request: world.http.Response(status, headers=headers)
    assert world.send(how, "GET", API).status_code == status
    assert (len(world.api_requests), len(world.token_requests)) == (1, 1)


@pytest.mark.rfc("6750-3.1-3")
def test_a_streamed_body_is_not_sent_twice(world, how):
    """What has been streamed is gone; the next request has a new token, though."""
    http, credentials = world.http, world.credentials()
    sent = []

    class Network(http.BaseTransport, http.AsyncBaseTransport):
        """Lets a body pass without keeping it, as a network does."""

        def handle_request(self, request):
            sent.append(b"".join(request.stream))
            return http.Response(401, headers=REFUSED)

        async def handle_async_request(self, request):
            sent.append(b"".join([part async for part in request.stream]))
            return http.Response(401, headers=REFUSED)

    def stream():
        yield b"once"

    async def async_stream():
        yield b"once"

    async def send():
        async with http.AsyncClient(auth=credentials, transport=Network()) as client:
            return await client.post(API, content=async_stream())

    if how == "sync":
        with http.Client(auth=credentials, transport=Network()) as client:
            answer = client.post(API, content=stream())
    else:
        answer = anyio.run(send, backend=how)
    assert (answer.status_code, sent) == (401, [b"once"])
    world.only("t2")
    assert world.send(how, "GET", API, credentials=credentials).status_code == 200
    assert len(world.token_requests) == 2


@pytest.mark.rfc("6750-3.1-3", "21-5.1-1")
def test_the_token_does_not_follow_to_another_origin(world, how):
    """After a redirect elsewhere it is off the request, and a 401 there says nothing about it."""

    def answer(request):
        if request.url.host == "api.example":
            return world.http.Response(302, headers={"Location": "https://evil.example/x"})
        return world.http.Response(401, headers=REFUSED)

    world.answer_api = answer
    assert world.send(how, "GET", f"{API}/x").status_code == 401
    assert world.api_requests == [
        (f"{API}/x", "Bearer t1"),
        ("https://evil.example/x", None),
    ]
    assert len(world.token_requests) == 1


@pytest.mark.parametrize(("method", "calls"), [("GET", 4), ("POST", 2)])
def test_a_redirected_post_is_not_sent_twice(world, method, calls):
    """It may have done its work before the 401 came; a GET has none to do."""

    def answer(request):
        if request.url.path == "/old":
            return world.http.Response(303, headers={"Location": "/new"})
        return world.http.Response(401, headers=REFUSED)

    world.answer_api = answer
    assert world.send("sync", method, f"{API}/old").status_code == 401
    assert len(world.api_requests) == calls


@pytest.mark.rfc("21-5.1-1")
def test_the_token_is_never_in_the_address(world):
    """It travels in the header only."""
    world.send("sync", "GET", f"{API}/x?a=b")
    assert world.api_requests[0][0] == f"{API}/x?a=b"


@pytest.mark.rfc("21-1.5-1")
def test_no_token_over_plain_http(world, how):
    """The request fails before a token is even fetched."""
    with pytest.raises(InsecureUrl, match=r"http://api\.example is not https"):
        world.send(how, "GET", "http://api.example/x")
    assert (world.api_requests, world.token_requests) == ([], [])
    assert world.send(how, "GET", "http://127.0.0.1:8080/x").status_code == 200


@pytest.mark.rfc("21-1.5-1")
@pytest.mark.parametrize(
    "addresses",
    [{"issuer": "http://as.example"}, {"issuer": ISSUER, "token_endpoint": "http://as.example/t"}],
)
def test_no_secret_over_plain_http(world, addresses):
    """An issuer on plain http is refused at once."""
    with pytest.raises(InsecureUrl):
        world.module.ClientCredentials(**addresses, client_id="id", client_secret="s")


def test_the_loud_option_is_loud(world, caplog):
    """Whoever allows plain http reads about it in the log."""
    with caplog.at_level(logging.WARNING, "watchword.consumer"):
        credentials = world.credentials(allow_insecure_http=True)
    assert "can be read on the way" in caplog.text
    sent = world.send("sync", "GET", "http://api.svc/x", credentials=credentials)
    assert sent.status_code == 200


@pytest.mark.parametrize("issuer", ["as.example", "https://as.example?x", "https://u@as.example"])
def test_an_impossible_issuer_is_refused(world, issuer):
    """Where it is given, not at the first request."""
    with pytest.raises(ValueError):
        world.module.ClientCredentials(issuer, "id", "secret")


@pytest.mark.rfc("9700-4.10-1")
def test_no_representation_has_the_secret(world):
    """The object may be logged."""
    shown = repr(world.credentials(scope="read"))
    assert "s3cret" not in shown
    assert "billing" in shown


def library_errors():
    """Every error of both libraries that can come out of a request."""
    for name, (library, _) in LIBRARIES.items():
        for error in vars(library).values():
            if inspect.isclass(error) and issubclass(error, library.TransportError):
                yield pytest.param(name, error, id=f"{name}-{error.__name__}")


@pytest.mark.parametrize(("name", "error"), list(library_errors()))
def test_every_failure_of_the_network_is_one_of_ours(name, error):
    """No error of the library gets out of a token request, and none has the secret in it."""
    world = World(*LIBRARIES[name])

    def fail(request):
        raise error("s3cret broke", request=request)

    world.answer_token = fail
    for how in ("sync", "asyncio"):
        with pytest.raises(TokenEndpointUnreachable, match=r"as\.example cannot be .*broke") as got:
            world.send(how, "GET", API)
        assert "s3cret" not in f"{got.value} {got.value!r} {got.value.__cause__}"


def test_a_failure_without_words_is_named_by_its_type(world):
    """Some errors have no message."""
    world.answer_token = raising(world.http.ReadTimeout(""))
    with pytest.raises(TokenEndpointUnreachable, match="reached: ReadTimeout"):
        world.send("sync", "GET", API)


def raising(error):
    """Return a handler that raises."""

    def handler(request):
        raise error

    return handler


def test_a_redirect_of_the_token_endpoint_is_not_followed(world, how):
    """The secret stays with the issuer, whatever the caller's redirect policy is."""
    world.answer_token = lambda request: world.http.Response(
        307, headers={"Location": "https://evil.example"}
    )
    with pytest.raises(InvalidTokenResponse, match="redirects"):
        world.send(how, "GET", API)
    assert len(world.token_requests) == 1


@pytest.mark.parametrize(
    "response",
    [
        {"content": b"x" * 70_000, "headers": {"Content-Type": "application/json"}},
        {
            "headers": {"Content-Encoding": "x-unknown", "Content-Type": "application/json"},
            "content": b"{}",
        },
    ],
    ids=["too large", "compressed"],
)
def test_an_answer_that_nobody_could_mean_is_given_up(world, how, response):
    """Neither a huge nor a compressed answer is taken in."""
    world.answer_token = lambda request: world.http.Response(200, **response)
    with pytest.raises(InvalidTokenResponse, match="larger than can be meant"):
        world.send(how, "GET", API)


def test_the_callers_event_hooks_see_no_token_request(world):
    """They may log every request they see; the one with the secret is none of them."""
    seen = []
    with world.http.Client(
        auth=world.credentials(),
        transport=world.http.MockTransport(world.api),
        event_hooks={"request": [lambda request: seen.append(str(request.url))]},
    ) as client:
        client.get(f"{API}/x")
    assert seen == [f"{API}/x"]


def test_a_transport_that_was_handed_in_is_not_closed(world, how):
    """It belongs to the caller."""
    closed = []

    class Transport(world.http.MockTransport):
        def close(self):
            closed.append("sync")

        async def aclose(self):
            closed.append("async")

    clock = Clock(1000)
    credentials = world.credentials(transport=Transport(world.issuer), clock=clock)
    for _ in range(2):
        world.send(how, "GET", API, credentials=credentials)
        clock.advance(3600)
    assert (len(world.token_requests), closed) == (2, [])


def test_the_tls_context_is_made_once(world):
    """It costs 20 ms and more; a client around it costs next to nothing."""
    made = []
    library = world.module.ClientCredentials._library

    def make(**options):
        made.append(options)
        return library.tls_context(**options)

    def client(**options):
        return world.http.Client(**options | {"transport": world.http.MockTransport(world.issuer)})

    class Counting(world.module.ClientCredentials):
        _library = replace(library, client=client, tls_context=make)

    clock = Clock(1000)
    credentials = Counting(
        ISSUER, "id", "s", token_endpoint=f"{ISSUER}/token", clock=clock, trust_env=False
    )
    for _ in range(3):
        world.send("sync", "GET", API, credentials=credentials)
        clock.advance(3600)
    assert len(world.token_requests) == 3
    assert made == [{"verify": True, "cert": None, "trust_env": False}]
