"""The steps of a flow: what the shell around it, sync or async, is to carry out.

The shell carries each step out, sets its outcome and asks the flow for the next.
"""

import threading
from collections.abc import Callable, Generator, Iterable, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from consumer.dpop import USE_NONCE, Proofs
from consumer.errors import ConsumerError, TokenEndpointUnreachable
from consumer.fetch import FetchAnswer, FetchRequest
from consumer.origin import Origin
from consumer.token_cache import Token
from consumer.token_scheme import BEARER, DPOP


class PendingTokenRequest:
    """A token request in progress, and the callers that wait for it; it completes exactly once.

    A caller may wait in a thread, in an asyncio task or in a trio task of any event loop: it gives
    a function that wakes it from any thread.
    """

    def __init__(self, *, lost_at: float) -> None:
        """Begin the request.

        Args:
            lost_at: the moment, in seconds of a monotonic clock, from which no caller should wait
                any longer: the one that fetches has ended (a stopped event loop, a forked process).
        """
        self.lost_at = lost_at
        self.outcome: Token | ConsumerError | None = None
        self._is_complete = False
        self._lock = threading.Lock()
        self._wakers: list[Callable[[], object]] = []

    def on_completion(self, wake: Callable[[], object]) -> None:
        """Have a waiter woken; at once if the request is complete."""
        with self._lock:
            if not self._is_complete:
                self._wakers.append(wake)
                return
        wake()

    def complete(self, outcome: Token | ConsumerError | None) -> None:
        """Set the outcome and wake every waiter.

        Args:
            outcome: the token, the reason why there is none, or None if the caller that fetched
                was cancelled: then one of those that waited fetches.
        """
        with self._lock:
            self.outcome = outcome
            self._is_complete = True
            wakers, self._wakers = self._wakers, []
        for wake in wakers:
            # A waiter whose event loop is closed must not keep the others waiting.
            with suppress(RuntimeError):
                wake()


class Fetch:
    """Step: ask the issuer. The shell sets `answer`, or `failure` if there is none."""

    def __init__(self, request: FetchRequest) -> None:
        """Ask this."""
        self.request = request
        self.answer: FetchAnswer | None = None
        self.failure: ConsumerError | None = None

    def result(self) -> FetchAnswer:
        """Return the answer or raise the failure."""
        if self.answer is None:
            raise self.failure or TokenEndpointUnreachable("the issuer was not asked")
        return self.answer


@dataclass(frozen=True, slots=True)
class Wait:
    """Step: wait until another caller's token request is complete, at most so many seconds."""

    pending: PendingTokenRequest
    timeout: float


class Call:
    """Step: call a function that may block; in an event loop, on a thread."""

    def __init__(self, function: Callable[[], Any]) -> None:
        """Have it called."""
        self._function = function
        self.result: Any = None
        self.failure: Exception | None = None

    def run(self) -> None:
        """Call it, and keep what it returned or raised."""
        try:
            self.result = self._function()
        except Exception as error:  # whatever the code of a user raises
            self.failure = error


class Renew:
    """Step: start to carry other steps out in the background. The shell sets `is_started`."""

    def __init__(self, steps: "Generator[Step, None, None]") -> None:
        """Have these carried out while the old token serves."""
        self.steps = steps
        self.is_started = False


class Attempt:
    """Step: send the API request with this token. The shell says what the API answered to it."""

    accepted = False
    """The API did what was asked, or refused for another reason than the token."""
    rejected = False
    """The API answered 401 `invalid_token` to this very token."""
    wants_nonce = False
    """The API answered 401 `use_dpop_nonce` and gave a nonce, which is in the next proof."""
    replayable = False
    """The request could be sent once more, but for what `authorize` puts on it."""

    def __init__(
        self, token: Token, origin: Origin | None = None, proofs: Proofs | None = None
    ) -> None:
        """Send with this token.

        Args:
            token: the token.
            origin: the API, where proofs have to know it.
            proofs: make the proof of a token that is bound to a key; None for any other token.
        """
        self.token = token
        self.scheme = BEARER if proofs is None else DPOP
        self._origin = origin
        self._proofs = proofs
        self.authorization = self.scheme.authorization(token)
        """The value of the request's `Authorization` header field."""

    def authorize(self, headers: MutableMapping[str, str], method: str | None, url: object) -> None:
        """Put the token on a request that is about to be sent, and its proof if it needs one.

        Args:
            headers: the request's header fields.
            method: of the request.
            url: where it goes; `str` gives its text.
        """
        headers["Authorization"] = self.authorization
        if self._proofs is not None:
            # RFC 9449 §4.2: a proof is of one request, and its `jti` of one proof.
            proof = self._proofs.prove(self._origin, method or "", str(url), self.token.value)
            headers["DPoP"] = proof

    def answered(
        self,
        status: int,
        challenges: Iterable[str],
        *,
        can_repeat: bool,
        nonce: str | None = None,
    ) -> None:
        """Set what the API answered to this very token.

        Args:
            status: of the answer.
            challenges: the lines of its `WWW-Authenticate`.
            can_repeat: whether the request can be sent once more just as it was.
            nonce: its `DPoP-Nonce`, if there is one; an answer of any status may have it.
        """
        self.accepted = status < 400 or status == 403
        self.rejected = status == 401 and self.scheme.rejects_token(challenges)
        self.replayable = status == 401 and can_repeat
        if self.learn_nonce(nonce) and status == 401:
            self.wants_nonce = self.scheme.challenge(challenges).get("error") == USE_NONCE

    def learn_nonce(self, nonce: str | None) -> bool:
        """Have the API's nonce in the next proof; tell whether it is one that is of use."""
        return self._proofs is not None and self._proofs.learn(self._origin, nonce)


Step = Fetch | Wait | Call | Renew | Attempt
