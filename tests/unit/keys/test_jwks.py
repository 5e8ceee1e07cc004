"""JWK sets: built from public members, parsed with suspicion, searched without guessing."""

import json

import pytest

from keys import jwks
from keys.errors import InvalidJwkSet
from keys.jwk import PublicJwk
from keys.jwks import JwkSet, build_jwk_set, fit_jwk_set, fits_jwk_set, parse_jwk_set
from tests.support.keys import public_rsa_jwk


def document(*members: object) -> bytes:
    """Write a JWK set of any members."""
    return json.dumps({"keys": members}).encode()


def test_a_set_survives_publishing_and_parsing():
    """The published document gives back every key."""
    keys = (public_rsa_jwk(0), public_rsa_jwk(1))
    parsed = parse_jwk_set(json.dumps(build_jwk_set(keys)).encode())

    assert [key.members() for key in keys] == [key.members() for key in parsed.keys]


def test_an_empty_ring_builds_an_empty_set():
    """An issuer without keys still publishes a well-formed document."""
    assert build_jwk_set([]) == {"keys": []}


@pytest.mark.attack("V8")
@pytest.mark.rfc("7517-5-1")
def test_unusable_keys_are_left_out():
    """A key that we do not understand must not cost the ones that we do."""
    good = public_rsa_jwk().members()
    unusable = [
        {"kty": "oct", "kid": "o", "alg": "HS256", "k": "c2VjcmV0"},
        {**good, "use": "enc"},
        {**good, "d": "AQAB"},
        {**good, "kty": "future", "alg": "FUT1"},
        {**good, "n": "AQAB"},
        "not a key",
        None,
        [],
    ]
    parsed = parse_jwk_set(document(*unusable, good))

    assert [good["kid"]] == [key.kid for key in parsed.keys]


@pytest.mark.rfc("roll-5")
@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty body"),
        pytest.param(b"<html>", id="HTML"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b"{}", id="no keys"),
        pytest.param(b'{"keys": {}}', id="keys is an object"),
        pytest.param(b'{"keys": null}', id="keys is null"),
        pytest.param(document(), id="no key"),
        pytest.param(document({"kty": "oct", "k": "YQ"}), id="no usable key"),
        pytest.param(b'{"keys": [], "keys": []}', id="a name twice"),
        pytest.param("\ufeff{}".encode(), id="byte order mark"),
        pytest.param(document(*[public_rsa_jwk().members()] * 51), id="51 keys"),
        pytest.param(document(public_rsa_jwk().members()) + b" " * 65_536, id="too large"),
    ],
)
def test_a_document_that_is_no_usable_set_is_refused(body):
    """Empty, oversized and foreign documents never replace a good set."""
    with pytest.raises(InvalidJwkSet):
        parse_jwk_set(body)


@pytest.mark.rfc("roll-5")
def test_the_bounds_themselves_are_allowed():
    """65,536 bytes and 50 keys are the most that is accepted."""
    member = public_rsa_jwk().members()
    body = document(*[{**member, "kid": str(number)} for number in range(50)]).ljust(65_536)

    assert len(parse_jwk_set(body).keys) == 50


def test_a_caller_may_narrow_the_bounds():
    """Both bounds are arguments."""
    body = document(public_rsa_jwk(0).members(), public_rsa_jwk(1).members())

    with pytest.raises(InvalidJwkSet, match="bytes"):
        parse_jwk_set(body, max_bytes=len(body) - 1)
    with pytest.raises(InvalidJwkSet, match="keys"):
        parse_jwk_set(body, max_keys=1)


def test_a_key_is_selected_by_kid_and_alg():
    """Both must be the key's own."""
    keys = JwkSet(keys=(public_rsa_jwk(0), public_rsa_jwk(1)))
    wanted = public_rsa_jwk(1)

    assert keys.select(wanted.kid, "RS256") == wanted
    assert keys.select(wanted.kid, "PS256") is None
    assert keys.select("unknown", "RS256") is None


@pytest.mark.attack("V8")
@pytest.mark.rfc("roll-7")
def test_a_kid_that_two_keys_share_selects_neither():
    """Duplicate kids are narrowed by alg; if more than one key is left, none is chosen."""
    shared = {**public_rsa_jwk(1).members(), "kid": public_rsa_jwk(0).kid}
    keys = parse_jwk_set(document(public_rsa_jwk(0).members(), shared))

    assert len(keys.keys) == 2
    assert keys.select(public_rsa_jwk(0).kid, "RS256") is None


