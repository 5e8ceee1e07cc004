"""A token in the metadata of gRPC calls, sync and asyncio (RFC 6750 §2.1)."""

import asyncio
import copy
from collections.abc import Callable, Iterable
from contextlib import closing
from typing import Any

import grpc
import grpc.aio

from consumer.origin import Origin
from consumer.steps import Attempt
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
        self._shown: tuple[Origin, Attempt] | None = None

    def __call__(
        self, context: grpc.AuthMetadataContext, callback: grpc.AuthMetadataPluginCallback
    ) -> None:
        """Give the metadata of one call, or the reason why there is no token."""
        headers: dict[str, str] = {}
        try:
            # gRPC itself sees that nothing goes out in the clear; the URL need not have a scheme.
            service = context.service_url.partition("://")[2]
            origin = Origin("https", service.partition("/")[0])
            with closing(self._source.attempts(origin)) as attempts:
                attempt = next(attempts)
            # RFC 9113 §8.3.1: a call is a POST to this path.
            attempt.authorize(headers, "POST", f"https://{service}/{context.method_name}")
        except Exception as error:  # whatever it is, the call waits for the callback
            callback((), error)
        else:
            self._shown = origin, attempt
            callback(tuple((name.lower(), value) for name, value in headers.items()), None)

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

        async def learn(before: tuple[Origin, Attempt] | None, call: Any) -> None:  # noqa: ANN401
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
        before: tuple[Origin, Attempt] | None,
        code: grpc.StatusCode,
        trailers: Iterable[tuple[str, Any]],
    ) -> None:
        """Tell the flow what was answered, if it is certain which token the call had."""
        if self._shown is None or code not in _ANSWERED:
            return
        origin, shown = self._shown
        if before is not None and (before[0], before[1].token) != (origin, shown.token):
            return
        found = [(name.lower(), value) for name, value in trailers]
        refusal = f'{shown.scheme.name} error="invalid_token"'
        made = copy.copy(shown)  # another call may be told of the same at this moment
        made.answered(
            _ANSWERED[code],
            [value for name, value in found if name == "www-authenticate"] or [refusal],
            can_repeat=False,
            nonce=dict(found).get("dpop-nonce"),
        )
        for _ in self._source.attempts(origin, made):
            pass
