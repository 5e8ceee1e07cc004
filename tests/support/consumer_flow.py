"""What tests of the consumer share: token requests, and a flow that is stepped by hand."""

import json

from consumer.client_auth import ClientSecretBasic
from consumer.fetch import FetchAnswer
from consumer.flow import TokenFlow
from consumer.origin import Origin
from consumer.steps import Attempt, Fetch, Renew
from consumer.token_endpoint import TokenEndpoint, TokenPlan
from consumer.token_request import build_token_request
from keys.events import ignore_event

ISSUER = "https://as.example"
API = Origin("https", "api.example")
OTHER_API = Origin("https", "other.example")
NOW = 1_800_000_000.0


def token_request(auth, endpoint=f"{ISSUER}/token", **options):
    """Build a token request of a client of this issuer."""
    return build_token_request(endpoint, auth, issuer=ISSUER, now=NOW, **options)


def applied(auth):
    """Return what a method adds to the form and to the headers."""
    form, headers = {}, {}
    auth.apply(form, headers, audience=ISSUER, now=NOW)
    return form, headers


def make_flow(clock, on_event=ignore_event, stored=None, **changes):
    """Return a flow whose token endpoint needs no discovery, unless told otherwise."""
    plan = {"token_endpoint": f"{ISSUER}/token", "auth": ClientSecretBasic("id", "s3cret")}
    plan = TokenPlan(**({"issuer": ISSUER} | plan | changes))
    return TokenFlow(
        plan,
        TokenEndpoint(plan.dpop, clock=clock, wall_clock=lambda: NOW),
        clock=clock,
        draw=lambda: 0.0,
        on_event=on_event,
        stored=stored,
    )


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

    def renewing(self, *, is_started=True):
        """Settle a `Renew`; return the walk through the steps in the background, and go on."""
        assert isinstance(self.step, Renew)
        self.step.is_started = is_started
        renewal = Walk.__new__(Walk)
        renewal.steps = self.step.steps
        self.go_on()
        return renewal.go_on() if is_started else None

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
