"""The guard on each shape of endpoint: what runs with the scope, and with which arguments."""

from collections.abc import Callable
from functools import partial
from itertools import islice
from typing import Any

import pytest

from resource_api import require
from resource_api.errors import InsufficientScope
from resource_api.guard import _wrapped_by
from tests.support.protected_api import ProtectedApi, ask, bearer
from watchword.testing.forge import TokenForge

FORGE = TokenForge()


async def call(endpoint: Callable[[], Any], scope: str = "read") -> tuple[int, Any]:
    """Call an endpoint within a request; give the status and what the endpoint gave."""
    given: list[Any] = [None]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        given[0] = endpoint()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})

    answer = await ask(
        ProtectedApi(FORGE, app=app).app, "GET", "/", bearer(FORGE.token(scope=scope))
    )
    return answer.status, given[0]


async def test_a_class_gets_the_arguments_that_its_initialiser_takes() -> None:
    """`object.__new__` takes none, so none are handed to it."""

    @require("read")
    class Order:
        def __init__(self, number: int, *, limit: int) -> None:
            self.members = (number, limit)

    status, order = await call(lambda: Order(7, limit=3))
    assert (status, type(order), order.members) == (200, Order, (7, 3))
    assert await call(lambda: Order(7, limit=3), "admin") == (403, None)


async def test_a_class_that_makes_its_instances_itself_goes_on_doing_so() -> None:
    """Its own `__new__` gets the class that is made, and all arguments."""

    class Order:
        made: tuple[Any, ...]

        def __new__(cls, number: int, *, limit: int) -> Any:
            order = super().__new__(cls)
            order.made = (cls, number, limit)
            return order

        def __init__(self, number: int, *, limit: int) -> None:
            self.number = number

    class Part(Order):
        """A class that takes over a guarded one."""

    require("read")(Order)
    for kind in (Order, Part):
        status, order = await call(partial(kind, 7, limit=3))
        assert (status, type(order)) == (200, kind)
        assert (order.made, order.number) == ((kind, 7, 3), 7)
        assert await call(partial(kind, 7, limit=3), "admin") == (403, None)


async def test_methods_without_an_object_are_guarded() -> None:
    """A static method stays one, and a class method gets its class."""

    class Orders:
        @require("read")
        @staticmethod
        def static(number: int) -> int:
            return number + 1

        @require("read")
        @classmethod
        def of_class(cls, number: int) -> Any:
            return cls, number + 2

    assert await call(lambda: Orders.static(1)) == (200, 2)
    assert await call(lambda: Orders().static(1)) == (200, 2)
    assert await call(lambda: Orders.of_class(1)) == (200, (Orders, 3))
    for endpoint in (Orders.static, Orders.of_class):
        assert await call(partial(endpoint, 1), "admin") == (403, None)


async def test_a_bound_method_stays_bound_to_its_object() -> None:
    """What is guarded is the function below, for every object of the class."""

    class Orders:
        def read(self, number: int) -> Any:
            return self, number

    orders = Orders()
    guarded = require("read")(orders.read)
    assert await call(lambda: guarded(4)) == (200, (orders, 4))
    assert await call(lambda: guarded(4), "admin") == (403, None)
    assert await call(lambda: orders.read(4), "admin") == (403, None)


async def test_a_partial_function_keeps_the_arguments_that_it_was_given() -> None:
    """Those by place and those by name."""

    def read(*args: int, **named: int) -> Any:
        return args, named

    guarded = require("read")(partial(read, 1, limit=3))
    assert await call(lambda: guarded(2, page=4)) == (200, ((1, 2), {"limit": 3, "page": 4}))
    assert await call(lambda: guarded(2), "admin") == (403, None)


async def test_a_function_that_is_guarded_twice_has_two_endpoints() -> None:
    """Each asks for its own scopes only, and the function below for all of them."""

    def shared() -> str:
        return "shared"

    reading, writing = require("read")(shared), require("write")(shared)
    assert await call(reading, "read") == (200, "shared")
    assert await call(writing, "write") == (200, "shared")
    assert await call(reading, "write") == (403, None)
    assert await call(writing, "read") == (403, None)
    assert [(await call(shared, scope))[0] for scope in ("read", "write", "read write")] == [
        403,
        403,
        200,
    ]


async def test_a_guarded_application_is_called_as_by_itself() -> None:
    """The scope, the request and the way to answer reach it."""

    async def echo(scope: Any, receive: Any, send: Any) -> None:
        message = await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": message["body"]})

    api = ProtectedApi(FORGE, app=require("read").app(echo))
    answer = await ask(api.app, "POST", "/", bearer(FORGE.token()), body=b"sent")
    assert (answer.status, answer.body) == (200, b"sent")


@pytest.mark.parametrize("endpoint", [3, print, type("Plain", (), {})])
def test_the_refusal_names_what_cannot_be_guarded(endpoint: object) -> None:
    """A class without an initialiser makes no endpoint, and a built-in function has no code."""
    with pytest.raises(TypeError) as caught:
        require("read")(endpoint)
    assert repr(endpoint) in str(caught.value)


def test_functions_that_wrap_each_other_are_guarded_once_each() -> None:
    """`__wrapped__` is anybody's to set: a circle of such notes comes to an end."""

    def first() -> None: ...

    def second() -> None: ...

    first.__wrapped__, second.__wrapped__ = second, first  # type: ignore[attr-defined]
    assert list(islice(_wrapped_by(first), 5)) == [second, first]
    require("read")(first)
    for function in (first, second):
        with pytest.raises(RuntimeError, match="BearerMiddleware"):
            function()


async def test_a_refusal_that_the_endpoint_catches_is_one_all_the_same() -> None:
    """The exception says what is needed; the answer does not depend on where it ends."""

    @require("write")
    def guarded() -> None: ...

    def tolerant() -> Any:
        with pytest.raises(InsufficientScope) as caught:
            guarded()
        return caught.value.needed

    assert await call(tolerant) == (403, ("write",))
