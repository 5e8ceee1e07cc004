"""What protects one API, whatever serves it: trusted issuers, their keys, validation, refusals.

No framework is known here. What serves requests, such as `BearerMiddleware`, hands over the raw
headers, and gets an `AccessToken` or the refusal to answer with.
"""

import asyncio
import re
import time
from collections.abc import Callable, Collection, Iterable
from contextlib import AsyncExitStack
from typing import TypedDict, TypeVar

from keys.events import EventSink
from keys.identifiers import InsecureHttp
from keys.remote.http_jwks import HttpJwks
from keys.remote.jwks_client import JwksClient
from keys.telemetry import CountedEvents, is_traced, traced_step
from resource_api.access_token import AccessToken
from resource_api.bearer import build_refusal, check_token68, find_bearer, find_dpop
from resource_api.config import ResourcePolicy, build_metadata, metadata_path, metadata_url
from resource_api.confirmation import KEY
from resource_api.errors import InvalidToken, MissingToken, Reason, ResourceError, Scheme
from resource_api.events import Event, log_events
from resource_api.possession import Binding, Headers, Possession, Presented
from resource_api.profiles import TokenProfile
from resource_api.status_lists import StatusListClient
from resource_api.validator import KeySource, StatusSource, TokenValidator, TrustedIssuer

Answer = tuple[int, list[tuple[bytes, bytes]], bytes]
"""Status, raw headers with names in lower case, and body of an answer."""

T = TypeVar("T")

_HARMLESS_KID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class ProtectionSettings(TypedDict, total=False):
    """The keywords of `Protection`, for what takes the same and makes one."""

    resource: str
    issuer: str | None
    profile: TokenProfile | str
    jwks: KeySource | None
    jwks_uri: str | None
    status_lists: StatusSource | None
    policy: ResourcePolicy | None
    issuers: Iterable[ResourcePolicy | TrustedIssuer] | None
    allow_insecure_http: InsecureHttp
    binding: Binding
    cache_size: int
    clock: Callable[[], float]
    on_event: EventSink | None


