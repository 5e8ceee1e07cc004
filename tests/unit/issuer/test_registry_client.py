"""Unit tests of `issuer.registry.client`."""

import pytest

from issuer.registry.client import check_client_id
from issuer.registry.client_secret import ClientSecret
from issuer.registry.errors import InvalidValue
from tests.support.registry import fast_hash, new_client


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
        ("token_ttl", 0, "token lifetime"),
        ("token_ttl", 86_401, "86400"),
        ("token_ttl", -5, "token lifetime"),
        ("display_name", "", "a name is"),
        ("display_name", "x" * 256, "a name is"),
        ("display_name", "two\nlines", "printable"),
        ("display_name", "\x1b[31mred", "printable"),
    ],
)
def test_a_new_client_checks_itself(field, value, words):
    """A client that the registry cannot hold cannot be made."""
    changes = {"client_id": "till", field: value}
    with pytest.raises(InvalidValue, match=words):
        new_client(**changes)


def test_names_may_be_in_any_script():
    """A display name is for people, wherever they are."""
    assert new_client(display_name="Kasse №1 · 注文").registration.display_name == "Kasse №1 · 注文"


@pytest.mark.parametrize(
    ("now", "live"), [(99, False), (100, True), (199, True), (200, False), (10**12, False)]
)
def test_a_secret_lives_from_its_start_to_just_before_its_end(now, live):
    """The span is half open, so that a successor may start at the second the old one ends."""
    secret = ClientSecret(
        secret_id="1", hash=fast_hash(), created_at=0, starts_at=100, expires_at=200
    )
    assert secret.is_live(now) is live


def test_a_secret_without_end_lives_on():
    """A secret that never expires is live whenever it has started."""
    secret = ClientSecret(
        secret_id="1", hash=fast_hash(), created_at=0, starts_at=100, expires_at=None
    )
    assert secret.is_live(10**12)
