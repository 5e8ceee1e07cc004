"""Check identifiers of issuers and resources, and tell which hosts are this machine.

Pure, and without cryptography, so that every package can share it: a rule that lives in several
copies becomes several rules. Identifiers are compared byte for byte (RFC 8414 §3.3, RFC 9207 §2.4,
RFC 9068 §4), so each is taken as it is or refused, never normalised, and what two parsers might
read differently is refused. docs/decisions/0008-identifiers.md has the reasons.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TypeAlias
from urllib.parse import SplitResult, urlsplit

MAXIMUM_LENGTH = 2048
"""Characters that an identifier has at most; a longer one would not fit into a request line."""

DEFAULT_PORTS = {"http": 80, "https": 443}
"""The ports that a URL need not name (RFC 9110 §4.2)."""

# RFC 3986 §2, §3.2.2: what a URI is written with; brackets hold an address, `%` has two digits.
_URI = re.compile(
    r"(?:[A-Za-z][A-Za-z0-9+.-]*://\[[0-9A-Fa-f:.]+\])?"
    r"(?:[A-Za-z0-9._~:/?#@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*"
)
# RFC 3986 §3.3: segments that hold something, a slash between and perhaps one at the end.
_PLAIN_PATH = re.compile(r"(?:/[A-Za-z0-9._~:@!$&'()*+,;=-]+)*/?")
_EMPTY_PATH = re.compile(r"(?P<server>(?i:https?)://[^/?]+)(?P<slash>/?)(?P<query>(?:\?.*)?)")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
# RFC 3986 §3.2: a port that is named has digits; 0 is none that a server could listen on.
_AUTHORITY = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\[\]:]+)(?::(?P<port>[1-9][0-9]{0,4}))?")
# RFC 1123 §2.1 and the underscore, which service names of containers have.
_HOST_NAME = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.?")
# `127.1`, `2130706433` and `0x7f.1` are addresses to one resolver and names to another; no top
# level domain looks like that (RFC 3696 §2).
_NUMERIC_END = re.compile(r"(?:.*\.)?(?:[0-9]+|0[xX][0-9A-Fa-f]*)\.?")
# A name of one label; an address in one of those spellings is none, though it has no dot either.
_ONE_LABEL = re.compile(r"(?!(?:[0-9]+|0x[0-9a-f]*)\Z)[a-z0-9_-]+")

InsecureHttp: TypeAlias = bool | Collection[str]
"""Which other machines plain http may lead to: none (False), those of a private network (True), or
those and the hosts that are named."""

# `.internal` is reserved by ICANN, `.local` by RFC 6762 §3; `.svc` is what Kubernetes has.
_PRIVATE_SUFFIXES = (".internal", ".local", ".svc", ".svc.cluster.local")
# RFC 1918 §3, RFC 3927 §2.1, RFC 4193 §3.1, RFC 4291 §2.5.6. Not `is_private`: that has addresses
# for documentation and reserved ones too, and others in each Python.
_PRIVATE_NETWORKS = tuple(
    map(
        ip_network,
        (
            "10.0.0.0/8",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "169.254.0.0/16",
            "fc00::/7",
            "fe80::/10",
        ),
    )
)


@dataclass(frozen=True, slots=True)
class ServerUrl:
    """The parts of an http or https URL that say which server it leads to, and its path."""

    scheme: str
    host: str
    port: int | None
    path: str

    @property
    def is_secure(self) -> bool:
        """Whether what is sent cannot be read on the way: TLS, or this very machine.

        RFC 6749 §2.3.1 and RFC 6750 §5.2 ask for TLS; no other machine listens on loopback.
        """
        return self.may_be_asked()

    def may_be_asked(self, insecure_http: InsecureHttp = False) -> bool:
        """Whether keys, secrets or tokens may travel: securely, or where plain http is allowed."""
        return self.scheme == "https" or allows_http(self.host, insecure_http)


def is_loopback(host: str | None) -> bool:
    """Tell whether a host can only be this machine: `localhost` or a loopback address.

    A name below `localhost` is not: many resolvers ask the network for it, whatever RFC 6761 §6.3
    wishes.

    Args:
        host: a name or an address without brackets, in any case.
    """
    if host is None or host.lower() == "localhost":
        return host is not None
    address = _address(host)
    return address is not None and address.is_loopback


def allows_http(host: str, insecure_http: InsecureHttp) -> bool:
    """Tell whether plain http may lead to a host: always to this machine, else as it is allowed.

    A host counts as one of a private network if it is a name of a single label, such as `keycloak`
    in a compose file, a name below `.internal`, `.local`, `.svc` or `.svc.cluster.local`, or a
    private or link-local address. Any other needs to be named.

    Args:
        host: a name or an address without brackets.
        insecure_http: what is allowed.

    Raises:
        ValueError: a text is allowed that is no full name or address: `no` would be true.
    """
    if is_loopback(host):
        return True
    if not insecure_http:
        return False
    if isinstance(insecure_http, str) and not {".", ":"} & set(insecure_http):
        raise ValueError("allow_insecure_http must be True, False or full names of hosts")
    host = host.lower()
    if _is_private(host):
        return True
    if insecure_http is True:
        return False
    named = [insecure_http] if isinstance(insecure_http, str) else insecure_http
    return host in {name.lower() for name in named}


def parse_insecure_http(text: str) -> InsecureHttp:
    """Read `true`, `false`, or the full names of hosts with commas between.

    Raises:
        ValueError: it is something else.
    """
    text = text.strip().lower()
    if text in ("true", "false"):
        return text == "true"
    names = tuple(name for part in text.split(",") if (name := part.strip()))
    for name in names:
        try:
            host = split_server_url(f"http://{name}").host
        except ValueError:
            host = ""
        # `no` and `off` would be hosts, and so allow plain http; `true` allows names of one label.
        if host != name or "." not in name:
            raise ValueError(
                "must be true, false or full names of hosts with commas between, such as"
                " auth.test.example.com"
            )
    return names


def _is_private(host: str) -> bool:
    address = _address(host)
    if address is not None:
        return any(address in network for network in _PRIVATE_NETWORKS)
    return _ONE_LABEL.fullmatch(host) is not None or host.endswith(_PRIVATE_SUFFIXES)


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(host)
    except ValueError:
        return None
    # `::ffff:127.0.0.1` connects to 127.0.0.1, though not every Python calls it loopback.
    inner = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return inner or address


def split_server_url(url: str) -> ServerUrl:
    """Take an absolute http or https URL apart, such as an endpoint's.

    Raises:
        ValueError: it is something else, or has user information, a fragment, or a host or port
            that cannot be. The text does not repeat the URL.
    """
    _check_characters(url)
    if "#" in url:
        raise ValueError("must not have a fragment; remove everything from the '#' on")
    parts = _split(url)
    if parts.scheme not in ("https", "http") or not parts.netloc:
        raise ValueError("must be an absolute URL such as https://auth.example.com")
    host, port = _split_authority(parts.netloc)
    return ServerUrl(parts.scheme, host, port, parts.path)


def check_issuer(identifier: str, *, allow_insecure_http: InsecureHttp = False) -> str:
    """Return an issuer identifier unchanged if RFC 8414 §2 and our profile allow it.

    An absolute https URL, http on loopback only, without query and fragment, whose path is plain
    segments: no `%`, for a server decodes what a validator compares as it is; no empty segment and
    no `.` or `..`, which clients remove before they ask (RFC 3986 §6.2.2).

    Args:
        identifier: the identifier.
        allow_insecure_http: which other machines plain http may lead to.

    Raises:
        ValueError: it is not allowed; the text says what to change and does not repeat it.
    """
    url = split_server_url(identifier)
    if "?" in identifier:
        raise ValueError("must not have a query; remove everything from the '?' on")
    if not url.may_be_asked(allow_insecure_http):
        raise ValueError(
            "plain http is allowed for hosts of a private network; use https, or name this host too"
            if allow_insecure_http
            else "plain http is for loopback hosts only; use https, or set allow_insecure_http "
            "inside a private network"
        )
    if not _PLAIN_PATH.fullmatch(url.path) or {".", ".."} & set(url.path.split("/")):
        raise ValueError("its path must be plain segments; remove '%', '//', '.' and '..'")
    return identifier


def check_resource(identifier: str) -> str:
    """Return a resource identifier unchanged if it is an absolute URI without a fragment.

    Any scheme will do (RFC 8707 §2): `https:`, `urn:`, `api://`, `http:` inside a network. Nothing
    is ever sent there on account of it.

    Raises:
        ValueError: it is not allowed; the text says what to change and does not repeat it.
    """
    _check_characters(identifier)
    if "#" in identifier:
        raise ValueError("must not have a fragment; remove everything from the '#' on")
    scheme, colon, rest = identifier.partition(":")
    if not colon or not rest or not _SCHEME.fullmatch(scheme):
        raise ValueError("must be an absolute URI such as https://orders.example.com")
    if scheme.lower() in ("https", "http"):
        split_server_url(identifier)
    return identifier


def publishes_metadata(resource: str) -> bool:
    """Tell whether a resource has metadata: RFC 9728 §1.2 knows https resources only.

    Like an issuer, one on loopback may do with http. A `urn:` has no host to ask.
    """
    return resource.lower().startswith(("https:", "http:")) and split_server_url(resource).is_secure


def insert_well_known(url: str, name: str) -> str:
    """Insert `/.well-known/NAME` between host and path (RFC 8414 §3.1, RFC 9728 §3.1)."""
    parts = urlsplit(url)
    path = "" if parts.path == "/" else parts.path
    return parts._replace(path=f"/.well-known/{name}{path}").geturl()


def metadata_urls(issuer: str) -> tuple[str, ...]:
    """List where an issuer's metadata may be, in the order to ask.

    RFC 8414 §3.1 inserts its well-known name between host and path, after a final slash is dropped;
    §5 allows OpenID's name there too, and OpenID Connect Discovery §4 appends it.
    """
    base = issuer.removesuffix("/")
    names = ("oauth-authorization-server", "openid-configuration")
    inserted = tuple(insert_well_known(base, name) for name in names)
    return tuple(dict.fromkeys((*inserted, f"{base}/.well-known/openid-configuration")))


def is_absent(status: int) -> bool:
    """Tell whether an answer's status says that metadata are not here, but may be elsewhere.

    A server that is out of order or busy (429) says nothing about where they are.
    """
    return 300 <= status < 500 and status != 429


def other_form(resource: str) -> str | None:
    """Give the same http or https resource with its empty path written the other way.

    `https://host` and `https://host/` are one URI (RFC 3986 §6.2.3); SDKs add the slash. For
    looking up what is asked for: tokens name a resource as it is registered.
    """
    found = _EMPTY_PATH.fullmatch(resource)
    return found and f"{found['server']}{'' if found['slash'] else '/'}{found['query']}"


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        raise ValueError("has a host that is neither a name nor an address") from None


def _check_characters(text: object) -> None:
    if not isinstance(text, str):  # such as None, of an environment variable that is not set
        raise ValueError(f"must be a text, not {type(text).__name__}")
    if len(text) > MAXIMUM_LENGTH:
        raise ValueError(f"must have at most {MAXIMUM_LENGTH} characters")
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("must be plain ASCII without spaces")
    if not _URI.fullmatch(text):
        # RFC 3986 §2: such as a quote, a backslash, a brace, or a `%` that encodes nothing.
        raise ValueError("has characters that a URI cannot have; percent-encode them")


def _split_authority(authority: str) -> tuple[str, int | None]:
    """Read host and port of a server (RFC 3986 §3.2)."""
    if "@" in authority:
        raise ValueError("must not carry user information; remove everything before the '@'")
    found = _AUTHORITY.fullmatch(authority)
    if found is None or int(found["port"] or 1) > 65_535:
        raise ValueError("has a port that is not a number from 1 to 65535, or a broken host")
    host = found["host"].lower()
    try:
        if host.startswith("["):
            IPv6Address(host := host.strip("[]"))
        elif _NUMERIC_END.fullmatch(host):
            IPv4Address(host)
        elif not _HOST_NAME.fullmatch(host):
            raise ValueError(host)
    except ValueError:
        raise ValueError("has a host that is neither a name nor an address") from None
    return host, None if found["port"] is None else int(found["port"])
