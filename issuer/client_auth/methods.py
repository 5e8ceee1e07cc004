"""Client authentication methods: the table of them, and the order in which a client is verified.

The in-memory view may accept a client; only a fresh read of the store may refuse one. So a good
credential of a known client costs no look-up, and one that was registered a moment ago by another
process works at once. Every refusal, whatever its cause, costs the same work and has the same
answer, so that neither tells which client ids exist (RFC 6749 §2.3.1, RFC 9700 §4.5).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from issuer.client_auth.secret import SecretVerifier
from issuer.client_request import Evidence
from issuer.errors import InvalidClient, Reason, TemporarilyUnavailable
from issuer.limits import Limits
from issuer.registry.auth_methods import AuthMethod
from issuer.registry.client import Client
from issuer.registry.errors import StoreUnavailable
from issuer.replay import Once


class KnownClients(Protocol):
    """What the process remembers of the registry, and the way to ask the registry itself."""

    @property
    def has_slow_secrets(self) -> bool:
        """Whether any client of the registry has a slow hash."""
        ...

    def get_cached(self, client_id: str) -> Client | None:
        """Return a client from memory; None if it is not there."""
        ...

    async def fetch(self, client_id: str) -> Client | None:
        """Read a client from the store, and remember it; None if there is no such id.

        Raises:
            StoreUnavailable: the store cannot answer.
        """
        ...


Found = TypeVar("Found")
Found_contra = TypeVar("Found_contra", contravariant=True)


class Verifier(Protocol[Found_contra]):
    """Verifies one kind of evidence, which has the id of its client as `client_id`.

    A client of None is an unknown one; verifying takes as long as with a known one.
    """

    def verify_cached(self, client: Client | None, found: Found_contra, now: int) -> str | None:
        """Return the id of the credential that the evidence proves, without waiting; else None."""
        ...

    async def verify(
        self, client: Client | None, found: Found_contra, now: int, *, any_slow: bool
    ) -> str | None:
        """Return the id of the credential that the evidence proves; None if it proves none.

        Args:
            client: as the store has it.
            found: what `Method.find` picked out of the request.
            now: seconds since the epoch.
            any_slow: whether any client of the registry has a slow hash.

        Raises:
            TemporarilyUnavailable: too many verifications are waiting.
        """
        ...

    def is_guessable(self, client: Client, credential_id: str) -> bool:
        """Tell whether a credential of a client could be found by trying many."""
        ...

    def explain(self, client: Client | None, found: Found_contra, now: int) -> Reason:
        """Return why the evidence proves nothing, for the log alone."""
        ...


@dataclass(frozen=True, slots=True)
class Method(Generic[Found]):
    """One way for a client to authenticate: a row of `METHODS`.

    Args:
        find: picks what the method needs out of the evidence; None if the request lacks it.
        verifier: verifies that.
    """

    find: Callable[[Evidence], Found | None]
    verifier: type[Verifier[Found]]


METHODS: Mapping[AuthMethod, Method[Any]] = {
    # In this order in the metadata: many clients take the first method that they know. A client
    # registered for either of these two may use both (RFC 6749 §2.3.1 leaves the choice to it).
    AuthMethod.CLIENT_SECRET_BASIC: Method(lambda evidence: evidence.basic, SecretVerifier),
    AuthMethod.CLIENT_SECRET_POST: Method(lambda evidence: evidence.secret_post, SecretVerifier),
}
"""The methods that the token endpoint supports, by registered name; any other is refused."""


class AuthenticatedClient(NamedTuple):
    """A client that has proven its identity.

    Args:
        client: the client.
        credential_id: of what it proved that with.
        method: how it did so.
        once: what counts once of the proof; whoever takes it claims that last.
    """

    client: Client
    credential_id: str
    method: AuthMethod
    once: tuple[Once, ...] = ()


def find_method(evidence: Evidence) -> AuthMethod | None:
    """Return how a request authenticates its client; None if it shows nothing for any method."""
    # RFC 6749 §2.3 allows one method a request, and parsing has refused a second one.
    for method, row in METHODS.items():
        if row.find(evidence) is not None:
            return method
    return None


class ClientAuthenticator:
    """Decides which client a token request comes from.

    Args:
        clients: the registry as this process knows it.
        verifiers: one of each class that `METHODS` names.
        limits: of failed authentications.
    """

    def __init__(self, clients: KnownClients, *verifiers: Verifier[Any], limits: Limits) -> None:
        self.clients = clients
        self._limits = limits
        by_class = {type(verifier): verifier for verifier in verifiers}
        self._verifiers = {name: by_class[row.verifier] for name, row in METHODS.items()}

    async def authenticate(self, evidence: Evidence, *, now: int) -> AuthenticatedClient:
        """Return the client that proved its identity.

        Args:
            evidence: what the request shows; at most one row of `METHODS` finds what it needs.
            now: seconds since the epoch.

        Raises:
            InvalidClient: there is no evidence for any method, the client is unknown, disabled or
                expired, or the evidence is wrong; the same answer for each.
            TooManyRequests: too many authentications of this id from this address have failed.
            TemporarilyUnavailable: the store would have to be asked and cannot answer.
        """
        method = find_method(evidence)
        if method is None:
            missing = evidence.assertion is None
            raise InvalidClient(Reason.NO_CREDENTIALS if missing else Reason.UNSUPPORTED_METHOD)
        verifier = self._verifiers[method]
        found: Any = METHODS[method].find(evidence)
        client = self.clients.get_cached(found.client_id)
        # Also for a client that the view does not have: the same work, so the same time.
        credential_id = verifier.verify_cached(client, found, now)
        proof = None
        if client is not None and credential_id is not None and client.is_active(now):
            proof = AuthenticatedClient(client, credential_id, method)
            # Whatever the limit says: guesses from the client's own address do not lock it out.
            if not verifier.is_guessable(client, credential_id):
                return proof
        claimed, address = found.client_id, evidence.peer_address
        known = None if client is None else client.client_id
        self._limits.check_failures(claimed, address, now, client_id=known)
        if proof is not None:
            return proof
        try:
            proof = await self._ask_store(method, found, now)
        except InvalidClient:
            # Again: of many that came at once, those beyond the limit learn nothing either.
            self._limits.check_failures(claimed, address, now, client_id=known, looked_up=True)
            self._limits.note_failure(claimed, address, now)
            raise
        if verifier.is_guessable(proof.client, proof.credential_id):
            self._limits.check_failures(claimed, address, now, client_id=known, looked_up=True)
        return proof

    async def _ask_store(
        self,
        method: AuthMethod,
        found: Any,  # noqa: ANN401 - what the verifier takes
        now: int,
    ) -> AuthenticatedClient:
        """Authenticate by the store, which decides.

        A secret that was added a second ago is accepted, one that was revoked a second ago refused.

        Raises:
            InvalidClient, TemporarilyUnavailable: as from `authenticate`.
        """
        try:
            client = await self.clients.fetch(found.client_id)
        except StoreUnavailable:
            # Neither accepted nor refused: RFC 6749 §5.2 has no code for that, and 503 makes the
            # client try again.
            raise TemporarilyUnavailable(Reason.STORE_UNAVAILABLE) from None
        verifier, any_slow = self._verifiers[method], self.clients.has_slow_secrets
        credential_id = await verifier.verify(client, found, now, any_slow=any_slow)
        if client is None or credential_id is None:
            reason = verifier.explain(client, found, now)
        elif client.is_active(now):
            return AuthenticatedClient(client, credential_id, method)
        else:
            # Only after the proof: to anyone else, an ended client looks like a wrong secret.
            expired = client.is_expired(now)
            reason = Reason.CLIENT_EXPIRED if expired else Reason.CLIENT_DISABLED
        raise InvalidClient(reason, client_id=None if client is None else client.client_id)

    def still_counts(self, proof: AuthenticatedClient, now: int) -> bool:
        """Tell whether the evidence of an earlier request would prove the same at `now`.

        It does while the view has the very same client, since each change makes another one of it,
        and the secret that was shown has not ended. Otherwise `authenticate` has to be asked, as
        for a secret that could be guessed: it counts failures.
        """
        client = proof.client
        return (
            self.clients.get_cached(client.client_id) is client
            and client.is_active(now)
            and any(
                secret.secret_id == proof.credential_id and secret.is_live(now)
                for secret in client.fast_secrets
            )
        )