def test_a_key_that_is_listed_twice_is_one_key():
    """It is the same key, also where only one of the two says what it is for."""
    key = public_rsa_jwk().members()
    keys = parse_jwk_set(document(key, {**key, "alg": None, "use": None}, key))

    assert keys.keys == (public_rsa_jwk(),)
    assert keys.select(key["kid"], "RS256") == public_rsa_jwk()


@pytest.mark.attack("V8")
@pytest.mark.rfc("roll-7")
def test_a_duplicate_that_cannot_verify_does_not_hide_the_good_key():
    """An unusable key with the same kid is narrowed away."""
    good = public_rsa_jwk().members()
    keys = parse_jwk_set(document({**good, "use": "enc"}, good))

    assert keys.select(good["kid"], "RS256").members() == good


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"<html>", "is not a strict JSON object"),
        (b"{}", "has no keys array"),
        (document(), "has no usable key"),
    ],
)
def test_the_refusal_of_a_set_names_the_fault(body: bytes, told: str) -> None:
    """An operator reads what came in place of a key set."""
    with pytest.raises(InvalidJwkSet, match=told):
        parse_jwk_set(body)


def named_keys(count: int) -> list[PublicJwk]:
    """Make keys that differ in their names alone: 0, 1, 2 and so on."""
    key = public_rsa_jwk().key
    return [PublicJwk(kid=str(n), alg="RS256", kty="RSA", key=key) for n in range(count)]


def test_a_set_of_just_the_largest_size_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    """As `parse_jwk_set` reads it: the bounds themselves are within."""
    keys = named_keys(3)
    size = len(json.dumps(build_jwk_set(keys)))
    for bound, fits in ((size, True), (size - 1, False)):
        monkeypatch.setattr(jwks, "MAXIMUM_BYTES", bound)
        assert fits_jwk_set(keys) == fits
    monkeypatch.setattr(jwks, "MAXIMUM_BYTES", size)
    for bound, fits in ((3, True), (2, False)):
        monkeypatch.setattr(jwks, "MAXIMUM_KEYS", bound)
        assert fits_jwk_set(keys) == fits


@pytest.mark.parametrize(
    ("bound", "around", "kept"),
    [
        (1, 0, "0"),
        (1, 1, "1"),
        (1, 3, "3"),
        (1, 5, "5"),
        (3, 0, "012"),
        (3, 2, "123"),
        (3, 3, "234"),
        (3, 4, "345"),
        (5, 2, "01234"),
        (5, 3, "12345"),
        (6, 5, "012345"),
    ],
)
def test_the_keys_farthest_from_the_one_that_matters_are_left_out(
    monkeypatch: pytest.MonkeyPatch, bound: int, around: int, kept: str
) -> None:
    """Of two that are as far the later one goes: it does not sign for the longest time."""
    monkeypatch.setattr(jwks, "MAXIMUM_KEYS", bound)
    assert "".join(key.kid for key in fit_jwk_set(named_keys(6), around=around)) == kept


def test_of_an_odd_number_of_keys_the_last_one_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """The key in the middle has as many before it as after it."""
    monkeypatch.setattr(jwks, "MAXIMUM_KEYS", 4)
    assert [key.kid for key in fit_jwk_set(named_keys(5), around=2)] == ["0", "1", "2", "3"]


def test_the_sets_of_other_vendors_are_read() -> None:
    """Without `alg` (Entra ID), with certificates, and with a key for encryption (Keycloak)."""
    key = public_rsa_jwk(0).members()
    del key["alg"]
    certificate = {"x5t": "kg2LYs2T0CTjIfj4rt6JIynen38", "x5c": ["MIIDBTCCAe2gAwIBAgIQ"]}
    entra = {**key, **certificate, "kid": "kg2LYs2T0CTjIfj4rt6JIynen38", "issuer": "https://a/v2.0"}
    keycloak = {**key, **certificate, "kid": "signs", "alg": "RS256", "x5t#S256": "BBBB"}
    encrypts = {**key, "kid": "encrypts", "use": "enc", "alg": "RSA-OAEP"}
    found = parse_jwk_set(json.dumps({"keys": [entra, encrypts, keycloak]}).encode())
    assert [(each.kid, each.alg) for each in found.keys] == [
        (entra["kid"], "RS256"),
        ("signs", "RS256"),
    ]
