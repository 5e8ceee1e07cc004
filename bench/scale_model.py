"""What an installation of any size takes: CPU, processes, rows, lists, traffic; its first limit.

A model: what each part grows with, multiplied by what one of them costs, and set against the bounds
that stand in the code. Unit costs are measured by bench/scale.py, which also has a small
installation checked against the model. It is a model of the steady state: every client gets tokens
at the same rate from all workers, every API process sees tokens of all lists, and all tokens live
equally long.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from issuer.config import IssuerConfig
from issuer.status.indexes import LARGEST_BLOCK, MAX_OWNERS, SMALLEST_BLOCK
from issuer.status.lists import BITS
from issuer.status.positions import BUCKET, MAX_INDEX, PART, WINDOW
from issuer.status.spare import LARGEST_RANGE
from keys.remote.jwks_cache import JITTER
from resource_api.status_lists import MAXIMUM_BYTES, MAXIMUM_LISTS

CONNECTIONS = 7
"""Of a worker to PostgreSQL: three for requests, one that follows and one that listens for changes,
and two of administration."""

POSTGRESQL_CONNECTIONS = 97
"""PostgreSQL's own default, 100, less the three that it keeps for its superuser."""

VIEW_SIZE = 10_000
"""The default of `WATCHWORD_VIEW_SIZE`."""

LIST_BYTES = PART * BITS // 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What one of each takes: CPU time in microseconds, memory in MB, bytes on the wire."""

    token_us: float
    unchanged_us: float
    """To answer that a list or the key set is as it was (304)."""
    list_us: float
    """To pack and sign a list that was changed."""
    list_answer_us: float
    """To send a list that was changed, from what was signed."""
    row_us: float
    """To write whose the indexes of a block are."""
    worker_mb: float
    client_kb: float
    """Memory of a client in a worker that serves it, with its block of indexes."""
    entry_bytes: float
    """Bytes of a packed list for each revoked token on it."""
    answer_bytes: float = 250
    """Bytes of an answer without a body."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """What is run. Rates are a second, times are seconds."""

    tokens: float
    clients: int
    apis: int
    processes: int = 10
    """Of each API, each of which has lists and keys of its own."""
    issuers: int = 1
    """Installations of the issuer, each with a database, an issuer identifier, and its share of the
    clients."""
    regions: int = 1
    """Places with a shared cache in front of key sets and lists; only if `cached`."""
    cached: bool = False
    token_ttl: int = 3_600
    news_ttl: int = 15
    """`WATCHWORD_STATUS_LIST_TTL`."""
    revoked: float = 0.001
    """The share of tokens that are revoked one by one."""
    busy: float = 0.6
    """The share of a core that a worker may use."""
    least_workers: int = 2

    @property
    def config(self) -> IssuerConfig:
        """What follows from the settings."""
        return IssuerConfig(
            issuer="https://issuer.example",
            token_ttl=self.token_ttl,
            withdrawal_seconds=self.news_ttl,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """How much there is of something, for each issuer unless its name says otherwise."""

    name: str
    value: float
    unit: str
    grows_with: str
    bound: float | None = None
    remedy: str = ""

    @property
    def used(self) -> float:
        """Tell which share of its bound it takes; 0 if it has none."""
        return 0.0 if self.bound is None else self.value / self.bound


def owner_rows(rate: float, owners: float) -> float:
    """Return how many rows a second a worker writes of whose the indexes of blocks are.

    Args:
        rate: tokens a second of one owner (client, subject and resource) from this worker.
        owners: how many of them there are.
    """
    # With more owners than fit, the one that was used longest ago goes, and its block with it.
    found = min(1.0, MAX_OWNERS / owners)
    in_block = max(1 / (WINDOW + 1 / rate), rate / LARGEST_BLOCK)
    return owners * (found * in_block + (1 - found) * rate)


def indexes_used(rate: float, owners: float) -> float:
    """Return how many indexes a second a worker takes; those left in a block are lost."""
    found = min(1.0, MAX_OWNERS / owners)
    # A block that may not last is followed by one of twice its size.
    expected = rate * WINDOW + 2 * math.sqrt(rate * WINDOW)
    size = min(max(2 ** math.ceil(math.log2(expected)), SMALLEST_BLOCK), LARGEST_BLOCK)
    in_block = max(size / (WINDOW + 1 / rate), rate)
    return owners * (found * in_block + (1 - found) * rate * SMALLEST_BLOCK)


def live_lists(installation: Installation, workers: int) -> float:
    """Return on how many lists the tokens of an issuer stand that have not expired."""
    owners = installation.clients / installation.issuers
    rate = installation.tokens / installation.clients / workers
    in_bucket = indexes_used(rate, owners) * workers * BUCKET
    # A worker reserves ahead as much as it uses in a while; what is left at the end is lost.
    in_bucket += workers * min(LARGEST_RANGE, in_bucket / workers) / 2
    buckets = (installation.token_ttl + WINDOW + BUCKET) / BUCKET
    return math.ceil(in_bucket / PART) * buckets


def news_interval(installation: Installation) -> float:
    """Return the seconds between two looks of an API at a list, on average."""
    longest = installation.config.status_list_ttl
    return longest * (1 - JITTER * 0.75)


def workers_for(installation: Installation, costs: Costs) -> int:
    """Return how many workers an issuer needs for its tokens and for what APIs fetch."""
    workers = installation.least_workers
    while True:  # more workers use more lists, which take more fetches
        needed = math.ceil(_cpu(installation, costs, workers) / installation.busy)
        if needed <= workers:
            return workers
        workers = needed


def fetches(installation: Installation, workers: int) -> float:
    """Return the requests a second for lists and key sets that come to an issuer's workers."""
    lists = live_lists(installation, workers)
    askers = installation.apis * installation.processes
    everyone = askers * (lists + 1) / news_interval(installation)
    if not installation.cached:
        return everyone
    fresh = max(installation.config.status_list_max_age, 1)
    return min(everyone, installation.regions * (lists + 1) / fresh)


