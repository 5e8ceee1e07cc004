"""Limits of clients: failed authentications by client and source, tokens by client.

Pure: the shell gives the clock, shares what was counted with other processes, and reports. A window
is a minute of the clock, so that all processes count in the same ones. What an unauthenticated peer
can have held here is bounded, whatever ids and addresses it invents (RFC 6749 §2.3.1).
"""

import ipaddress
from collections import OrderedDict
from enum import StrEnum
from hashlib import blake2b
from heapq import nlargest
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from issuer.errors import Reason, TooManyRequests

if TYPE_CHECKING:
    from issuer.grants.authorization import Authorization

WINDOW = 60
"""Seconds for which the limits are said."""

IDS_OF_A_SOURCE = 10
"""Failures that one source may have over all ids, as a multiple of those for each.

Each failure costs a look-up in the database, and a peer can invent ids without end.
"""

SPARE_LOOKUPS = 25
"""Attempts a second that one process looks up all the same for sources beyond that.

A client that the process does not know yet may share its source with a peer that invents ids: a
proxy that is not trusted, or an address of many machines.
"""

BOUND = 20_000
"""Keys that one process counts for, for each limit."""

REPORTED = 256
"""Clients and sources that one report names; further requests are counted without a name."""

REPEATS = 100
"""Tokens for the same thing within half of one's life that only a client without a cache needs."""

_COMPARED = 4  # of the oldest keys, to find one that may go
_LONGEST_ADDRESS = 64  # characters


class Limit(StrEnum):
    """A limit by the name that events and metrics have."""

    FAILED_AUTH = "failed_auth"
    TOKEN_QUOTA = "token_quota"  # noqa: S105 - a limit's name


class Limited(NamedTuple):
    """Whose requests were beyond a limit.

    Args:
        limit: which one.
        client_id: the client; None if it is not known to exist.
        address: where the requests came from; None for a limit of the client alone.
    """

    limit: Limit
    client_id: str | None
    address: str | None


class Tally:
    """Counts by key within the current window: this process's, and what it was told of others.

    Beyond the bound, keys with low counts go first, so that invented keys do not displace one
    that is near its limit.

    Args:
        bound: how many keys are held.
    """

    def __init__(self, *, bound: int = BOUND) -> None:
        self._bound = bound
        self._window = 0
        self._counts: OrderedDict[str, int] = OrderedDict()
        self._unshared: dict[str, int] = {}

    def __len__(self) -> int:
        """Count the keys held."""
        return len(self._counts)

    def count(self, key: str, now: int) -> int:
        """Return the count of a key in the window of `now`."""
        self._begin_window(now)
        return self._counts.get(key, 0)

    def add(self, key: str, now: int) -> None:
        """Add one to the count of a key."""
        self._begin_window(now)
        self._counts[key] = self._counts.get(key, 0) + 1
        self._unshared[key] = self._unshared.get(key, 0) + 1
        if len(self._counts) > self._bound:
            self._drop_one()

    def take_back(self, key: str, now: int) -> None:
        """Take one off the count of a key, unless other processes know of it already."""
        self._begin_window(now)
        if self._unshared.get(key, 0) > 0:
            self._counts[key] -= 1
            self._unshared[key] -= 1

    def take_unshared(self, now: int, most: int) -> dict[str, int]:
        """Take what other processes do not know yet: the largest additions, `most` of them."""
        self._begin_window(now)
        if len(self._unshared) <= most:
            taken, self._unshared = self._unshared, {}
            return taken
        taken = dict(nlargest(most, self._unshared.items(), key=lambda item: item[1]))
        for key in taken:
            del self._unshared[key]
        return taken

    def learn(self, key: str, total: int, now: int) -> None:
        """Note what all processes together had counted for a key in the window of `now`.

        What is learnt of a window that has ended is of no use in the next one.
        """
        self._begin_window(now)
        known = self._counts.get(key)
        if known is not None and now // WINDOW == self._window:
            # Another process may have added since, and this one has what it has not shared yet.
            self._counts[key] = max(known, total + self._unshared.get(key, 0))

    def _begin_window(self, now: int) -> None:
        window = now // WINDOW
        # A request that began in the window before counts in this one: it must not end it.
        if window not in (self._window, self._window - 1):
            self._window = window
            self._counts.clear()
            self._unshared.clear()

    def _drop_one(self) -> None:
        """Drop the lowest of the oldest keys; the others become the newest."""
        oldest = list(islice(self._counts, _COMPARED))
        lowest = min(oldest, key=self._counts.__getitem__)
        for key in oldest:
            self._counts.move_to_end(key)
        del self._counts[lowest]
        self._unshared.pop(lowest, None)