class Protection:
    """Validate the tokens that requests to one API bring, and write the refusals."""

    def __init__(
        self,
        *,
        resource: str,
        issuer: str | None = None,
        profile: TokenProfile | str = "rfc9068",
        jwks: KeySource | None = None,
        jwks_uri: str | None = None,
        status_lists: StatusSource | None = None,
        policy: ResourcePolicy | None = None,
        issuers: Iterable[ResourcePolicy | TrustedIssuer] | None = None,
        allow_insecure_http: InsecureHttp = False,
        binding: Binding = Binding(),  # noqa: B008  # immutable
        cache_size: int = 4096,
        clock: Callable[[], float] = time.time,  # noqa: TID251  # the shell where the clock enters
        on_event: EventSink | None = None,
    ) -> None:
        """Protect an API; nothing is fetched yet.

        Args:
            resource: this API's identifier, the audience of tokens unless their policy has another.
            issuer: the identifier of the only issuer whose tokens are accepted.
            profile: what its tokens look like, such as `keycloak` (`ResourcePolicy.profile`).
            jwks: that issuer's keys; by default found over HTTP from its metadata.
            jwks_uri: where the keys are, for an issuer without metadata.
            status_lists: that issuer's; by default fetched over HTTP as tokens name them.
            policy: all bounds, if the defaults will not do; must name the same issuer and resource.
            issuers: instead of the six above: of each its policy, or a `TrustedIssuer` with keys.
            allow_insecure_http: that of the policy that is made; a given one has its own.
            binding: how tokens are checked that are bound to a key or a certificate.
            cache_size: how many verified tokens to remember, bound or not; 0 for none.
            clock: seconds since the epoch.
            on_event: gets each `resource_api.events.Event`; by default they are logged.

        Raises:
            ValueError: settings that cannot be or contradict each other.
            TypeError: one of `issuers` is no policy.
        """
        _check_trust(issuer, issuers, (jwks, jwks_uri, status_lists, policy))
        if issuer is not None and policy is None:
            policy = _make_policy(issuer, resource, profile, allow_insecure_http)
        elif profile != "rfc9068" or allow_insecure_http:
            raise ValueError("set profile and allow_insecure_http in the policy of each issuer")
        trusted = list(issuers or ())
        self._on_event = on_event = CountedEvents(on_event or _log_about(resource, issuer, trusted))
        if policy is not None:
            keys = jwks or _keys_over_http(policy, on_event, jwks_uri)
            trusted = [TrustedIssuer(policy, keys, status_lists)]
        self.issuers = tuple(_complete(each, clock, on_event) for each in trusted)
        """The trusted issuers, each with its keys and status lists."""
        validator = TokenValidator(self.issuers, clock=clock, cache_size=cache_size)
        self.policy = _find_policy(self.issuers, resource, issuer)
        """The first that is for `resource` itself: challenges have its realm and scopes."""
        # The methods themselves: they are called for every request.
        self.cached = validator.cached
        """Give a bearer token that was validated before and still would be; costs no await."""
        self.validate = validator.validate
        """Validate a bearer token of the Authorization header; raises `ResourceError`."""
        self._validate_any = validator.validate_any
        self._possession = Possession(binding, self.policy.resource, clock=clock)

    @property
    def metadata_path(self) -> str | None:
        """The path that the RFC 9728 document is served on; None for a resource that has none."""
        return metadata_path(self.policy.resource)

    async def authenticate(
        self, headers: Iterable[tuple[bytes, bytes]], request: Presented | None = None
    ) -> AccessToken:
        """Validate the token of a request, and what the sender proves if it is a bound one.

        Args:
            headers: raw, the names in lower case, as ASGI has them.
            request: the rest of what counts; without it, bound tokens are refused.

        Raises:
            ResourceError: the refusal that the request is to be answered with.
        """
        headers = tuple(headers)  # read several times
        sent = find_bearer(headers)
        # A token that is remembered was checked to be one, character by character.
        return self.cached(sent) or await self._validate(sent, headers, request)

    async def recheck(self, token: AccessToken) -> None:
        """Validate the token of a request once more, such as after a body that took its time.

        What its sender proved is not asked for again.

        Raises:
            ResourceError: the request would not be let in now.
        """
        text = token.text.encode("ascii")
        if self.cached(text) is None:
            await self._validate_any(text)

    async def _validate(
        self, sent: bytes, headers: Headers, request: Presented | None
    ) -> AccessToken:
        if not is_traced():
            return await self._prove(sent, headers, request)
        with traced_step("validate access token", headers) as outcome:
            try:
                return await self._prove(sent, headers, request)
            except ResourceError as error:
                outcome.error = error.reason.value
                raise

    async def _prove(self, sent: bytes, headers: Headers, request: Presented | None) -> AccessToken:
        """Validate a token that is not remembered as a bearer token."""
        scheme = Scheme.BEARER if sent else Scheme.DPOP
        try:
            text = check_token68(sent or find_dpop(headers))
            token = await self._validate_any(text)
            bound_to = token.confirmation
            if bound_to or scheme is Scheme.DPOP:
                await self._possession.check(bound_to, scheme, text, headers, request)
        except ResourceError as error:
            error.scheme = scheme
            raise
        return token

    def refusal(
        self, error: ResourceError, token: AccessToken | None = None, *, root_path: str = ""
    ) -> Answer:
        """Give the answer of a request that is refused.

        Args:
            error: why.
            token: what the request brought, if that was valid.
            root_path: where the API is mounted, as the ASGI scope of the request says.
        """
        if self._asks_for_dpop(error, token):
            error.scheme = Scheme.DPOP
        return build_refusal(
            error,
            realm=self.policy.realm,
            resource_metadata=metadata_url(self.policy.resource, root_path),
            scope=self.policy.scopes_supported,
            proof_algorithms=self._possession.algorithms,
        )

    def _asks_for_dpop(self, error: ResourceError, token: AccessToken | None) -> bool:
        """Say whether the challenge is to be one of DPoP, whatever the request was sent with."""
        if token is not None:
            return KEY in token.confirmation
        # RFC 9449 §7.2: one who sends a bound token as Bearer is told how to send it.
        if error.reason is Reason.SENDER_CONSTRAINED:
            return True
        wants_it = self.policy.binding_required == "dpop"
        return wants_it and (
            isinstance(error, MissingToken) or error.reason is Reason.BINDING_REQUIRED
        )

    def report(self, error: ResourceError, token: AccessToken | None = None) -> None:
        """Report a refusal, of a token that was valid if one is given."""
        fields: dict[str, object] = {"reason": error.reason.value, "status": error.status}
        if token is not None:
            fields["client_id"] = token.client_id
        kid = error.kid if isinstance(error, InvalidToken) else None
        # A kid is the caller's text until its key is known: only a harmless one is repeated.
        if kid is not None and _HARMLESS_KID.fullmatch(kid):
            fields["kid"] = kid
        self._on_event(Event.REQUEST_REFUSED, **fields)

    @property
    def ready(self) -> bool:
        """Say whether the tokens of every issuer can be judged now.

        In an event loop keys that are due are fetched in the background, so that a probe alone gets
        an idle API ready.
        """
        try:
            return None not in [issuer.keys.current() for issuer in self.issuers]
        except RuntimeError:  # there is no event loop here that could fetch what is due
            return all(issuer.keys.ready for issuer in self.issuers)

    def readiness(self) -> Answer:
        """Give the answer to a readiness probe; asks for keys as `ready` does."""
        headers = [(b"cache-control", b"no-store")]
        if self.ready:
            return _json_answer(200, headers, b'{"status":"ok"}')
        body = b'{"status":"unavailable","failing":["jwks"]}'
        return _json_answer(503, [*headers, (b"retry-after", b"1")], body)

    def metadata_answer(self, scopes: Collection[str] = ()) -> Answer:
        """Give the answer to a request for the RFC 9728 document.

        Args:
            scopes: to be named besides those that the policies name.
        """
        policies = [each.policy for each in self.issuers]
        body = build_metadata(
            self.policy.resource,
            policies,
            scopes,
            proof_algorithms=self._possession.algorithms,
            takes_certificates=self._possession.knows_proxies,
        )
        # Any page may read it, as what the issuer publishes (Fetch standard §3.3).
        headers = [
            (b"cache-control", b"public, max-age=300"),
            (b"access-control-allow-origin", b"*"),
        ]
        return _json_answer(200, headers, body)

    async def warm(self) -> bool:
        """Get the keys before there is traffic; say whether those of every issuer are there.

        Each issuer is asked at most once, and for no longer than a fetch may take.
        """
        return all(await asyncio.gather(*(issuer.keys.warm() for issuer in self.issuers)))

    async def aclose(self) -> None:
        """Stop what is being fetched, of each issuer whatever another raises."""
        async with AsyncExitStack() as closing:
            for issuer in self.issuers:
                closing.push_async_callback(issuer.keys.aclose)
                if issuer.statuses is not None:
                    closing.push_async_callback(issuer.statuses.aclose)


