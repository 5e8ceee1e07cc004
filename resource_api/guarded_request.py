"""One request that was let in, and what it may still do, whatever serves it. Pure."""

from contextvars import ContextVar
from typing import Final

from resource_api.access_token import AccessToken
from resource_api.errors import ResourceError

REQUEST_KEY: Final = "resource_api.request"
"""Where an application finds its `GuardedRequest`, in the ASGI scope or the WSGI environ."""


class GuardedRequest:
    """One request that was let in, and what it may still do: a guard can refuse it.

    A guard's exception passes the application's exception handlers and its middleware, and may be
    caught anywhere. So the refusal is kept here: once there is one, nothing that the application
    sends goes out, and the refusal goes instead.
    """

    __slots__ = ("over", "refusal", "token")

    def __init__(self, token: AccessToken | None) -> None:
        self.token = token
        """What the request showed; None on an open route."""
        self.over = False
        """Whether the answer is given or the application done: what comes after has no rights.

        Servers start the next request of a connection in the context of this one as soon as its
        answer is complete, while its background tasks still run.
        """
        self.refusal: ResourceError | None = None
        """The first refusal by a guard, if there is one."""

    def refuse(self, error: ResourceError) -> None:
        """Refuse the request; may be called on any thread."""
        self.refusal = self.refusal or error


CURRENT: ContextVar[GuardedRequest | None] = ContextVar("resource_api.request", default=None)
"""The request that is being served; frameworks take it along to threads and tasks."""


def is_refusal(error: BaseException) -> bool:
    """Tell whether an exception is a refusal, or a group of nothing else."""
    if isinstance(error, BaseExceptionGroup):
        return all(is_refusal(one) for one in error.exceptions)
    return isinstance(error, ResourceError)
