"""JWK sets: built from public members, parsed with suspicion, searched without guessing."""

import json

import pytest

from keys.errors import InvalidJwkSet
from keys.jwks import JwkSet, build_jwk_set, parse_jwk_set
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
