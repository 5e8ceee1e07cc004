"""Unit tests of `issuer.registry.initial_access_token`."""

import pytest
from pydantic import ValidationError

from issuer.registry.errors import InvalidValue
from issuer.registry.initial_access_token import (
    InitialAccessToken,
    RegistrationTokenDocument,
    describe_registration_token,
    is_access_token,
    make_access_token,
    make_registration_token,
    parse_token_id,
)
from issuer.registry.schema import read

NOW = 1_800_000_000
GRANT = {"resource": "https://orders.example", "scope": "read write"}


class Counting:
    """Randomness that never repeats, so that what is drawn for what can be told apart."""

    def __init__(self) -> None:
        self.drawn: list[int] = []

    def __call__(self, size: int) -> bytes:
        """Draw bytes, all of one value."""
        self.drawn.append(size)
        return bytes([len(self.drawn)]) * size


def make(
    random_bytes: Counting | None = None, **document: object
) -> tuple[str, InitialAccessToken]:
    """Make a token, good but for the changes."""
    wanted = read(RegistrationTokenDocument, {"grants": [GRANT]} | document)
    return make_registration_token(wanted, now=NOW, random_bytes=random_bytes or Counting())


@pytest.mark.rfc("6749-10.10-1")
def test_a_token_has_256_random_bits_and_names_itself() -> None:
    """The id tells nothing of the secret, and only a fast hash with a salt is kept."""
    random = Counting()
    text, token = make(random)
    assert random.drawn == [8, 32, 16]
    assert (parse_token_id(text), text.startswith("wwr_")) == (token.token_id, True)
    assert token.hash.verify(text)
    assert not token.hash.slow
    assert not token.hash.verify(text[:-1] + "x")


@pytest.mark.parametrize("text", ["", "wwr_", "wwr_x_y", "wws_" + "0" * 16 + "_" + "a" * 43])
def test_what_cannot_be_a_token_names_nothing(text: str) -> None:
    """Nothing needs to be looked up for it."""
    assert parse_token_id(text) is None
    assert parse_token_id(make()[0] + "\n") is None


def test_access_tokens_are_of_another_kind() -> None:
    """Neither passes for the other."""
    random = Counting()
    access = make_access_token(random)
    assert (random.drawn, is_access_token(access)) == ([32], True)
    assert (parse_token_id(access), is_access_token(make()[0])) == (None, False)


@pytest.mark.parametrize(
    ("document", "live"),
    [
        ({}, [True, True, True]),
        ({"expires_in": 60}, [True, True, False]),
        ({"expires_at": "2027-01-15T08:01:00Z"}, [True, True, False]),
    ],
)
def test_a_token_is_live_until_it_ends(document: dict[str, object], live: list[bool]) -> None:
    """The end itself is too late."""
    _, token = make(**document)
    assert [token.is_live(at) for at in (NOW, NOW + 59, NOW + 60)] == live


def test_a_token_without_uses_is_not_live() -> None:
    """None left is an end; no number is none."""
    _, token = make(uses=1)
    assert token.is_live(NOW)
    used = InitialAccessToken(
        token_id=token.token_id,
        hash=token.hash,
        grants=token.grants,
        token_ttl=None,
        uses_left=0,
        created_at=NOW,
        expires_at=None,
    )
    assert not used.is_live(NOW)


@pytest.mark.parametrize(
    "document",
    [
        {"grants": []},
        {"grants": [GRANT] * 101},
        {"grants": [GRANT | {"scope": "a  b"}]},
        {"grants": [GRANT | {"role": "x"}]},
        {"uses": 0},
        {"uses": -1},
        {"uses": True},
        {"uses": "1"},
        {"expires_in": 0},
        {"expires_at": "tomorrow"},
        {"expires_in": 60, "expires_at": "2030-01-01T00:00:00Z"},
        {"scopes": ["read"]},
    ],
)
def test_documents_are_read_strictly(document: dict[str, object]) -> None:
    """A slip of the pen is refused, not ignored."""
    with pytest.raises(ValidationError):
        make(**document)


@pytest.mark.parametrize(
    "document",
    [
        {"grants": [GRANT, GRANT]},
        {"grants": [GRANT | {"default_scope": "fly"}]},
        {"token_ttl": 0},
        {"token_ttl": 86_401},
        {"expires_in": 10**12},
        {"expires_at": "2020-01-01T00:00:00Z"},
    ],
)
def test_values_are_what_the_registry_accepts(document: dict[str, object]) -> None:
    """Bounds, and an end that is still to come."""
    with pytest.raises((InvalidValue, ValidationError)):
        make(**document)


def test_a_description_tells_what_a_token_allows() -> None:
    """Never what it is."""
    text, token = make(uses=2, token_ttl=60, expires_in=60)
    described = describe_registration_token(token)
    assert described == {
        "token_id": token.token_id,
        "grants": [GRANT],
        "token_ttl": 60,
        "uses_left": 2,
        "created_at": "2027-01-15T08:00:00Z",
        "expires_at": "2027-01-15T08:01:00Z",
    }
    assert text.split("_")[2] not in repr((described, token))
