"""The provider's own status lists, for the APIs that it serves beside its issuer."""

import asyncio
from collections.abc import Callable

from issuer.config import IssuerConfig
from issuer.status.lists import StatusLists
from issuer.status.positions import LISTS_PATH, PART, Position, parse_list_id
from resource_api.errors import InvalidToken, Reason, StatusUnavailable
from resource_api.status_list import Statuses
from watchword.ambient import wall_clock

LOOK_SECONDS = 0.02
WAITS = 50
"""Looks at a process that has just started and has not read the registry yet."""

_BOUND = 64


class PublishedStatuses:
    """Gives the lists that this very process publishes at the moment; nothing is fetched.

    Like the lists that are served, they count for a while after the registry answered last.

    Args:
        lists: what they say.
        config: the issuer's own settings.
        clock: seconds since the epoch.
    """

    def __init__(
        self, lists: StatusLists, config: IssuerConfig, *, clock: Callable[[], float] = wall_clock
    ) -> None:
        self._lists = lists
        self._prefix = f"{config.base}{LISTS_PATH}/"
        self._life = config.status_list_life
        self._clock = clock
        self._known: dict[str, Statuses] = {}

    def current(self, uri: str) -> Statuses | None:
        """Give a list of this issuer, unless the registry was not read for too long."""
        as_of = self._lists.as_of
        if as_of is None or self._clock() >= as_of + self._life:
            return None
        return self._known.get(uri) or self._find(uri)

    async def get(self, uri: str) -> Statuses:
        """Give a list, waiting for the first look at the registry if need be.

        Raises:
            StatusUnavailable: the registry was not read, or too long ago.
            InvalidToken: this issuer has no such list.
        """
        for _ in range(WAITS):
            if self._lists.as_of is not None:
                break
            await asyncio.sleep(LOOK_SECONDS)
        found = self.current(uri)
        if found is not None:
            return found
        if self._find(uri) is None:
            raise InvalidToken(Reason.INVALID_STATUS)
        raise StatusUnavailable(1)

    async def aclose(self) -> None:
        """End; there is nothing under way."""

    def _find(self, uri: str) -> Statuses | None:
        list_id = uri.removeprefix(self._prefix)
        key = None if list_id == uri else parse_list_id(list_id)
        if key is None:
            return None
        if len(self._known) >= _BOUND:
            self._known.clear()
        self._known[uri] = found = _PublishedList(self._lists, *key)
        return found


class _PublishedList:
    """One list, as it is whenever it is asked."""

    __slots__ = ("_bucket", "_first", "_lists")

    def __init__(self, lists: StatusLists, bucket: int, part: int) -> None:
        self._lists = lists
        self._bucket = bucket
        self._first = part * PART

    def status(self, idx: int) -> int | None:
        """Give the status at an index from 0 on; None if the list ends before it."""
        if idx >= PART:
            return None
        return self._lists.status(Position(self._bucket, self._first + idx))
