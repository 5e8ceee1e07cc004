"""What `WATCHWORD_REPLAY_STORE` may be, and that a password in it is never shown."""

import pytest

from keys.redis_replay import parse_redis_url
from watchword.settings import SettingsError, load_settings

SECRET = "s3cret"


@pytest.mark.parametrize(
    ("url", "taken"),
    [
        ("redis://cache.example", "redis://cache.example"),
        ("rediss://:s3cret@cache.example:6380/2", "rediss://:s3cret@cache.example:6380/2"),
        ("valkey://claims:s3cret@[::1]:6379/", "redis://claims:s3cret@[::1]:6379/"),
        ("valkeys://cache.example", "rediss://cache.example"),
    ],
)
def test_a_url_of_either_server_is_taken(url, taken):
    """By the names that they have; the client library knows one of them."""
    settings = load_settings(replay_store=url)
    assert parse_redis_url(settings.replay_store_url) == taken
    assert SECRET not in repr(settings)


def test_the_database_has_the_claims_unless_said_otherwise():
    """The default leads to no other server."""
    assert load_settings().replay_store_url is None
    assert load_settings(replay_store="database").replay_store_url is None


@pytest.mark.parametrize(
    "url",
    [
        "memory",
        "http://:s3cret@cache.example",
        "redis://",
        "redis:///0",
        "redis://:s3cret@cache.example:99999",
        "redis://:s3cret@cache.example:port",
        "redis://:s3cret@[cache",
        "redis://:s3cret@cache.example/claims",
        "rediss://:s3cret@cache.example?ssl_cert_reqs=none",
        "redis://:s3cret@cache.example/0#x",
        "unix:///run/redis.sock",
    ],
)
def test_what_cannot_be_is_refused_without_its_password(url):
    """An option that switches TLS checks off is refused as well."""
    with pytest.raises(SettingsError) as caught:
        load_settings(replay_store=url)
    (line,) = caught.value.lines
    assert line.startswith("--replay-store: must be database, or a URL that ")
    assert SECRET not in line
