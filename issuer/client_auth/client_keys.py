"""The public keys of clients: registered with them, or published by them (RFC 7591 §2).

A registered set is parsed once for each state of a client. A published one is kept and refreshed by
what `keys.remote` has for the key sets of issuers, by the same rules: an unknown kid leads to one
fetch in a cool-down, and a key that is gone from the set counts no more.
"""

import json
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, Protocol, TypeVar

from issuer.registry.auth_methods import ASSERTION_ALGORITHMS
from issuer.registry.client import Client, ClientRegistration
from keys.errors import InvalidJwkSet, NoKeySet, UnknownKey
from keys.jwk import PublicJwk
from keys.jwks import JwkSet, parse_jwk_set

PARSED = 10_000
"""Registered key sets that one process keeps parsed; the least recently used goes first."""
PUBLISHED = 1_000
"""Published key sets that one process keeps, likewise."""
IDLE_SECONDS = 3600
"""After so long without use, a published set is neither kept nor asked for again."""


class PublishedSet(Protocol):
    """A key set that is fetched when it is needed, as `keys.remote.jwks_client` has it."""

    def current(self) -> JwkSet | None:
        """Give the usable set, if any, and have it refreshed in the background when due."""
        ...

    async def key(self, kid: str, alg: str) -> PublicJwk:
        """Give the key of this kid and algorithm, fetching if that may help.

        Raises:
            UnknownKey: the set has no such key, and may not be asked for again yet.
            NoKeySet: there is no usable set.
        """
        ...

    async def renew(self) -> None:
        """Fetch the set again as for an unknown kid, if it may be asked: it lacks some key."""
        ...

    async def warm(self) -> bool:
        """Get a set if there is none and one may be asked for; say whether there is one."""
        ...


Source = TypeVar("Source")


class PublishedSets(Generic[Source]):
    """The published key sets that are in use, of a bounded number.

    Args:
        open_set: makes the key set of a source, such as a URL; nothing is fetched yet.
    """

    def __init__(self, open_set: Callable[[Source], PublishedSet]) -> None:
        self._open_set = open_set
        self._kept: OrderedDict[Source, tuple[int, PublishedSet]] = OrderedDict()

    def open(self, source: Source, now: int) -> PublishedSet:
        """Return the key set of a source; `now` is in seconds since the epoch."""
        kept = self._kept.get(source)
        published = self._open_set(source) if kept is None else kept[1]
        self._kept[source] = now, published
        self._kept.move_to_end(source)
        # The least recently used is first; a set that is dropped is not refreshed any more.
        while len(self._kept) > PUBLISHED or self._oldest() < now - IDLE_SECONDS:
            self._kept.popitem(last=False)
        return published

    def _oldest(self) -> int:
        return next(iter(self._kept.values()))[0]


Owner = TypeVar("Owner")


class ParsedSets(Generic[Owner]):
    """Registered key sets, each parsed once for each state of what it is registered with.

    Args:
        parse: parses the set of such a state.
        most: sets that are kept; the least recently used goes first.
    """

    def __init__(self, parse: Callable[[Owner], JwkSet | None], most: int) -> None:
        self._parse = parse
        self._most = most
        self._kept: OrderedDict[Hashable, tuple[Owner, JwkSet | None]] = OrderedDict()

    def of(self, owner: Owner, name: Hashable) -> JwkSet | None:
        """Return the set of an owner; under its name, the state before is forgotten."""
        kept = self._kept.get(name)
        if kept is None or kept[0] is not owner:
            kept = self._kept[name] = owner, self._parse(owner)
            if len(self._kept) > self._most:
                self._kept.popitem(last=False)
        self._kept.move_to_end(name)
        return kept[1]


class ClientKeys:
    """Finds the key that a client signs with.

    Args:
        open_set: makes the key set that is published at a URL; nothing is fetched yet.
    """

    def __init__(self, open_set: Callable[[str], PublishedSet]) -> None:
        self._registered = ParsedSets(_parse, PARSED)
        self._published = PublishedSets(open_set)

    def known(self, client: Client, kid: str, alg: str, now: int) -> PublicJwk | None:
        """Return the key of a kid and an algorithm, without waiting; None if it is not known.

        Args:
            client: whose key it is.
            kid: as the assertion has it; empty if it has none, which names the only key that fits.
            alg: the algorithm.
            now: seconds since the epoch.
        """
        return _select(self.current_set(client, now), kid, alg)

    async def find(self, client: Client, kid: str, alg: str, now: int) -> PublicJwk | None:
        """Return the key as `known` does, after fetching what the client publishes if need be."""
        uri = client.registration.jwks_uri
        if uri is None:
            return self.known(client, kid, alg, now)
        published = self._published.open(uri, now)
        if not kid:
            await published.warm()
            return _select(published.current(), kid, alg)
        try:
            return await published.key(kid, alg)
        except (UnknownKey, NoKeySet):
            return None

    async def renew(self, client: Client, now: int) -> None:
        """Fetch what a client publishes again, if it may be asked: it lacks what was shown."""
        if client.registration.jwks_uri is not None:
            await self._published.open(client.registration.jwks_uri, now).renew()

    def current_set(self, client: Client, now: int) -> JwkSet | None:
        """Return the keys of a client that are at hand; None if there are none."""
        registration = client.registration
        if registration.jwks_uri is not None:
            return self._published.open(registration.jwks_uri, now).current()
        return self._registered.of(registration, client.client_id)


def _parse(registration: ClientRegistration) -> JwkSet | None:
    try:
        return parse_jwk_set(
            json.dumps(registration.jwks).encode(), algorithms=ASSERTION_ALGORITHMS
        )
    except InvalidJwkSet:
        return None


def _select(keys: JwkSet | None, kid: str, alg: str) -> PublicJwk | None:
    if keys is None:
        return None
    if kid:
        return keys.select(kid, alg)
    fitting = [key for key in keys.keys if key.alg == alg]
    return fitting[0] if len(fitting) == 1 else None
