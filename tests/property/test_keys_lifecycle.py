"""What holds of a key store after any sequence of operations: rules roll-1 to roll-3 (standard)."""

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from keys.errors import KeysError, NoSuchKey
from keys.lifecycle import (
    Plan,
    Withdraw,
    apply_change,
    plan_deletion,
    plan_generation,
    plan_rotation,
    plan_upkeep,
    plan_withdrawal,
)
from keys.ring import KeyState, RingEntry, RingKey, RingPolicy, derive_ring, published

START = 1_800_000_000
ALGORITHMS = ["RS256", "ES256"]
ORDER = list(KeyState)
SPANS = st.sampled_from([0, 1, 2, 5, 11, 12, 13, 60, 100, 163, 500]) | st.integers(0, 2_000)
POLICIES = st.builds(
    RingPolicy,
    jwks_max_age=st.sampled_from([0, 10, 300]),
    longest_token=st.sampled_from([0, 100, 1_000]),
    leeway=st.sampled_from([0, 60]),
    rotate_every=st.sampled_from([0, 0, 400, 3_000]),
)
UNHURRIED = settings(
    deadline=None, stateful_step_count=30, suppress_health_check=[HealthCheck.too_slow]
)


class Store(RuleBasedStateMachine):
    """A key store in memory, under a clock that is turned by hand."""

    def __init__(self) -> None:
        """Begin empty."""
        super().__init__()
        self.policy = RingPolicy()
        self.now = START
        self.ring: tuple[RingKey, ...] = ()
        self.made = 0

    @initialize(policy=POLICIES)
    def begin(self, policy: RingPolicy) -> None:
        """Make the first key."""
        self.policy = policy
        self.carry_out(plan_generation((), self.now, policy, "RS256"))

    def carry_out(self, plan: Plan) -> None:
        """Apply a plan step by step; after each of them a key signs, should it be the last."""
        for change in plan:
            self.made += 1
            self.ring = apply_change(self.ring, change, f"k{self.made:03}")
            self.check()

    def attempt(self, make: Callable[[], Plan]) -> None:
        """Carry out a plan, unless it is refused in one line."""
        try:
            plan = make()
        except KeysError:
            return
        self.carry_out(plan)

    def entries(self, now: int | None = None) -> dict[str, RingEntry]:
        """Return the states by kid."""
        moment = self.now if now is None else now
        return {entry.key.kid: entry for entry in derive_ring(self.ring, moment, self.policy)}

    def check(self) -> None:
        """Check what holds at every instant: a key signs, and it is published."""
        entries = self.entries()
        active = [each.key for each in entries.values() if each.state is KeyState.ACTIVE]
        assert "RS256" in {key.alg for key in active}
        assert set(active) <= set(published(entries.values()))

    @rule(alg=st.sampled_from(ALGORITHMS))
    def generate(self, alg: str) -> None:
        """Ask for a key."""
        self.attempt(lambda: plan_generation(self.ring, self.now, self.policy, alg))

    @rule(alg=st.sampled_from(ALGORITHMS))
    def rotate(self, alg: str) -> None:
        """Rotate; a second time at the same instant is refused."""
        before = self.ring
        self.attempt(lambda: plan_rotation(self.ring, self.now, self.policy, alg))
        if self.ring != before:
            with pytest.raises(KeysError):
                plan_rotation(self.ring, self.now, self.policy, alg)

    @rule()
    def upkeep(self) -> None:
        """See to it that there is a successor; a second time there is nothing to do."""
        self.carry_out(plan_upkeep(self.ring, self.now, self.policy, ALGORITHMS))
        assert plan_upkeep(self.ring, self.now, self.policy, ALGORITHMS) == ()

    @rule(data=st.data())
    def revoke(self, data: st.DataObject) -> None:
        """Withdraw any key."""
        kid = self.choose(data)
        self.attempt(lambda: plan_withdrawal(self.ring, kid, self.now, self.policy))

    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        """Delete any key that may be."""
        kid = self.choose(data)
        before = self.ring
        self.attempt(lambda: plan_deletion(self.ring, kid, self.now, self.policy))
        if self.ring != before:
            with pytest.raises(NoSuchKey):
                plan_deletion(self.ring, kid, self.now, self.policy)

    def choose(self, data: st.DataObject) -> str:
        """Choose a key."""
        return data.draw(st.sampled_from([key.kid for key in self.ring]))


