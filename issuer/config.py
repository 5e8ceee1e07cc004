"""What an issuer is configured with: its identifier and its token policy (RFC 8414 §2, RFC 9068).

Every value checks itself, so that a wrong one cannot travel past the constructor.
"""

import ipaddress
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

MAX_TOKEN_TTL = 86_400
"""Longest life of an access token, in seconds.

The key ring keeps a retired key this long, whatever the settings say later, so that no live token
ever loses its key.
"""


def is_loopback(host: str | None) -> bool:
    """Tell whether a host name means this machine only (RFC 6761 §6.3, RFC 8252 §8.3)."""
    if host is None:
        return False
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_issuer(identifier: str) -> str:
    """Return the issuer identifier unchanged if RFC 8414 §2 allows it.

    Raises:
        ValueError: it is not an absolute https URL (http on loopback only) without query and
            fragment.
    """
    parts = _split_absolute_url(identifier)
    if "?" in identifier:
        raise ValueError("must not have a query; remove everything from the '?' on")
    if "#" in identifier:
        raise ValueError("must not have a fragment; remove everything from the '#' on")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError("plain http is for loopback hosts only; use https")
    if "%" in parts.path or "//" in parts.path or {".", ".."} & set(parts.path.split("/")):
        raise ValueError("its path must be plain segments; remove '%', '//', '.' and '..'")
    return identifier


def _split_absolute_url(url: str) -> SplitResult:
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("must be plain ASCII without spaces")
    parts = urlsplit(url)
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise ValueError("must be an absolute URL such as https://auth.example.com")
    if "@" in parts.netloc:
        raise ValueError("must not carry user information; remove everything before the '@'")
    try:
        _ = parts.port
    except ValueError:
        raise ValueError("has a port that is not a number from 0 to 65535") from None
    return parts


def check_resource(identifier: str) -> str:
    """Return a resource identifier unchanged if it is an absolute URI without a fragment.

    Raises:
        ValueError: it is relative, has a fragment, or is not plain ASCII.
    """
    if not identifier.isascii() or not identifier.isprintable() or " " in identifier:
        raise ValueError("must be plain ASCII without spaces")
    if "#" in identifier:
        raise ValueError("must not have a fragment; remove everything from the '#' on")
    scheme, colon, rest = identifier.partition(":")
    if not colon or not rest or not scheme[:1].isalpha() or not _is_scheme(scheme):
        raise ValueError("must be an absolute URI such as https://orders.example.com")
    return identifier


def _is_scheme(text: str) -> bool:
    return all(character.isalnum() or character in "+-." for character in text)


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
        issuer: the issuer identifier, compared byte for byte by everybody (RFC 8414 §3.3).
        token_ttl: life of a token in seconds where neither client nor resource says otherwise.
        document_max_age: seconds that the JWK set and the metadata may be cached.

    Raises:
        ValueError: a value is not allowed.
    """

    issuer: str
    token_ttl: int = 3600
    document_max_age: int = 300

    def __post_init__(self) -> None:
        check_issuer(self.issuer)
        check_token_ttl(self.token_ttl)
        if self.document_max_age < 0:
            raise ValueError("document_max_age must not be negative")

    @property
    def base(self) -> str:
        """The URL that endpoint paths are appended to: the issuer without a final slash."""
        return self.issuer.removesuffix("/")

    @property
    def path(self) -> str:
        """The path part of the issuer without a final slash; empty for most."""
        return urlsplit(self.base).path
