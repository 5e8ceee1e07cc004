"""What a grant decides, and the form that every grant type has (RFC 6749 §4, §5)."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from issuer.client_auth.methods import KnownClients
from issuer.config import IssuerConfig
from issuer.own_tokens import OwnTokens
from issuer.registry.client import Client
from issuer.token_request import TokenRequest

Facts = TypeVar("Facts")


class Authorization(NamedTuple):
    """What a token will say; all of it, and nothing else, goes into the claims.

    Args:
        subject: whom the token is about (`sub`); the client itself where it acts for itself.
        client_id: the client that the token is issued to.
        resource: the audience (`aud`), or the first one.
        scopes: what is granted, in the order asked.
        token_ttl: life of the token in seconds.
        alg: the JWS algorithm that the resource asks for; None for the configured one.
        actor: who acts for the subject (`act`, RFC 8693 §4.1).
        confirmation: the key that the token is bound to (`cnf`, RFC 7800 §3.1).
        authorization_details: fine-grained rights (RFC 9396 §9.1).
        further_resources: the other audiences, where an operator allows several (RFC 8707 §2).
        issued_token_type: of a token that is given in exchange (RFC 8693 §2.2.1); else None.
        subject_is_bound: whether that was given for a bound token, and has to be bound as well.
    """

    subject: str
    client_id: str
    resource: str
    scopes: tuple[str, ...]
    token_ttl: int
    alg: str | None = None
    actor: Mapping[str, object] | None = None
    confirmation: Mapping[str, object] | None = None
    authorization_details: tuple[Mapping[str, object], ...] = ()
    further_resources: tuple[str, ...] = ()
    issued_token_type: str | None = None
    subject_is_bound: bool = False

    @property
    def resources(self) -> tuple[str, ...]:
        """All audiences."""
        return (self.resource, *self.further_resources)


class Lookup(NamedTuple):
    """Where `prepare` finds what it needs.

    Args:
        tokens: verifies the issuer's own tokens.
        clients: the registry as this process knows it.
        now: seconds since the epoch.
    """

    tokens: OwnTokens
    clients: KnownClients
    now: int


@dataclass(frozen=True, slots=True)
class GrantType(Generic[Facts]):
    """A grant type: a row of `GRANTS`. Both functions raise `OAuthError` to refuse.

    Args:
        prepare: finds out what the decision needs and memory does not have, such as whether a
            subject token is valid. The only part that may wait.
        decide: decides from the request, the authenticated client, the configuration and those
            facts. Pure.
    """

    prepare: Callable[[TokenRequest, Client, Lookup], Awaitable[Facts]]
    decide: Callable[[TokenRequest, Client, IssuerConfig, Facts], Authorization]
