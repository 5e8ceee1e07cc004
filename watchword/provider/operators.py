"""Operators at `/revoke`: clients that the administration API lets revoke any token."""

import asyncio
import secrets
from concurrent.futures import ThreadPoolExecutor

from issuer.errors import Reason, UnauthorizedClient
from issuer.own_tokens import OwnToken
from issuer.registry.audit import Actor, Via
from issuer.registry.client import Client
from issuer.registry.errors import BeyondAuthority, CallerNotActive
from issuer.storage.registry import Registry
from watchword.ambient import wall_clock
from watchword.logging import request_id
from watchword.registry import TOKENS_WRITE
from watchword.settings import Settings


class Operators:
    """The clients that may revoke the tokens of others.

    Args:
        settings: name the administration, on which they hold a scope.
        registry: where the revocation and its entry in the audit trail are written.
    """

    def __init__(self, settings: Settings, registry: Registry) -> None:
        self._settings = settings
        self._registry = registry
        # One of them, since only one transaction at a time changes the registry: more would wait
        # for each other in it, and the last ones longer than it lets them.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="operators")

    def close(self) -> None:
        """End the thread, once what it does is done."""
        self._thread.shutdown(cancel_futures=True)

    def include(self, client: Client) -> bool:
        """Tell whether a client is one."""
        return TOKENS_WRITE in self._scopes_of(client)

    async def revoke(self, client: Client, token: OwnToken) -> None:
        """Revoke a token, in one transaction with its entry in the audit trail.

        Args:
            client: on whose behalf; one that `include` tells.
            token: of any client.

        Raises:
            UnauthorizedClient: the token is for the administration, and its client holds there what
                this one does not.
            StoreUnavailable: nothing was done.
        """
        await asyncio.get_running_loop().run_in_executor(
            self._thread, self._revoke, client, token, request_id()
        )

    def _revoke(self, client: Client, token: OwnToken, asked: str | None) -> None:
        # What few requests need must not delay the first token.
        from issuer.administration.authority import Authority
        from issuer.administration.local import Administration

        administration = Administration(
            self._registry,
            by=Actor(name=client.client_id, via=Via.API, request_id=asked),
            now=wall_clock,
            random_bytes=secrets.token_bytes,
            default_resource=self._settings.default_resource,
            authority=Authority(
                administration=self._settings.administration,
                scopes=self._scopes_of(client),
                needed=frozenset({TOKENS_WRITE}),
                issued_at=wall_clock(),
            ),
        )
        try:
            administration.change_tokens({"action": "revoke", "jti": token.jti})
        except (BeyondAuthority, CallerNotActive):
            raise UnauthorizedClient(Reason.FOREIGN_TOKEN, client_id=client.client_id) from None

    def _scopes_of(self, client: Client) -> frozenset[str]:
        on = self._settings.administration
        return frozenset(
            scope for grant in client.grants if grant.resource == on for scope in grant.scopes
        )
