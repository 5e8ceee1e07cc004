"""An endpoint that is loaded when it is first asked for.

What few requests need must not delay the first token: loading it takes as long as loading half of
the rest.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from issuer.endpoints.asgi import Receive, Scope, Send

EndpointT = TypeVar("EndpointT", bound=Callable[[Scope, Receive, Send], Awaitable[None]])


class LazyEndpoint(Generic[EndpointT]):
    """Serves by what `load` returns, which is called once, on a thread.

    Args:
        load: imports and builds the endpoint.
    """

    def __init__(self, load: Callable[[], EndpointT]) -> None:
        self._load = load
        self._loading = asyncio.Lock()
        self.loaded: EndpointT | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if self.loaded is None:
            async with self._loading:
                if self.loaded is None:
                    self.loaded = await asyncio.to_thread(self._load)
        await self.loaded(scope, receive, send)
