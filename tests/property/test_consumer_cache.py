"""The token cache against a plain model, and parsers against any bytes."""

import json

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from consumer.client_auth import ClientSecretBasic
from consumer.errors import ConsumerError, TokenEndpointUnreachable
from consumer.fetch import FetchAnswer
from consumer.metadata import parse_metadata
from consumer.origin import Origin
from consumer.token_cache import FetchFirst, Refuse, RenewEarly, Token, TokenCache, Use
from consumer.token_request import parse_token_response
from consumer.token_scheme import BEARER

ORIGINS = tuple(Origin("https", name) for name in ("a.example", "b.example"))
JSON = {"content-type": "application/json"}


class CacheMachine(RuleBasedStateMachine):
    """Callers, APIs and an issuer, doing anything in any order."""

    @initialize()
    def start(self):
        self.cache = TokenCache()
        self.now = 0.0
        self.tokens = []
        self.quiet_until = 0.0
        self.fetches_for = dict.fromkeys(ORIGINS, 0)

    @rule(seconds=st.floats(0, 5000))
    def time_passes(self, seconds):
        self.now += seconds

    @rule(lifetime=st.floats(0, 4000), jitter=st.floats(0, 1))
    def a_token_arrives(self, lifetime, jitter=0.0):
        token = Token(value="t", received_at=self.now, lifetime=lifetime)
        self.tokens.append(token)
        self.cache.store(token, jitter=jitter)
        self.quiet_until = 0.0

    @rule(retry_after=st.none() | st.floats(0, 300))
    def a_fetch_fails(self, retry_after):
        error = TokenEndpointUnreachable("down", retry_after)
        self.cache.record_failure(error, now=self.now)
        if retry_after is not None:
            self.quiet_until = max(self.quiet_until, self.now + retry_after)

    @rule(origin=st.sampled_from(ORIGINS), data=st.data())
    def an_api_rejects(self, origin, data):
        if self.tokens:
            token = data.draw(st.sampled_from(self.tokens))
            self.cache.reject(token, origin, now=self.now)

    @rule(origin=st.sampled_from(ORIGINS), data=st.data())
    def an_api_accepts(self, origin, data):
        if self.tokens:
            token = data.draw(st.sampled_from(self.tokens))
            self.cache.accept(token, origin, now=self.now)

    @rule(origin=st.sampled_from(ORIGINS), calls=st.integers(1, 30))
    def an_api_rejects_everything(self, origin, calls):
        """However many calls in a row an API refuses, they cost two token requests at most."""
        fetches = 0
        for _ in range(calls):
            choice = self.cache.choose(origin, now=self.now)
            if isinstance(choice, Refuse):
                return
            if isinstance(choice, FetchFirst | RenewEarly):
                fetches += 1
                self.a_token_arrives(3600.0)
            self.cache.reject(self.cache.token, origin, now=self.now)
        assert fetches <= 2

    @invariant()
    def what_is_sent_is_alive_and_the_newest(self):
        for origin in ORIGINS:
            choice = self.cache.choose(origin, now=self.now)
            if isinstance(choice, Use | RenewEarly):
                assert choice.token is self.tokens[-1]
                assert choice.token.is_usable(self.now)

    @invariant()
    def an_issuer_that_wants_quiet_has_it(self):
        for origin in ORIGINS:
            choice = self.cache.choose(origin, now=self.now)
            if self.now < self.quiet_until:
                assert not isinstance(choice, FetchFirst | RenewEarly)


TestCache = CacheMachine.TestCase


@given(lifetime=st.floats(0.001, 2**53), jitter=st.floats(0, 1))
def test_a_renewal_begins_while_the_token_can_be_used(lifetime, jitter):
    """In the last third of any life, and before the end of its use by as much again at least."""
    token = Token(value="t", received_at=0.0, lifetime=lifetime)
    begin, end = token.renew_at(1.0), token.renew_at(0.0)
    assert lifetime * 0.69 <= begin <= token.renew_at(jitter) <= end
    assert token.is_usable(end)


@given(status=st.integers(100, 599), body=st.binary(max_size=300))
def test_any_answer_makes_a_token_or_a_consumer_error(status, body):
    """Nothing else comes out of the parsers, whatever the server answers."""
    answer = FetchAnswer(status=status, headers=JSON, body=body)
    auth = ClientSecretBasic("id", "secret")
    for judge in (
        lambda: parse_token_response(answer, auth, now=0.0),
        lambda: parse_metadata(answer, "https://as.example", allow_insecure_http=False),
    ):
        try:
            found = judge()
        except ConsumerError:
            continue
        assert status == 200
        assert found.value if isinstance(found, Token) else found.token_endpoint


@given(
    document=st.dictionaries(
        st.sampled_from(
            ["access_token", "token_type", "expires_in", "scope", "error", "error_description"]
        ),
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    ),
    status=st.sampled_from([200, 400, 401, 429, 503]),
)
def test_any_document_makes_a_usable_token_or_a_consumer_error(document, status):
    """A token that comes out can be put into a header and has a possible life."""
    body = json.dumps(document).encode()
    answer = FetchAnswer(status=status, headers=JSON, body=body)
    try:
        token = parse_token_response(answer, ClientSecretBasic("id", "secret"), now=0.0)
    except ConsumerError:
        return
    assert token.value.isascii()
    assert token.value.isprintable()
    assert 0 <= token.lifetime < 2**53


@given(st.text(max_size=200) | st.text('Bearer ro=",\\ \t', max_size=200))
def test_any_challenge_can_be_read(header):
    """A header that anybody sends cannot break the caller."""
    assert "error" in header.lower() or "error" not in BEARER.challenge([header])


@given(
    st.text(st.characters(codec="ascii", exclude_characters='"\\', categories=["L", "N", "P"])),
    st.sampled_from(["Bearer", "bearer", "BEARER"]),
)
def test_what_is_quoted_comes_back(text, scheme):
    """Writing a challenge and reading it gives the same error."""
    challenge = f'Basic realm="x", {scheme} realm="r", error="{text}"'
    assert BEARER.challenge([challenge])["error"] == text
