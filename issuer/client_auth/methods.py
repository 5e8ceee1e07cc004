"""Client authentication methods: the table of them, and the order in which a client is verified.

The in-memory view may accept a client; only a fresh read of the store may refuse one. So a good
credential of a known client costs no look-up, and one that was registered a moment ago by another
process works at once. Every refusal, whatever its cause, costs the same work and has the same
answer, so that neither tells which client ids exist (RFC 6749 §2.3.1, RFC 9700 §4.5).
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from issuer.client_auth.assertion import JWT_ASSERTION, ClaimedAssertion
from issuer.client_auth.certificate import (
    AuthorityVerifier,
    SelfSignedVerifier,
    find_certificate,
)
from issuer.client_auth.federated import FederatedVerifier
from issuer.client_auth.private_key import PrivateKeyVerifier
from issuer.client_auth.secret import SecretVerifier
from issuer.client_auth.secret_jwt import SecretJwtVerifier
from issuer.client_request import Evidence
from issuer.errors import InvalidClient, Reason, TemporarilyUnavailable
from issuer.limits import Limits
from issuer.profile import OPEN, SecurityProfile
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

    A client of None is an unknown one, or one of another method; verifying takes as long as with a
    known one.
    """

    def verify_cached(self, client: Client | None, found: Found_contra, now: int) -> str | None:
        """Return the id of the credential that the evidence proves, without waiting; else None."""
        ...

    async def verify(self, client: Client | None, found: Found_contra, now: int) -> str | None:
        """Return the id of the credential that the evidence proves; None if it proves none.

        Args:
            client: as the store has it.
            found: what `Method.find` picked out of the request.
            now: seconds since the epoch.

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

    def once(self, found: Found_contra) -> tuple[Once, ...]:
        """Return what of evidence that was verified counts once, to be claimed last of all."""
        ...


@dataclass(frozen=True, slots=True)
class Method(Generic[Found]):
    """One way for a client to authenticate: a row of `METHODS`.

    Args:
        find: picks what the method needs out of the evidence, by what that claims; None if the
            request lacks it.
        verifier: verifies that.
    """

    find: Callable[[Evidence], Found | None]
    verifier: type[Verifier[Found]]


def _find_private_key(evidence: Evidence) -> ClaimedAssertion | None:
    claimed = evidence.assertion
    # RFC 8725 §3.1: a claimed algorithm chooses no kind of key. It only tells which method the
    # sender means, and the client has to be registered for that one.
    if claimed is None or claimed.type != JWT_ASSERTION or claimed.is_symmetric:
        return None
    return claimed if claimed.is_own else None


def _find_secret_jwt(evidence: Evidence) -> ClaimedAssertion | None:
    claimed = evidence.assertion
    if claimed is None or claimed.type != JWT_ASSERTION or not claimed.is_symmetric:
        return None
    return claimed if claimed.is_own else None


def _find_federated(evidence: Evidence) -> ClaimedAssertion | None:
    claimed = evidence.assertion
    # What a client made for itself is none, nor what is authenticated by a secret.
    if claimed is None or claimed.is_symmetric or claimed.is_own:
        return None
    return claimed


METHODS: Mapping[AuthMethod, Method[Any]] = {
    # In this order in the metadata: many clients take the first method that they know. A client
    # registered for either of these two may use both (RFC 6749 §2.3.1 leaves the choice to it).
    AuthMethod.CLIENT_SECRET_BASIC: Method(lambda evidence: evidence.basic, SecretVerifier),
    AuthMethod.CLIENT_SECRET_POST: Method(lambda evidence: evidence.secret_post, SecretVerifier),
    AuthMethod.PRIVATE_KEY_JWT: Method(_find_private_key, PrivateKeyVerifier),
    AuthMethod.CLIENT_SECRET_JWT: Method(_find_secret_jwt, SecretJwtVerifier),
    AuthMethod.TLS_CLIENT_AUTH: Method(find_certificate, AuthorityVerifier),
    AuthMethod.SELF_SIGNED_TLS_CLIENT_AUTH: Method(find_certificate, SelfSignedVerifier),
    AuthMethod.FEDERATED: Method(_find_federated, FederatedVerifier),
}
"""The methods that a client may authenticate by, by registered name; any other is refused."""


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
    """Return how a request authenticates its client; None if it shows nothing for any method.

    Of methods that need the same, it is the first.
    """
    for method, row in METHODS.items():
        if row.find(evidence) is not None:
            return method
    return None


class _Shown(NamedTuple):
    """Evidence for one method, and who verifies it."""

    method: AuthMethod
    found: Any  # what the verifier takes
    verifier: Verifier[Any]

    def is_for(self, client: Client) -> bool:
        """Tell whether the client is registered for this method."""
        registered = client.registration.token_endpoint_auth_method
        return registered is self.method or (registered.sends_secret and self.method.sends_secret)


class ClientAuthenticator:
    """Decides which client a token request comes from.

    Args:
        clients: the registry as this process knows it.
        verifiers: of the classes that `METHODS` names; a method without one is switched off.
        limits: of failed authentications.
        profile: which further methods are switched off.
    """

    def __init__(
        self,
        clients: KnownClients,
        *verifiers: Verifier[Any],
        limits: Limits,
        profile: SecurityProfile = OPEN,
    ) -> None:
        self.clients = clients
        self._limits = limits
        by_class = {type(verifier): verifier for verifier in verifiers}
        self._verifiers = {
            name: by_class[row.verifier]
            for name, row in METHODS.items()
            if row.verifier in by_class and name in profile.methods
        }

    @property
    def methods(self) -> tuple[AuthMethod, ...]:
        """The methods that are switched on, as the metadata lists them."""
        return tuple(self._verifiers)

    async def authenticate(self, evidence: Evidence, *, now: int) -> AuthenticatedClient:
        """Return the client that proved its identity.

        Args:
            evidence: what the request shows.
            now: seconds since the epoch.

        Raises:
            InvalidClient: there is no evidence for any method, the client is unknown, disabled,
                expired or registered for another method, or the evidence is wrong; the same answer
                for each.
            TooManyRequests: too many authentications of this id from this address have failed.
            TemporarilyUnavailable: the store would have to be asked and cannot answer.
        """
        shown, address = self._find(evidence), evidence.peer_address
        if not shown:
            raise await self._without_method(evidence, now)
        claimed = shown[0].found.client_id
        client = self.clients.get_cached(claimed)
        proof = self._verify_cached(client, shown, now)
        # Whatever the limit says: guesses from the client's own address do not lock it out.
        if proof is not None and not self._is_guessable(proof):
            return proof
        known = None if client is None else client.client_id
        self._limits.check_failures(claimed, address, now, client_id=known)
        if proof is not None:
            return proof
        try:
            proof = await self._ask_store(shown, now)
        except InvalidClient:
            # Again: of many that came at once, those beyond the limit learn nothing either.
            self._limits.check_failures(claimed, address, now, client_id=known, looked_up=True)
            self._limits.note_failure(claimed, address, now)
            raise
        except TemporarilyUnavailable as refusal:
            # It cost a look-up, and a forged token may fit a rule as well as a true one.
            if refusal.reason is Reason.TRUSTED_ISSUER_UNAVAILABLE:
                self._limits.note_failure(claimed, address, now)
            raise
        if self._is_guessable(proof):
            self._limits.check_failures(claimed, address, now, client_id=known, looked_up=True)
        return proof

    def _find(self, evidence: Evidence) -> list[_Shown]:
        """Return the evidence for each method that the request has some for, all of one client."""
        return [
            _Shown(method, found, verifier)
            for method, verifier in self._verifiers.items()
            if (found := METHODS[method].find(evidence)) is not None
        ]

    async def _without_method(self, evidence: Evidence, now: int) -> InvalidClient:
        """Return the refusal of a request that shows nothing for any method that is switched on.

        It names a client that there is, so that an operator finds who has to change.
        """
        some = evidence.assertion or evidence.basic or evidence.secret_post
        if some is None:
            return InvalidClient(Reason.NO_CREDENTIALS)
        # Looking it up costs what any failure costs, and is limited likewise.
        claimed, address = some.client_id, evidence.peer_address
        client = self.clients.get_cached(claimed)
        known = None if client is None else client.client_id
        self._limits.check_failures(claimed, address, now, client_id=known)
        self._limits.note_failure(claimed, address, now)
        with suppress(StoreUnavailable):
            client = await self.clients.fetch(claimed)
        known = None if client is None else client.client_id
        return InvalidClient(Reason.UNSUPPORTED_METHOD, client_id=known)

    def _verify_cached(
        self, client: Client | None, shown: list[_Shown], now: int
    ) -> AuthenticatedClient | None:
        """Authenticate by the view, which may accept a client but refuse none."""
        candidate, of_method = _choose(shown, client)
        # Also for a client that the view does not have: the same work, so the same time.
        credential_id = candidate.verifier.verify_cached(of_method, candidate.found, now)
        if of_method is None or credential_id is None or not of_method.is_active(now):
            return None
        return _proof(of_method, credential_id, candidate)

    async def _ask_store(self, shown: list[_Shown], now: int) -> AuthenticatedClient:
        """Authenticate by the store, which decides.

        A secret that was added a second ago is accepted, one that was revoked a second ago refused.

        Raises:
            InvalidClient, TemporarilyUnavailable: as from `authenticate`.
        """
        try:
            client = await self.clients.fetch(shown[0].found.client_id)
        except StoreUnavailable:
            # Neither accepted nor refused: RFC 6749 §5.2 has no code for that, and 503 makes the
            # client try again.
            raise TemporarilyUnavailable(Reason.STORE_UNAVAILABLE) from None
        candidate, of_method = _choose(shown, client)
        found, verifier = candidate.found, candidate.verifier
        credential_id = await verifier.verify(of_method, found, now)
        if of_method is None or credential_id is None:
            reason = verifier.explain(of_method, found, now)
            if client is not None and of_method is None:
                reason = Reason.WRONG_METHOD
        elif of_method.is_active(now):
            return _proof(of_method, credential_id, candidate)
        else:
            # Only after the proof: to anyone else, an ended client looks like a wrong secret.
            expired = of_method.is_expired(now)
            reason = Reason.CLIENT_EXPIRED if expired else Reason.CLIENT_DISABLED
        raise InvalidClient(reason, client_id=None if client is None else client.client_id)

    def _is_guessable(self, proof: AuthenticatedClient) -> bool:
        return self._verifiers[proof.method].is_guessable(proof.client, proof.credential_id)

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


def _choose(shown: list[_Shown], client: Client | None) -> tuple[_Shown, Client | None]:
    """Return the evidence for the method that a client is registered for, and the client.

    RFC 7591 §2: a client has one method. Where the request shows nothing for it, the client counts
    as none, so that the first evidence is verified in vain.
    """
    if client is not None:
        for candidate in shown:
            if candidate.is_for(client):
                return candidate, client
    return shown[0], None


def _proof(client: Client, credential_id: str, shown: _Shown) -> AuthenticatedClient:
    once = shown.verifier.once(shown.found)
    return AuthenticatedClient(client, credential_id, shown.method, once)