class UnderAMonotoneClock(Store):
    """The clock never runs back: then the rollover rule holds for every key."""

    def __init__(self) -> None:
        """Remember what the world has seen."""
        super().__init__()
        self.states: dict[str, KeyState] = {}
        self.signed_last: dict[str, int] = {}
        self.known: set[str] = set()
        self.emergencies: set[str] = set()

    def carry_out(self, plan: Plan) -> None:
        """Apply a plan; no kid comes twice (roll-3)."""
        before = {key.kid for key in self.ring}
        super().carry_out(plan)
        new = {key.kid for key in self.ring} - before
        assert not new & self.known
        self.known |= {key.kid for key in self.ring}
        if any(isinstance(change, Withdraw) for change in plan) or len(self.known) == 1:
            # Whoever signs now does so at once: nothing that validators know can.
            self.emergencies |= {
                kid for kid, each in self.entries().items() if each.state is KeyState.ACTIVE
            }

    @rule(span=SPANS)
    def wait(self, span: int) -> None:
        """Let time pass, and look at every moment at which something changes."""
        end = self.now + span
        turns = {
            time
            for entry in self.entries().values()
            for time in (entry.key.signs_from, entry.gone_at)
            if time is not None
        }
        moments = {moment + step for moment in turns for step in (-1, 0)} | {end}
        for moment in sorted(each for each in moments if self.now < each <= end):
            self.now = moment
            self.check()
            self.observe()

    @invariant()
    def observe(self) -> None:
        """Note who signs, and hold it against the rule."""
        for kid, entry in self.entries().items():
            state, before = entry.state, self.states.get(kid, KeyState.PENDING)
            assert ORDER.index(state) >= ORDER.index(before), (kid, before, state)
            if state is KeyState.ACTIVE:
                if before is KeyState.PENDING and kid not in self.emergencies:
                    ahead = self.now - entry.key.published_at
                    assert ahead >= self.policy.publish_ahead  # roll-1
                self.signed_last[kid] = self.now
            if kid in self.signed_last and self.now < self.signed_last[kid] + self.policy.keep:
                assert state is not KeyState.GONE  # roll-2
            self.states[kid] = state


class UnderAnyClock(Store):
    """The clock is set back an hour, or ahead a year: a published key signs all the same."""

    @rule(span=SPANS)
    def wait(self, span: int) -> None:
        """Let time pass."""
        self.now += span

    @rule(jump=st.sampled_from([-31_536_000, -3_600, -30, 3_600, 31_536_000]))
    def set_clock(self, jump: int) -> None:
        """Set it to another time."""
        self.now += jump

    @rule(alg=st.just("RS256"))
    def generate(self, alg: str) -> None:
        """Ask for a key of the one algorithm."""
        super().generate(alg)

    @rule()
    def upkeep(self) -> None:
        """See to it that there is a successor which needs no clock to be right again.

        Not by a clock that may be behind: a key with a date was made later than it is by that one.
        """
        super().upkeep()
        dated = [key for key in self.ring if key.signs_from is not None and not key.withdrawn_at]
        if any(key.published_at > self.now + self.policy.slack for key in dated):
            return
        pending = [each.key for each in self.entries().values() if each.state is KeyState.PENDING]
        assert any(key.published_at <= self.now + self.policy.slack for key in pending)

    @invariant()
    def a_key_signs(self) -> None:
        """Now, and at any other time that the clock might be set to."""
        if self.ring:
            for jump in (0, -3_600, 3_600, 31_536_000, -31_536_000):
                active = [
                    each.key.alg
                    for each in self.entries(self.now + jump).values()
                    if each.state is KeyState.ACTIVE
                ]
                assert active.count("RS256") == 1
                assert active.count("ES256") <= 1


class UnderAnyClockWithTwo(UnderAnyClock):
    """The key of one algorithm signs whatever keys another one has.

    None is deleted: that the first key of an algorithm was to sign at once tells that it did.
    """

    delete = None

    @rule(alg=st.sampled_from(ALGORITHMS), activate_in=st.sampled_from([None, 0]))
    def generate(self, alg: str, activate_in: int | None) -> None:
        """Ask for a key, at once as is advised where a key is dated ahead of the clock."""
        self.attempt(
            lambda: plan_generation(self.ring, self.now, self.policy, alg, activate_in=activate_in)
        )


TestUnderAMonotoneClock = pytest.mark.rfc("roll-1", "roll-2", "roll-3")(
    UnderAMonotoneClock.TestCase
)
TestUnderAMonotoneClock.settings = UNHURRIED
TestUnderAnyClock = UnderAnyClock.TestCase
TestUnderAnyClock.settings = UNHURRIED
TestUnderAnyClockWithTwo = UnderAnyClockWithTwo.TestCase
TestUnderAnyClockWithTwo.settings = UNHURRIED
