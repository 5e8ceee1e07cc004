"""Ask the issuer over an HTTP library, synchronously or asynchronously.

Requests go through a client of their own that follows no redirects and runs none of the caller's
event hooks, so that the client's secret is sent to the issuer alone.
"""

import ssl
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import contextmanager
from math import inf
from typing import Any

from consumer.deadline import Deadline, no_answer_within
from consumer.errors import TokenEndpointUnreachable
from consumer.fetch import BoundedBody, FetchAnswer
from consumer.http_library import Fetched, HttpLibrary
from consumer.origin import parse_origin
from consumer.steps import Fetch
from keys.telemetry import traced_exchange


class IssuerHttp:
    """The way to the issuer, for one consumer; it is settings, and holds no connection."""

    def __init__(
        self,
        library: HttpLibrary,
        transport: object | None,
        tls_options: Mapping[str, Any],
        *,
        timeout: float,
        clock: Callable[[], float],
    ) -> None:
        """Set how to ask.

        Args:
            library: what carries the requests.
            transport: of the caller's, never closed here; None for the library's own.
            tls_options: `verify`, `cert` and `trust_env` as the library's clients have them.
            timeout: seconds for each request, from connecting to the last byte.
            clock: seconds of a clock that never jumps.

        Raises:
            ValueError: the timeout is no number above 0.
        """
        _check_timeout(timeout)
        self._library = library
        self._transport = transport
        self._tls_options = tls_options
        self._timeout = timeout
        self._clock = clock
        self._tls_context: ssl.SSLContext | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Give the settings to a copy or a pickle; a TLS context cannot be in one."""
        return vars(self) | {"_tls_context": None}

    @property
    def settings(self) -> tuple[object, ...]:
        """Where requests go and what they show; two with the same get the same answers."""
        return (self._transport, *self._tls_options.values())

    @property
    def needs_event_loop(self) -> bool:
        """Whether the caller's transport is for async clients only."""
        return not (self._transport is None or isinstance(self._transport, self._library.transport))

    def fetch(self, fetch: Fetch, redact: Callable[[str], str]) -> None:
        """Ask, and set the answer or the failure.

        Args:
            fetch: the step.
            redact: takes what is secret out of an error's text.
        """
        options, asked = self._client_options(fetch.request.url), fetch.request
        with (
            self._noting_failure(fetch, redact),
            traced_exchange(asked.method, asked.url) as exchange,
        ):
            deadline, give_up_at = Deadline(), self._clock() + self._timeout
            client = self._library.client(**options)
            try:
                with (
                    deadline.within(self._timeout),
                    client.stream(
                        asked.method,
                        asked.url,
                        headers={**asked.headers, **exchange.headers},
                        content=asked.body,
                        extensions={"trace": deadline.trace},
                    ) as response,
                ):
                    exchange.status = response.status_code
                    answer = self._receive(response, give_up_at)
                fetch.answer = answer
            finally:
                if self._transport is None:
                    client.close()

    async def fetch_async(self, fetch: Fetch, redact: Callable[[str], str]) -> None:
        """Ask as `fetch` does, on asyncio or trio."""
        import anyio  # here, because sync clients can do without

        options, asked = self._client_options(fetch.request.url), fetch.request
        with (
            self._noting_failure(fetch, redact),
            traced_exchange(asked.method, asked.url) as exchange,
        ):
            client = self._library.async_client(**options)
            try:
                with anyio.fail_after(self._timeout):
                    async with client.stream(
                        asked.method,
                        asked.url,
                        headers={**asked.headers, **exchange.headers},
                        content=asked.body,
                    ) as response:
                        exchange.status = response.status_code
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
    def _noting_failure(self, fetch: Fetch, redact: Callable[[str], str]) -> Iterator[None]:
        try:
            yield
        except self._library.errors as error:
            said = redact(str(error)) or type(error).__name__
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


def _check_timeout(seconds: object) -> None:
    if not (isinstance(seconds, int | float) and 0 < seconds < inf):
        raise ValueError(f"timeout is a number of seconds above 0, not {seconds!r}")
