"""What tests of the consumer share: a hand-turned monotonic clock and a flow stepped by hand."""

import json

from consumer.client_auth import ClientSecretBasic
from consumer.fetch import FetchAnswer
from consumer.flow import Attempt, Fetch, TokenFlow, TokenPlan
from consumer.origin import Origin

ISSUER = "https://as.example"
API = Origin("https", "api.example")
OTHER_API = Origin("https", "other.example")


class HandClock:
    """A monotonic clock that moves only when told to."""

    def __init__(self, now=1000.0):
        self.now = now

    def __call__(self):
        return self.now

    def advance(self, seconds):
        self.now += seconds


def make_flow(clock, **changes):
    """Return a flow whose token endpoint needs no discovery, unless told otherwise."""
    plan = {"token_endpoint": f"{ISSUER}/token", "auth": ClientSecretBasic("id", "s3cret")}
    return TokenFlow(TokenPlan(**({"issuer": ISSUER} | plan | changes)), clock=clock)


def answer(document, status=200, **headers):
    """Return an answer of the issuer."""
    return FetchAnswer(
        status=status,
        headers={"content-type": "application/json"} | headers,
        body=json.dumps(document).encode(),
    )


def token_answer(value, lifetime=3600):
    """Return a good answer of the token endpoint."""
    return answer({"access_token": value, "token_type": "Bearer", "expires_in": lifetime})


class Walk:
    """One API request, stepped by hand: each step is there to be looked at and settled."""

    def __init__(self, flow, origin=API):
        self.steps = flow.steps(origin)
        self.step = next(self.steps)

    def fetched(self, given):
        """Settle a `Fetch` with an answer or a failure and go on."""
        assert isinstance(self.step, Fetch)
        if isinstance(given, FetchAnswer):
            self.step.answer = given
        else:
            self.step.failure = given
        return self.go_on()

    def answered(self, *, rejected=False, replayable=True):
        """Settle an `Attempt` and go on."""
        assert isinstance(self.step, Attempt)
        self.step.accepted, self.step.rejected = not rejected, rejected
        self.step.replayable = rejected and replayable
        return self.go_on()

    def go_on(self):
        """Take the next step; None at the end."""
        self.step = next(self.steps, None)
        return self

    @property
    def sends(self):
        """The token that is sent now, or None if this step sends nothing to the API."""
        return self.step.token.value if isinstance(self.step, Attempt) else None


def warm(flow, value="t1", lifetime=3600):
    """Have a flow fetch its first token."""
    walk = Walk(flow).fetched(token_answer(value, lifetime))
    assert value == walk.sends
    assert walk.answered().step is None
