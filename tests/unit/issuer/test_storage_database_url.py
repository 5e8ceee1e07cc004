"""`issuer.storage.database_url`: what a database URL means, and that its secret is never shown."""

from pathlib import Path

import pytest

from issuer.registry.errors import InvalidValue
from issuer.storage.database_url import PostgresPlace, SqliteFile, parse_database_url


def refused(url):
    """Return why a URL is refused."""
    with pytest.raises(InvalidValue) as caught:
        parse_database_url(url)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///a.db", "a.db"),
        ("sqlite:////srv/a b/50%#.db", "/srv/a b/50%#.db"),
        ("sqlite:///C@b:c.db", "C@b:c.db"),
    ],
)
def test_a_path_is_taken_as_it_stands(url, path):
    """Nothing in it is decoded."""
    assert parse_database_url(url) == SqliteFile(Path(path))


@pytest.mark.parametrize(
    "url", ["sqlite:///", "sqlite:///:memory:", "sqlite://host/a.db", "sqlite:///a.db?b=c"]
)
def test_an_sqlite_url_must_name_a_file(url):
    """A host in it would be ignored, and the registry be elsewhere."""
    assert "must name a file" in refused(url)


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("postgresql://", PostgresPlace()),
        (
            "postgres://u:p@h/db",
            PostgresPlace(hosts=(("h", 5432),), user="u", password="p", database="db"),
        ),
        (
            "postgresql://u%40x:p%40%3F%2F%23%25+:%C3%A9@h:1/d%20b",
            PostgresPlace(hosts=(("h", 1),), user="u@x", password="p@?/#%+:é", database="d b"),
        ),
        ("postgresql://[::1]:5/db", PostgresPlace(hosts=(("::1", 5),), database="db")),
        ("postgresql:///db?host=::1", PostgresPlace(hosts=(("::1", 5432),), database="db")),
        ("postgresql://%2Frun%2Fpg/db", PostgresPlace(hosts=(("/run/pg", 5432),), database="db")),
        (
            "postgresql:///?host=/run/pg&port=7&dbname=db&user=u&password=a%26b+",
            PostgresPlace(hosts=(("/run/pg", 7),), database="db", user="u", password="a&b+"),
        ),
        (
            "postgresql://a:1,b/db",
            PostgresPlace(
                hosts=(("a", 1), ("b", 5432)),
                database="db",
                options={"target_session_attrs": "read-write"},
            ),
        ),
        (
            "postgresql:///db?host=a,b&port=1,2&target_session_attrs=any",
            PostgresPlace(
                hosts=(("a", 1), ("b", 2)), database="db", options={"target_session_attrs": "any"}
            ),
        ),
        (
            "postgresql://h/?ssl=true",
            PostgresPlace(hosts=(("h", 5432),), options={"sslmode": "require"}),
        ),
        ("postgresql://h,g:2/?port=3", None),
        (
            "postgresql://h/?sslrootcert=system",
            PostgresPlace(
                hosts=(("h", 5432),), options={"sslrootcert": "system", "sslmode": "verify-full"}
            ),
        ),
    ],
)
def test_a_postgresql_url_means_what_it_means_to_libpq(url, place):
    """User, password, hosts, ports, database and options, wherever they are written."""
    if place is None:
        assert parse_database_url(url).hosts == (("h", 3), ("g", 3))
    else:
        assert parse_database_url(url) == place


@pytest.mark.parametrize(
    ("seconds", "limit"), [("", None), ("0", None), ("-1", None), ("1", 2), ("9", 9)]
)
def test_connect_timeout_is_seconds_for_each_server(seconds, limit):
    """Zero and less wait as long as we do without it; 1 is taken for 2, as by libpq."""
    url = "postgresql://h/" + (f"?connect_timeout={seconds}" if seconds else "")
    assert parse_database_url(url).connect_seconds == limit


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("keepalives_idle=5", "the option keepalives_idle is not supported"),
        ("hostaddr=127.0.0.1", "the option hostaddr is not supported"),
        ("service=x", "the option service is not supported"),
        ("channel_binding=require", "channel_binding must be disable or prefer"),
        ("gssencmode=require", "gssencmode must be disable or prefer"),
        ("keepalives=1", "keepalives must be 0"),
        ("target_session_attrs=standby", "target_session_attrs must be any or read-write"),
        ("sslmode=hunter22", "sslmode must be disable or allow"),
        ("ssl_min_protocol_version=SSLv3", "ssl_min_protocol_version must be TLSv1"),
        ("connect_timeout=hunter22", "connect_timeout must be a whole number"),
        ("connect_timeout=9999999999", "connect_timeout must be a whole number"),
        (
            "application_name=x&hunter22=1",
            "option 2 is not known; the options are application_name",
        ),
        ("hunter22", "option 1 is not known"),
        ("port=5", "a port and no host"),
        ("host=a,b&port=1,2,3", "one port, or as many as hosts"),
        ("host=a,,b", "host or port"),
        ("host=a&port=hunter22", "a port of the database URL is not valid"),
        ("host=%40hunter22", "host or port"),
        ("sslnegotiation=direct", "needs sslmode=require"),
        ("sslrootcert=system&sslmode=require", "needs sslmode=verify-full"),
        ("sslrootcert=system&sslkey=hunter22", "sslkey is not supported beside"),
        ("password=%FF", "as something else than UTF-8"),
    ],
)
def test_what_the_driver_cannot_honour_is_refused(query, words):
    """An option that is dropped silently would be promised and not kept."""
    said = refused(f"postgresql:///db?{query}")
    assert words in said
    assert "hunter22" not in said


@pytest.mark.parametrize(
    "url",
    [
        "u:hunter22@h/db",
        "postgresql://u:hunt@er22@h/db",
        "postgresql://u:1?hunter22@h/db",
        "postgresql://u:1/hunter22@h/db",
        "postgresql://u:1#hunter22@h/db",
        "postgresql://u:hunter22%@h/db",
        "postgresql://u:hunter22%00@h/db",
        "postgresql://u:hunter22\udcff@h/db",
        "postgresql://u:hunter22",
        "postgresql://[hunter22]/db",
        "postgresql://h/db?password=abc&hunter22",
        "postgresql://h/db?password=abc#hunter22",
    ],
)
def test_a_url_that_can_be_read_in_two_ways_is_refused_without_its_text(url):
    """The remedy is named, and no part of what may be the password."""
    said = refused(url)
    assert "database URL" in said
    assert not any(part in said for part in ("hunt", "er22"))


def test_neither_repr_nor_the_shown_form_has_the_secret():
    """The shown form names what an operator must know: user, servers, database."""
    place = parse_database_url("postgresql://u:hunter22@h:1,[::1],%2Frun/db?sslpassword=hunter23")
    assert place.shown == "postgresql://u:***@h:1,[::1]:5432,%2Frun:5432/db"
    assert "hunter" not in repr(place)
    assert parse_database_url("postgresql:///db").shown == "postgresql:///db"
    assert SqliteFile(Path("/a/b.db")).shown == "sqlite:////a/b.db"
