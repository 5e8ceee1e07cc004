"""Unit tests of `issuer.registry.client`."""

from datetime import date
from typing import Any

import pytest
from pydantic import ValidationError

from issuer.registry.auth_methods import AuthMethod
from issuer.registry.client import ClientRegistration
from issuer.registry.client_description import facts_of_client
from issuer.registry.errors import InvalidValue
from issuer.registry.names import check_client_id
from issuer.registry.permission import ExchangePermission, ResourcePermission
from tests.support.issuer import make_client
from tests.support.registry import RESOURCE


def registration(**changes: Any) -> ClientRegistration:
    """Make a registration, changed as named."""
    return ClientRegistration(**{"client_id": "till", **changes})


def grant(*scopes: str, defaults: tuple[str, ...] | None = None) -> ResourcePermission:
    """Make a grant on the resource of the examples."""
    return ResourcePermission(resource=RESOURCE, scopes=scopes, default_scopes=defaults)


@pytest.mark.parametrize("client_id", ["a", "a" * 255, "!~:%+", "spiffe://x/y"])
def test_visible_ascii_up_to_255_characters_is_a_client_id(client_id):
    """RFC 6749 appendix A.1: a client id is VSCHAR."""
    check_client_id(client_id)


@pytest.mark.parametrize(
    "client_id", ["", "a" * 256, "a b", " a", "a\n", "a\0", "\x7f", "é", "a\u2028"]
)
def test_everything_else_is_not_a_client_id(client_id):
    """An id that a header, a log line or a shell would change is refused."""
    with pytest.raises(InvalidValue, match="a client id is"):
        check_client_id(client_id)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("client_id", "", "client id"),
        ("token_ttl", 0, "greater than or equal to 1"),
        ("token_ttl", 86_401, "86400"),
        ("token_ttl", -5, "greater than or equal to 1"),
        ("client_name", "", "a name is"),
        ("client_name", "x" * 256, "a name is"),
        ("client_name", "two\nlines", "printable"),
        ("client_name", "\x1b[31mred", "printable"),
        (
            "token_endpoint_auth_method",
            AuthMethod.PRIVATE_KEY_JWT,
            "private_key_jwt needs one of jwks",
        ),
        ("grant_types", ("password",), "'password' is no grant here; use client_credentials"),
        ("grant_types", ("client_credentials", "x\x1b"), r"'x\\x1b' is no grant here"),
        ("expires_at", -1, "from 1970 to the year 9999"),
        ("expires_at", 253_402_300_800, "from 1970 to the year 9999"),
        ("grants", (grant("read"), grant("write")), f"two grants on {RESOURCE}"),
    ],
)
def test_a_registration_checks_itself(field, value, words):
    """A client that the registry cannot hold cannot be made."""
    with pytest.raises(ValidationError, match=words):
        registration(**{field: value})


def test_names_may_be_in_any_script():
    """A display name is for people, wherever they are."""
    assert registration(client_name="Kasse №1 · 注文").client_name == "Kasse №1 · 注文"


def test_a_client_may_be_registered_for_no_grant_at_all():
    """A client that is to get nothing yet is none the less a client."""
    assert registration(grant_types=(), grants=()).grant_types == ()


@pytest.mark.parametrize("metadata", [{}, {"team": "tills"}, {"n": [1, 2.5, None, {"a": True}]}])
def test_metadata_is_whatever_json_its_owner_likes(metadata):
    """It is kept as it is; nobody here looks into it."""
    assert registration(metadata=metadata).metadata == metadata


@pytest.mark.parametrize("character", ["x", "é", "注", "🐄"])
def test_metadata_has_at_most_4096_bytes_of_json(character):
    """The bytes of UTF-8 count (RFC 8259 §8.1), so that no script pays for its escapes."""
    room = 4096 - len('{"note": ""}')
    fitting = character * (room // len(character.encode()))
    registration(metadata={"note": fitting})
    with pytest.raises(ValidationError, match="metadata has more than 4096 bytes"):
        registration(metadata={"note": fitting + character})


def nested(depth: int) -> dict[str, object]:
    """Make an object that deep."""
    value: dict[str, object] = {}
    for _ in range(depth):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    ("note", "words"),
    [
        (2**63, "64 bits"),
        (-(2**63) - 1, "64 bits"),
        ("a\0b", "NUL"),
        ({"a\0b": 1}, "NUL"),
        (nested(16), "16 deep"),
    ],
)
def test_notes_are_what_a_file_can_say(note, words):
    """Whatever the registry holds can be exported, and applied again."""
    with pytest.raises(ValidationError, match=words):
        registration(metadata={"note": note})
    assert registration(metadata={"note": [2**63 - 1, -(2**63), nested(13)]})


