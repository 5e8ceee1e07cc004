"""The setting that lets a `jwks_uri` be on a private address."""

import pytest

from watchword.settings import SettingsError, load_settings


@pytest.mark.rfc("8725-3.10-1")
@pytest.mark.parametrize(
    ("given", "hosts"),
    [
        (None, ()),
        (" , ", ()),
        ("keys.corp.example", ("keys.corp.example",)),
        ("Keys.corp.example,b.example , ", ("keys.corp.example", "b.example")),
    ],
)
def test_hosts_are_listed_with_commas_between(given: str | None, hosts: tuple[str, ...]) -> None:
    """Nobody is allowed unless named, and case does not count in names (RFC 4343)."""
    assert load_settings(jwks_uri_hosts=given).private_jwks_hosts == hosts


@pytest.mark.parametrize(
    "given",
    [
        "10.0.0.1",
        "[::1]",
        "[keys.corp.example",
        "keys",
        "localhost",
        "keys.corp.internal",
        "*.corp.example",
        "https://keys.corp.example",
        "keys.corp.example/jwks",
        "keys.corp.example:443",
        "user@keys.corp.example",
        "keys.corp.example keys.example",
        "keys.corp.example,keys",
    ],
)
def test_what_no_jwks_uri_could_name_is_refused_at_start(given: str) -> None:
    """A slip of the pen shows at once, and not as a host that is not allowed after all."""
    with pytest.raises(SettingsError) as caught:
        load_settings(jwks_uri_hosts=given)
    (line,) = caught.value.lines
    assert line.startswith("--jwks-uri-hosts: must be full host names with commas between")
