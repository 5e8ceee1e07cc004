"""`require`, `require_details`: the rights that an endpoint needs, checked before it runs.

RFC 6750 §3.1, RFC 9396 §9.1.

A refusal is an exception and never a result; the middleware answers it, whatever lies between. The
decorator takes nothing from the arguments of the endpoint, so any signature will do.
"""

from collections.abc import Callable, Iterator
from functools import partial, update_wrapper, wraps
from inspect import CO_ASYNC_GENERATOR, CO_COROUTINE, CO_GENERATOR, iscoroutinefunction
from types import FunctionType, MethodType
from typing import Any, NoReturn, TypeVar, Unpack
from weakref import WeakKeyDictionary

from resource_api.authorization_details import DetailsMembers
from resource_api.errors import InsufficientScope
from resource_api.guarded_request import CURRENT, REQUEST_KEY, GuardedRequest
from resource_api.middleware import ASGIApp, Receive, Scope, Send
from resource_api.requirements import Need, Requirement, all_of, details

Demand = Callable[[], None]
Endpoint = TypeVar("Endpoint")

# What a guarded function did before it was guarded. A list beside the functions: an attribute
# would be copied by `functools.wraps`, and a wrapper would pass for what it wraps.
_BODIES: WeakKeyDictionary[FunctionType, FunctionType] = WeakKeyDictionary()


class Guard:
    """Guard a function, method or class, as a decorator, or an ASGI application, with `app`."""

    def __init__(self, requirement: Requirement) -> None:
        """Let requests through whose token meets a requirement."""
        self._check = requirement.check

    def __call__(self, endpoint: Endpoint) -> Endpoint:
        """Guard an endpoint or dependency: a function of any signature, a method, or a class.

        The object itself is guarded, not only what is returned: a route that got the function
        before it was decorated cannot run it without the scopes either.

        Raises:
            TypeError: something else, such as an ASGI application, which `app` guards.
        """
        guarded: Any
        match endpoint:
            case FunctionType():
                guarded = self._guard_function(endpoint)
            case type():
                guarded = self._guard_class(endpoint)
            case staticmethod() | classmethod():
                guarded = type(endpoint)(self(endpoint.__func__))
            case MethodType():
                guarded = MethodType(self(endpoint.__func__), endpoint.__self__)
            case partial():
                guarded = partial(self(endpoint.func), *endpoint.args, **endpoint.keywords)
            case _:
                _refuse_kind(endpoint)
        return guarded  # type: ignore[no-any-return]

    def app(self, app: ASGIApp) -> ASGIApp:
        """Guard an ASGI application."""

        async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "lifespan":
                request: Any = scope.get(REQUEST_KEY)
                refusal = self._judge(request)
                if refusal is not None:
                    await request.middleware.refuse(refusal, scope, send)
                    return
            await app(scope, receive, send)

        return guarded

    def _guard_function(self, function: FunctionType) -> FunctionType:
        for inner in _wrapped_by(function):
            # `@require` above another decorator above `@app.get`: the route has the innermost.
            _close(inner, self.demand)
        guarded = _demanding(_close(function, self.demand), self.demand)
        guarded.__wrapped__ = function  # type: ignore[attr-defined]
        return guarded

    def _guard_class(self, endpoint: type) -> type:
        """Guard a class in place: its instances are made for one request each."""
        init: Any = endpoint.__init__  # type: ignore[misc]
        if init is object.__init__:
            _refuse_kind(endpoint)

        make: Any = endpoint.__new__

        # Not in `__init__`: a subclass may have one that does not call ours.
        def guarded(cls: type, *args: Any, **kwargs: Any) -> object:  # noqa: ANN401
            self.demand()
            return make(cls) if make is object.__new__ else make(cls, *args, **kwargs)

        endpoint.__new__ = guarded  # type: ignore[method-assign,assignment]
        return endpoint

    def demand(self) -> None:
        """Refuse the current request if its token lacks the rights.

        To be called where what is needed depends on the request, such as on a part of its path.

        Raises:
            InsufficientScope: it does; the request is refused even if the exception is caught.
            RuntimeError: no request is under way that a token was shown for.
        """
        request = CURRENT.get()
        refusal = self._judge(request)
        if refusal is not None and request is not None:
            request.refuse(refusal)
            raise refusal

    def _judge(self, request: GuardedRequest | None) -> InsufficientScope | None:
        if request is None or request.over or request.token is None:
            raise RuntimeError(
                "a guard needs BearerMiddleware or BearerWsgiMiddleware in front, and no open "
                "route; with FastAPI's Bearer, use its protected(…)"
            )
        try:
            self._check(request.token)
        except InsufficientScope as error:
            return error
        return None


