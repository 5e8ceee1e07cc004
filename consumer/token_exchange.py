"""`TokenExchange`: act for a caller, with a token given in exchange for the caller's (RFC 8693).

For a service that calls the next API while it answers a request. Each caller's token has a flow of
its own, with everything that a flow has: one request however many wait, renewal, back-off.
"""

from hashlib import sha256
from typing import Any, Generic, Protocol, Self

from consumer.credentials import ClientCredentialsBase, RequestT, ResponseT
from consumer.flow import TokenFlow
from consumer.token_source import TransportT

MAX_CALLERS = 1024
"""Callers' tokens that one object remembers what was given for."""


class CallerToken(Protocol):
    """The access token of an incoming request, such as `resource_api.AccessToken`."""

    @property
    def text(self) -> str:
        """The token as the caller sent it."""
        ...


class TokenExchangeBase(
    ClientCredentialsBase[RequestT, ResponseT, TransportT], Generic[RequestT, ResponseT, TransportT]
):
    """What the `TokenExchange` of both libraries have in common.

    One object for each API that is called, made as a `ClientCredentials` is; `for_caller` gives the
    `Auth` for a request. What was given for a caller's token is kept under a digest of it, at most
    as long as the issuer says, which is not beyond the end of the caller's token.
    """

    _young: dict[bytes, Self]
    _old: dict[bytes, Self]

    def for_caller(self, token: CallerToken) -> Self:
        """Return what authorizes requests in the name of a caller.

        Args:
            token: of the request that is being answered, verified.

        Raises:
            TypeError: it has no text; this is an `Auth` for one caller already.
        """
        if self._plan.subject_token is not None:
            raise TypeError("this acts for a caller already; use the object that it is from")
        text = getattr(token, "text", None)
        if not isinstance(text, str):
            raise TypeError(f"a caller's token is an AccessToken, as verified, not {type(token)}")
        digest = sha256(text.encode()).digest()
        # Two generations and no lock, for which a forked child could wait for ever. Each step is
        # atomic; at worst a token is asked for twice.
        acting = self._young.get(digest)
        if acting is None:
            acting = self._old.pop(digest, None) or self._acting_for(text)
            if len(self._young) >= MAX_CALLERS // 2:
                self._old, self._young = self._young, {}
            acting = self._young.setdefault(digest, acting)
        return acting

    def _acting_for(self, text: str) -> Self:
        acting = type(self).__new__(type(self))
        vars(acting).update(vars(self))
        acting._flow = self._flow.acting_for(text)
        acting._plan = acting._flow.plan
        acting._young, acting._old = {}, {}
        return acting

    def __getstate__(self) -> dict[str, Any]:
        """Give the settings to a copy or a pickle, and no token of a caller.

        Raises:
            TypeError: this is an `Auth` for one caller.
        """
        if self._plan.subject_token is not None:
            raise TypeError("what acts for a caller is not copied or pickled")
        kept = super().__getstate__()
        return {name: value for name, value in kept.items() if name not in ("_young", "_old")}

    def _begin(self) -> None:
        super()._begin()
        self._young, self._old = {}, {}

    def _current_flow(self) -> TokenFlow:
        if self._plan.subject_token is None:
            raise TypeError("whose token is exchanged? use auth=exchange.for_caller(token)")
        return super()._current_flow()
