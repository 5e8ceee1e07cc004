"""Sign in to the console: by a client's secret, as at the token endpoint, or by a one-time link.

The visitor's own cookie carries what the form has to carry as well, so that no other page can have
a browser sign in.
"""

import secrets
from dataclasses import dataclass
from typing import Final

from issuer.binding import needed_binding
from issuer.client_auth.methods import ClientAuthenticator
from issuer.client_request import ClientPassword, Evidence
from issuer.errors import InvalidClient, Reason, UnauthorizedClient
from issuer.ports import HotStore
from issuer.registry.client import Client
from issuer.registry.grant_types import CLIENT_CREDENTIALS
from issuer.registry.usage import UsageLog
from issuer.replay import CLOCK_SKEW
from watchword.console.sessions import Link, Session, SessionSeal

USED_LINKS: Final = "console links"
ENDED_SESSIONS: Final = "console sessions"
"""What ids are claimed in, so that each counts once on all workers and nodes."""


class LinkRefused(Exception):
    """A code is no code, was used before, or has ended."""


@dataclass(frozen=True, slots=True)
class SignIn:
    """Turns what a visitor shows into a session.

    Args:
        authenticator: decides which client a secret is of, with the limits of the token endpoint.
        usage: remembers which credential was used.
        store: shared by all workers and nodes.
        administration: the resource identifier of the administration API.
    """

    authenticator: ClientAuthenticator
    usage: UsageLog
    store: HotStore
    administration: str

    async def by_secret(
        self, client_id: str, secret: str, *, address: str | None, now: int
    ) -> Session:
        """Begin a session of a client.

        Args:
            client_id: as typed.
            secret: likewise.
            address: the network address of the peer.
            now: seconds since the epoch.

        Raises:
            OAuthError: as the token endpoint would refuse it, or the client administers nothing.
        """
        evidence = _evidence(client_id, secret, address)
        proof = await self.authenticator.authenticate(evidence, now=now)
        client = proof.client
        self.usage.note_credential(client.client_id, proof.credential_id, now)
        if reason := find_hindrance(client, self.administration):
            raise UnauthorizedClient(reason, client_id=client.client_id)
        return Session.begin(
            client.client_id, proof.credential_id, now=now, random_bytes=secrets.token_bytes
        )

    async def by_code(self, code: str, seal: SessionSeal, *, now: int) -> Session:
        """Begin a session of the user of the machine who made a link.

        Args:
            code: of the link.
            seal: of the console.
            now: seconds since the epoch.

        Raises:
            LinkRefused: it does not count, or not any more.
            StoreUnavailable: whether it was used before is not known; it may count as used.
        """
        link = seal.open(Link, code, now)
        # Claimed last: what does not open must not fill the store.
        if link is None or not await self.store.claim(USED_LINKS, link.id, link.ends + CLOCK_SKEW):
            raise LinkRefused
        return Session.begin(link.name, None, now=now, random_bytes=secrets.token_bytes)

    async def end(self, session: Session) -> None:
        """End a session on all workers and nodes, so that no copy of its cookie counts.

        Raises:
            StoreUnavailable: it was not ended.
        """
        await self.store.claim(ENDED_SESSIONS, session.id, session.ends + CLOCK_SKEW)


def administration_scopes(client: Client, administration: str) -> frozenset[str]:
    """Return what a client holds on the administration."""
    return frozenset(
        scope
        for grant in client.grants
        if grant.resource == administration
        for scope in grant.scopes
    )


def find_hindrance(client: Client, administration: str) -> Reason | None:
    """Tell why a client cannot get a plain token for the administration; None if it can.

    A session is as good as such a token, so it takes the same.
    """
    registration = client.registration
    if CLIENT_CREDENTIALS not in registration.grant_types:
        return Reason.GRANT_NOT_ALLOWED
    if not administration_scopes(client, administration):
        return Reason.NOTHING_GRANTED
    needs_key, needs_certificate = needed_binding(client, [administration])
    if needs_key or needs_certificate:
        return Reason.DPOP_REQUIRED if needs_key else Reason.CERTIFICATE_REQUIRED
    taken = client.policies[administration].auth_methods
    if taken and registration.token_endpoint_auth_method not in taken:
        return Reason.AUTH_METHOD_NOT_TAKEN
    return None


def _evidence(client_id: str, secret: str, address: str | None) -> Evidence:
    # No client can have such an id or secret: what the token endpoint answers to it.
    for text in (client_id, secret):
        if not text or not all(" " <= character <= "~" for character in text):
            raise InvalidClient(Reason.UNKNOWN_CLIENT)
    password = ClientPassword(client_id, secret)
    return Evidence(client_id=client_id, secret_post=password, peer_address=address)
