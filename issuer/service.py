"""Issue a token: the pipeline that every token request runs through (RFC 6749 §3.2, §4)."""

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from issuer.access_token import (
    DPOP,
    ClaimHook,
    IssuedToken,
    assemble,
    build_claims,
    build_signing_input,
    constant_claims,
    header_segment,
    token_type,
)
from issuer.binding import NonceSource, bind, read_possession
from issuer.client_auth.methods import AuthenticatedClient, ClientAuthenticator
from issuer.config import IssuerConfig
from issuer.errors import (
    InvalidClient,
    InvalidGrant,
    InvalidRequest,
    InvalidTarget,
    Reason,
    ServerError,
    TemporarilyUnavailable,
    UnauthorizedClient,
    UnsupportedGrantType,
    listing,
)
from issuer.grants import GRANTS
from issuer.grants.authorization import Authorization, GrantType, Lookup
from issuer.limits import Limits
from issuer.metadata import TOKEN_PATH
from issuer.own_tokens import OwnTokens
from issuer.profile import OPEN, SecurityProfile
from issuer.registry.client import Client, ClientRegistration
from issuer.registry.grant_types import JWT_BEARER
from issuer.registry.usage import UsageLog
from issuer.replay import Replays
from issuer.reuse import ReusedTokens, SeenRequest, Wanted, reuse_window, same_thing
from issuer.status.indexes import StatusIndexes
from issuer.status.positions import Position, join_resources, status_claim
from issuer.token_request import TokenRequest
from keys.dpop import ProofKeys
from keys.errors import NoSigningKey, SignerUnavailable
from keys.jwt import MAX_TOKEN_BYTES
from keys.signers.local import Signer


class SigningKeys(Protocol):
    """Knows which key signs at a time."""

    def signer(self, now: int, alg: str | None = None) -> Signer:
        """Return the signer of the key that signs at `now`.

        Args:
            now: seconds since the epoch.
            alg: the algorithm that it must sign with; None for the configured one.

        Raises:
            NoSigningKey: there is none.
        """
        ...