def given_or_made(given: T | None, make: Callable[..., T], settings: ProtectionSettings) -> T:
    """Give the protection that a caller gave, or the one that the settings make.

    Raises:
        ValueError: settings that cannot be or contradict each other.
        TypeError: a protection and settings for another, or neither.
    """
    if given is None:
        return make(**settings)
    if settings:
        raise TypeError("give protection, or what one is made of: " + ", ".join(settings))
    return given


def _json_answer(status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> Answer:
    length = (b"content-length", str(len(body)).encode())
    return status, [(b"content-type", b"application/json"), length, *headers], body


def _check_trust(issuer: object, issuers: object, of_issuer: tuple[object, ...]) -> None:
    """Check that whom to trust is said once.

    Args:
        issuer: the only one, or None.
        issuers: several, or None.
        of_issuer: what may be given with `issuer` alone.
    """
    if (issuer is None) == (issuers is None) or (
        issuer is None and any(each is not None for each in of_issuer)
    ):
        raise ValueError("name whom to trust: issuer and what goes with it, or issuers alone")


def _make_policy(
    issuer: str, resource: str, profile: TokenProfile | str, insecure_http: InsecureHttp
) -> ResourcePolicy:
    return ResourcePolicy(
        issuer=issuer, resource=resource, profile=profile, allow_insecure_http=insecure_http
    )


def _log_about(
    resource: str, issuer: str | None, trusted: Iterable[ResourcePolicy | TrustedIssuer]
) -> EventSink:
    named = [issuer] if issuer is not None else [_policy_of(each).issuer for each in trusted]
    ours = dict.fromkeys([resource, *(_policy_of(each).resource for each in trusted)])
    issuers, resources = (", ".join(map(repr, each)) for each in (named, ours))
    about = f"(issuer={issuers}, resource={resources})"
    return log_events(clock=time.monotonic, about=about)


def _find_policy(
    issuers: Iterable[TrustedIssuer], resource: str, issuer: str | None
) -> ResourcePolicy:
    """Give the policy that speaks for an API: the first whose tokens name it by this identifier.

    Raises:
        ValueError: there is none.
    """
    for each in issuers:
        if each.policy.resource == resource and issuer in (None, each.policy.issuer):
            return each.policy
    whose = "" if issuer is None else f" and the issuer {issuer!r}"
    raise ValueError(f"no policy is for the resource {resource!r}{whose}, letter by letter")


def _policy_of(trusted: ResourcePolicy | TrustedIssuer) -> ResourcePolicy:
    if not isinstance(trusted, ResourcePolicy | TrustedIssuer):
        raise TypeError(f"issuers are policies, such as ResourcePolicy(…), not {trusted!r}")
    return trusted if isinstance(trusted, ResourcePolicy) else trusted.policy


def _complete(
    trusted: ResourcePolicy | TrustedIssuer, clock: Callable[[], float], on_event: EventSink
) -> TrustedIssuer:
    """Have keys and status lists fetched over HTTP where an issuer has no source of its own."""
    policy = _policy_of(trusted)
    if isinstance(trusted, ResourcePolicy):
        trusted = TrustedIssuer(policy, _keys_over_http(policy, on_event))
    if policy.allow_insecure_http:
        on_event(Event.INSECURE_HTTP, issuer=policy.issuer)
    if trusted.statuses is not None:
        return trusted
    lists = StatusListClient(trusted.keys, clock=clock, on_event=on_event)
    return TrustedIssuer(policy, trusted.keys, lists)


def _keys_over_http(
    policy: ResourcePolicy, on_event: EventSink, jwks_uri: str | None = None
) -> JwksClient:
    allowed = policy.allow_insecure_http
    fetch = HttpJwks(policy.issuer, jwks_uri=jwks_uri, allow_insecure_http=allowed)
    return JwksClient(fetch, on_event=on_event)
