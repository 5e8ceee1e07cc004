"""Whatever the interleaving, the view never lies longer than until the next catch-up."""

from contextlib import suppress

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from issuer.registry.errors import StoreUnavailable
from issuer.registry.view import ClientView
from tests.support.registry import SteppedStore

BOUND = 2
NAMES = st.sampled_from("abc")


class ViewAgainstStore(RuleBasedStateMachine):
    """Changes, fetches and catch-ups, each advanced one pause at a time in any order."""

    def __init__(self):
        super().__init__()
        self.store = SteppedStore()
        self.view = ClientView(self.store, bound=BOUND)
        self.running = []
        self.caught_up_to = 0  # notes in the feed when the latest finished catch-up began

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
    def get_cached(self, name):
        self.view.get_cached(name)

    @rule(name=NAMES)
    def begin_fetch(self, name):
        self.running.append((self.view.fetch(name), 0))

    @rule()
    def begin_catch_up(self):
        self.running.append((self.view.catch_up(), len(self.store.feed)))

    @precondition(lambda self: self.running)
    @rule(pick=st.integers(0, 10**6), steps=st.integers(1, 6))
    def advance(self, pick, steps):
        task = self.running[pick % len(self.running)]
        coroutine, since = task
        try:
            for _ in range(steps):
                coroutine.send(None)
        except StopIteration:
            self.running.remove(task)
            self.caught_up_to = max(self.caught_up_to, since)
        except StoreUnavailable:
            self.running.remove(task)

    def teardown(self):
        for coroutine, _ in self.running:
            coroutine.close()

    @invariant()
    def the_bound_holds(self):
        assert len(self.view) <= BOUND

    @invariant()
    def nothing_held_is_older_than_the_last_catch_up(self):
        for name, held in self.view._entries.items():
            feed = self.store.feed[: self.caught_up_to]
            changed_at = max((n for n, each in enumerate(feed, start=1) if each == name), default=0)
            assert held.updated_at >= changed_at

    @rule()
    def quiet_catch_up(self):
        self.store.broken = False
        since = len(self.store.feed)
        coroutine = self.view.catch_up()
        with suppress(StopIteration):
            while True:
                coroutine.send(None)
        self.caught_up_to = since
        for name, held in self.view._entries.items():
            assert held == self.store.clients.get(name)


TestViewAgainstStore = ViewAgainstStore.TestCase
TestViewAgainstStore.settings = settings(
    max_examples=2 * settings().max_examples, stateful_step_count=50
)
