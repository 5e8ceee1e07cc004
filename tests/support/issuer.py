"""An issuer in memory: real pipeline, real key, clients in a dictionary, a hand-turned clock."""

import base64
import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import quote_plus, urlencode

import jwt
from cryptography.x509 import Certificate

from issuer.access_token import ClaimHook
from issuer.binding import NonceSource
from issuer.client_auth.certificate import AuthorityVerifier, SelfSignedVerifier
from issuer.client_auth.client_keys import ClientKeys, PublishedSet
from issuer.client_auth.federated import FederatedVerifier
from issuer.client_auth.methods import ClientAuthenticator, Verifier
from issuer.client_auth.private_key import PrivateKeyVerifier
from issuer.client_auth.trusted_issuers import KeySource, TrustedIssuers
from issuer.config import IssuerConfig
from issuer.endpoints.introspection import IntrospectionEndpoint
from issuer.endpoints.revocation import RevocationEndpoint
from issuer.endpoints.sent_token import TokenReader
from issuer.endpoints.token import TokenEndpoint
from issuer.errors import Reason
from issuer.limits import Limits
from issuer.own_tokens import OwnToken, OwnTokens
from issuer.profile import OPEN, SecurityProfile
from issuer.registry.client import Client, ClientRegistration
from issuer.registry.credentials import ClientSecret, SecretHash, hash_secret
from issuer.registry.errors import StoreUnavailable
from issuer.registry.permission import ResourcePermission
from issuer.registry.resource import TokenPolicy
from issuer.registry.usage import UsageLog
from issuer.replay import Replays
from issuer.reuse import ReusedTokens
from issuer.service import TokenService
from issuer.status.indexes import StatusIndexes
from issuer.status.lists import StatusLists
from issuer.status.positions import Position, Status, new_jti
from keys.client_cert import Chain, write_tls_extension
from keys.errors import NoSigningKey
from keys.jwk import PublicJwk
from keys.signers.batch import BatchingSigner
from keys.signers.local import LocalSigner, Signer
from tests.support.hot_store import NoPlaces, StatusStore
from tests.support.keys import public_rsa_jwk, rsa_key
from tests.support.secret_verifier import SlowHere, verifier_of

NOW = 1_800_000_000
ISSUER = "https://auth.example"
API = "https://api.example"
OTHER_API = "https://other.example"
SECRET = "wws_" + "s3cret-" * 6
FORM = "application/x-www-form-urlencoded"
_REASONS = frozenset(Reason)


def make_secret(
    secret: str = SECRET,
    *,
    secret_id: str = "s1",
    starts_at: int = 0,
    expires_at: int | None = None,
) -> ClientSecret:
    """Hash a secret as the registry would hold it."""
    return ClientSecret(
        secret_id=secret_id,
        hash=_hashed(secret, secret_id),
        created_at=0,
        starts_at=starts_at,
        expires_at=expires_at,
    )


@cache
def _hashed(secret: str, secret_id: str) -> SecretHash:
    """Hash a secret once a session: the slow hash costs 50 ms."""
    return hash_secret(secret, secrets.token_bytes)


_REGISTERED = {"policies", "secrets", "created_at", "updated_at", "revision"}


def make_client(client_id: str = "svc-a", **changes: Any) -> Client:
    """Make a client that may read and write on the API, changed as named."""
    decided: dict[str, Any] = {
        "client_id": client_id,
        "grants": (ResourcePermission(resource=API, scopes=("read", "write")),),
    }
    decided |= {name: value for name, value in changes.items() if name not in _REGISTERED}
    registered: dict[str, Any] = {
        "policies": {grant.resource: TokenPolicy() for grant in decided["grants"]},
        "secrets": (make_secret(),),
        "created_at": 0,
        "updated_at": 0,
        "revision": 1,
    }
    registered |= {name: value for name, value in changes.items() if name in _REGISTERED}
    return Client(registration=ClientRegistration(**decided), **registered)


class Clients:
    """The registry as a dictionary: what is known, what is stored, how often it was asked."""

    def __init__(self, *clients: Client) -> None:
        self.known = {client.client_id: client for client in clients}
        self.stored = dict(self.known)
        self.fetches = 0
        self.has_slow_secrets = any(
            secret.hash.slow for client in clients for secret in client.secrets
        )
        self.store_is_down = False

    def get_cached(self, client_id: str) -> Client | None:
        """Look in memory."""
        return self.known.get(client_id)

    async def fetch(self, client_id: str) -> Client | None:
        """Ask the store."""
        self.fetches += 1
        if self.store_is_down:
            raise StoreUnavailable("down")
        return self.stored.get(client_id)


