"""A token in the metadata of gRPC calls, sync and asyncio (RFC 6750 §2.1)."""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import closing
from typing import Any

import grpc
import grpc.aio

from consumer.origin import Origin
from consumer.steps import Attempt
from consumer.token_cache import Token
from consumer.token_scheme import BEARER
from consumer.token_source import TokenSourceBase

_tasks: set[asyncio.Task[None]] = set()  # an event loop keeps no task alive
_ANSWERED = {grpc.StatusCode.OK: 200, grpc.StatusCode.UNAUTHENTICATED: 401}
_KINDS: tuple[tuple[str, type], ...] = (
    ("intercept_unary_unary", grpc.aio.UnaryUnaryClientInterceptor),
    ("intercept_unary_stream", grpc.aio.UnaryStreamClientInterceptor),
    ("intercept_stream_unary", grpc.aio.StreamUnaryClientInterceptor),
    ("intercept_stream_stream", grpc.aio.StreamStreamClientInterceptor),
)


class TokenPlugin(
    grpc.AuthMetadataPlugin,
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    """Authorize the calls of one API: `grpc.metadata_call_credentials(plugin)`.

    gRPC sends call credentials over TLS only, or to this machine with `local_channel_credentials`.
    It asks for them on a thread of its own, so that a token request holds up that call alone. What
    was answered it tells interceptors only: `grpc.intercept_channel(channel, plugin)`, or
    `interceptors=plugin.aio_interceptors()`. With them, a token that was refused as
    `UNAUTHENTICATED` is renewed for the next call, by the rules for a 401; without, it is used
    until it is due for renewal. No call is repeated.
    """

    def __init__(self, source: TokenSourceBase[Any]) -> None:
        """Use this source.

        Args:
            source: a `TokenSource`, a `ClientCredentials` or a `TokenExchange` for a caller.
        """
        self._source = source
        self._shown: tuple[Origin, Token] | None = None

    def __call__(
        self, context: grpc.AuthMetadataContext, callback: grpc.AuthMetadataPluginCallback
    ) -> None:
        """Give the metadata of one call, or the reason why there is no token."""
        try:
            # gRPC itself sees that nothing goes out in the clear; the URL need not have a scheme.
            origin = Origin("https", context.service_url.partition("://")[2].partition("/")[0])
            with closing(self._source.attempts(origin)) as attempts:
                attempt = next(attempts)
        except Exception as error:  # whatever it is, the call waits for the callback
            callback((), error)
        else:
            self._shown = origin, attempt.token
            callback((("authorization", attempt.authorization),), None)

    def _intercept(self, go_on: Callable[..., Any], details: Any, request: Any) -> Any:  # noqa: ANN401
        before = self._shown
        call = go_on(details, request)
        call.add_done_callback(
            lambda done: self._learn(before, done.code(), done.trailing_metadata() or ())
        )
        return call

    intercept_unary_unary = intercept_unary_stream = _intercept  # type: ignore[assignment]
    intercept_stream_unary = intercept_stream_stream = _intercept  # type: ignore[assignment]

    def aio_interceptors(self) -> list[Any]:
        """Give the interceptors of a channel of `grpc.aio`, one for each kind of call."""

        async def learn(before: tuple[Origin, Token] | None, call: Any) -> None:  # noqa: ANN401
            self._learn(before, await call.code(), await call.trailing_metadata())

        async def intercept(_: object, go_on: Any, details: Any, request: Any) -> Any:  # noqa: ANN401
            before = self._shown
            call = await go_on(details, request)
            task = asyncio.get_running_loop().create_task(learn(before, call))
            _tasks.add(task)
            task.add_done_callback(_tasks.discard)
            return call

        return [type("_Interceptor", (base,), {name: intercept})() for name, base in _KINDS]

    def _learn(
        self,
        before: tuple[Origin, Token] | None,
        code: grpc.StatusCode,
        trailers: Iterable[tuple[str, Any]],
    ) -> None:
        """Tell the flow what was answered, if it is certain which token the call had."""
        shown, status = self._shown, _ANSWERED.get(code)
        if shown is None or status is None or before not in (None, shown):
            return
        challenges = [value for name, value in trailers if name == "www-authenticate"]
        origin, token = shown
        made = Attempt(token, BEARER)
        made.answered(status, challenges or ['Bearer error="invalid_token"'], can_repeat=False)
        for _ in self._source.attempts(origin, made):
            pass
