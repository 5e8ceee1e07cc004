"""Own the policy of one protected resource: what it accepts, from whom, within which bounds."""

from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from keys.algorithms import ALGORITHMS
from resource_api.scope import check_scope_names

_MAX_LEEWAY = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourcePolicy:
    """Say which tokens one API accepts; an instance that exists is sound.

    One issuer and one resource identifier (audience); another pair is another instance. Times are
    seconds.

    Raises:
        ValueError: a value that would make the checks meaningless.
    """

    issuer: str
    """The issuer identifier, compared byte for byte with `iss` (RFC 9068 §4)."""
    resource: str
    """This API's own identifier, which `aud` must contain (RFC 9068 §4, RFC 9728 §2)."""
    algorithms: frozenset[str] = frozenset({"RS256"})
    leeway: int = 10
    """How far two clocks may differ; at most 60."""
    max_token_bytes: int = 8192
    max_lifetime: int = 86_400
    """The longest `exp - iat` that a sane issuer of ours would grant."""
    realm: str = "api"
    scopes_supported: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        issuer = check_https_uri(self.issuer, "issuer")
        if issuer.query or "?" in self.issuer:
            raise ValueError("issuer must not have a query")  # RFC 8414 §2
        check_https_uri(self.resource, "resource")
        if not self.algorithms or not self.algorithms <= ALGORITHMS.keys():
            raise ValueError("algorithms must be some of " + ", ".join(ALGORITHMS))
        if not 0 <= self.leeway <= _MAX_LEEWAY:
            raise ValueError("leeway must be between 0 and 60 seconds")
        if self.max_token_bytes <= 0 or self.max_lifetime <= 0:
            raise ValueError("bounds must be positive")
        if not self.realm.isascii() or not self.realm.isprintable() or set('"\\') & set(self.realm):
            raise ValueError("realm must be printable ASCII without quotes")
        if self.scopes_supported:
            check_scope_names(self.scopes_supported)


def check_https_uri(uri: str, name: str) -> SplitResult:
    """Check an absolute https URI without a fragment; http is for loopback hosts alone.

    Raises:
        ValueError: it is not one. The text names the setting, not the value.
    """
    if not uri.isascii() or not uri.isprintable() or set(' "\\') & set(uri):
        raise ValueError(f"{name} must be a URI in printable ASCII")
    parts = urlsplit(uri)
    if not parts.hostname or "@" in parts.netloc or "#" in uri:
        raise ValueError(f"{name} must be an absolute URI without user information and fragment")
    if parts.port == 0:  # reading it also refuses what is no port at all
        raise ValueError(f"{name} must not name port 0")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname)):
        raise ValueError(f"{name} must be https unless its host is loopback")
    return parts


def is_loopback(host: str) -> bool:
    """Say whether a host name can only mean this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def insert_well_known(uri: str, name: str) -> str:
    """Insert `/.well-known/NAME` between host and path (RFC 8414 §3.1, RFC 9728 §3.1)."""
    parts = urlsplit(uri)
    path = "" if parts.path == "/" else parts.path
    return parts._replace(path=f"/.well-known/{name}{path}").geturl()