class OneKey:
    """A ring of one key, which can be taken away, and what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, str | None]] = []
        self.key: Signer | None = BatchingSigner(
            LocalSigner(public_rsa_jwk().kid, "RS256", rsa_key())
        )

    def signer(self, now: int, alg: str | None = None) -> Signer:
        """Give the signer."""
        self.asked.append((now, alg))
        if self.key is None:
            raise NoSigningKey("none")
        return self.key

    def public_key(self, kid: str, now: int) -> PublicJwk | None:
        """Give the public key."""
        published = public_rsa_jwk()
        return published if self.key is not None and kid == published.kid else None


@dataclass(slots=True)
class Answer:
    """What came back over ASGI."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes

    def header(self, name: str) -> str | None:
        """Return the one value of a header, None if absent."""
        values = [value.decode() for key, value in self.headers if key == name.encode()]
        assert len(values) <= 1, f"{name} is repeated"
        return values[0] if values else None

    @property
    def json(self) -> Any:
        """Parse the body."""
        return json.loads(self.body)

    @property
    def claims(self) -> dict[str, Any]:
        """Verify the token with PyJWT and return its claims."""
        token: str = self.json["access_token"]
        options = {"verify_exp": False, "verify_iat": False, "verify_aud": False}
        return jwt.decode(token, rsa_key().public_key(), algorithms=["RS256"], options=options)

    @property
    def token_header(self) -> dict[str, Any]:
        """Return the token's header."""
        return jwt.get_unverified_header(self.json["access_token"])


def basic(client_id: str, secret: str, *, encode: bool = True) -> bytes:
    """Build an `Authorization` value (RFC 6749 §2.3.1)."""
    pair = [quote_plus(part) if encode else part for part in (client_id, secret)]
    return b"Basic " + base64.b64encode(":".join(pair).encode())


def no_published_sets(source: object) -> PublishedSet:
    """Have nobody publish keys."""
    raise NotImplementedError