@pytest.mark.parametrize(
    "note", [float("nan"), float("-inf"), date(2027, 1, 31), b"x", "\ud800", {1, 2}, nested(99_999)]
)
def test_metadata_that_is_not_json_is_refused(note):
    """What JSON cannot write could be stored, at best, and never be shown (RFC 8259 §6, §8.1)."""
    with pytest.raises(ValidationError, match="metadata is not JSON"):
        registration(metadata={"note": note})


def test_a_grant_has_scopes():
    """A grant of nothing would be a mistake that nobody sees."""
    with pytest.raises(ValidationError, match=f"a grant on {RESOURCE} needs at least one scope"):
        grant()


def test_without_defaults_everything_is_the_default():
    """RFC 6749 §3.3: what a request that names no scope gets is known before."""
    assert grant("read", "write").defaults == ("read", "write")
    assert grant("read", "write", defaults=("write",)).defaults == ("write",)


@pytest.mark.parametrize("defaults", [("read", "write"), ("write", "read")])
def test_all_as_defaults_is_the_same_as_none_named(defaults):
    """Equal grants compare equal, so a declaration that names all by hand changes nothing."""
    assert grant("read", "write", defaults=defaults) == grant("read", "write")


@pytest.mark.parametrize(
    ("defaults", "words"),
    [
        ((), "needs a default scope, or none named"),
        (("fly",), f"the default scope fly is not granted on {RESOURCE}"),
        (("read", "fly"), f"the default scope fly is not granted on {RESOURCE}"),
    ],
)
def test_default_scopes_are_some_of_the_scopes(defaults, words):
    """A default beyond the grant would be given to who did not ask, or refused to who did not."""
    with pytest.raises(ValidationError, match=words):
        grant("read", "write", defaults=defaults)


@pytest.mark.parametrize(
    ("end", "now", "expired"),
    [(None, 10**12, False), (200, 199, False), (200, 200, True), (200, 201, True), (0, 0, True)],
)
def test_a_client_expires_at_its_second(end, now, expired):
    """The span is half open, as that of a secret is."""
    assert make_client(expires_at=end).is_expired(now) is expired


def exchange(**changes):
    """Make a permission to exchange tokens, changed as named."""
    named = {"subject_resource": RESOURCE, "resource": "https://next.example", "subjects": ("web",)}
    return ExchangePermission(**(named | changes))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"subjects": ()}, "needs at least one subject"),
        ({"subjects": ("a b",)}, "a client id is"),
        ({"resource": "nowhere"}, "resource identifier"),
        ({"subject_resource": "nowhere"}, "resource identifier"),
        ({"max_depth": 0}, "greater than or equal to 1"),
        ({"max_depth": 6}, "less than or equal to 5"),
        ({"max_depth": "1"}, "valid integer"),
    ],
)
def test_a_permission_to_exchange_says_whose_tokens_and_what_for(changes, words):
    """Whatever is left out or mistyped would let more act for more."""
    with pytest.raises(ValidationError, match=words):
        exchange(**changes)


def test_tokens_for_one_resource_are_exchanged_by_one_permission():
    """Of two, it would be unclear whose depth counts."""
    with pytest.raises(ValidationError, match="two exchanges of tokens for"):
        ClientRegistration(client_id="a", token_exchange=(exchange(), exchange(max_depth=2)))


def test_the_order_of_exchanges_and_of_their_subjects_means_nothing():
    """Equal facts are no change in a plan."""
    one, other = exchange(subjects=("b", "a")), exchange(resource="https://other.example")
    turned = (other, exchange(subjects=("a", "b")))
    first, second = (
        facts_of_client(ClientRegistration(client_id="a", token_exchange=each))
        for each in ((one, other), turned)
    )
    assert first == second
    assert first != facts_of_client(ClientRegistration(client_id="a", token_exchange=(one,)))
