"""`TokenSource`: a client's current token, for callers that send their requests by other means.

Carries the steps of a flow out, synchronously and asynchronously. Knows no HTTP library by name:
`auth` and `httpx2_auth` each hand theirs in.
"""

import copy
import os
import ssl
import time
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any, ClassVar, Generic, Self, TypeVar

from consumer.client_assertion import ClientSecretJwt, PrivateKeyJwt
from consumer.client_auth import (
    ClientAuth,
    ClientSecretBasic,
    ClientSecretPost,
    TlsClientAuth,
    choose_client_auth,
)
from consumer.dpop import DpopKey
from consumer.errors import ConsumerError, error_of
from consumer.events import LOGGER, log_events
from consumer.federated_token import FederatedToken
from consumer.flow import TokenFlow
from consumer.http_library import HttpLibrary, Url
from consumer.issuer_http import IssuerHttp
from consumer.metadata import check_endpoint, check_issuer, check_resource
from consumer.origin import Origin, parse_origin
from consumer.shared_flows import share
from consumer.steps import Attempt, Call, Fetch, Renew, Step, Wait
from consumer.token_cache import Token
from consumer.token_endpoint import TokenEndpoint, TokenPlan
from consumer.token_request import write_details, write_scope
from consumer.token_store import StoredToken, TokenStore
from consumer.waiting import call_async, start_on_event_loop, start_on_thread, wait, wait_async
from keys.events import EventSink
from keys.identifiers import InsecureHttp
from keys.telemetry import CountedEvents

TransportT = TypeVar("TransportT")
_Steps = TypeVar("_Steps", bound=Generator[Step, None, Any])

_NOT_COPIED = frozenset({"_process", "_flow"})
_PATIENCE = 6.0  # in timeouts: the longest a token request can take is a few of them

# Of Linux; macOS has it as CLOCK_MONOTONIC; the only clock of Windows goes on, too.
_BOOT_TIME: int | None = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))


def boot_time() -> float:
    """Return the seconds of a clock that never jumps and goes on while the machine sleeps.

    `time.monotonic` stands still then on Linux and macOS: a token would seem young a day later.
    """
    return time.monotonic() if _BOOT_TIME is None else time.clock_gettime(_BOOT_TIME)


def _random() -> float:
    return int.from_bytes(os.urandom(4)) / 2**32  # never the same in two processes