@dataclass(slots=True)
class TestIssuer:
    """The token endpoint with everything behind it, asked without a network."""

    __test__ = False

    clients: Clients = field(default_factory=lambda: Clients(make_client()))
    config: IssuerConfig = field(default_factory=lambda: IssuerConfig(issuer=ISSUER))
    keys: OneKey = field(default_factory=OneKey)
    slow: SlowHere = field(default_factory=SlowHere)
    usage: UsageLog = field(default_factory=UsageLog)
    now: int = NOW
    events: list[tuple[str, dict[str, object]]] = field(default_factory=list)
    statuses: StatusLists = field(default_factory=lambda: StatusLists(longest=86_400))
    store: StatusStore = field(default_factory=lambda: StatusStore())
    hooks: Sequence[ClaimHook] = ()
    indexes: StatusIndexes | NoPlaces = field(default_factory=NoPlaces)
    limits: Limits = field(default_factory=Limits)
    published_sets: Callable[[str], PublishedSet] = no_published_sets
    trusted_issuers: Callable[[KeySource], PublishedSet] = no_published_sets
    nonces: NonceSource | None = None
    profile: SecurityProfile = OPEN
    certificates: Sequence[Certificate] = ()
    """Of the authorities that name clients."""
    verifiers: Sequence[Verifier[Any]] = ()
    """Of methods that are off by default."""
    _jti: int = 0
    _endpoint: TokenEndpoint | None = None
    _authenticator: ClientAuthenticator | None = None
    _reused: ReusedTokens | None = None

    def _record(self, event: str, /, **fields: object) -> None:
        if "reason" in fields:
            assert fields["reason"] in _REASONS
        self.events.append((event, fields))

    def _next_jti(self, position: Position | None) -> str:
        self._jti += 1
        return f"jti-{self._jti}" if position is None else new_jti(position, bytes)

    @property
    def authenticator(self) -> ClientAuthenticator:
        """The authenticator of all endpoints, made once."""
        if self._authenticator is None:
            keys = ClientKeys(self.published_sets)
            self._authenticator = ClientAuthenticator(
                self.clients,
                verifier_of(self.clients, self.slow),
                PrivateKeyVerifier(self.config.issuer, keys, self.profile),
                AuthorityVerifier(self),
                SelfSignedVerifier(keys, self),
                FederatedVerifier(self.config.issuer, TrustedIssuers(self.trusted_issuers)),
                *self.verifiers,
                limits=self.limits,
                profile=self.profile,
            )
        return self._authenticator

    @property
    def reader(self) -> TokenReader:
        """Reads forms with a token."""
        return TokenReader(self.authenticator, self.usage, Replays(self.store), lambda: self.now)

    @property
    def own_tokens(self) -> OwnTokens:
        """Verifies tokens of this issuer."""
        return OwnTokens(self.config.issuer, self.keys, self.statuses)

    @property
    def introspection(self) -> IntrospectionEndpoint:
        """The introspection endpoint."""
        return IntrospectionEndpoint(
            self.reader, self.own_tokens, self.keys, self.config, events=self._record
        )

    @property
    def reused(self) -> ReusedTokens:
        """The tokens that may be given again, made once."""
        if self._reused is None:
            self._reused = ReusedTokens(self.statuses, memo_key=bytes(32))
        return self._reused

    @property
    def revocation(self) -> RevocationEndpoint:
        """The revocation endpoint; the client "operator" may revoke any token."""

        async def revoke_for_operator(client: Client, token: OwnToken) -> None:
            assert token.position is not None
            await self.store.set_status(token.position, Status.INVALID)

        return RevocationEndpoint(
            self.reader,
            self.own_tokens,
            self.store,
            self.config,
            is_operator=lambda client: client.client_id == "operator",
            revoke_for_operator=revoke_for_operator,
            events=self._record,
        )

    @property
    def endpoint(self) -> TokenEndpoint:
        """The endpoint, made once."""
        if self._endpoint is None:
            self._endpoint = TokenEndpoint(
                TokenService(
                    self.config,
                    self.authenticator,
                    self.keys,
                    self.usage,
                    new_jti=self._next_jti,
                    tokens=self.own_tokens,
                    reused=self.reused,
                    hooks=self.hooks,
                    indexes=self.indexes,
                    limits=self.limits,
                    replays=Replays(self.store),
                    nonces=self.nonces,
                    profile=self.profile,
                ),
                url=f"{ISSUER}/token",
                clock=lambda: self.now,
                events=self._record,
            )
        return self._endpoint

    async def send(
        self,
        body: bytes = b"grant_type=client_credentials",
        *,
        headers: list[tuple[bytes, bytes]] | None = None,
        method: str = "POST",
        query: bytes = b"",
    ) -> Answer:
        """Send raw bytes."""
        lines = [(b"content-type", FORM.encode())] if headers is None else headers
        answer = await call(self.endpoint, method, "/token", lines, body, query)
        if answer.status >= 400 and answer.json["error"] == "invalid_request":
            assert answer.json["error_description"], "the code alone does not say what to mend"
        return answer

    async def ask(
        self,
        form: Mapping[str, str] | None = None,
        *,
        auth: bytes | None = None,
        authenticated: bool = True,
        proofs: Sequence[bytes] = (),
        **changes: Any,
    ) -> Answer:
        """Send a well-formed request with form fields added.

        Args:
            form: the fields.
            auth: the `Authorization` value; by default that of the default client.
            authenticated: False for a request without that header.
            proofs: DPoP proofs.
            changes: what `send` takes.
        """
        fields = {"grant_type": "client_credentials", **(form or {})}
        headers = [(b"content-type", FORM.encode())]
        if authenticated:
            headers.append((b"authorization", auth or basic("svc-a", SECRET)))
        headers += [(b"dpop", proof) for proof in proofs]
        return await self.send(urlencode(fields).encode(), headers=headers, **changes)


async def call(
    app: Any,
    method: str,
    path: str,
    headers: list[tuple[bytes, bytes]] | None = None,
    body: bytes = b"",
    query: bytes = b"",
    chain: Chain = (),
) -> Answer:
    """Call any ASGI application once, over a connection with these certificates."""
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query,
        "headers": headers or [],
        "extensions": {"tls": write_tls_extension(chain)} if chain else {},
    }
    sent: list[dict[str, Any]] = []
    chunks = [body[start : start + 30_000] for start in range(0, len(body), 30_000)] or [b""]

    async def receive() -> dict[str, Any]:
        chunk = chunks.pop(0)
        return {"type": "http.request", "body": chunk, "more_body": bool(chunks)}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    payload = b"".join(message.get("body", b"") for message in sent[1:])
    return Answer(sent[0]["status"], list(sent[0]["headers"]), payload)
