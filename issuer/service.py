"""Issue a token: the pipeline that every token request runs through (RFC 6749 §4.4)."""

from typing import Protocol

from issuer.access_token import (
    IssuedToken,
    assemble,
    build_claims,
    build_signing_input,
    header_segment,
)
from issuer.client_auth.secret import ClientAuthenticator
from issuer.config import IssuerConfig
from issuer.errors import Reason, TemporarilyUnavailable
from issuer.grants.client_credentials import decide_grant
from issuer.registry.usage import UsageLog
from issuer.token_request import TokenRequest
from keys.errors import NoSigningKey
from keys.signers.local import Signer


class SigningKeys(Protocol):
    """Knows which key signs at a time."""

    def signer(self, now: int, alg: str | None = None) -> Signer:
        """Return the signer of the key that signs at `now`, in seconds since the epoch.

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
        authenticator: decides who asks.
        keys: know which key signs.
        usage: remembers who used what, to be written later.
    """

    def __init__(
        self,
        config: IssuerConfig,
        authenticator: ClientAuthenticator,
        keys: SigningKeys,
        usage: UsageLog,
    ) -> None:
        self._config = config
        self._authenticator = authenticator
        self._keys = keys
        self._usage = usage

    async def issue(self, request: TokenRequest, *, now: int, jti: str) -> IssuedToken:
        """Authenticate, decide the grant, build the claims, sign.

        Args:
            request: a well-formed request.
            now: seconds since the epoch.
            jti: an id that no token has had.

        Raises:
            OAuthError: the request is refused.
            TemporarilyUnavailable: there is no key to sign with; a token is never unsigned.
        """
        proven = await self._authenticator.authenticate(request.credentials, now=now)
        grant = decide_grant(request, proven.client, self._config)
        try:
            signer = self._keys.signer(now, grant.signing_alg)
        except NoSigningKey:
            raise TemporarilyUnavailable(Reason.NO_SIGNING_KEY) from None
        claims = build_claims(grant, issuer=self._config.issuer, now=now, jti=jti)
        signing_input = build_signing_input(header_segment(signer.alg, signer.kid), claims)
        access_token = assemble(signing_input, await signer.sign(signing_input))
        self._usage.note(grant.client_id, proven.secret_id, grant.resource, grant.scopes, now)
        return IssuedToken(
            access_token=access_token,
            client_id=grant.client_id,
            scopes=grant.scopes,
            expires_in=grant.token_ttl,
            jti=jti,
            kid=signer.kid,
        )