def require(*needs: Need) -> Guard:
    """Demand scopes and other needs of a route: `@require("orders:read")` above the endpoint.

    All that is named is needed, `resource_api.requirements` has more than scopes.

    Raises:
        ValueError: nothing is named, or what cannot be a scope.
        TypeError: something that is neither text nor a requirement.
    """
    return Guard(all_of(*needs))


def require_details(kind: str, **members: Unpack[DetailsMembers]) -> Guard:
    """Demand authorization details of a route: short for `require(details(…))`.

    `@require_details("payment", actions=["initiate"])` above the endpoint, or, where it depends on
    the request, `require_details("account", identifier=account_id).demand()` in it.

    Raises:
        ValueError: no type, or a text in the place of a collection.
    """
    return require(details(kind, **members))


def _refuse_kind(endpoint: object) -> NoReturn:
    raise TypeError(
        f"a guard is for functions, methods and classes with an __init__, not {endpoint!r}; "
        "an ASGI application is guarded with require(...).app(application)"
    )


def _demanding(body: FunctionType, demand: Demand) -> FunctionType:
    """Wrap a function so that it runs only if the demand is met."""
    if iscoroutinefunction(body):

        @wraps(body)
        async def guarded(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            demand()
            return await body(*args, **kwargs)

        return guarded  # type: ignore[return-value]

    @wraps(body)
    def guarded_sync(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        demand()
        return body(*args, **kwargs)

    return guarded_sync  # type: ignore[return-value]


def _wrapped_by(function: FunctionType) -> Iterator[FunctionType]:
    """Give the functions that a decorated function wraps, as `functools.wraps` notes them."""
    seen: list[FunctionType] = []
    inner: Any = function
    while True:
        inner = vars(_BODIES.get(inner, inner)).get("__wrapped__")
        if not isinstance(inner, FunctionType) or inner in seen:
            return
        seen.append(inner)
        yield inner


def _close(function: FunctionType, demand: Demand) -> FunctionType:
    """Add a demand to the function object itself, and give what it does when all are met.

    `app.get` keeps the function that it is given and returns it, so a decorator above cannot know
    who holds the function by then: only its code can be reached through all of them.
    """
    body = _BODIES.get(function)
    if body is not None:
        before = (function.__kwdefaults__ or {})["_guarded"]
    else:
        before = body = _BODIES[function] = _copy(function)
        kind = function.__code__.co_flags & (CO_COROUTINE | CO_GENERATOR | CO_ASYNC_GENERATOR)
        code = _ENTRANCES[kind].__code__.replace(co_freevars=function.__code__.co_freevars)
        function.__defaults__, function.__kwdefaults__ = None, {}
        function.__code__ = code
        function.__wrapped__ = body  # type: ignore[attr-defined]  # keeps the signature
    function.__kwdefaults__ = {"_guarded": _demanding(before, demand)}
    return body


def _copy(function: FunctionType) -> FunctionType:
    copy = FunctionType(
        function.__code__,
        function.__globals__,
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    copy.__kwdefaults__ = function.__kwdefaults__
    update_wrapper(copy, function)
    del copy.__wrapped__  # type: ignore[attr-defined]
    vars(copy).update(vars(function))
    return copy


# The code of a guarded function, one for each kind of function, since a function has to stay of
# its kind. It runs with the globals of the guarded function, so it names nothing but `_guarded`,
# which is set in that function's own `__kwdefaults__`.


def _enter(*args: Any, _guarded: Any, **kwargs: Any) -> Any:  # noqa: ANN401
    return _guarded(*args, **kwargs)


async def _enter_coroutine(*args: Any, _guarded: Any, **kwargs: Any) -> Any:  # noqa: ANN401
    return await _guarded(*args, **kwargs)


def _enter_generator(*args: Any, _guarded: Any, **kwargs: Any) -> Any:  # noqa: ANN401
    return (yield from _guarded(*args, **kwargs))


async def _enter_async_generator(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
    # There is no `yield from` for these (PEP 525), so exceptions and values could not be passed on.
    raise TypeError("put require() directly above this async generator, below other decorators")
    yield  # type: ignore[unreachable]


_ENTRANCES: dict[int, Any] = {
    0: _enter,
    CO_COROUTINE: _enter_coroutine,
    CO_GENERATOR: _enter_generator,
    CO_ASYNC_GENERATOR: _enter_async_generator,
}
