"""An issuer for tests, in this process: tokens of any shape in a line, and faults on demand."""

import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from keys.identifiers import check_issuer, metadata_urls
from keys.jwk import PublicJwk
from watchword.testing.clock import Clock, RunningClock
from watchword.testing.endpoints import Answer, Asked, answer, claims_of
from watchword.testing.faults import Fault, FaultScript
from watchword.testing.forge import DROP, TokenForge
from watchword.testing.keys import private_key
from watchword.testing.shapes import Stated, shape_of

if TYPE_CHECKING:
    from resource_api.protection import ProtectionSettings
    from watchword.testing.transport import IssuerTransport

URL = "https://issuer.test"  # RFC 6761 §6.2: nothing outside a test has such a name
AUDIENCE = "https://api.test"
CLIENT_ID = "test-client"
ELSEWHERE = "https://elsewhere.test"
"""The issuer or audience of a token that names the wrong one."""

_NEVER_PUBLISHED = -1
_NOTHING = dict.fromkeys(("scope", "client_id", "jti", "aud"), DROP)  # of what a forge has itself
_MOST_KEYS = 8
_MOST_REVOKED = 10_000
_LONGEST_JTI = 64


class Issuer:
    """Issue tokens, publish keys and status lists, and fail as told.

    There is no socket: `serving` answers what this process sends to the issuer's URL,
    `protection_settings` and `transport` are handed to an API or a client that is made for the
    test, and `watchword.testing.listening` is for what runs in another process.

    The clock stands still unless the test turns it. All issuers of a process sign with the same
    keys, so an API that outlives an issuer takes the tokens of the next one.
    """

    def __init__(
        self,
        url: str = URL,
        *,
        audience: str = AUDIENCE,
        profile: str = "rfc9068",
        alg: str = "RS256",
        lifetime: int = 3600,
        secret: str | None = None,
        claims: Mapping[str, Any] | None = None,
        clock: Clock | RunningClock | None = None,
    ) -> None:
        """Make the first key; later issuers of the process sign with it too.

        Args:
            url: the issuer identifier, `iss` of the tokens.
            audience: `aud` of tokens that are for no other API.
            profile: whose shape its tokens have, by its name in `resource_api.profiles.PROFILES`.
            alg: what tokens are signed with.
            lifetime: seconds from `iat` to `exp`.
            secret: of all clients; None takes any client with any secret, or with none.
            claims: what all tokens have besides.
            clock: seconds since the epoch; by default one that stands at the present.

        Raises:
            ValueError: the URL cannot be an issuer's, or no profile has that name.
            UnknownAlgorithm: the algorithm is none of ours.
        """
        self.url = check_issuer(url, allow_insecure_http=True)
        self.audience = audience
        self.profile = profile
        shape_of(profile)
        self.alg = alg
        self.lifetime = lifetime
        self.secret = secret
        self.claims = dict(claims or {})
        self.clock = clock or Clock(int(time.time()))  # noqa: TID251 - where the clock enters
        self.requests: Counter[str] = Counter()
        """How often each of `watchword.testing.faults.ENDPOINTS` was asked."""
        self._made_keys = 1
        self._keys = [self._forge(0)]  # that are published; the last one signs
        self._faults = FaultScript()
        self._revoked: set[str] = set()
        self._lock = threading.Lock()

    def token(
        self,
        *,
        scope: str | Iterable[str] = (),
        audience: str | list[str] | None = None,
        client_id: str = CLIENT_ID,
        subject: str | None = None,
        lifetime: int | None = None,
        claims: Mapping[str, Any] | None = None,
        header: Mapping[str, Any] | None = None,
        profile: str | None = None,
        expired: bool = False,
        not_yet_valid: bool = False,
        wrong_issuer: bool = False,
        wrong_audience: bool = False,
        wrong_key: bool = False,
        revoked: bool = False,
    ) -> str:
        """Make a token, good but for what is asked for.

        Args:
            scope: names divided by spaces, or one by one.
            audience: the API that it is for; None for this issuer's.
            client_id, subject: the client that it was issued to; `sub`, None for that client.
            lifetime: seconds from `iat` to `exp`; None for this issuer's.
            claims, header: further members, or others in place of its own; `DROP` leaves one out.
            profile: whose shape it has, by its name in `PROFILES`; None for this issuer's.
            expired, not_yet_valid: it ended an hour ago; it begins in an hour.
            wrong_issuer, wrong_audience: it names another issuer; another API.
            wrong_key: it names the issuer's key, and another one signed it.
            revoked: the issuer's status list says that it was revoked.

        Raises:
            ValueError: no profile has that name, or its tokens cannot be revoked.
        """
        signing = self.signing  # once: another thread may rotate meanwhile
        now, lasts = int(self.clock()), self.lifetime if lifetime is None else lifetime
        starts = now - lasts - 3_600 if expired else now
        stated = Stated(
            issuer=ELSEWHERE if wrong_issuer else self.url,
            audience=self.audience if audience is None else audience,
            client_id=client_id,
            subject=subject,
            scopes=tuple(scope.split() if isinstance(scope, str) else scope),
            issued_at=starts,
            expires_at=starts + lasts + 3_600 * not_yet_valid,
            jti=uuid.uuid4().hex,
        )
        typ, shaped = shape_of(profile or self.profile)(stated)
        if revoked:
            self._revoke(shaped)
        if not_yet_valid:
            shaped["nbf"] = now + 3_600
        if wrong_audience:
            shaped["aud"] = ELSEWHERE
        forge = self._forge(_NEVER_PUBLISHED) if wrong_key else signing
        return forge.token(
            header={"kid": signing.jwk.kid, "typ": typ, **(header or {})},
            **{**_NOTHING, **shaped, **self.claims, **(claims or {})},
        ).decode()

    def headers(self, **token: Any) -> dict[str, str]:  # noqa: ANN401 - as `token` has them
        """Give the headers of a request with a token; takes what `token` takes."""
        return {"Authorization": f"Bearer {self.token(**token)}"}

    def rotate(self) -> None:
        """Sign with the next key from now on, which is published already; the others stay so."""
        self._sign_with_next(_MOST_KEYS)

    def withdraw_keys(self) -> None:
        """Sign with the next key from now on, and publish none of those before it.

        An API that holds the withdrawn keys refuses their tokens once it has asked again.
        """
        self._sign_with_next(1)

    def revoke(self, token: str) -> None:
        """Have the token's status list say that it was revoked.

        An API that has looked at the list before looks again after the list's `ttl`.

        Raises:
            ValueError: it is no token, or names no status list.
        """
        self._revoke(claims_of(token))

    def is_revoked(self, jti: str) -> bool:
        """Say whether a token was revoked."""
        return jti in self._revoked

    def fail(self, endpoint: str = "token", **fault: Any) -> None:  # noqa: ANN401 - see Fault
        """Have an endpoint do something wrong, by default once: see `Fault`.

        Raises:
            ValueError: no endpoint has that name, or a value that cannot be.
        """
        with self._lock:
            self._faults.add(Fault(endpoint=endpoint, **fault))

    def heal(self) -> None:
        """Do nothing wrong from now on."""
        with self._lock:
            self._faults.clear()

    @property
    def published_keys(self) -> list[PublicJwk]:
        """The keys in the issuer's key set, the one that will sign next among them."""
        return [forge.jwk for forge in (*self._keys, self._forge(self._made_keys))]

    @property
    def signing(self) -> TokenForge:
        """The key that signs, which also makes what `token` cannot."""
        return self._keys[-1]

    def answer(self, asked: Asked) -> Answer:
        """Answer a request to this issuer, whichever way it came."""
        with self._lock:
            return answer(self, asked, self._faults)

    def answers(self, url: str) -> bool:
        """Say whether a URL is the issuer's: below it, or one of its metadata."""
        if url.partition("?")[0] in metadata_urls(self.url):
            return True
        asked, own = urlsplit(url), urlsplit(self.url)
        same_server = (asked.scheme, asked.netloc) == (own.scheme, own.netloc)
        return same_server and f"{asked.path}/".startswith(own.path.rstrip("/") + "/")

    @contextmanager
    def serving(self) -> Iterator[Self]:
        """Answer here what httpx and httpx2 clients of this process send to the issuer's URL."""
        from watchword.testing.transport import taking_over

        with taking_over(self):
            yield self

    @property
    def transport(self) -> "IssuerTransport":
        """A transport for an `httpx` client, such as that of `ClientCredentials`."""
        from watchword.testing.transport import IssuerTransport

        return IssuerTransport(self)

    def protection_settings(self) -> "ProtectionSettings":
        """Give the keywords of an API that trusts this issuer alone and goes by its clock.

        They are those of `Protection`, and of all that makes one: `BearerMiddleware(app,
        **issuer.protection_settings())`.
        """
        from watchword.testing.transport import protection_settings

        return protection_settings(self)

    def _sign_with_next(self, published: int) -> None:
        with self._lock:
            self._keys = [*self._keys, self._forge(self._made_keys)][-published:]
            self._made_keys += 1

    def _forge(self, n: int) -> TokenForge:
        return TokenForge(private_key(self.alg, n), alg=self.alg)

    def _revoke(self, claims: Mapping[str, Any]) -> None:
        jti = claims.get("jti")
        if "status" not in claims or not isinstance(jti, str) or len(jti) > _LONGEST_JTI:
            raise ValueError("the token has no status or no jti, so it cannot be revoked")
        if len(self._revoked) >= _MOST_REVOKED:
            raise ValueError(f"{_MOST_REVOKED} tokens were revoked already")
        self._revoked.add(jti)
