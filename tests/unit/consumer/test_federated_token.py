"""A token of the platform in place of a secret: from a file, a function or GitHub Actions."""

import copy
import pickle
from urllib.parse import parse_qs

import pytest

from consumer.errors import CredentialUnavailable, InsecureUrl
from consumer.federated_token import FederatedToken, GitHubActions
from consumer.fetch import FetchAnswer
from consumer.steps import Call, Fetch
from tests.support.consumer_flow import ISSUER, Walk, answer, make_flow, token_answer
from watchword.testing.clock import Clock

FIRST, SECOND = "eyJhbGciOiJ9.eyJhIjoxfQ.c2ln", "eyJhbGciOiJ9.eyJhIjoyfQ.c2ln"
URL = "https://pipelines.example/id-token"


def asks(source, **changes):
    """Begin a request of a client of the platform."""
    return Walk(make_flow(Clock(1000), auth=FederatedToken("billing", source), **changes))


def run(walk):
    """Have the source called, and go on."""
    assert isinstance(walk.step, Call)
    walk.step.run()
    return walk.go_on()


def form_of(step):
    """Return the parameters of a token request."""
    return {name: value for name, [value] in parse_qs(step.request.body.decode()).items()}


@pytest.fixture
def file(tmp_path):
    """A file that the platform keeps a token in."""
    path = tmp_path / "token"
    path.write_text(f"{FIRST}\n")
    return path


@pytest.mark.rfc("7521-4.2-1-C")
def test_the_file_is_read_for_each_token_request(file):
    """What the platform has replaced is used at once, and the client says who it is."""
    flow = make_flow(Clock(1000), auth=FederatedToken("billing", file))
    walk = run(Walk(flow))
    assert form_of(walk.step) == {
        "grant_type": "client_credentials",
        "client_id": "billing",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": FIRST,
    }
    assert walk.fetched(token_answer("t1")).sends == "t1"
    file.write_text(SECOND)
    flow._cache.token = None
    assert form_of(run(Walk(flow)).step)["client_assertion"] == SECOND


def test_a_function_or_a_path_in_a_text_is_a_source(file):
    """A function is called where blocking holds up nobody."""
    assert form_of(run(asks(lambda: FIRST)).step)["client_assertion"] == FIRST
    assert form_of(run(asks(str(file))).step)["client_assertion"] == FIRST


@pytest.mark.rfc("9700-4.10-1")
@pytest.mark.parametrize("content", ["", "not a token", f"{FIRST} {FIRST}", "a.b", "x" * 20_000])
def test_what_is_no_token_is_not_sent(file, content):
    """The issuer would only say 401; the error repeats nothing of it."""
    file.write_text(content)
    with pytest.raises(CredentialUnavailable, match=r"is no signed token$"):
        run(asks(file))


def test_a_source_that_fails_is_told_without_what_it_says(file):
    """The system's error names the file; the text of any other may hold the token."""
    file.unlink()
    with pytest.raises(CredentialUnavailable, match=r"/token: no such file or directory$"):
        run(asks(file))

    def fail():
        raise RuntimeError(FIRST)

    with pytest.raises(CredentialUnavailable, match=r"cannot be had: RuntimeError$"):
        run(asks(fail))


@pytest.fixture
def in_a_job(monkeypatch):
    """What the runner tells a job."""
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_URL", f"{URL}?api-version=2.0")
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "runner-token")


@pytest.mark.usefixtures("in_a_job")
@pytest.mark.parametrize(("audience", "asked"), [(None, ISSUER), ("billing a", "billing a")])
def test_github_is_asked_for_a_token_for_the_issuer(audience, asked):
    """Or for another audience; its answer authenticates the token request."""
    walk = asks(GitHubActions(audience))
    assert isinstance(walk.step, Fetch)
    request = walk.step.request
    url, _, query = request.url.partition("?")
    assert (url, parse_qs(query)) == (URL, {"api-version": ["2.0"], "audience": [asked]})
    assert request.headers["Authorization"] == "Bearer runner-token"
    assert "runner-token" not in repr(request)
    walk.fetched(answer({"count": 1, "value": FIRST}))
    assert form_of(walk.step)["client_assertion"] == FIRST


@pytest.mark.usefixtures("in_a_job")
@pytest.mark.parametrize(
    "given",
    [
        answer({"value": FIRST}, 403),
        answer({"value": 7}),
        FetchAnswer(status=200, headers={"content-type": "text/html"}, body=b"<p>"),
    ],
)
def test_an_answer_without_a_token_is_an_error(given):
    """There is nothing to send."""
    with pytest.raises(CredentialUnavailable, match="GitHub did not answer with an ID token"):
        asks(GitHubActions()).fetched(given)


def test_outside_of_a_job_the_error_says_what_is_missing(monkeypatch):
    """Also where the job has no permission, since the runner then sets neither."""
    monkeypatch.delenv("ACTIONS_ID_TOKEN_REQUEST_URL", raising=False)
    with pytest.raises(CredentialUnavailable, match="permission `id-token: write`"):
        asks(GitHubActions())


@pytest.mark.usefixtures("in_a_job")
def test_the_runners_token_goes_over_tls_alone(monkeypatch):
    """It is a credential."""
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_URL", "http://pipelines.example/id-token")
    with pytest.raises(InsecureUrl, match="is not https"):
        asks(GitHubActions())
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_URL", "nonsense")
    with pytest.raises(CredentialUnavailable, match="ACTIONS_ID_TOKEN_REQUEST_URL: the endpoint"):
        asks(GitHubActions())


def test_it_is_a_value_that_shows_no_token():
    """Equal ones share tokens; what an issuer repeats of one is taken out."""
    auth = FederatedToken("billing", "/run/token")
    assert copy.copy(auth) == auth == pickle.loads(pickle.dumps(auth))
    assert hash(auth) == hash(FederatedToken("billing", "/run/token"))
    assert auth.redact(f"bad {FIRST}") == "bad (secret)"
    with pytest.raises(ValueError, match="needs an id"):
        FederatedToken("", "/run/token")
