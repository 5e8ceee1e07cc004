"""Errors of the consumer, which are errors of the HTTP library as well."""

import pickle

import anyio
import httpx
import httpx2
import pytest

from consumer import ConsumerError, InvalidTokenResponse, TokenRequestRefused, auth, httpx2_auth
from tests.support.consumer_flow import ISSUER

LIBRARIES = {"httpx": (httpx, auth), "httpx2": (httpx2, httpx2_auth)}


@pytest.fixture(params=LIBRARIES)
def library(request):
    """Each HTTP library in turn, with the module that serves it."""
    return LIBRARIES[request.param]


def make(library, status, document, kind="ClientCredentials"):
    """Make credentials whose issuer answers this."""
    http, module = library
    transport = http.MockTransport(lambda request: http.Response(status, json=document))
    endpoint = f"{ISSUER}/token"
    return getattr(module, kind)(
        ISSUER, "id", "s3cret", token_endpoint=endpoint, transport=transport
    )


def error_of_a_call(library, credentials, how):
    """Call an API and return the library's error that comes out."""
    http = library[0]

    async def call():
        async with http.AsyncClient(auth=credentials) as client:
            await client.get("https://api.example/x")

    def call_here():
        with http.Client(auth=credentials) as client:
            client.get("https://api.example/x")

    with pytest.raises(http.HTTPError) as caught:
        call_here() if how == "sync" else anyio.run(call, backend=how)
    return caught.value


@pytest.mark.parametrize("how", ["sync", "asyncio", "trio"])
def test_a_request_without_a_token_fails_as_any_other_does(library, how):
    """`except httpx.HTTPError` has it, with the request; and `except ConsumerError` too."""
    error = error_of_a_call(library, make(library, 401, {"error": "invalid_client"}), how)
    assert isinstance(error, TokenRequestRefused)
    assert (error.code, error.status, error.request.url.path) == ("invalid_client", 401, "/x")
    assert error.__suppress_context__


def test_a_source_raises_the_same(library):
    """`token()` and `atoken()` have no request to name."""
    source = make(library, 200, {"token_type": "none"}, "TokenSource")
    for get in (source.token, lambda: anyio.run(source.atoken)):
        with pytest.raises(InvalidTokenResponse) as caught:
            get()
        assert isinstance(caught.value, library[0].HTTPError)
        with pytest.raises(RuntimeError, match="request"):
            _ = caught.value.request


def test_it_comes_back_from_another_process_as_it_was(library):
    """A process pool pickles it; the request stays behind."""
    error = error_of_a_call(library, make(library, 401, {"error": "invalid_client"}), "sync")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert (str(again), again.code, again.args) == (str(error), error.code, error.args)


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("invalid_client", "check the client's id and secret"),
        ("invalid_scope", "ask with `scope` for"),
        ("invalid_target", "name with `resource` an API"),
        ("unauthorized_client", "allow the client this grant type"),
    ],
)
def test_it_says_what_to_do(code, told):
    """For the codes of RFC 6749 §5.2 and RFC 8707 §2 that settings can mend."""
    assert f"400 {code}: no; {told}" in str(TokenRequestRefused(code, "no"))


def test_a_code_of_which_nothing_is_known_stands_alone():
    """Nothing is made up."""
    assert str(TokenRequestRefused("slow_down")).endswith("400 slow_down")


def test_a_plain_error_is_of_no_library():
    """Such as one of the settings, before anything is sent."""
    assert not isinstance(ConsumerError("x"), httpx.HTTPError | httpx2.HTTPError)
