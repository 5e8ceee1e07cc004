"""Whatever the interleaving, the view never lies longer than until the next catch-up."""

from contextlib import suppress

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from issuer.registry.errors import StoreUnavailable
from issuer.registry.view import ClientView
from tests.support.registry import SteppedStore

BOUND = 3
NAMES = st.sampled_from("abcde")


class ViewAgainstStore(RuleBasedStateMachine):
    """Changes, fetches and catch-ups, each advanced one pause at a time in any order."""

    def __init__(self):
        super().__init__()
        self.store = SteppedStore()
        self.view = ClientView(self.store, bound=BOUND)
        self.running = []

    @rule(name=NAMES, disabled=st.booleans())
    def create_or_change(self, name, disabled):
        self.store.put(name, disabled=disabled)

    @rule(name=NAMES)
    def delete(self, name):
        if name in self.store.clients:
            self.store.remove(name)

    @rule(kept=st.integers(0, 3))
    def trim(self, kept):
        self.store.trimmed = max(self.store.trimmed, len(self.store.feed) - kept)

    @rule()
    def break_or_mend(self):
        self.store.broken = not self.store.broken

    @rule(name=NAMES)
    def peek(self, name):
        self.view.peek(name)

    @rule(name=NAMES)
    def begin_fetch(self, name):
        self.running.append((self.view.fetch(name), None))

    @rule()
    def begin_catch_up(self):
        self.running.append((self.view.catch_up(), len(self.store.feed)))

    @precondition(lambda self: self.running)
    @rule(pick=st.integers(0, 10**6), steps=st.integers(1, 12))
    def advance(self, pick, steps):
        task = self.running[pick % len(self.running)]
        coroutine, since = task
        try:
            for _ in range(steps):
                coroutine.send(None)
        except StopIteration:
            self.running.remove(task)
            if since is not None:
                self.require_truth(since)
        except StoreUnavailable:
            self.running.remove(task)

    def teardown(self):
        for coroutine, _ in self.running:
            coroutine.close()

    def require_truth(self, since):
        """No entry is older than what was committed before the finished catch-up began."""
        for name, held in self.view._entries.items():
            changes = [n for n, each in enumerate(self.store.feed[:since], start=1) if each == name]
            assert not changes or held.updated_at >= changes[-1], (name, held.updated_at, changes)

    @invariant()
    def the_bound_holds(self):
        assert len(self.view) <= BOUND

    @rule()
    def quiet_catch_up(self):
        self.store.broken = False
        coroutine = self.view.catch_up()
        with suppress(StopIteration):
            while True:
                coroutine.send(None)
        for name, held in self.view._entries.items():
            assert held == self.store.clients.get(name)


TestViewAgainstStore = ViewAgainstStore.TestCase
TestViewAgainstStore.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
