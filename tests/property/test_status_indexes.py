"""Whatever happens to workers, clocks and the store: an index is given once, and has an owner."""

import asyncio
import random
from collections import Counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from issuer.errors import Reason, TemporarilyUnavailable
from issuer.status.indexes import StatusIndexes
from issuer.status.positions import WINDOW, Status, StatusChange, bucket_end
from tests.support.hot_store import SharedStore

START = 1_800_000_123
WORKERS = st.integers(0, 2)
SMALL = {
    "issuer.status.spare.SMALLEST_RANGE": 32,
    "issuer.status.spare.LARGEST_RANGE": 128,
    "issuer.status.indexes.LARGEST_BLOCK": 64,
    "issuer.status.indexes.MAX_OWNERS": 3,
    "issuer.status.indexes.MAX_UNWRITTEN": 3,
}
SECONDS = st.sampled_from([1, 60, WINDOW - 1, WINDOW, 1_800, 7_200, 90_000])


class Tokens(RuleBasedStateMachine):
    """Three workers over one store."""

    def __init__(self):
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        for name, value in SMALL.items():
            self.patch.setattr(name, value)
        self.loop = asyncio.new_event_loop()
        self.random = random.Random(7)
        self.store = SharedStore()
        self.now = START
        self.workers = [self.start() for _ in range(3)]
        self.given = {}
        self.issued = Counter()
        self.killed = []
        self.starts = 3
        self.revoked = []

    def start(self):
        """Start a worker."""
        return StatusIndexes(
            self.store, new_random=self.random.randbytes, events=lambda *_, **__: None
        )

    def run(self, work):
        """Run a coroutine, and what it started, to the end."""

        async def settle():
            try:
                return await work
            finally:
                while others := asyncio.all_tasks() - {asyncio.current_task()}:
                    await asyncio.wait(others)

        return self.loop.run_until_complete(settle())

    def blocks(self):
        """List every block that has an owner, written or noted."""
        noted = [block for worker in self.workers for block in worker._unwritten]
        return {*self.store.owned, *noted, *self.killed}

    @rule(
        worker=WORKERS,
        client=st.sampled_from("ab"),
        resource=st.sampled_from(["urn:a", "urn:b"]),
        ttl=st.sampled_from([60, 3_600, 86_400]),
        count=st.sampled_from([1, 15, 40]),
    )
    def request(self, worker, client, resource, ttl, count):
        """Ask for many tokens at once; each gets a place of its own, or all are refused."""
        indexes, key = self.workers[worker], (client, client, resource)

        async def one():
            return indexes.take(*key, ttl=ttl, now=self.now) or await indexes.obtain(
                *key, ttl=ttl, now=self.now
            )

        async def ask():
            return await asyncio.gather(*(one() for _ in range(count)), return_exceptions=True)

        for answer in self.run(ask()):
            if isinstance(answer, TemporarilyUnavailable):
                assert self.store.away
                assert answer.reason is Reason.NO_STATUS_INDEX
                continue
            assert answer not in self.given
            self.given[answer] = (key, self.now, ttl)
            self.issued[key] += 1
            assert not any(
                answer.bucket == each.bucket and each.first <= answer.index < each.first + each.size
                for each in self.revoked
            )

    @rule(seconds=SECONDS)
    def wait(self, seconds):
        """Let time pass."""
        self.now += seconds

    @rule(seconds=SECONDS)
    def set_back(self, seconds):
        """Set the clock back."""
        self.now -= seconds

    @rule(loses_answers=st.booleans())
    def go_away(self, loses_answers):
        """Have the store fail, before or after it has done what it was asked for."""
        self.store.away, self.store.loses_answers = True, loses_answers

    @rule()
    def come_back(self):
        """Have the store answer again; every worker writes what it has noted."""
        self.store.away = self.store.loses_answers = False
        for worker in self.workers:
            self.run(worker.keep_up(self.now))
            assert not worker._unwritten

    @rule(worker=WORKERS)
    def keep_up(self, worker):
        """Let a worker reserve ahead."""
        try:
            self.run(self.workers[worker].keep_up(self.now))
        except Exception:
            assert self.store.away

    @rule(worker=WORKERS)
    def kill(self, worker):
        """End a worker; what it had noted in an outage is lost with it."""
        self.killed += self.workers[worker]._unwritten
        self.workers[worker] = self.start()
        self.starts += 1

    @rule(data=st.data())
    def revoke(self, data):
        """Revoke a whole block, and tell every worker."""
        if owned := sorted(self.store.owned - set(self.revoked)):
            block = data.draw(st.sampled_from(owned))
            self.revoked.append(block)
            change = StatusChange(1, block.bucket, block.first, block.size, Status.INVALID)
            for worker in self.workers:
                worker.drop([change])

    @invariant()
    def every_token_has_an_owner(self):
        """Its block is its client's, and was in use when it was issued."""
        blocks = self.blocks()
        for position, (key, now, ttl) in self.given.items():
            block = next(
                each
                for each in blocks
                if each.bucket == position.bucket
                and each.first <= position.index < each.first + each.size
            )
            assert (block.client_id, block.subject, block.resource) == key
            assert block.reserved_at <= now < block.reserved_at + WINDOW
            assert now + ttl <= bucket_end(block.bucket)

    def teardown(self):
        """Close the loop."""
        self.loop.close()
        self.patch.undo()


TestTokens = pytest.mark.rfc("tsl-13.3-1")(Tokens.TestCase)
TestTokens.settings = settings(stateful_step_count=30, deadline=None)
