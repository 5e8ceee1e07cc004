"""Unit tests of `keys.identifiers`; what each package makes of the table is a conformance test."""

from collections.abc import Callable
from typing import Any

import pytest

from keys.identifiers import (
    allows_http,
    check_issuer,
    check_resource,
    insert_well_known,
    is_loopback,
    publishes_metadata,
    split_server_url,
)
from tests.support.identifiers import (
    BAD_ISSUERS,
    GOOD_RESOURCES,
    PRIVATE_HTTP_ISSUERS,
    PUBLIC_HTTP_ISSUERS,
    WITHOUT_METADATA,
)


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("localhost", True),
        ("LocalHost", True),
        ("127.0.0.1", True),
        ("127.3.2.1", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("a.localhost", False),
        ("localhost.example", False),
        ("127.0.0.1.example", False),
        ("as.example", False),
        ("10.0.0.1", False),
        ("0.0.0.0", False),
        ("::2", False),
        ("::ffff:10.0.0.1", False),
        ("", False),
        (None, False),
    ],
)
def test_loopback_is_this_machine_alone(host: str | None, local: bool) -> None:
    """A private network is not loopback, nor is a name that resolvers may ask the network for."""
    assert is_loopback(host) is local


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("https://API.example:8443/x?y", ("https", "api.example", 8443, "/x")),
        ("HTTP://[::1]", ("http", "::1", None, "")),
    ],
)
def test_a_server_url_comes_apart(url: str, parts: tuple[object, ...]) -> None:
    """Host in lower case and without brackets; the port None where none is named."""
    split = split_server_url(url)
    assert (split.scheme, split.host, split.port, split.path) == parts


@pytest.mark.parametrize("identifier", BAD_ISSUERS)
def test_a_refusal_is_one_line_without_the_input(identifier: str) -> None:
    """It may go into a log, and user information may hold a password."""
    with pytest.raises(ValueError) as refusal:
        check_issuer(identifier)
    assert str(refusal.value).isprintable()
    assert "as.example" not in str(refusal.value)


@pytest.mark.parametrize("check", [check_issuer, check_resource])
def test_a_value_that_is_not_there_is_told_as_such(check: Callable[[Any], str]) -> None:
    """Such as that of an environment variable that is not set."""
    with pytest.raises(ValueError, match="must be a text, not NoneType"):
        check(None)


@pytest.mark.parametrize("identifier", PRIVATE_HTTP_ISSUERS)
def test_plain_http_inside_a_network_needs_to_be_allowed_aloud(identifier: str) -> None:
    """Nothing else is allowed by it."""
    assert check_issuer(identifier, allow_insecure_http=True) == identifier
    assert check_issuer(identifier, allow_insecure_http={"as.example"}) == identifier
    for forbidden in (False, set[str]()):
        with pytest.raises(ValueError, match="is for loopback hosts only"):
            check_issuer(identifier, allow_insecure_http=forbidden)
    with pytest.raises(ValueError, match="plain segments"):
        check_issuer(identifier + "/%41", allow_insecure_http=True)


@pytest.mark.parametrize(
    "host", ["134744072", "0x08080808", "0X8080808", "2001:db8::1%", "\N{FULLWIDTH DIGIT ONE}", ""]
)
def test_an_address_in_another_spelling_is_no_name_of_a_private_network(host: str) -> None:
    """Resolvers read these as 8.8.8.8, and a caller's HTTP library lets them through."""
    assert not allows_http(host, insecure_http=True)
    assert allows_http("orders", insecure_http=True)


@pytest.mark.parametrize("word", ["false", "no", "0", "true"])
def test_a_word_of_the_environment_is_neither_true_nor_a_host(word: str) -> None:
    """Any text is true to Python; `no` must not allow what it is meant to forbid."""
    for host in ("orders", "as.example", word):
        with pytest.raises(ValueError, match="allow_insecure_http must be"):
            allows_http(host, word)
    assert allows_http("localhost", word)


@pytest.mark.parametrize("identifier", PUBLIC_HTTP_ISSUERS)
def test_plain_http_to_a_public_host_needs_its_name(identifier: str) -> None:
    """Whole, in any case; one that ends alike or has it as a part is another host."""
    host = split_server_url(identifier).host
    for named in ({host.upper()}, [host, "other.example"], host):
        assert check_issuer(identifier, allow_insecure_http=named) == identifier
    for allowed in (True, {"other.example"}, {host[1:]}, f"a{host}a"):
        with pytest.raises(ValueError, match="name this host too"):
            check_issuer(identifier, allow_insecure_http=allowed)
    with pytest.raises(ValueError, match="is for loopback hosts only"):
        check_issuer(identifier)


@pytest.mark.parametrize("resource", GOOD_RESOURCES)
def test_resources_with_metadata_are_those_with_a_safe_url(resource: str) -> None:
    """RFC 9728 §1.2 asks for https; loopback may do without, as everywhere."""
    is_safe = resource.lower().startswith("https:") or (
        resource.lower().startswith("http:") and is_loopback(split_server_url(resource).host)
    )
    assert publishes_metadata(check_resource(resource)) is is_safe


@pytest.mark.parametrize("resource", WITHOUT_METADATA)
def test_other_resources_have_none(resource: str) -> None:
    """There is no host to ask, or none that an answer could be believed from."""
    assert not publishes_metadata(resource)


def test_well_known_goes_between_host_and_path() -> None:
    """RFC 8414 §3.1 and RFC 9728 §3.1; a path of a single slash counts as none."""
    assert insert_well_known("https://a/t", "x") == "https://a/.well-known/x/t"
    assert insert_well_known("https://a/", "x") == "https://a/.well-known/x"
