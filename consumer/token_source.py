"""`TokenSource`: a client's current token, for callers that send their requests by other means.

Carries the steps of a flow out over an HTTP library, synchronously and asynchronously. Knows no
library by name: `auth` and `httpx2_auth` each hand theirs in. Token requests go through a client of
their own that follows no redirects and runs none of the caller's event hooks, so the client's
secret is sent to the issuer alone.
"""

import asyncio
import copy
import logging
import os
import ssl
import sys
import threading
import time
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any, ClassVar, Generic, Self, TypeVar

from consumer.client_auth import ClientAuth, choose_client_auth
from consumer.deadline import Deadline, no_answer_within
from consumer.errors import TokenEndpointUnreachable
from consumer.fetch import BoundedBody, FetchAnswer
from consumer.flow import Attempt, Fetch, Step, TokenFlow, TokenPlan, Wait
from consumer.http_library import Fetched, HttpLibrary
from consumer.metadata import check_endpoint, check_issuer, check_resource
from consumer.origin import Origin, parse_origin
from consumer.token_cache import Token
from consumer.token_request import write_details
from keys.identifiers import InsecureHttp

TransportT = TypeVar("TransportT")

_NOT_COPIED = frozenset({"_process", "_flow", "_tls_context"})
_PATIENCE = 6.0  # in timeouts: the longest a token request can take is a few of them

_log = logging.getLogger("consumer")


