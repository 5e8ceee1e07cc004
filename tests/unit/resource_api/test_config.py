"""A policy that exists is sound."""

import pytest

from resource_api.config import ResourcePolicy, insert_well_known, is_loopback

GOOD = {"issuer": "https://as.example", "resource": "https://api.example"}


@pytest.mark.rfc("21-1.5-1")
@pytest.mark.parametrize(
    "uri",
    [
        "https://as.example/t1",
        "https://as.example:8443",
        "http://localhost:8080",
        "http://127.0.0.1",
        "http://[::1]:8080",
    ],
)
def test_good_uris(uri: str) -> None:
    """https anywhere, http on this machine."""
    assert ResourcePolicy(issuer=uri, resource=uri).issuer == uri


@pytest.mark.rfc("21-1.5-1")
@pytest.mark.parametrize("name", ["issuer", "resource"])
@pytest.mark.parametrize(
    "uri",
    [
        "", "as.example", "/as", "http://as.example", "ftp://localhost", "https://", "https://a#b",
        "https://a#", "https://u:p@a", "https://a b", 'https://a"b', "https://ä", "https://a\n",
        "https://a\\b", "https://a:0", "https://a:99999", "https://[::1", "http://128.0.0.1",
        "urn:example:api",
    ],
)  # fmt: skip
def test_bad_uris(name: str, uri: str) -> None:
    """Anything that is not an absolute https URI without fragment is refused."""
    with pytest.raises(ValueError):
        ResourcePolicy(**{**GOOD, name: uri})


@pytest.mark.parametrize(
    "values",
    [
        {"issuer": "https://as.example?x"},
        {"issuer": "https://as.example?"},
        {"algorithms": frozenset()},
        {"algorithms": frozenset({"none"})},
        {"algorithms": frozenset({"RS256", "HS256"})},
        {"leeway": -1},
        {"leeway": 61},
        {"max_token_bytes": 0},
        {"max_lifetime": 0},
        {"realm": 'a"b'},
        {"realm": "a\r\nb"},
        {"realm": "ä"},
        {"scopes_supported": ("a b",)},
    ],
)
def test_bad_values(values: dict[str, object]) -> None:
    """Bounds that would switch a check off do not exist."""
    with pytest.raises(ValueError):
        ResourcePolicy(**{**GOOD, **values})


def test_loopback_names() -> None:
    """Only names and addresses that can mean nothing else."""
    assert all(map(is_loopback, ("localhost", "127.0.0.1", "127.1.2.3", "::1")))
    assert not any(map(is_loopback, ("localhost.example", "as.example", "10.0.0.1", "", "::2")))


def test_well_known_path() -> None:
    """RFC 8414 §3.1 and RFC 9728 §3.1: between host and path."""
    assert insert_well_known("https://a/t", "x") == "https://a/.well-known/x/t"