def _changed_share(installation: Installation, workers: int) -> float:
    """Return how likely a list is to have changed between two looks at it."""
    lists = live_lists(installation, workers)
    changes = installation.revoked * installation.tokens / installation.issuers
    return 1 - math.exp(-changes * news_interval(installation) / lists)


def _cpu(installation: Installation, costs: Costs, workers: int) -> float:
    """Return the CPU seconds a second of all workers of an issuer."""
    tokens = installation.tokens / installation.issuers
    asked, changed = fetches(installation, workers), _changed_share(installation, workers)
    rows = _rows(installation, workers)
    # Each worker packs and signs for itself, when it is asked for a list that was changed since.
    lists = live_lists(installation, workers)
    often, changes = asked / workers / lists, installation.revoked * tokens / lists
    signed = workers * lists * often * (1 - math.exp(-changes / often))
    us = (
        tokens * costs.token_us
        + asked * ((1 - changed) * costs.unchanged_us + changed * costs.list_answer_us)
        + signed * costs.list_us
        + rows * costs.row_us
    )
    return us / 1e6


def _rows(installation: Installation, workers: int) -> float:
    owners = installation.clients / installation.issuers
    return workers * owner_rows(installation.tokens / installation.clients / workers, owners)


def amounts(installation: Installation, costs: Costs) -> Iterator[Amount]:
    """Yield what an installation takes, each with its bound if it has one."""
    workers = workers_for(installation, costs)
    yield from _of_workers(installation, costs, workers)
    yield from _of_lists(installation, costs, workers)


def _of_workers(installation: Installation, costs: Costs, workers: int) -> Iterator[Amount]:
    clients = installation.clients / installation.issuers
    rows = _rows(installation, workers)
    yield Amount(
        name="CPU", value=_cpu(installation, costs, workers), unit="cores", grows_with="tokens"
    )
    yield Amount(name="workers", value=workers, unit="processes", grows_with="CPU")
    yield Amount(
        name="memory of a worker",
        value=costs.worker_mb + min(clients, VIEW_SIZE) * costs.client_kb / 1024,
        unit="MB",
        grows_with="clients",
    )
    yield Amount(
        name="clients of a worker",
        value=clients,
        unit="clients",
        grows_with="clients",
        bound=VIEW_SIZE,
        remedy="raise WATCHWORD_VIEW_SIZE",
    )
    yield Amount(
        name="owners of indexes in a worker",
        value=clients,
        unit="clients",
        grows_with="clients",
        bound=MAX_OWNERS,
        remedy="an issuer for each region, or clients that keep to a node",
    )
    yield Amount(
        name="connections to the database",
        value=workers * CONNECTIONS,
        unit="connections",
        grows_with="workers",
        bound=POSTGRESQL_CONNECTIONS,
        remedy="raise max_connections, or put pgbouncer between",
    )
    yield Amount(name="rows written", value=rows, unit="a second", grows_with="clients and workers")
    yield Amount(
        name="rows of live tokens",
        value=rows * (installation.token_ttl + WINDOW + BUCKET),
        unit="rows",
        grows_with="rows written and life of tokens",
    )


def _of_lists(installation: Installation, costs: Costs, workers: int) -> Iterator[Amount]:
    lists, asked = live_lists(installation, workers), fetches(installation, workers)
    changed = _changed_share(installation, workers)
    yield Amount(
        name="indexes of half an hour",
        value=lists / (installation.token_ttl + WINDOW + BUCKET) * BUCKET * PART,
        unit="indexes",
        grows_with="tokens",
        bound=MAX_INDEX,
        remedy="an issuer for each region",
    )
    yield Amount(
        name="lists that an API holds",
        value=lists,
        unit="lists",
        grows_with="tokens and their life",
        bound=MAXIMUM_LISTS,
        remedy="shorter tokens, or an issuer for each region",
    )
    yield Amount(
        name="memory of these lists",
        value=lists * LIST_BYTES / 2**20,
        unit="MB",
        grows_with="lists",
        bound=MAXIMUM_BYTES / 2**20,
        remedy="shorter tokens, or an issuer for each region",
    )
    yield Amount(
        name="requests for lists and keys",
        value=asked,
        unit="a second",
        grows_with="processes of APIs and lists" if not installation.cached else "regions",
    )
    on_list = installation.revoked * installation.tokens / installation.issuers
    body = on_list * installation.token_ttl / lists * costs.entry_bytes
    yield Amount(
        name="bytes of these",
        value=asked * (costs.answer_bytes + changed * body) / 1e6,
        unit="MB a second",
        grows_with="requests and revocations",
    )


def first_limit(installation: Installation, costs: Costs) -> Amount:
    """Return the amount that takes most of its bound."""
    return max(amounts(installation, costs), key=lambda each: each.used)


def limit_in_tokens(installation: Installation, costs: Costs) -> tuple[float, Amount]:
    """Return how many tokens a second there may be until the first bound is met, and which it is.

    The number of clients grows with the tokens.
    """
    low, high = 0.0, 1.0
    each = installation.clients / installation.tokens

    def at(factor: float) -> Installation:
        tokens = installation.tokens * factor
        return replace(installation, tokens=tokens, clients=max(1, round(tokens * each)))

    while first_limit(at(high), costs).used <= 1 and high < 1024:
        low, high = high, 2 * high
    for _ in range(20):
        middle = (low + high) / 2
        if first_limit(at(middle), costs).used <= 1:
            low = middle
        else:
            high = middle
    return installation.tokens * low, first_limit(at(high), costs)