class _Spare:
    """Which attempts of sources beyond their limit are looked up: each n-th.

    How many came in the second before says what n is, so that look-ups are spread over the second:
    all of them in a row would delay what else the process does.
    """

    def __init__(self) -> None:
        self._second = 0
        self._attempts = 0
        self._every = 1

    def take(self, now: int) -> bool:
        """Tell whether the attempt may be looked up."""
        if now != self._second:
            follows = now == self._second + 1
            self._every = max(1, self._attempts // SPARE_LOOKUPS) if follows else 1
            self._second, self._attempts = now, 0
        turn, rest = divmod(self._attempts, self._every)
        self._attempts += 1
        return rest == 0 and turn < SPARE_LOOKUPS


class Limits:
    """What clients have used of their limits, in one process.

    Args:
        failed_auth: failed authentications a minute, by client and source; 0 for no limit.
        token_quota: tokens a minute, by client; 0 for no limit.
        quota_refuses: whether a token beyond the quota is refused, or only reported.
        bound: how many clients and sources are held for each limit.
    """

    def __init__(
        self,
        *,
        failed_auth: int = 0,
        token_quota: int = 0,
        quota_refuses: bool = True,
        bound: int = BOUND,
    ) -> None:
        self._failed_auth = failed_auth
        self._token_quota = token_quota
        self._quota_refuses = quota_refuses
        self._bound = bound
        self.tallies = {
            Limit.FAILED_AUTH: Tally(bound=bound),
            Limit.TOKEN_QUOTA: Tally(bound=bound),
        }
        self._spare = _Spare()
        self._limited: dict[Limited, int] = {}
        self._asked: dict[tuple[str, str, tuple[str, ...]], list[int]] = {}
        self._without_cache: set[str] = set()

    def check_failures(
        self,
        claimed: str,
        address: str | None,
        now: int,
        *,
        client_id: str | None,
        looked_up: bool = False,
    ) -> None:
        """Refuse an attempt to authenticate if too many from its source have failed.

        An id that no client has is limited as any other, so that the answer tells nothing of it.

        Args:
            claimed: the id that the request names; any text.
            address: where the request came from; None if that is not known.
            now: seconds since the epoch.
            client_id: the client, if it is known to exist; for logs only.
            looked_up: whether the database has answered, so that only the id's own failures count.

        Raises:
            TooManyRequests: the limit is reached.
        """
        if not self._failed_auth:
            return
        tally, source = self.tallies[Limit.FAILED_AUTH], source_of(address)
        if tally.count(_key(claimed, source), now) < self._failed_auth and (
            looked_up
            or tally.count(source, now) < IDS_OF_A_SOURCE * self._failed_auth
            or self._spare.take(now)
        ):
            return
        self._note_limited(Limited(Limit.FAILED_AUTH, client_id, address))
        _refuse(Reason.TOO_MANY_FAILURES, "too many authentications have failed", client_id, now)

    def note_failure(self, claimed: str, address: str | None, now: int) -> None:
        """Count an authentication that failed, with the arguments of `check_failures`."""
        if self._failed_auth:
            source = source_of(address)
            self.tallies[Limit.FAILED_AUTH].add(_key(claimed, source), now)
            self.tallies[Limit.FAILED_AUTH].add(source, now)

    def take_token(self, authorization: "Authorization", now: int) -> None:
        """Count a token that a client is about to get.

        Args:
            authorization: what the token will say.
            now: seconds since the epoch.

        Raises:
            TooManyRequests: the client has used up its quota, and that is to be enforced.
        """
        if self._token_quota:
            self._take_from_quota(authorization.client_id, now)
        if authorization.actor is None and not authorization.authorization_details:
            # Tokens for others, and for single operations, differ each time: no cache has them.
            self._watch_caching(authorization, now)

    def give_back(self, client_id: str, now: int) -> None:
        """Let a token that could not be made count for nothing, so that it may be asked for again.

        Within the second: what other processes know by then stays counted.
        """
        if self._token_quota:
            self.tallies[Limit.TOKEN_QUOTA].take_back(client_id, now)

    def take_limited(self) -> dict[Limited, int]:
        """Take the requests beyond a limit since the last call, counted."""
        taken, self._limited = self._limited, {}
        return taken

    def take_without_cache(self) -> set[str]:
        """Take the clients that were found since the last call to ask for what they have."""
        taken, self._without_cache = self._without_cache, set()
        return taken

    def _take_from_quota(self, client_id: str, now: int) -> None:
        tally = self.tallies[Limit.TOKEN_QUOTA]
        if tally.count(client_id, now) < self._token_quota:
            tally.add(client_id, now)
            return
        self._note_limited(Limited(Limit.TOKEN_QUOTA, client_id, None))
        if self._quota_refuses:
            _refuse(Reason.QUOTA_USED_UP, "the token quota is used up", client_id, now)

    def _watch_caching(self, authorization: "Authorization", now: int) -> None:
        thing = (authorization.client_id, authorization.resource, authorization.scopes)
        asked = self._asked.get(thing)
        # Half of its life is left to the first one for as long.
        if asked is None or not 0 <= now - asked[0] < authorization.token_ttl // 2:
            if len(self._asked) >= self._bound:
                self._asked.clear()
            self._asked[thing] = [now, 1]
            return
        asked[1] += 1
        if asked[1] == REPEATS:
            self._without_cache.add(authorization.client_id)

    def _note_limited(self, limited: Limited) -> None:
        if limited not in self._limited and len(self._limited) >= REPORTED:
            limited = Limited(limited.limit, None, None)
        self._limited[limited] = self._limited.get(limited, 0) + 1


def source_of(address: str | None) -> str:
    """Return the network that one peer can choose its addresses from, of an address.

    An IPv4 address is one by itself; of an IPv6 address it is the /64. What is no IP address stands
    for itself, and all peers without an address count as one.
    """
    try:
        parsed = ipaddress.ip_address(address or "")
    except ValueError:
        return (address or "")[:_LONGEST_ADDRESS]
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:  # a socket for both protocols has IPv4 peers in this form
        return str(parsed.ipv4_mapped)
    return f"{int(parsed) >> 64:x}/64"


def _key(claimed: str, source: str) -> str:
    # A digest: an invented id may have the length of a whole body. No source has a line break, and
    # none looks like a digest.
    text = f"{source}\n{claimed}"
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _refuse(reason: Reason, why: str, client_id: str | None, now: int) -> NoReturn:
    left = WINDOW - now % WINDOW
    raise TooManyRequests(reason, f"{why}; try again later", client_id=client_id, retry_after=left)