class TokenSourceBase(Generic[TransportT]):
    """What the `TokenSource` and `ClientCredentials` of both libraries have in common.

    One object may serve many clients, threads and event loops at the same time. All of them share
    one token, and however many wait for it, it is requested once. So do objects that were made with
    the same arguments.
    """

    _library: ClassVar[HttpLibrary]

    def __init__(
        self,
        issuer: str,
        client: ClientAuth | FederatedToken | str | None = None,
        client_secret: str | None = None,
        *,
        client_id: str | None = None,
        scope: str | Iterable[str] | None = None,
        resource: str | None = None,
        authorization_details: Iterable[Mapping[str, Any]] | None = None,
        token_endpoint: str | None = None,
        allow_insecure_http: InsecureHttp = False,
        transport: TransportT | None = None,
        verify: ssl.SSLContext | bool = True,
        cert: str | tuple[str, str] | None = None,
        trust_env: bool = True,
        timeout: float = 10.0,
        dpop: DpopKey | None = None,
        store: TokenStore | None = None,
        clock: Callable[[], float] = boot_time,
        on_event: EventSink | None = None,
    ) -> None:
        """Set whose tokens to get; nothing is sent before the first one is needed.

        Args:
            issuer: the issuer identifier, to the letter (RFC 8414 §3.3).
            client: the client's id, or a value that authenticates: `ClientSecretPost(id, secret)`.
            client_secret, client_id: secret and id by name, sent as `ClientSecretBasic` does.
            scope, resource: names, and the API (RFC 8707); None for the issuer's default.
            authorization_details: rights in detail (RFC 9396), objects that each have a `type`.
            token_endpoint: where tokens are given out, if it is not to be discovered.
            allow_insecure_http: send also over plain http: inside a private network, and to names.
            transport: carries the token requests, instead of the library's own; never closed here.
            verify, cert, trust_env: as in the library's own clients; loopback is never proxied.
            timeout: seconds for each request to the issuer, from connecting to the last byte.
            dpop: the key that tokens are bound to (RFC 9449); then no other token is taken.
            store: where other processes have the same token, such as `TokenFiles(folder)`.
            clock, on_event: seconds that never jump; gets each `consumer.events.Event`, or the log.

        Raises:
            ValueError, TypeError: a value cannot be one of its kind, or goes with no store.
            InsecureUrl: the issuer or the endpoint is on plain http.
        """
        auth = choose_client_auth(client, client_secret, client_id)
        tls = {"verify": verify, "cert": cert, "trust_env": trust_env}
        self._issuer_http = IssuerHttp(self._library, transport, tls, timeout=timeout, clock=clock)
        self._plan = TokenPlan(
            issuer=issuer,
            auth=auth,
            scope=write_scope(scope),
            resource=None if resource is None else check_resource(resource),
            authorization_details=write_details(authorization_details),
            token_endpoint=token_endpoint,
            dpop=dpop,
            has_certificate=_has_certificate(auth, cert, verify, transport),
            allow_insecure_http=_check_way(issuer, token_endpoint, allow_insecure_http),
            patience=_PATIENCE * timeout,
        )
        self._clock, self._on_event, self._store = clock, on_event, store
        self._begin()

    def __repr__(self) -> str:
        """Name the issuer, the client and the scope; nothing secret."""
        plan = self._plan
        return f"{type(self).__name__}({plan.issuer!r}, {plan.auth!r}, scope={plan.scope!r})"

    def __getstate__(self) -> dict[str, Any]:
        """Give the settings, the client's secret among them, to a copy or a pickle.

        What comes of it shares the token in the same process. A pickle is as secret as what it
        holds; a transport or a TLS context of the caller's cannot be in one.
        """
        return {name: value for name, value in vars(self).items() if name not in _NOT_COPIED}

    def __setstate__(self, settings: dict[str, Any]) -> None:
        """Begin anew with these settings."""
        vars(self).update(settings)
        self._begin()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Copy: the settings are values, and a transport stays the caller's."""
        return copy.copy(self)

    def token(self) -> Token:
        """Return a token that can be used now; wait for one if there is none.

        Raises:
            ConsumerError: no token is to be had.
        """
        with self._stepping(self._current_flow().token()) as steps:
            while True:
                try:
                    step = next(steps)
                except StopIteration as end:
                    token: Token = end.value
                    return token
                self._carry_out(step)

    async def atoken(self) -> Token:
        """Return a token as `token` does, on asyncio or trio.

        Raises:
            ConsumerError: no token is to be had.
        """
        with self._stepping(self._current_flow().token()) as steps:
            while True:
                try:
                    step = next(steps)
                except StopIteration as end:
                    token: Token = end.value
                    return token
                await self._carry_out_async(step)

    def headers(self, method: str, url: str, *, nonce: str | None = None) -> dict[str, str]:
        """Return what puts the token on one request that is sent by other means.

        That is `Authorization`, and with `dpop` the proof of this very request beside it.

        Args:
            method: of the request.
            url: where it goes.
            nonce: the `DPoP-Nonce` of the API's last answer, if it gave one.

        Raises:
            ConsumerError: no token is to be had, or the URL is not safe for one.
            ValueError: the URL is no absolute http or https URL.
        """
        origin, headers = parse_origin(url), dict[str, str]()
        with closing(self.attempts(origin)) as attempts:
            attempt = next(attempts)
        attempt.learn_nonce(nonce)
        attempt.authorize(headers, method, url)
        return headers

    def fresh_attempt(self, url: Url) -> Attempt | None:
        """Return the first attempt of an API request if nothing is to be decided or waited for.

        What was answered counts only if it is 401; `attempts` goes on from there.

        Args:
            url: where the request goes.
        """
        return self._current_flow().fresh_attempt(url)

    def attempts(
        self, origin: Origin, made: Attempt | None = None
    ) -> Generator[Attempt, None, None]:
        """Yield the attempts of one API request, and get a token before each.

        The caller sends the request with the attempt's `authorization` and tells the attempt what
        was `answered`; where another token is worth a try, a second attempt comes.

        Args:
            origin: the API.
            made: the first attempt, if it has been made already.

        Raises:
            ConsumerError: no token is to be had, or the API's address is not safe for one.
        """
        with self._stepping(self._current_flow().steps(origin, made)) as steps:
            for step in steps:
                if isinstance(step, Attempt):
                    yield step
                else:
                    self._carry_out(step)

    async def attempts_async(
        self, origin: Origin, made: Attempt | None = None
    ) -> AsyncGenerator[Attempt, None]:
        """Yield attempts as `attempts` does, on asyncio or trio.

        Raises:
            ConsumerError: no token is to be had, or the API's address is not safe for one.
        """
        with self._stepping(self._current_flow().steps(origin, made)) as steps:
            for step in steps:
                if isinstance(step, Attempt):
                    yield step
                else:
                    await self._carry_out_async(step)

    def _begin(self) -> None:
        self._process = os.getpid()
        flow = TokenFlow(
            self._plan,
            TokenEndpoint(
                self._plan.dpop,
                clock=self._clock,
                wall_clock=time.time,  # noqa: TID251 - a shell
            ),
            clock=self._clock,
            draw=_random,
            on_event=CountedEvents(self._on_event or self._log_events()),
            stored=None if self._store is None else self._stored_token(self._store),
        )
        self._flow = self._shared(flow)

    def _shared(self, flow: TokenFlow) -> TokenFlow:
        return share(flow, self._clock, self._on_event, self._store, *self._issuer_http.settings)

    def _log_events(self) -> EventSink:
        plan = self._plan
        about = f"(issuer={plan.issuer!r}, resource={plan.resource!r}, scope={plan.scope!r})"
        return log_events(clock=self._clock, about=about)

    def _stored_token(self, store: TokenStore) -> StoredToken:
        plan = self._plan
        return StoredToken(
            store,
            secret=_shared_secret(plan),
            identity=plan.identity,
            patience=plan.patience,
            clock=self._clock,
            wall_clock=time.time,  # noqa: TID251 - a shell
            random_bytes=os.urandom,
        )

    def _current_flow(self) -> TokenFlow:
        if self._process != os.getpid():  # a child, forked when perhaps a thread was fetching
            # In this order: no other thread of the child may meet the parent's flow and its lock.
            self._flow = self._shared(self._flow.inherited())
            self._process = os.getpid()
        return self._flow

    @contextmanager
    def _stepping(self, steps: _Steps) -> Iterator[_Steps]:
        try:
            yield steps
        except ConsumerError as error:
            raise error_of(self._library.error, error) from None
        finally:
            steps.close()

    def _carry_out(self, step: Step) -> None:
        match step:
            case Wait():
                wait(step)
            case Renew():
                start_on_thread(step, self._carry_out)
            case Call():
                step.run()
            case Fetch():
                self._issuer_http.fetch(step, self._plan.redact)

    async def _carry_out_async(self, step: Step) -> None:
        match step:
            case Wait():
                await wait_async(step)
            case Renew() if self._issuer_http.needs_event_loop:
                start_on_event_loop(step, self._carry_out_async)
            case Renew():
                start_on_thread(step, self._carry_out)
            case Call():
                await call_async(step)
            case Fetch():
                await self._issuer_http.fetch_async(step, self._plan.redact)


