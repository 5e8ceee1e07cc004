"""The shapes of the administration API's good answers, for OpenAPI.

Nothing is read or written through these models; tests hold the real answers to them.
"""

from typing import Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from issuer.registry.client import ClientRegistration
from issuer.registry.client_description import ClientState
from issuer.registry.permission import ResourcePermission
from issuer.registry.resource import Resource
from issuer.registry.schema import MODEL, Document, TimeText


class Secret(Document):
    """A secret by its times."""

    secret_id: str
    created_at: TimeText
    starts_at: TimeText
    expires_at: TimeText | None
    last_used_at: TimeText | None = Field(description="to the minute; null if never")


class AddedSecret(Secret):
    """A secret that was added."""

    client_secret: str | None = Field(
        None, description="the secret itself, if it was made here; shown this once"
    )


@dataclass(frozen=True, kw_only=True, config=MODEL)
class ListedClient(ClientRegistration):
    """A client as it is registered."""

    scope: str = Field(description="all scopes of its grants")
    resources: list[str] = Field(description="the resources of its grants")
    created_at: TimeText
    updated_at: TimeText
    state: ClientState = Field(description="`secret_expired`: all of its secrets have ended")
    next_end_at: TimeText | None = Field(
        description="when it ends or, if that is earlier, the next of its secrets; null for never"
    )


@dataclass(frozen=True, kw_only=True, config=MODEL)
class Client(ListedClient):
    """A client as it is registered, with its secrets."""

    secrets: list[Secret]


@dataclass(frozen=True, kw_only=True, config=MODEL)
class CreatedClient(ListedClient):
    """A client that was registered."""

    client_secret: str | None = Field(
        default=None, description="its secret, if it was made here; shown this once"
    )
    secret_id: str | None = Field(default=None, description="names that secret")
    client_secret_expires_at: TimeText | None = Field(
        default=None,
        description="when that secret ends: RFC 3339, unlike RFC 7591 §3.2.1; null for never",
    )


@dataclass(frozen=True, kw_only=True, config=MODEL)
class RegisteredResource(Resource):
    """A resource as it is registered."""

    created_at: TimeText
    updated_at: TimeText


class InitialAccessToken(Document):
    """An initial access token by what it allows."""

    token_id: str
    grants: list[ResourcePermission]
    token_ttl: int | None
    uses_left: int | None
    created_at: TimeText
    expires_at: TimeText | None


class CreatedRegistrationToken(InitialAccessToken):
    """An initial access token that was made."""

    token: str | None = Field(None, description="the token itself; shown this once")


class TokenChange(Document):
    """What was changed, or would be."""

    action: str
    tokens: int = Field(description="at most how many live tokens it is about")
    dry_run: bool


class NextStep(Document):
    """What happens to a key next."""

    state: str = Field(description="the state that it reaches, or `deleted`, which is a command's")
    at: TimeText | None = Field(description="null if it takes a command")


class SigningKey(Document):
    """A signing key by its state and times."""

    kid: str | None = Field(description="null for one that would be made")
    alg: str
    bits: int | None
    state: Literal["pending", "active", "retiring", "gone", "revoked"]
    published_at: TimeText
    signs_from: TimeText | None = Field(description="null until it is rotated to")
    superseded_at: TimeText | None = Field(description="when its successor signs")
    gone_at: TimeText | None = Field(description="when it is not published any more")
    withdrawn_at: TimeText | None
    encrypted: bool = Field(description="whether a passphrase protects the private key")
    signer: str = Field(description="what keeps the private key: `local`, `pkcs11` or `aws-kms`")
    next: NextStep


class KeyChange(Document):
    """What a change of the signing keys comes to."""

    keys: list[SigningKey] = Field(description="those that it touches, as they are afterwards")
    in_force_at: TimeText = Field(
        description="of a rotation, when the successor signs; of a withdrawal, when the last"
        " validator that follows the status lists refuses the key's tokens"
    )
    dry_run: bool
    recorded: bool = Field(
        description="whether the audit trail has it; it is in the log alone if the registry failed"
        " just then"
    )


class Finding(Document):
    """Something that is not as it should be."""

    check: str
    found: str
    remedy: str


class DatabaseHealth(Document):
    """How the registry's database fares."""

    engine: Literal["sqlite", "postgresql"]
    answers: bool
    schema_: str | None = Field(alias="schema", description="the revision that it has")
    expected_schema: str = Field(description="that of this version")
    clock_ahead: int | None = Field(
        description="seconds that this machine's clock is ahead of the database's"
    )
    change_lag: float | None = Field(description="seconds since changes were last looked for")


class KeysHealth(Document):
    """How the signing keys fare."""

    alg: str = Field(description="the configured algorithm")
    signing_queue: int = Field(description="signatures that wait to be made")
    published: int = Field(description="keys in the published set")
    next_step_at: TimeText | None = Field(description="when a key next changes its state")


class Outcomes(Document):
    """How many token requests had one outcome."""

    outcome: str = Field(description="`issued`, or the reason of the refusal")
    requests: int


class LimitHealth(Document):
    """A limit of clients."""

    limit: Literal["failed_auth", "token_quota"]
    per_minute: int | None = Field(description="null if there is none")
    refuses: bool = Field(description="whether what is beyond is refused, or only logged")
    requests_beyond: int = Field(description="of all workers since the start")


class LimitedClient(Document):
    """Whose requests were beyond a limit within the last hour."""

    limit: Literal["failed_auth", "token_quota"]
    client_id: str | None = Field(description="null if no such client is known")
    address: str | None = Field(description="null for a limit of the client alone")
    requests: int
    last_at: TimeText


class Health(Document):
    """How the provider fares; what is not counted over all workers is the one's that answers."""

    at: TimeText
    version: str
    started_at: TimeText
    checks: dict[str, bool] = Field(description="those of `/readyz`")
    findings: list[Finding]
    database: DatabaseHealth
    keys: KeysHealth
    clients_in_memory: int
    secrets_ending_30d: int | None = Field(description="client secrets that end within 30 days")
    token_requests: list[Outcomes] = Field(description="of all workers since the start")
    status_list_age: int | None = Field(
        description="seconds since the database told of revocations"
    )
    withdrawal_seconds: int = Field(
        description="within which the last validator knows of a revocation"
    )
    limits: list[LimitHealth]
    limited: list[LimitedClient] = Field(description="the latest first")


class AuditEntry(Document):
    """One change."""

    number: int
    at: TimeText
    actor: str = Field(description="a client id, or what names the actor where it is no client")
    via: str
    request_id: str | None
    action: str
    target: str = Field(
        description="a client id, resource identifier or token id; the issuer if it is all tokens"
    )
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class Use(Document):
    """A scope that a client may use."""

    client_id: str
    resource: str
    scope: str
    last_used_at: TimeText | None = Field(description="to the minute; null if never")


ANSWERS: dict[str, type[Any]] = {
    each.__name__: each
    for each in (
        Secret,
        AddedSecret,
        ListedClient,
        Client,
        CreatedClient,
        RegisteredResource,
        InitialAccessToken,
        CreatedRegistrationToken,
        TokenChange,
        SigningKey,
        KeyChange,
        Health,
        AuditEntry,
        Use,
    )
}
"""The shapes of good answers, by name."""
