"""Where the registry is kept, parsed from a URL once; nothing shows the secret that is in one.

A PostgreSQL URL is read as libpq reads it (PostgreSQL documentation, "Connection URIs"), but
strictly: the only `@` ends the user and password, so no part of an unescaped password can be taken
for a host, a database or an option and be shown as one. No message holds any text of the URL but
names from the tables below. Options that the driver cannot honour are refused, not dropped.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, unquote

from issuer.registry.errors import InvalidValue
from issuer.storage.engines.database import Database

_SQLITE = "sqlite:///"
_POSTGRESQL = ("postgresql", "postgres")
_DEFAULT_PORT = 5432
_MOST_SECONDS = 2**31 - 1

_ESCAPE = "percent-encode what is not a letter or digit in user and password (@ is %40, ? is %3F)"
_NOT_UNDERSTOOD = "the database URL is not understood; use sqlite:///PATH or postgresql://HOST/NAME"

_HOST = re.compile(
    r"\[(?P<ipv6>[0-9A-Fa-f:.%]+)\](?::(?P<port6>\d*))?|(?P<name>[^:\[\]]*)(?::(?P<port>\d*))?"
)
_TLS = ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")

# What each option of libpq may be; an empty tuple stands for any text.
_CHOICES: dict[str, tuple[str, ...]] = {
    "application_name": (),
    "channel_binding": ("disable", "prefer"),
    "client_encoding": ("utf8", "UTF8", "UTF-8", "auto"),
    "connect_timeout": (),
    "gssencmode": ("disable", "prefer"),
    "keepalives": ("0",),
    "load_balance_hosts": ("disable",),
    "options": (),
    "passfile": (),
    "ssl": ("true",),
    "ssl_max_protocol_version": _TLS,
    "ssl_min_protocol_version": _TLS,
    "sslcert": (),
    "sslcertmode": ("allow",),
    "sslcompression": ("0",),
    "sslcrl": (),
    "sslkey": (),
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "sslnegotiation": ("postgres", "direct"),
    "sslpassword": (),
    "sslrootcert": (),
    "sslsni": ("1",),
    "target_session_attrs": ("any", "read-write", "primary"),
}
_PLACE = ("host", "port", "dbname", "user", "password")
_REFUSED = frozenset(
    [
        "fallback_application_name",
        "gssdelegation",
        "gsslib",
        "hostaddr",
        "keepalives_count",
        "keepalives_idle",
        "keepalives_interval",
        "krbsrvname",
        "max_protocol_version",
        "min_protocol_version",
        "replication",
        "require_auth",
        "requirepeer",
        "requiressl",
        "scram_client_key",
        "scram_server_key",
        "service",
        "servicefile",
        "sslcrldir",
        "sslkeylogfile",
        "tcp_user_timeout",
    ]
)
TLS_FILES = ("sslcert", "sslcrl", "sslkey", "sslrootcert")
_TLS_OPTIONS = (
    *TLS_FILES,
    "sslmode",
    "sslnegotiation",
    "sslpassword",
    "ssl_max_protocol_version",
    "ssl_min_protocol_version",
)


@dataclass(frozen=True, slots=True)
class SqliteFile:
    """A database in a file, which is named by its path and never by a URL made of it."""

    path: Path

    @property
    def shown(self) -> str:
        """The database as an operator may see it."""
        return f"{_SQLITE}{self.path}"

    def is_there(self) -> bool:
        """Tell whether the file is there.

        Raises:
            OSError: its folder cannot be searched.
        """
        try:
            self.path.stat()
        except FileNotFoundError:
            return False
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresPlace:
    """A database on one of several servers.

    Args:
        hosts: name or address or folder of a socket, and port, in the order to try them; none
            leaves the choice to libpq's environment variables and defaults.
        user: None if the environment names it.
        database: None for the one that is named like the user.
        password: what the server asks for.
        options: libpq's, all of which the driver honours.
    """

    hosts: tuple[tuple[str, int], ...] = ()
    user: str | None = None
    database: str | None = None
    password: str | None = field(default=None, repr=False)
    options: dict[str, str] = field(default_factory=dict, repr=False, hash=False)

    @property
    def shown(self) -> str:
        """The database as an operator may see it, without password and options."""
        secret = "" if self.password is None else ":***"
        login = "" if self.user is None else quote(self.user, safe="") + secret + "@"
        hosts = ",".join(_shown_host(host, port) for host, port in self.hosts)
        return f"postgresql://{login}{hosts}/{quote(self.database or '', safe='')}"

    @property
    def connect_seconds(self) -> int | None:
        """How long one server may take to answer; None if the URL does not limit it."""
        seconds = int(self.options.get("connect_timeout", "0"))
        return max(seconds, 2) if seconds > 0 else None  # libpq takes 1 for 2

    @property
    def tls_options(self) -> dict[str, str]:
        """The options that say how the connection is encrypted."""
        return {name: self.options[name] for name in _TLS_OPTIONS if name in self.options}


DatabasePlace = SqliteFile | PostgresPlace


def parse_database_url(text: str) -> DatabasePlace:
    """Parse a database URL.

    Raises:
        InvalidValue: the URL is not understood, or has an option that is not supported; the message
            holds no text of the URL but the name of its engine or of an option of libpq.
    """
    scheme, separator, rest = text.partition("://")
    if not separator or not re.fullmatch(r"[a-z][a-z0-9+]{0,31}", scheme):
        raise InvalidValue(_NOT_UNDERSTOOD)
    if scheme == "sqlite":
        return _parse_sqlite(rest)
    if scheme in _POSTGRESQL:
        return _parse_postgresql(rest)
    raise InvalidValue(f"no database engine {scheme!a}; use a sqlite: or a postgresql: URL")


def _parse_sqlite(rest: str) -> SqliteFile:
    path = rest.removeprefix("/")
    if not rest.startswith("/") or "?" in path or "\0" in path or path in ("", ":memory:"):
        raise InvalidValue("the database URL must name a file: sqlite:///PATH")
    return SqliteFile(Path(path))


def _parse_postgresql(rest: str) -> PostgresPlace:
    login, hosts, path, query = _split(rest)
    user, colon, password = login.partition(":")
    options = _parse_query(query)
    named = {name: options.pop(name) for name in _PLACE if name in options}
    if "host" in named:
        found = _hosts_of_options(named["host"], named.get("port", ""))
    else:
        found = _parse_hosts(hosts, named.get("port", ""))
    if len(found) > 1:
        # A registry is written: of several servers only one that takes changes will do.
        options.setdefault("target_session_attrs", "read-write")
    _check_tls(options)
    return PostgresPlace(
        hosts=found,
        user=named.get("user", _decoded(user)) or None,
        database=named.get("dbname", _decoded(path)) or None,
        password=named.get("password", _decoded(password) if colon else "") or None,
        options=options,
    )


def _split(rest: str) -> tuple[str, str, str, str]:
    """Split user and password, hosts, path and query; refuse whatever could be split otherwise."""
    if rest.count("@") > 1 or "#" in rest or _unreadable(rest):
        raise InvalidValue(f"the database URL is not understood; {_ESCAPE}")
    login, at, place = rest.rpartition("@")
    if at and re.search(r"[/?]", login):
        raise InvalidValue(f"the database URL is not understood; {_ESCAPE}")
    address, _, query = place.partition("?")
    hosts, _, path = address.partition("/")
    return login, hosts, path, query


def _unreadable(text: str) -> bool:
    bad_escape = re.search(r"%(?![0-9A-Fa-f]{2})|%00", text)
    # Surrogates stand for bytes of the environment that are no UTF-8.
    return bad_escape is not None or re.search(r"[\x00-\x1f\x7f\ud800-\udfff]", text) is not None


def _decoded(text: str) -> str:
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise InvalidValue(
            "the database URL is percent-encoded as something else than UTF-8"
        ) from None


def _parse_query(query: str) -> dict[str, str]:
    """Read the options; of one that comes twice the last counts, as for libpq."""
    options: dict[str, str] = {}
    for number, pair in enumerate(query.split("&") if query else (), 1):
        name, equals, raw = pair.partition("=")
        if name in _REFUSED:
            raise InvalidValue(f"the database URL: the option {name} is not supported; remove it")
        if not equals or name not in (*_CHOICES, *_PLACE):
            known = ", ".join(sorted((*_CHOICES, *_PLACE)))
            raise InvalidValue(
                f"the database URL: option {number} is not known; the options are {known}"
            )
        options[name] = _checked_option(name, _decoded(raw))
    if options.pop("ssl", None):  # how JDBC says it; libpq takes it for this
        options["sslmode"] = "require"
    return options


def _checked_option(name: str, value: str) -> str:
    choices = _CHOICES.get(name, ())
    if choices and value not in choices:
        raise InvalidValue(f"the database URL: {name} must be {' or '.join(choices)}")
    if name == "connect_timeout" and not (
        re.fullmatch(r"-?[0-9]{1,10}", value) and int(value) <= _MOST_SECONDS
    ):
        raise InvalidValue("the database URL: connect_timeout must be a whole number of seconds")
    return value


def _check_tls(options: dict[str, str]) -> None:
    mode = options.get("sslmode", "")
    if options.get("sslnegotiation") == "direct" and mode not in (
        "require",
        "verify-ca",
        "verify-full",
    ):
        raise InvalidValue("the database URL: sslnegotiation=direct needs sslmode=require or more")
    if options.get("sslrootcert") != "system":
        return
    if options.setdefault("sslmode", "verify-full") != "verify-full":
        raise InvalidValue("the database URL: sslrootcert=system needs sslmode=verify-full")
    if others := sorted(set(_TLS_OPTIONS) & set(options) - {"sslmode", "sslrootcert"}):
        raise InvalidValue(
            f"the database URL: {others[0]} is not supported beside sslrootcert=system"
        )


def _parse_hosts(text: str, ports: str) -> tuple[tuple[str, int], ...]:
    """Read `HOST[:PORT],…`, where a host may be percent-encoded."""
    if not text:
        return _hosts_of_options("", ports)
    hosts: list[str] = []
    own_ports: list[str] = []
    for each in text.split(","):
        found = _HOST.fullmatch(each)
        if found is None:
            raise InvalidValue(f"a host or port of the database URL is not valid; {_ESCAPE}")
        hosts.append(_decoded(found["ipv6"] or found["name"] or ""))
        own_ports.append(found["port6"] or found["port"] or "")
    return _paired(hosts, ports.split(",") if ports else own_ports)


def _hosts_of_options(hosts: str, ports: str) -> tuple[tuple[str, int], ...]:
    """Read `host=A,B` with `port=1,2`, in which no host brings its port."""
    if not hosts:
        if ports:
            raise InvalidValue("the database URL has a port and no host")
        return ()
    return _paired(hosts.split(","), ports.split(","))


def _paired(hosts: list[str], ports: list[str]) -> tuple[tuple[str, int], ...]:
    if len(ports) == 1:
        ports = ports * len(hosts)
    if len(ports) != len(hosts):
        raise InvalidValue("the database URL must name one port, or as many as hosts")
    for host in hosts:
        if not host or re.search(r"[\s@?#]", host) or (not host.startswith("/") and "/" in host):
            raise InvalidValue(f"a host or port of the database URL is not valid; {_ESCAPE}")
    return tuple((host, _port(port)) for host, port in zip(hosts, ports, strict=True))


def _port(text: str) -> int:
    if not text:
        return _DEFAULT_PORT
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 1 <= int(text) <= 65_535:
        raise InvalidValue(f"a port of the database URL is not valid; {_ESCAPE}")
    return int(text)


def _shown_host(host: str, port: int) -> str:
    if ":" in host and not host.startswith("/"):
        return f"[{host}]:{port}"
    return f"{quote(host, safe='')}:{port}"


def open_database(place: DatabasePlace | str, *, timeout: float, reading: bool = False) -> Database:
    """Open the database at `place`; nothing is read or made yet.

    Args:
        place: where it is, or the URL that names it.
        timeout: seconds to wait for other processes' transactions, and for an answer.
        reading: the database refuses every change.

    Raises:
        InvalidValue: the URL is not understood, or its engine is not installed.
    """
    if isinstance(place, str):
        place = parse_database_url(place)
    load_engine(place)
    match place:
        case SqliteFile():
            from issuer.storage.engines.sqlite import SqliteDatabase

            return SqliteDatabase(place, timeout=timeout, reading=reading)
        case PostgresPlace():
            from issuer.storage.engines.postgresql import PostgresDatabase

            return PostgresDatabase(place, timeout=timeout, reading=reading)


def load_engine(place: DatabasePlace) -> None:
    """Import all that the engine of `place` needs, which processes forked later then share.

    Raises:
        InvalidValue: the engine is not installed.
    """
    if isinstance(place, SqliteFile):
        import issuer.storage.engines.sqlite

        return
    try:
        import issuer.storage.engines.postgresql  # noqa: F401
    except ModuleNotFoundError:
        raise InvalidValue(
            "PostgreSQL needs its driver: install watchword[server,postgresql] "
            "(pip install '.[server,postgresql]' in a checkout)"
        ) from None
