"""The key-set cache as a state machine: whatever happens, its promises hold."""

import hypothesis.strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from keys.jwks import JwkSet
from keys.remote.jwks_cache import (
    CachePolicy,
    CacheState,
    Fetch,
    Refuse,
    after_failure,
    after_success,
    decide,
)
from tests.support.keys import public_rsa_jwk

POLICY = CachePolicy()
SETS = [JwkSet(keys=(public_rsa_jwk(n),)) for n in range(2)]


class KeySetCache(RuleBasedStateMachine):
    """Time passes, tokens come with known and unknown kids, fetches go well or badly."""

    def __init__(self) -> None:
        """Start cold."""
        super().__init__()
        self.state = CacheState()
        self.now = 0.0
        self.last_good: float | None = None
        self.last_fetch: float | None = None

    @rule(seconds=st.sampled_from([0, 0.5, 1, 5, 29, 30, 240, 300, 3599, 4000]))
    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds

    @rule(good=st.booleans(), which=st.sampled_from(SETS), kid=st.sampled_from(["x", "0", "1"]))
    def token_arrives(self, good: bool, which: JwkSet, kid: str) -> None:
        """Obey the decision for one token."""
        name = kid if kid == "x" else SETS[int(kid)].keys[0].kid
        decision = decide(self.state, name, "RS256", self.now)
        if decision == Fetch():
            self.fetch(good, which)
        elif isinstance(decision, Refuse):
            assert self.now < self.state.retry_at
        else:
            assert decision.kid == name
            assert decision in (self.state.keys or JwkSet(keys=())).keys

    @precondition(lambda self: self.state.refresh_due(self.now))
    @rule(good=st.booleans(), which=st.sampled_from(SETS))
    def refresh(self, good: bool, which: JwkSet) -> None:
        """Refresh ahead of need."""
        self.fetch(good, which)

    def fetch(self, good: bool, which: JwkSet) -> None:
        """Fetch, which never happens twice within the cool-down of a warm cache."""
        if self.last_fetch is not None and self.state.usable(self.now) is not None:
            assert self.now - self.last_fetch >= min(POLICY.cooldown, 1)
            if self.state.failures == 0:
                assert self.now - self.last_fetch >= POLICY.cooldown
        self.last_fetch = self.now
        if good:
            self.state = after_success(
                self.state, POLICY, now=self.now, keys=which, etag=None, lifetime=300
            )
            self.last_good = self.now
        else:
            self.state = after_failure(self.state, POLICY, now=self.now)

    @invariant()
    def good_set_is_kept_for_its_time(self) -> None:
        """A set serves exactly its lifetime and the grace beyond, whatever fails meanwhile."""
        fresh = self.last_good is not None and self.now < self.last_good + 300 + POLICY.stale_for
        assert (self.state.usable(self.now) is not None) is fresh

    @invariant()
    def waiting_has_an_end(self) -> None:
        """No wait is longer than the cool-down."""
        assert self.state.retry_at - self.now <= POLICY.cooldown


TestKeySetCache = KeySetCache.TestCase
