"""`TokenSource`: the token itself, for callers that use no `httpx.Auth`."""

import copy
import importlib.util
import json
import math
import time
from urllib.parse import parse_qs

import anyio
import httpx
import httpx2
import pytest

import consumer
from consumer import auth, httpx2_auth
from consumer.client_auth import ClientSecretBasic
from consumer.errors import TokenRequestRefused
from tests.support.consumer_flow import ISSUER
from watchword.testing.clock import Clock

LIBRARIES = {"httpx": (httpx, auth), "httpx2": (httpx2, httpx2_auth)}


class SigningAuth:
    """An authentication method that keeps what it was given to sign."""

    def __init__(self):
        self.applied = []

    def apply(self, form, headers, *, audience, now):
        form["client_assertion"] = "signed"
        self.applied.append((audience, now))

    def redact(self, text):
        return text


class Issuer:
    """Gives out numbered tokens, or refuses."""

    def __init__(self, library):
        self.library, self.requests, self.refuses = library, [], False

    def __call__(self, request):
        self.requests.append(request)
        if self.refuses:
            return self.library.Response(400, json={"error": "invalid_scope"})
        token = {"access_token": f"t{len(self.requests)}", "token_type": "bearer"}
        return self.library.Response(200, json=token | {"expires_in": 100, "scope": "read"})


@pytest.fixture(params=LIBRARIES)
def library(request):
    """One library, and its token source."""
    return LIBRARIES[request.param]


def make(library, issuer, client_auth=None, kind="TokenSource", **options):
    """Make a source whose token requests go to this issuer."""
    module = library[1]
    return getattr(module, kind)(
        ISSUER,
        client_auth or ClientSecretBasic("id", "s3cret"),
        token_endpoint=f"{ISSUER}/token",
        transport=library[0].MockTransport(issuer),
        **options,
    )


def get(source, how):
    """Get a token synchronously, or on an event loop."""
    return source.token() if how == "sync" else anyio.run(source.atoken, backend=how)


@pytest.mark.parametrize("how", ["sync", "asyncio", "trio"])
def test_a_token_is_requested_once_and_renewed(library, how):
    """It is the same until its end is near."""
    clock, issuer = Clock(1000), Issuer(library[0])
    source = make(library, issuer, clock=clock)
    assert [get(source, how).value for _ in range(2)] == ["t1", "t1"]
    assert get(source, how).scope == "read"
    clock.advance(99)
    assert get(source, how).value == "t2"
    assert len(issuer.requests) == 2


@pytest.mark.parametrize("how", ["sync", "asyncio", "trio"])
def test_a_refusal_is_raised(library, how):
    """As on a request of an API."""
    issuer = Issuer(library[0])
    issuer.refuses = True
    with pytest.raises(TokenRequestRefused) as caught:
        get(make(library, issuer), how)
    assert caught.value.code == "invalid_scope"


def test_credentials_are_a_source_too(library):
    """The token that is on the requests of a client can be used elsewhere."""
    issuer = Issuer(library[0])
    credentials = make(library, issuer, kind="ClientCredentials")
    answer = library[0].MockTransport(lambda request: library[0].Response(200, request=request))
    with library[0].Client(auth=credentials, transport=answer) as client:
        sent = client.get("https://api.example").request.headers["Authorization"]
    assert sent == f"Bearer {credentials.token().value}" == "Bearer t1"


def test_a_copy_shares_the_token(library):
    """It is one more object of the same client."""
    source = make(library, Issuer(library[0]))
    assert [source.token().value, copy.copy(source).token().value] == ["t1", "t1"]


def test_a_method_is_told_audience_and_time(library, monkeypatch):
    """What a signed proof says: for which issuer, and when."""
    monkeypatch.setattr("consumer.token_source.time.time", lambda: 1_800_000_000.0)
    signing, issuer = SigningAuth(), Issuer(library[0])
    make(library, issuer, signing).token()
    assert signing.applied == [(ISSUER, 1_800_000_000.0)]
    assert b"client_assertion=signed" in issuer.requests[0].content


def test_the_package_has_it_for_httpx():
    """Without another import."""
    assert consumer.TokenSource is auth.TokenSource


def test_a_source_asks_for_its_details(library):
    """RFC 9396 §6; each source has a token of its own, so details are part of what is cached."""
    issuer, details = Issuer(library[0]), [{"type": "payment", "actions": ["initiate"]}]
    for options in ({"authorization_details": details}, {}):
        get(make(library, issuer, **options), "sync")
    asked, plain = (parse_qs(each.content.decode()) for each in issuer.requests)
    assert json.loads(asked["authorization_details"][0]) == details
    assert "authorization_details" not in plain
    with pytest.raises(ValueError, match="each with a type"):
        make(library, issuer, authorization_details=[{}])


def test_the_time_that_the_machine_sleeps_counts(library, monkeypatch):
    """A token of the day before is not sent: the clock of the boot goes on, where there is one."""
    moment, issuer = 1000.0, Issuer(library[0])
    asked = []

    def read(clock):
        asked.append(clock)
        return moment

    monkeypatch.setattr(time, "clock_gettime", read)
    source = make(library, issuer)
    assert source.token().value == "t1"
    moment += 86_400
    assert source.token().value == "t2"
    assert set(asked) == {time.CLOCK_BOOTTIME}


def test_macos_has_that_clock_by_another_name(monkeypatch):
    """Where `time.monotonic` is not it."""
    monkeypatch.delattr(time, "CLOCK_BOOTTIME")
    spec = importlib.util.find_spec("consumer.token_source")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    asked = []
    monkeypatch.setattr(time, "clock_gettime", asked.append)
    module.boot_time()
    assert asked == [time.CLOCK_MONOTONIC]


@pytest.mark.parametrize("timeout", [0, -1, math.nan, math.inf, "3", None])
def test_a_timeout_is_a_number_of_seconds(timeout):
    """With none at all every token request would fail, or a hung one never end."""
    with pytest.raises(ValueError, match=r"timeout is a number of seconds above 0, not"):
        consumer.TokenSource(ISSUER, "id", "s3cret", timeout=timeout)
