"""Clients that prove themselves by tokens of their platforms, and an issuer that knows them."""

from typing import Any

from issuer.client_auth.assertion import JWT_ASSERTION
from issuer.client_auth.trusted_issuers import KeySource
from issuer.registry.auth_methods import AuthMethod
from issuer.registry.client import Client
from issuer.registry.federated_identity import GITHUB, FederatedIdentity
from issuer.registry.schema import read
from keys.errors import NoKeySet, UnknownKey
from keys.jwk import PublicJwk
from keys.jwks import JwkSet
from tests.support.issuer import Answer, Clients, TestIssuer, make_client
from tests.support.workload_tokens import CLUSTER, TRUST_DOMAIN, bundle
from watchword.testing.forge import TokenForge

CLUSTER_KEY = TokenForge()
GITHUB_KEY = TokenForge(alg="PS256")
SPIFFE_KEY = TokenForge(alg="ES256")
STRANGER = TokenForge(alg="EdDSA")

SERVICE_ACCOUNT = {"issuer": CLUSTER, "subject": "system:serviceaccount:prod:orders"}
REPOSITORY = {
    "issuer": GITHUB,
    "claims": {"repository_id": "1296269", "environment": "production"},
}
WORKLOAD = {
    "issuer": TRUST_DOMAIN,
    "subject": f"{TRUST_DOMAIN}/orders",
    "jwks": bundle(SPIFFE_KEY),
}


class PublishedKeys:
    """The key set of an issuer, which counts how often it would be fetched."""

    def __init__(self, *keys: PublicJwk, away: bool = False, at_hand: bool = True) -> None:
        self.keys = JwkSet(keys=keys)
        self.away = away
        self.at_hand = at_hand
        self.fetches = 0

    def current(self) -> JwkSet | None:
        """Give the set if it was fetched."""
        return self.keys if self.at_hand and not self.away else None

    async def key(self, kid: str, alg: str) -> PublicJwk:
        """Fetch the set."""
        self.fetches += 1
        if self.away:
            raise NoKeySet(1)
        self.at_hand = True
        found = self.keys.select(kid, alg)
        if found is None:
            raise UnknownKey(kid)
        return found

    async def warm(self) -> bool:
        """Say whether there is one."""
        return self.at_hand


def workload(client_id: str = "orders", *rules: dict[str, Any], **changes: Any) -> Client:
    """Make a client of these rules, or of one for each platform."""
    identities = tuple(
        read(FederatedIdentity, each) for each in rules or (SERVICE_ACCOUNT, REPOSITORY, WORKLOAD)
    )
    return make_client(
        client_id,
        token_endpoint_auth_method=AuthMethod.FEDERATED,
        federated_identities=identities,
        secrets=(),
        **changes,
    )


class FederatedIssuer:
    """An issuer in memory that trusts a cluster and GitHub, and knows which sets were opened."""

    def __init__(self, *clients: Client) -> None:
        self.sets = {
            KeySource(CLUSTER, None): PublishedKeys(CLUSTER_KEY.jwk),
            KeySource(GITHUB, None): PublishedKeys(GITHUB_KEY.jwk),
        }
        self.opened: list[KeySource] = []
        self.issuer = TestIssuer(
            clients=Clients(*(clients or (workload(),))), trusted_issuers=self._open
        )

    def _open(self, source: KeySource) -> PublishedKeys:
        self.opened.append(source)
        return self.sets[source]

    async def show(self, token: str, client_id: str | None = "orders", **form: str) -> Answer:
        """Ask for a token with one of another issuer as client authentication."""
        fields = {"client_assertion_type": JWT_ASSERTION, "client_assertion": token, **form}
        if client_id is not None:
            fields["client_id"] = client_id
        return await self.issuer.ask(fields, authenticated=False)

    async def grant(self, token: str, client_id: str | None = "orders", **form: str) -> Answer:
        """Ask for a token with one of another issuer as the grant."""
        fields = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", **form}
        fields |= {"assertion": token} if token else {}
        if client_id is not None:
            fields["client_id"] = client_id
        return await self.issuer.ask(fields, authenticated=False)

    @property
    def told(self) -> dict[str, object]:
        """What the log says of the last request."""
        return self.issuer.events[-1][1]
