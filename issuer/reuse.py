"""Answer the same request with the same token for a while, from memory and without a signature.

Off unless a client or a resource has a `reuse_window`. Whether a token may be given again is
decided anew each time, by what holds at that moment: the client as it is registered, the key that
signs, the status of the token. So nothing has to be told to this memory when any of them changes.
"""

import json
from asyncio import Task, ensure_future, shield
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Hashable, Iterable
from hashlib import blake2b
from typing import Any, NamedTuple

from issuer.access_token import IssuedToken
from issuer.client_auth.methods import AuthenticatedClient
from issuer.grants.authorization import Authorization
from issuer.own_tokens import TokenStatuses
from issuer.registry.client import Client
from issuer.registry.errors import StoreUnavailable
from issuer.status.positions import Position, Status, read_jti

BOUND = 10_000
"""Tokens, and requests, that one process remembers; the least recently used goes first."""

MakeToken = Callable[[], Coroutine[Any, Any, IssuedToken]]

# Fields that differ from request to request and mean nothing here.
_CORRELATION = frozenset({b"x-request-id", b"traceparent", b"tracestate"})


class Wanted(NamedTuple):
    """What a token is wanted for, and what it has to rest on.

    Args:
        what: equal for requests that ask for the same by the same grant.
        client: whom it is for, as registered now.
        kid: the key that signs now.
        now: seconds since the epoch.
    """

    what: Hashable
    client: Client
    kid: str
    now: int


class SeenRequest(NamedTuple):
    """What a request came to that may come again: who proved to be its sender, and what it got."""

    proof: AuthenticatedClient
    authorization: Authorization
    what: Hashable


class _Kept(NamedTuple):
    client: Client
    token: IssuedToken
    position: Position | None
    since: int
    until: int


class _Flight(NamedTuple):
    """A token that is being made, for all who want it meanwhile."""

    wanted: Wanted
    task: "Task[IssuedToken]"


def reuse_window(client: Client, authorization: Authorization) -> int:
    """Return how many seconds a token is given again; 0 if it is not.

    It is the shortest of the client's and the resources', so that each can switch it off. A token
    for another subject is always made anew: it rests on the token that was shown for it.
    """
    of_client = client.registration.reuse_window
    of_resource = client.policies[authorization.resource].reuse_window
    if of_client is None and of_resource is None and not authorization.further_resources:
        return 0  # nearly always: then it may cost nothing
    if authorization.subject != authorization.client_id or authorization.actor is not None:
        return 0
    further = (client.policies[each].reuse_window for each in authorization.further_resources)
    windows = (each for each in (of_client, of_resource, *further) if each is not None)
    return min(windows, default=0)


def same_thing(grant_type: str | None, authorization: Authorization) -> Hashable:
    """Return what is equal for two requests exactly if they ask for the same."""
    try:
        hash(authorization)
    except TypeError:  # it has objects of JSON in it
        return grant_type, json.dumps(authorization, sort_keys=True, default=dict)
    return grant_type, authorization


class ReusedTokens:
    """The tokens that one process may give again.

    Args:
        statuses: what became of them.
        memo_key: 32 random bytes of this process, under which requests are recognised.
        bound: how many are kept.
    """

    def __init__(self, statuses: TokenStatuses, *, memo_key: bytes, bound: int = BOUND) -> None:
        self._statuses = statuses
        self._memo_key = memo_key
        self._bound = bound
        self._in_use = False
        self._kept: OrderedDict[Hashable, _Kept] = OrderedDict()
        self._seen: OrderedDict[bytes, SeenRequest] = OrderedDict()
        self._flights: dict[Hashable, _Flight] = {}

    def __repr__(self) -> str:
        """Count the tokens and show none."""
        return f"ReusedTokens({len(self._kept)} kept)"

    def __len__(self) -> int:
        """Count the tokens that are kept."""
        return len(self._kept)

    def fingerprint(
        self, headers: Iterable[tuple[bytes, bytes]], query: bytes, body: bytes
    ) -> bytes | None:
        """Digest all that could tell a request from another; None while no token is reused.

        No request is kept itself: it has a secret in it.

        Args:
            headers: raw header lines with lower-case names.
            query: the raw query string.
            body: the whole body.
        """
        if not self._in_use:
            return None
        # No two requests have one text: neither a field (RFC 9112 §5) nor a query has a line break.
        lines = [name + b":" + value for name, value in headers if name not in _CORRELATION]
        lines += (b"", query, body)
        return blake2b(b"\n".join(lines), key=self._memo_key, digest_size=32).digest()

    def remember(self, fingerprint: bytes, seen: SeenRequest) -> None:
        """Remember what a request came to, for as long as its client is the same."""
        self._seen[fingerprint] = seen
        if len(self._seen) > self._bound:
            self._seen.popitem(last=False)

    def recall(self, fingerprint: bytes) -> SeenRequest | None:
        """Return what the very same request came to before."""
        seen = self._seen.get(fingerprint)
        if seen is not None:
            self._seen.move_to_end(fingerprint)
        return seen

    def find(self, wanted: Wanted) -> IssuedToken | None:
        """Return a token that may be given again; None if one has to be made."""
        what, client, kid, now = wanted
        kept = self._kept.get(what)
        if kept is None:
            return None
        if (
            kept.since <= now < kept.until  # a clock that was set back proves nothing
            and kept.token.kid == kid
            and (kept.client is client or kept.client == client)
            and self._is_valid(kept.position)
        ):
            if kept.client is not client:  # read again, unchanged; comparing it takes long
                self._kept[what] = kept._replace(client=client)
            self._kept.move_to_end(what)
            return _again(kept.token, now - kept.since)
        del self._kept[what]
        return None

    async def get(self, wanted: Wanted, window: int, make: MakeToken) -> IssuedToken:
        """Return a token that may be given again, or else the one that `make` makes.

        Those who want the same at once share what is made, be it a token or a failure; a failure is
        not kept.

        Args:
            wanted: what for.
            window: seconds during which the token is given again.
            make: makes a token for exactly that, issued at `wanted.now`.
        """
        self._in_use = True
        if (token := self.find(wanted)) is not None:
            return token
        flight = self._flights.get(wanted.what)
        if flight and flight.wanted[:3] == wanted[:3]:
            return _again(await shield(flight.task), wanted.now - flight.wanted.now)
        # A task of its own: a caller that goes away must not take the others' token with it.
        task = ensure_future(make())
        self._flights[wanted.what] = flight = _Flight(wanted, task)
        task.add_done_callback(lambda _: self._land(flight, window))
        return await shield(task)

    def _land(self, flight: _Flight, window: int) -> None:
        (what, client, _, since), task = flight
        if self._flights.get(what) is not flight:
            return  # another has taken its place, for the client as it is by now
        del self._flights[what]
        if task.cancelled() or task.exception() is not None:
            return
        token = task.result()
        # Only while more than half of its life is left, for whoever gets it has to use it.
        until = since + min(window, (token.expires_in + 1) // 2)
        self._kept[what] = _Kept(client, token, read_jti(token.jti), since, until)
        if len(self._kept) > self._bound:
            self._kept.popitem(last=False)

    def _is_valid(self, position: Position | None) -> bool:
        if position is None:
            return True
        try:
            return self._statuses.status(position) is Status.VALID
        except StoreUnavailable:
            return False


def _again(token: IssuedToken, seconds: int) -> IssuedToken:
    return token._replace(expires_in=token.expires_in - seconds, reused=True)
