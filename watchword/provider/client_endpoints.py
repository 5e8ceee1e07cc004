"""Wire the endpoints that clients use: tokens, introspection, revocation, authorization."""

import secrets
from collections.abc import Sequence
from functools import partial

from issuer.access_token import ClaimHook
from issuer.config import IssuerConfig
from issuer.endpoints.asgi import Endpoint
from issuer.endpoints.authorization import refuse_authorization
from issuer.endpoints.cross_origin import posted_from
from issuer.endpoints.introspection import IntrospectionEndpoint
from issuer.endpoints.revocation import RevocationEndpoint
from issuer.endpoints.sent_token import TokenReader
from issuer.endpoints.token import TokenEndpoint
from issuer.events import EventSink
from issuer.metadata import (
    AUTHORIZATION_PATH,
    INTROSPECTION_PATH,
    REVOCATION_PATH,
    TOKEN_PATH,
)
from issuer.own_tokens import OwnTokens
from issuer.ports import HotStore
from issuer.registry.usage import UsageLog
from issuer.reuse import ReusedTokens
from issuer.service import TokenService
from issuer.status.positions import new_jti
from watchword.ambient import random_ids, wall_clock
from watchword.provider.authentication import Authentication
from watchword.provider.key_ring import KeyRing
from watchword.provider.operators import Operators
from watchword.provider.token_status import TokenStatus


def client_endpoints(
    config: IssuerConfig,
    authentication: Authentication,
    *,
    keys: KeyRing,
    usage: UsageLog,
    statuses: TokenStatus,
    writes: HotStore,
    operators: Operators,
    hooks: Sequence[ClaimHook],
    events: EventSink,
) -> dict[str, Endpoint]:
    """Return the endpoints by path.

    Args:
        config: the issuer's own settings.
        authentication: says which client a request comes from.
        keys: sign, and verify what they signed.
        usage: remembers which credentials and scopes were used.
        statuses: what became of tokens, and their places on the lists of that.
        writes: where that is written.
        operators: may revoke the tokens of others.
        hooks: add claims to tokens.
        events: where log events go.
    """
    authenticator, replays = authentication.authenticator, authentication.replays
    reader = TokenReader(authenticator, usage, replays, wall_clock)
    tokens = OwnTokens(config.issuer, keys, statuses.lists)
    service = TokenService(
        config,
        authenticator,
        keys,
        usage,
        new_jti=partial(new_jti, random_bytes=random_ids),
        tokens=tokens,
        reused=ReusedTokens(statuses.lists, memo_key=secrets.token_bytes(32)),
        indexes=statuses.indexes,
        limits=authentication.limits,
        replays=replays,
        nonces=authentication.nonces.source,
        hooks=hooks,
        profile=authentication.profile,
    )
    token = TokenEndpoint(service, url=config.base + TOKEN_PATH, clock=wall_clock, events=events)
    return {
        **({AUTHORIZATION_PATH: refuse_authorization} if config.authorization_endpoint else {}),
        TOKEN_PATH: posted_from(config.token_origins, token),
        INTROSPECTION_PATH: IntrospectionEndpoint(reader, tokens, keys, config, events=events),
        REVOCATION_PATH: RevocationEndpoint(
            reader,
            tokens,
            writes,
            config,
            is_operator=operators.include,
            revoke_for_operator=operators.revoke,
            events=events,
        ),
    }