class TokenService:
    """Turns well-formed token requests into signed tokens.

    Args:
        config: the issuer's own settings.
        authenticator: decides which client a request comes from.
        keys: know which key signs.
        usage: remembers which credential and scopes were used, to be written later.
        new_jti: makes the id of a token that stands at a position, or on no list.
        tokens: verifies tokens that are shown for others.
        reused: the tokens that may be given again.
        indexes: give tokens their places on status lists.
        limits: of the tokens that a client gets.
        replays: have assertions and proofs count once.
        nonces: what DPoP proofs have to carry one of; None if they need none.
        hooks: of the operator, which add further claims.
        profile: what clients and resources may not be.
    """

    def __init__(
        self,
        config: IssuerConfig,
        authenticator: ClientAuthenticator,
        keys: SigningKeys,
        usage: UsageLog,
        *,
        new_jti: Callable[[Position | None], str],
        tokens: OwnTokens,
        reused: ReusedTokens,
        indexes: StatusIndexes,
        limits: Limits,
        replays: Replays,
        nonces: NonceSource | None = None,
        hooks: Iterable[ClaimHook] = (),
        profile: SecurityProfile = OPEN,
    ) -> None:
        self._config = config
        self._base = config.base  # of every token that is on a status list
        self._alias = None if config.mtls_base is None else config.mtls_base + TOKEN_PATH
        self._authenticator = authenticator
        self._keys = keys
        self._usage = usage
        self._new_jti = new_jti
        self._tokens = tokens
        self._reused = reused
        self._indexes = indexes
        self._limits = limits
        self._replays = replays
        self._nonces = nonces
        self._proof_keys = ProofKeys()
        self._hooks = tuple(hooks)
        self._profile = profile

    async def issue(
        self, request: TokenRequest, *, now: int, fingerprint: bytes | None = None
    ) -> IssuedToken:
        """Authenticate the client, decide what it gets, build the claims, sign.

        Args:
            request: a well-formed request.
            now: seconds since the epoch.
            fingerprint: of the request, if `repeat` shall know it.

        Raises:
            OAuthError: the request is refused.
            TooManyRequests: the client has used up its quota of tokens.
            TemporarilyUnavailable: there is no key to sign with, or what keeps it does not answer,
                nor what keeps claims, or no place on a status list; a token is never unsigned,
                nor beyond revocation.
            ServerError: the token is longer than any API of ours takes, or a claim hook failed.
        """
        # Authentication first: RFC 6749 §5.2 tells an unauthenticated peer nothing of grants.
        authenticated = await self._authenticate(request, now)
        client = authenticated.client
        possession = read_possession(
            request.evidence,
            now,
            client_id=client.client_id,
            memo=self._proof_keys,
            nonces=self._nonces,
            alias=self._alias,
            algorithms=self._profile.proof_algorithms,
        )
        grant = find_grant(request.grant_type, client.registration)
        lookup = Lookup(self._tokens, self._authenticator.clients, now)
        facts = await grant.prepare(request, client, lookup)
        decided = grant.decide(request, client, self._config, facts)
        check_policy(decided, authenticated, self._profile)
        authorization = bind(decided, client, possession, self._profile)
        try:
            signer = self._keys.signer(now, authorization.alg)
        except NoSigningKey:
            raise TemporarilyUnavailable(Reason.NO_SIGNING_KEY) from None
        # Last: what is refused for another reason has used up nothing, and may be sent again.
        once = authenticated.once + possession.once
        if once:
            await self._replays.claim(*once)
        window = reuse_window(client, authorization)
        if window:
            what = same_thing(request.grant_type, authorization)
            issued = await self._reused.get(
                Wanted(what, client, signer.kid, now),
                window,
                lambda: self._make(request.grant_type, authenticated, authorization, signer, now),
            )
            issued = _given_to(authenticated, issued)
            if fingerprint is not None and request.evidence.may_repeat:
                seen = SeenRequest(authenticated, authorization, what)
                self._reused.remember(fingerprint, seen)
        else:
            issued = await self._make(request.grant_type, authenticated, authorization, signer, now)
        self._note_use(authenticated, authorization, now)
        return issued

    async def _authenticate(self, request: TokenRequest, now: int) -> AuthenticatedClient:
        try:
            return await self._authenticator.authenticate(request.evidence, now=now)
        except InvalidClient as refusal:
            # RFC 7521 §4.1.1: there the assertion is the grant, and nothing is challenged.
            if request.grant_type != JWT_BEARER:
                raise
            raise InvalidGrant(
                refusal.reason, client_id=refusal.client_id, asked=refusal.asked
            ) from None

    def fingerprint(
        self, headers: Iterable[tuple[bytes, bytes]], query: bytes, body: bytes
    ) -> bytes | None:
        """Return what `repeat` recognises a request by; None while no token is reused.

        Args:
            headers: raw header lines with lower-case names, duplicates kept.
            query: the raw query string.
            body: the whole body.
        """
        return self._reused.fingerprint(headers, query, body)

    def repeat(self, fingerprint: bytes, *, now: int) -> IssuedToken | None:
        """Answer a request that was answered before and may get the same token again.

        What parsing, authentication and the grant came to is the same while the client is, for the
        same request. None if anything is in doubt: then `issue` decides.

        Args:
            fingerprint: of the request.
            now: seconds since the epoch.
        """
        seen = self._reused.recall(fingerprint)
        if seen is None or not self._authenticator.still_counts(seen.proof, now):
            return None
        try:
            signer = self._keys.signer(now, seen.authorization.alg)
        except NoSigningKey:
            return None
        issued = self._reused.find(Wanted(seen.what, seen.proof.client, signer.kid, now))
        if issued is None:
            return None
        self._note_use(seen.proof, seen.authorization, now)
        return _given_to(seen.proof, issued)

    def next_nonce(self, issued: IssuedToken, *, now: int) -> str | None:
        """Return the nonce for the next proof of the client that got a token (RFC 9449 §8.2).

        It spares the client a refusal when the last nonce has become old. None if the token is not
        bound to a key, or proofs need no nonce.
        """
        if self._nonces is None or issued.token_type != DPOP:
            return None
        return self._nonces().issue(now)

    def _note_use(
        self, authenticated: AuthenticatedClient, authorization: Authorization, now: int
    ) -> None:
        # Only after success: a request that was refused used nothing.
        client_id, credential_id = authorization.client_id, authenticated.credential_id
        for resource in authorization.resources:
            self._usage.note(client_id, credential_id, resource, authorization.scopes, now)

    async def _make(
        self,
        grant_type: str | None,
        authenticated: AuthenticatedClient,
        authorization: Authorization,
        signer: Signer,
        now: int,
    ) -> IssuedToken:
        self._limits.take_token(authorization, now)
        try:
            return await self._sign(grant_type, authenticated, authorization, signer, now)
        except TemporarilyUnavailable:
            self._limits.give_back(authorization.client_id, now)
            raise

    async def _sign(
        self,
        grant_type: str | None,
        authenticated: AuthenticatedClient,
        authorization: Authorization,
        signer: Signer,
        now: int,
    ) -> IssuedToken:
        client = authenticated.client
        position = await self._find_place(client, authorization, now)
        jti = self._new_jti(position)
        claims = build_claims(
            authorization,
            issuer=self._config.issuer,
            now=now,
            jti=jti,
            status=None if position is None else status_claim(position, self._base),
            constants=constant_claims(client, authorization),
            hooks=self._hooks,
        )
        signing_input = build_signing_input(header_segment(signer.alg, signer.kid), claims)
        try:
            access_token = assemble(signing_input, await signer.sign(signing_input))
        except SignerUnavailable:
            raise TemporarilyUnavailable(Reason.SIGNER_UNAVAILABLE) from None
        if len(access_token) > MAX_TOKEN_BYTES:
            raise ServerError(Reason.TOKEN_TOO_LONG, client_id=authorization.client_id)
        return IssuedToken(
            access_token=access_token,
            token_type=token_type(authorization.confirmation),
            client_id=authorization.client_id,
            scopes=authorization.scopes,
            expires_in=authorization.token_ttl,
            jti=jti,
            kid=signer.kid,
            authorization_details=authorization.authorization_details,
            issued_token_type=authorization.issued_token_type,
            subject=None if authorization.actor is None else authorization.subject,
            resources=authorization.resources,
            credential_id=authenticated.credential_id,
            auth_method=authenticated.method,
            grant_type=grant_type,
        )

    async def _find_place(
        self, client: Client, authorization: Authorization, now: int
    ) -> Position | None:
        """Find a place on a status list, for a token that lives longer than news of it take."""
        ttl = authorization.token_ttl
        resources = authorization.resources
        if ttl <= self._config.withdrawal_seconds:
            return None
        listed = [client.policies[each].status_list for each in resources]
        if not any(listed):
            return None
        whose = (authorization.client_id, authorization.subject, join_resources(resources))
        place = self._indexes.take(*whose, ttl=ttl, now=now)
        return place or await self._indexes.obtain(*whose, ttl=ttl, now=now)