class TokenSourceBase(Generic[TransportT]):
    """What the `TokenSource` and `ClientCredentials` of both libraries have in common.

    One object may serve many clients, threads and event loops at the same time. All of them share
    one token, and however many wait for it, it is requested once.
    """

    _library: ClassVar[HttpLibrary]

    def __init__(
        self,
        issuer: str,
        client: ClientAuth | str | None = None,
        client_secret: str | None = None,
        *,
        client_id: str | None = None,
        scope: str | None = None,
        resource: str | None = None,
        authorization_details: Iterable[Mapping[str, Any]] | None = None,
        token_endpoint: str | None = None,
        allow_insecure_http: InsecureHttp = False,
        transport: TransportT | None = None,
        verify: ssl.SSLContext | bool = True,
        cert: str | tuple[str, str] | None = None,
        trust_env: bool = True,
        timeout: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Set whose tokens to get; nothing is sent before the first one is needed.

        Args:
            issuer: the issuer identifier, to the letter (RFC 8414 §3.3).
            client: how the client authenticates, such as `ClientSecretPost(id, secret)`; or its id,
                with `client_secret`, for `ClientSecretBasic`.
            client_secret: the client's secret.
            client_id: the id by its name, instead of `client`.
            scope: names divided by single spaces; None for the issuer's default.
            resource: the API that the token is for (RFC 8707); None for the issuer's default.
            authorization_details: rights in detail (RFC 9396), objects that each have a `type`.
            token_endpoint: where tokens are given out, if it is not to be discovered.
            allow_insecure_http: send also over plain http: inside a private network, and to names.
            transport: carries the token requests, instead of the library's own; never closed here.
            verify: as in the library's own clients, and so are the next two.
            cert: the certificate to show.
            trust_env: whether the environment's certificates and (not for loopback) proxies count.
            timeout: seconds for each request to the issuer, from connecting to the last byte.
            clock: seconds of a clock that never jumps.

        Raises:
            ValueError: issuer, resource, details, endpoint, id or secret cannot be one.
            TypeError: `client` is neither an id nor a way to authenticate.
            InsecureUrl: the issuer or the endpoint is on plain http.
        """
        _check_way(token_endpoint, allow_insecure_http)
        self._plan = TokenPlan(
            issuer=check_issuer(issuer, allow_insecure_http=allow_insecure_http),
            auth=choose_client_auth(client, client_secret, client_id),
            scope=scope,
            resource=None if resource is None else check_resource(resource),
            authorization_details=write_details(authorization_details),
            token_endpoint=token_endpoint,
            allow_insecure_http=allow_insecure_http,
            patience=_PATIENCE * timeout,
        )
        self._clock = clock
        self._timeout = timeout
        self._transport = transport
        self._tls_options = {"verify": verify, "cert": cert, "trust_env": trust_env}
        self._begin()

    def __repr__(self) -> str:
        """Name the issuer, the client and the scope; nothing secret."""
        plan = self._plan
        return f"{type(self).__name__}({plan.issuer!r}, {plan.auth!r}, scope={plan.scope!r})"

    def __getstate__(self) -> dict[str, Any]:
        """Give the settings, the client's secret among them, to a copy or a pickle.

        A copy gets a token of its own. A pickle is as secret as what it holds; a transport or a
        TLS context of the caller's cannot be in one.
        """
        return {name: value for name, value in vars(self).items() if name not in _NOT_COPIED}

    def __setstate__(self, settings: dict[str, Any]) -> None:
        """Begin anew with these settings."""
        vars(self).update(settings)
        self._begin()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Copy: the settings are values, and a transport stays the caller's."""
        return copy.copy(self)

    def token(self) -> Token:
        """Return a token that can be used now; wait for one if there is none.

        Raises:
            ConsumerError: no token is to be had.
        """
        with closing(self._current_flow().token()) as steps:
            while True:
                try:
                    step = next(steps)
                except StopIteration as end:
                    token: Token = end.value
                    return token
                self._carry_out(step)

    async def atoken(self) -> Token:
        """Return a token as `token` does, on asyncio or trio.

        Raises:
            ConsumerError: no token is to be had.
        """
        with closing(self._current_flow().token()) as steps:
            while True:
                try:
                    step = next(steps)
                except StopIteration as end:
                    token: Token = end.value
                    return token
                await self._carry_out_async(step)

    def fresh_attempt(self, scheme: str) -> Attempt | None:
        """Return the first attempt of an API request if nothing is to be decided or waited for.

        What was answered counts only if it is 401; `attempts` goes on from there.

        Args:
            scheme: of the API's URL; whether a token may go to one on plain http is a decision.
        """
        return self._current_flow().fresh_attempt() if scheme == "https" else None

    def attempts(
        self, origin: Origin, made: Attempt | None = None
    ) -> Generator[Attempt, None, None]:
        """Yield the attempts of one API request, and get a token before each.

        The caller sends the request with the attempt's `authorization` and tells the attempt what
        was `answered`; where another token is worth a try, a second attempt comes.

        Args:
            origin: the API.
            made: the first attempt, if it has been made already.

        Raises:
            ConsumerError: no token is to be had, or the API's address is not safe for one.
        """
        with closing(self._current_flow().steps(origin, made)) as steps:
            for step in steps:
                if isinstance(step, Attempt):
                    yield step
                else:
                    self._carry_out(step)

    async def attempts_async(
        self, origin: Origin, made: Attempt | None = None
    ) -> AsyncGenerator[Attempt, None]:
        """Yield attempts as `attempts` does, on asyncio or trio.

        Raises:
            ConsumerError: no token is to be had, or the API's address is not safe for one.
        """
        with closing(self._current_flow().steps(origin, made)) as steps:
            for step in steps:
                if isinstance(step, Attempt):
                    yield step
                else:
                    await self._carry_out_async(step)

    def _begin(self) -> None:
        self._process = os.getpid()
        self._flow = TokenFlow(self._plan, clock=self._clock, wall_clock=time.time)  # noqa: TID251 - a shell
        self._tls_context: ssl.SSLContext | None = None

    def _current_flow(self) -> TokenFlow:
        if self._process != os.getpid():  # a child, forked when perhaps a thread was fetching
            self._flow = self._flow.inherited()
            self._process = os.getpid()
        return self._flow

    def _carry_out(self, step: Step) -> None:
        match step:
            case Wait():
                _wait(step)
            case Fetch():
                self._fetch(step)

    async def _carry_out_async(self, step: Step) -> None:
        match step:
            case Wait():
                await _wait_async(step)
            case Fetch():
                await self._fetch_async(step)

    def _fetch(self, fetch: Fetch) -> None:
        options, asked = self._client_options(fetch.request.url), fetch.request
        with self._noting_failure(fetch):
            deadline, give_up_at = Deadline(), self._clock() + self._timeout
            client = self._library.client(**options)
            try:
                with (
                    deadline.within(self._timeout),
                    client.stream(
                        asked.method,
                        asked.url,
                        headers=asked.headers,
                        content=asked.body,
                        extensions={"trace": deadline.trace},
                    ) as response,
                ):
                    answer = self._receive(response, give_up_at)
                fetch.answer = answer
            finally:
                if self._transport is None:
                    client.close()

    async def _fetch_async(self, fetch: Fetch) -> None:
        import anyio  # here, because sync clients can do without

        options, asked = self._client_options(fetch.request.url), fetch.request
        with self._noting_failure(fetch):
            client = self._library.async_client(**options)
            try:
                with anyio.fail_after(self._timeout):
                    async with client.stream(
                        asked.method, asked.url, headers=asked.headers, content=asked.body
                    ) as response:
                        fetch.answer = await self._receive_async(response)
            except TimeoutError:
                raise TimeoutError(no_answer_within(self._timeout)) from None
            finally:
                if self._transport is None:
                    await client.aclose()

    def _receive(self, response: Fetched, give_up_at: float) -> FetchAnswer:
        reception = BoundedBody(response.status_code, response.headers)
        if reception.wants_more:
            for chunk in response.iter_raw() if reception.is_packed else response.iter_bytes():
                # The clock too: a connection that the caller's transport kept is not traced.
                if self._clock() >= give_up_at:
                    raise TimeoutError(no_answer_within(self._timeout))
                if not reception.add(chunk):
                    break
        return reception.answer()

    async def _receive_async(self, response: Fetched) -> FetchAnswer:
        reception = BoundedBody(response.status_code, response.headers)
        if reception.wants_more:
            chunks = response.aiter_raw() if reception.is_packed else response.aiter_bytes()
            async for chunk in chunks:
                if not reception.add(chunk):
                    break
            if isinstance(chunks, AsyncGenerator):
                await chunks.aclose()  # left to the collector, it could run in no event loop
        return reception.answer()

    @contextmanager
    def _noting_failure(self, fetch: Fetch) -> Iterator[None]:
        try:
            yield
        except self._library.errors as error:
            said = self._plan.redact(str(error)) or type(error).__name__
            where = parse_origin(fetch.request.url)
            # Without its cause, whose text may repeat lines that the server sent.
            fetch.failure = TokenEndpointUnreachable(f"{where} cannot be reached: {said}")

    def _client_options(self, url: str) -> Mapping[str, Any]:
        # A client costs 0.15 ms, its TLS context 20 ms and more. So the context is made once, and
        # the client anew for each token request: it belongs to the event loop that it is used in,
        # keeps no idle connection that the issuer has closed, and needs no closing by the caller.
        options: dict[str, Any] = {
            "timeout": self._timeout,
            "follow_redirects": False,
            "trust_env": self._tls_options["trust_env"] and parse_origin(url).may_be_proxied,
            "headers": {"Accept-Encoding": "identity"},
        }
        if self._transport is not None:
            return options | {"transport": self._transport}
        return options | {"verify": self._made_tls_context()}

    def _made_tls_context(self) -> ssl.SSLContext:
        # Without a lock, since a child that is forked meanwhile would wait for it for ever. Two
        # threads come here at once only when a token request counts as lost.
        if self._tls_context is None:
            self._tls_context = self._library.tls_context(**self._tls_options)
        return self._tls_context


def _check_way(token_endpoint: str | None, allow_insecure_http: InsecureHttp) -> None:
    if allow_insecure_http:
        _log.warning("plain http is allowed: secrets and tokens can be read on the way")
    if token_endpoint is not None:
        check_endpoint(token_endpoint, allow_insecure_http=allow_insecure_http)


def _wait(step: Wait) -> None:
    done = threading.Event()
    step.pending.on_completion(done.set)
    done.wait(step.timeout)


async def _wait_async(step: Wait) -> None:
    import anyio  # here, because sync clients can do without

    done, schedule = anyio.Event(), _scheduler()
    step.pending.on_completion(lambda: schedule(done.set))
    with anyio.move_on_after(step.timeout):
        await done.wait()


def _scheduler() -> Callable[[Callable[[], object]], object]:
    """Return what runs a function in this event loop when called from any thread."""
    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_task():
        schedule: Callable[[Callable[[], object]], object]
        schedule = trio.lowlevel.current_trio_token().run_sync_soon
        return schedule
    return asyncio.get_running_loop().call_soon_threadsafe
