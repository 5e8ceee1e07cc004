"""What an issuer is configured with: its identifier and its token policy (RFC 8414 §2, RFC 9068).

Values are checked by the constructor, so that no other code has to.
"""

from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import urlsplit

from keys.identifiers import InsecureHttp, check_issuer

MAX_TOKEN_TTL = 86_400
"""Longest life of an access token, in seconds.

The key ring publishes a retired key this long, whatever the settings say later, so that every
unexpired token can be verified.
"""

_SHORTEST_LIST_LIFE = 300


def check_token_ttl(seconds: int) -> int:
    """Return a token lifetime in seconds unchanged if it is from 1 to `MAX_TOKEN_TTL`.

    Raises:
        ValueError: it is outside that range.
    """
    if not 1 <= seconds <= MAX_TOKEN_TTL:
        raise ValueError(f"must be from 1 to {MAX_TOKEN_TTL} seconds")
    return seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerConfig:
    """The issuer's own settings.

    Args:
        issuer: the issuer identifier, compared byte for byte (RFC 8414 §3.3).
        allow_insecure_http: which other machines than this one may be the issuer on plain http.
        token_ttl: life of a token in seconds where neither client nor resource says otherwise.
        max_token_ttl: the longest life of any token in seconds, whatever client or resource say.
        document_max_age: seconds that the JWK set and the metadata may be cached.
        withdrawal_seconds: seconds within which validators learn that a key or token was withdrawn.
        outage_seconds: how long known clients get tokens while the registry is away.
        authorization_endpoint: whether there is one, though it refuses every request.
        token_origins: the origins whose pages may ask for tokens, as browsers write them.
        client_certificates: whether those that clients show in TLS count (RFC 8705).
        mtls_base: what endpoint paths are appended to for clients that show one; None for `base`.

    Raises:
        ValueError: a value is not allowed.
    """

    issuer: str
    allow_insecure_http: InsecureHttp = False
    token_ttl: int = 3600
    max_token_ttl: int = MAX_TOKEN_TTL
    document_max_age: int = 300
    withdrawal_seconds: int = 15
    outage_seconds: int = 3600
    authorization_endpoint: bool = False
    token_origins: Collection[str] = ()
    client_certificates: bool = False
    mtls_base: str | None = None

    def __post_init__(self) -> None:
        check_issuer(self.issuer, allow_insecure_http=self.allow_insecure_http)
        check_token_ttl(self.token_ttl)
        check_token_ttl(self.max_token_ttl)
        if self.document_max_age < 0:
            raise ValueError("document_max_age must not be negative")
        if self.withdrawal_seconds < 1:
            raise ValueError("withdrawal_seconds must be at least 1")
        if self.outage_seconds < 0:
            raise ValueError("outage_seconds must not be negative")

    @property
    def base(self) -> str:
        """The URL that endpoint paths are appended to: the issuer without a final slash."""
        return self.issuer.removesuffix("/")

    @property
    def origin(self) -> str:
        """Scheme, host and port of the issuer, as browsers write them in `Origin`."""
        return self.base.removesuffix(self.path)

    @property
    def path(self) -> str:
        """The path part of the issuer without a final slash; empty for most."""
        return urlsplit(self.base).path

    @property
    def jwks_shared_max_age(self) -> int:
        """Seconds that a shared cache may keep the JWK set.

        With `jwks_revalidation_seconds` it adds up to `withdrawal_seconds`: so old is what a
        validator knows at most, with one such cache on its way to the issuer.
        """
        return min(self.withdrawal_seconds // 2, self.document_max_age)

    @property
    def jwks_revalidation_seconds(self) -> int:
        """Seconds that a validator may go on without asking for the JWK set again."""
        return self.withdrawal_seconds - self.withdrawal_seconds // 2

    @property
    def status_list_ttl(self) -> int:
        """Seconds that a validator may go on without asking for a status list again."""
        return self.jwks_revalidation_seconds

    @property
    def status_list_max_age(self) -> int:
        """Seconds that a cache may keep a status list; with the former, `withdrawal_seconds`."""
        return self.withdrawal_seconds // 2

    @property
    def status_list_life(self) -> int:
        """Seconds that a status list counts at the least, after what it tells was true.

        As long as tokens are issued without the registry, so that an outage of it does not end
        before its time what validators accept; and longer than a validator goes without asking.
        """
        return max(_SHORTEST_LIST_LIFE, self.outage_seconds, 2 * self.withdrawal_seconds)
