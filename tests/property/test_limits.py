"""Limits of clients: what several processes count of one minute, and what they hold of floods."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from issuer.limits import WINDOW, Tally, source_of

KEYS = st.sampled_from("abc")
PROCESSES = st.integers(0, 2)
STEP = st.one_of(
    st.tuples(st.just("add"), PROCESSES, KEYS),
    st.tuples(st.just("share"), PROCESSES, st.integers(1, 3)),
    st.tuples(st.just("wait"), st.integers(1, WINDOW), st.none()),
)


class Processes:
    """Three processes that count together, and what each of them and all really had."""

    def __init__(self):
        self.now = 1_800_000_000
        self.tallies = [Tally() for _ in range(3)]
        self.own = [Counter() for _ in range(3)]
        self.shared = Counter()

    def add(self, process, key):
        """Count one event in a process."""
        self.tallies[process].add(key, self.now)
        self.own[process][key] += 1

    def share(self, process, most):
        """Have a process write what it has, and learn what it came to."""
        tally = self.tallies[process]
        taken = tally.take_unshared(self.now, most)
        assert len(taken) <= most
        for key, by in taken.items():
            self.shared[key] += by
            tally.learn(key, self.shared[key], self.now)
            assert tally.count(key, self.now) >= self.shared[key]

    def wait(self, seconds, _):
        """Let time pass, perhaps into another window."""
        before, self.now = self.now // WINDOW, self.now + seconds
        if self.now // WINDOW != before:
            self.own = [Counter() for _ in range(3)]
            self.shared = Counter()


@given(st.lists(STEP, max_size=60))
def test_processes_count_what_happened_and_nothing_else(steps):
    """At least what the process saw itself, at most what all saw together within the window."""
    world = Processes()
    for name, first, second in steps:
        getattr(world, name)(first, second)
        for tally, own in zip(world.tallies, world.own, strict=True):
            for key in "abc":
                everything = sum(each[key] for each in world.own)
                assert own[key] <= tally.count(key, world.now) <= everything


@given(st.lists(st.tuples(PROCESSES, KEYS), max_size=40))
def test_who_adds_and_shares_knows_the_whole_count(steps):
    """Once all have shared, the next event of a key shows its process what all had."""
    world = Processes()
    for process, key in steps:
        world.add(process, key)
    for process in range(3):
        world.share(process, 3)
    for process in range(3):
        for key in "abc":
            world.add(process, key)
            world.share(process, 3)
            everything = sum(each[key] for each in world.own)
            assert world.tallies[process].count(key, world.now) == everything


@given(st.integers(4, 200), st.lists(st.text(max_size=4), max_size=400))
def test_what_is_held_is_bounded_and_the_highest_count_stays(bound, keys):
    """Whatever keys come; one that came most often within the window is not displaced by others."""
    tally = Tally(bound=bound)
    for _ in range(len(keys) + 1):
        tally.add("guessed", 0)
    for key in keys:
        tally.add(f"invented {key}", 0)
        assert len(tally) <= bound
    assert tally.count("guessed", 0) == len(keys) + 1
    assert len(tally.take_unshared(0, 10_000)) <= bound


@given(st.ip_addresses(v=6), st.integers(0, 2**64 - 1))
def test_all_addresses_of_a_network_of_64_bits_are_one_source(address, host):
    """A peer with IPv6 has 2**64 addresses to choose from, and no others."""
    neighbour = type(address)((int(address) >> 64 << 64) | host)
    if address.ipv4_mapped is None and neighbour.ipv4_mapped is None:
        assert source_of(str(neighbour)) == source_of(str(address))
    other = type(address)(int(address) ^ 1 << 64)
    assert source_of(str(other)) != source_of(str(address))


@given(st.ip_addresses(v=4), st.ip_addresses(v=4))
def test_each_ipv4_address_is_a_source_however_it_is_written(one, other):
    """A socket for both protocols tells it as `::ffff:192.0.2.1`."""
    assert source_of(f"::ffff:{one}") == source_of(str(one)) == str(one)
    assert (source_of(str(one)) == source_of(str(other))) == (one == other)