def _given_to(authenticated: AuthenticatedClient, issued: IssuedToken) -> IssuedToken:
    # It may have been made for a request with another credential.
    return issued._replace(
        credential_id=authenticated.credential_id, auth_method=authenticated.method
    )


def find_grant(grant_type: str | None, registration: ClientRegistration) -> GrantType[Any]:
    """Return the grant type that an authenticated client asks for.

    Raises:
        InvalidRequest: `grant_type` is missing.
        UnsupportedGrantType: no client gets this grant here.
        UnauthorizedClient: this client may not use the grant.
    """
    client_id = registration.client_id
    if grant_type is None:
        raise InvalidRequest(
            Reason.GRANT_TYPE_MISSING, "grant_type is missing", client_id=client_id
        )
    grant = GRANTS.get(grant_type)
    if grant is None:
        raise UnsupportedGrantType(Reason.UNSUPPORTED_GRANT, client_id=client_id)
    # RFC 6749 §5.2: known here, but not for this client.
    if grant_type not in registration.grant_types:
        raise UnauthorizedClient(Reason.GRANT_NOT_ALLOWED, client_id=client_id)
    return grant


def check_policy(
    authorization: Authorization, authenticated: AuthenticatedClient, profile: SecurityProfile
) -> None:
    """Refuse a token that its resource does not take, or that the profile forbids.

    Args:
        authorization: what a grant decided.
        authenticated: whom it was decided for.
        profile: of the issuer.

    Raises:
        InvalidTarget: a resource takes no clients that authenticate so, or wants an algorithm that
            the profile forbids (RFC 8707 §2).
    """
    client = authenticated.client
    for each in authorization.resources:
        taken = client.policies[each].auth_methods
        if taken and authenticated.method not in taken:
            raise InvalidTarget(
                Reason.AUTH_METHOD_NOT_TAKEN,
                listing("the resource takes tokens of clients that authenticate by", taken),
                client_id=client.client_id,
                asked=each,
            )
    if authorization.alg is not None and authorization.alg not in profile.token_algorithms:
        raise InvalidTarget(
            Reason.PROFILE_ALGORITHM,
            "the resource wants an algorithm that this issuer does not sign with",
            client_id=client.client_id,
            asked=authorization.resource,
        )
