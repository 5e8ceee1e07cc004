"""Own `require`: the scopes that one route needs, checked before the route runs (RFC 6750 §3.1)."""

from collections.abc import Awaitable, Callable
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any

from resource_api.errors import InsufficientScope
from resource_api.middleware import GATE_KEY, SCOPE_KEY, ASGIApp, Receive, Scope, Send
from resource_api.scope import check_scope_names, require_scopes

Endpoint = Callable[..., Any]


class ScopeGuard:
    """Guard an endpoint, as a decorator, or an ASGI application, with `app`."""

    def __init__(self, *scopes: str) -> None:
        """Name all scopes that are needed together.

        Raises:
            ValueError: none, or one that cannot be a scope.
        """
        self._needed = check_scope_names(scopes)

    def __call__(self, endpoint: Endpoint) -> Endpoint:
        """Guard an endpoint that takes a request with a `scope`, as Starlette's do."""
        if iscoroutinefunction(endpoint):

            @wraps(endpoint)
            async def guarded(request: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
                refusal = self._judge(request.scope)
                return refusal or await endpoint(request, *args, **kwargs)

            return guarded

        @wraps(endpoint)
        def guarded_sync(request: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            return self._judge(request.scope) or endpoint(request, *args, **kwargs)

        return guarded_sync

    def app(self, app: ASGIApp) -> ASGIApp:
        """Guard an ASGI application."""

        async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
            answer = app if scope["type"] == "lifespan" else self._judge(scope) or app
            await answer(scope, receive, send)

        return guarded

    def _judge(self, scope: Scope) -> ASGIApp | None:
        """Give nothing if the request may pass, else the application that refuses it."""
        if SCOPE_KEY not in scope or GATE_KEY not in scope:
            raise RuntimeError("require() needs BearerMiddleware in front, and no open route")
        try:
            require_scopes(scope[SCOPE_KEY].scopes, self._needed)
        except InsufficientScope as error:
            return _Refusal(scope[GATE_KEY].refuse, error)
        return None


class _Refusal:
    """A response, as frameworks understand one: an ASGI application that answers."""

    def __init__(self, refuse: Callable[..., Awaitable[None]], error: InsufficientScope) -> None:
        self._refuse = refuse
        self._error = error

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._refuse(self._error, scope, receive, send)


def require(*scopes: str) -> ScopeGuard:
    """Demand scopes of a route: `@require("orders:read")` above the endpoint.

    Raises:
        ValueError: no scope, or one that cannot be a scope.
    """
    return ScopeGuard(*scopes)
