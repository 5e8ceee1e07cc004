"""Where a client gets its tokens, and how it asks: discovery, authentication, proofs.

Steps for a shell to carry out, without any I/O. RFC 6749 §4.4, RFC 8414 §3, RFC 9449 §5 and §8.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass, field

from consumer.client_auth import REDACTED, ClientAuth
from consumer.dpop import USE_NONCE, DpopKey, Proofs
from consumer.errors import ConsumerError, TokenRequestRefused
from consumer.federated_token import FederatedToken
from consumer.fetch import FetchAnswer, parse_json_object
from consumer.metadata import build_metadata_requests, parse_metadata
from consumer.steps import Fetch, Step
from consumer.token_cache import Token
from consumer.token_request import build_token_request, parse_token_response
from consumer.token_scheme import BEARER, DPOP, TokenScheme
from keys.identifiers import InsecureHttp, is_absent


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPlan:
    """Whose tokens to get, and which; settled when the consumer starts."""

    issuer: str
    auth: ClientAuth | FederatedToken
    scope: str | None = None
    resource: str | None = None
    authorization_details: str | None = None
    token_endpoint: str | None = None
    dpop: DpopKey | None = None
    """What tokens are bound to (RFC 9449); None for those that whoever has them may use."""
    has_certificate: bool = False
    """Whether connections to the issuer have a certificate of the client (RFC 8705)."""
    allow_insecure_http: InsecureHttp = False
    patience: float = 60.0
    """Seconds after which a token request that still has not ended counts as lost."""
    subject_token: str | None = field(default=None, repr=False)
    """A caller's token, which is exchanged (RFC 8693); None for the client's own token."""

    @property
    def scheme(self) -> TokenScheme:
        """The one kind of token that is taken."""
        return BEARER if self.dpop is None else DPOP

    @property
    def identity(self) -> tuple[str | None, ...]:
        """What tells the token from others of a client with the same secret."""
        client = getattr(self.auth, "client_id", None)
        bound_to = () if self.dpop is None else (self.dpop.thumbprint,)
        return (
            self.issuer,
            client,
            self.scope,
            self.resource,
            self.authorization_details,
            *bound_to,
        )

    def redact(self, text: str) -> str:
        """Take what is secret out of a text that comes from elsewhere."""
        text = self.auth.redact(text)
        if self.subject_token is None:
            return text
        # Without its last part a token is worth nothing.
        for part in (self.subject_token, self.subject_token.rpartition(".")[2]):
            text = text.replace(part, REDACTED) if part else text
        return text


class TokenEndpoint:
    """The token endpoint as one client knows it; its flows share what they learn of it."""

    def __init__(
        self,
        dpop: DpopKey | None,
        *,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
    ) -> None:
        """Begin without knowing where it is.

        Args:
            dpop: what tokens are bound to.
            clock: seconds of a monotonic clock.
            wall_clock: seconds since the epoch, for what a client signs.
        """
        self.proofs = None if dpop is None else Proofs(dpop, wall_clock)
        self._clock = clock
        self._wall_clock = wall_clock
        self._url: str | None = None

    def obtain(self, plan: TokenPlan) -> Generator[Step, None, Token]:
        """Yield the steps of a token request, and return the token.

        Raises:
            ConsumerError: there is none.
        """
        answer = yield from self.ask(plan)
        try:
            return parse_token_response(answer, plan, now=self._clock(), scheme=plan.scheme)
        except TokenRequestRefused:
            raise
        except ConsumerError:
            # No OAuth server answered there: perhaps the endpoint has moved.
            self._url = None
            raise

    def ask(self, plan: TokenPlan) -> Generator[Step, None, FetchAnswer]:
        """Yield the steps of a token request, and return what the issuer answered.

        Raises:
            ConsumerError: the issuer cannot be asked, or did not answer.
        """
        url = plan.token_endpoint or self._url or (yield from self._discover(plan))
        answer, has_nonce = yield from self._send(plan, url)
        if has_nonce and _error_of(answer) == USE_NONCE:
            # RFC 9449 §8: once more, with the nonce, and with all else that counts once made anew.
            answer, _ = yield from self._send(plan, url)
        return answer

    def _send(self, plan: TokenPlan, url: str) -> Generator[Step, None, tuple[FetchAnswer, bool]]:
        """Ask once; return the answer, and whether the next proof has another nonce."""
        auth = plan.auth
        if isinstance(auth, FederatedToken):
            auth = yield from auth.read(plan.issuer)
        proofs = self.proofs
        request = build_token_request(
            url,
            auth,
            issuer=plan.issuer,
            now=self._wall_clock(),
            scope=plan.scope,
            resource=plan.resource,
            authorization_details=plan.authorization_details,
            subject_token=plan.subject_token,
            proof=None if proofs is None else proofs.prove(None, "POST", url),
        )
        fetch = Fetch(request)
        yield fetch
        try:
            answer = fetch.result()
        except ConsumerError:
            self._url = None
            raise
        if proofs is None:
            return answer, False
        return answer, proofs.learn(None, answer.headers.get("dpop-nonce"))

    def _discover(self, plan: TokenPlan) -> Generator[Step, None, str]:
        answer = yield from _fetch_metadata(plan.issuer)
        metadata = parse_metadata(
            answer,
            plan.issuer,
            allow_insecure_http=plan.allow_insecure_http,
            has_certificate=plan.has_certificate,
        )
        self._url = metadata.token_endpoint
        return self._url


def _fetch_metadata(issuer: str) -> Generator[Step, None, FetchAnswer]:
    answers: list[FetchAnswer] = []
    for request in build_metadata_requests(issuer):
        fetch = Fetch(request)
        yield fetch
        answers.append(fetch.result())
        if not is_absent(answers[-1].status):
            return answers[-1]
    return answers[0]


def _error_of(answer: FetchAnswer) -> object:
    if answer.status == 200:
        return None
    try:
        return parse_json_object(answer).get("error")
    except ValueError:
        return None