def _shared_secret(plan: TokenPlan) -> str:
    """Return what seals a token in a store, and no other client or holder of no key knows.

    Raises:
        ValueError: the client has nothing such, or a certificate, which tokens may be bound to.
    """
    auth = plan.auth
    if plan.has_certificate:
        raise ValueError("a store shares no token of a client with a certificate")
    # These themselves: another one may ask for what the identity of the plan does not tell.
    if type(auth) in (ClientSecretBasic, ClientSecretPost, ClientSecretJwt):
        secret: str = auth.client_secret  # type: ignore[union-attr]  # they have one
    elif type(auth) is PrivateKeyJwt:
        secret = auth.key.secret
    else:
        raise ValueError("a store needs a client with a secret or a key, which gives its own key")
    return secret if plan.dpop is None else f"{secret} {plan.dpop.secret}"


def _has_certificate(auth: object, cert: object, verify: object, transport: object) -> bool:
    """Tell whether connections to the issuer have a certificate of the client.

    Raises:
        ValueError: they need one, and nothing that is given can have it.
    """
    if not isinstance(auth, TlsClientAuth):
        return cert is not None
    if cert is None and transport is None and isinstance(verify, bool):
        raise ValueError("TlsClientAuth needs `cert`, or a TLS context that has a certificate")
    return True


def _check_way(
    issuer: str, token_endpoint: str | None, allow_insecure_http: InsecureHttp
) -> InsecureHttp:
    """Check where secrets go; return where plain http is allowed, as a value that can be hashed."""
    check_issuer(issuer, allow_insecure_http=allow_insecure_http)
    if allow_insecure_http:
        warning = "plain http is allowed: secrets and tokens can be read on the way (issuer=%r)"
        LOGGER.warning(warning, issuer)
    if token_endpoint is not None:
        check_endpoint(token_endpoint, allow_insecure_http=allow_insecure_http)
    if isinstance(allow_insecure_http, bool | str):
        return allow_insecure_http
    return frozenset(allow_insecure_http)
