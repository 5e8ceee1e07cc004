"""Where a URL leads, and whether a credential may travel there.

RFC 6749 §2.3.1 and RFC 6750 §5.2 require TLS for secrets and tokens. Plain http is left to the
loopback interface, which no other machine can listen to.
"""

from dataclasses import dataclass

from consumer.errors import InsecureUrl
from keys.identifiers import InsecureHttp, allows_http, is_loopback, split_server_url


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host and port of a server (RFC 6454 §4); the port is None for the default one."""

    scheme: str
    host: str
    port: int | None = None

    @property
    def is_secure(self) -> bool:
        """Whether what is sent there stays secret on the way."""
        return self.scheme == "https" or (self.scheme == "http" and is_loopback(self.host))

    @property
    def may_be_proxied(self) -> bool:
        """Whether a proxy of the environment may carry what is sent there.

        Plain http is allowed on loopback because no other machine can read it; a proxy could.
        """
        return not is_loopback(self.host)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + (f":{self.port}" if self.port is not None else "")


def parse_origin(url: str) -> Origin:
    """Take the origin out of an absolute http or https URL.

    Raises:
        ValueError: it is something else, or has a user name, a fragment or an impossible port.
    """
    parts = split_server_url(url)
    return Origin(parts.scheme, parts.host, parts.port)


def require_secure(origin: Origin, *, allow_insecure_http: InsecureHttp) -> None:
    """Refuse an origin to which no credential may be sent.

    Raises:
        InsecureUrl: plain http to another machine for which it is not allowed, or a scheme that is
            not HTTP at all.
    """
    if origin.is_secure:
        return
    if origin.scheme == "http" and allows_http(origin.host, allow_insecure_http):
        return
    remedy = (
        "name the host in allow_insecure_http if it must be"
        if allow_insecure_http
        else "use https, or set allow_insecure_http inside a private network"
    )
    raise InsecureUrl(f"{origin} is not https: no credential is sent over plain http; {remedy}")
