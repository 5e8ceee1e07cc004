"""Public JWKs: what is accepted, what is refused, what is published."""

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from keys.encoding import decode_base64url, encode_base64url
from keys.errors import InvalidJwk, UnknownAlgorithm
from keys.jwk import PublicJwk, parse_public_jwk, public_jwk, thumbprint
from keys.weak_keys import find_rsa_weakness
from tests.support.keys import ec_key, public_rsa_jwk, rsa_key, weak_rsa_key


def good(**changes: object) -> dict[str, object]:
    """Return the members of a good JWK with some replaced, or left out where the value is None."""
    members = {**public_rsa_jwk().members(), **changes}
    return {name: value for name, value in members.items() if value is not None}


def unsigned(value: int) -> str:
    """Write a number as JWK members do."""
    return encode_base64url(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def test_a_jwk_survives_publishing_and_parsing():
    """What we publish is what we read back."""
    parsed = parse_public_jwk(public_rsa_jwk().members())

    assert parsed.members() == public_rsa_jwk().members()
    assert parsed.key == rsa_key().public_key()
    assert parsed.bits == 2048


def test_equal_jwks_publish_the_same():
    """Where the key object came from does not matter; the name alone does not make a key."""
    ours, other = public_rsa_jwk(), public_rsa_jwk(1).members()
    parsed = parse_public_jwk(ours.members())

    assert parsed == ours
    assert len({parsed, ours}) == 1
    assert hash(parsed) != hash(public_rsa_jwk(1))
    assert parse_public_jwk({**other, "kid": ours.kid}) != ours
    assert ours != ours.members()


def test_the_kid_of_our_keys_is_the_thumbprint():
    """Private and public key give the same JWK, named by its thumbprint."""
    jwk = public_jwk(rsa_key(), "RS256")

    assert jwk == public_jwk(rsa_key().public_key(), "RS256")
    assert jwk.kid == thumbprint(jwk.members())


@pytest.mark.rfc("7517-8-1")
def test_only_allow_listed_members_are_published():
    """Nothing but these six members leaves, whatever the key is."""
    assert set(public_rsa_jwk().members()) == {"kty", "use", "alg", "kid", "n", "e"}


@pytest.mark.rfc("7518-3-1")
def test_a_weak_key_gets_no_jwk():
    """RSA keys have 2048 bits or more."""
    with pytest.raises(InvalidJwk, match="too weak"):
        public_jwk(weak_rsa_key(), "RS256")


def test_an_algorithm_outside_the_table_gets_no_jwk():
    """A key serves an algorithm of ours or none."""
    with pytest.raises(UnknownAlgorithm):
        public_jwk(rsa_key(), "none")


def test_unknown_members_are_ignored():
    """RFC 7517 §4: members that are not understood are ignored, and not published on."""
    parsed = parse_public_jwk(good(x5t="abc", exp=1))

    assert parsed.members() == public_rsa_jwk().members()


@pytest.mark.parametrize("name", ["use", "alg", "key_ops", "d", "k", "oth", "x5t", "crv"])
def test_a_member_that_is_null_is_absent(name: str):
    """Writers of JSON put null where there is no value; a private member is none then either."""
    members = {**good(), name: None}
    assert parse_public_jwk(members).members() == public_rsa_jwk().members()


@pytest.mark.parametrize("name", ["n", "e"])
def test_a_leading_zero_octet_changes_no_number(name: str):
    """Writers that keep a sign put one there; what is published on has none (RFC 7518 §2)."""
    octets = decode_base64url(public_rsa_jwk().members()[name])
    parsed = parse_public_jwk(good(**{name: encode_base64url(b"\0" + octets)}))
    assert parsed.members() == public_rsa_jwk().members()


def test_a_jwk_without_alg_is_bound_to_the_algorithm_of_its_type():
    """alg is optional on the wire, yet each key serves exactly one algorithm."""
    assert parse_public_jwk(good(alg=None)).alg == "RS256"


@pytest.mark.rfc("7517-4-1")
@pytest.mark.parametrize(
    "changes",
    [
        {"use": None},
        {"use": None, "key_ops": ["verify"]},
        {"key_ops": ["sign", "verify"]},
    ],
)
def test_a_purpose_that_allows_verification_is_accepted(changes):
    """use and key_ops are optional, and judged only when present."""
    assert parse_public_jwk(good(**changes)).kid == public_rsa_jwk().kid


@pytest.mark.attack("V8")
@pytest.mark.rfc("7517-4-1", "7517-8-1", "8725-3.1-1", "none-1")
@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"use": "enc"}, id="use=enc"),
        pytest.param({"use": ["sig"]}, id="use is a list"),
        pytest.param({"key_ops": ["sign"]}, id="key_ops without verify"),
        pytest.param({"key_ops": []}, id="key_ops empty"),
        pytest.param({"key_ops": "verify"}, id="key_ops is a string"),
        pytest.param({"alg": "ES256K"}, id="alg unknown"),
        pytest.param({"alg": "none"}, id="alg none"),
        pytest.param({"alg": 1}, id="alg is a number"),
        pytest.param({"alg": ["RS256"]}, id="alg is a list"),
        pytest.param({"kty": None}, id="kty missing"),
        pytest.param({"kty": "EC"}, id="kty does not fit alg"),
        pytest.param({"kty": "oct", "k": "c2VjcmV0"}, id="symmetric"),
        pytest.param({"kty": "oct", "alg": None}, id="symmetric without alg or k"),
        pytest.param({"kty": ["RSA"], "alg": None}, id="kty is a list"),
        pytest.param({"kid": None}, id="kid missing"),
        pytest.param({"kid": ""}, id="kid empty"),
        pytest.param({"kid": 7}, id="kid is a number"),
        pytest.param({"n": None}, id="n missing"),
        pytest.param({"n": 65537}, id="n is a number"),
        pytest.param({"n": ""}, id="n empty"),
        pytest.param({"n": "AA" + public_rsa_jwk().members()["n"]}, id="n not canonical"),
        pytest.param({"n": public_rsa_jwk().members()["n"] + "="}, id="n padded"),
        pytest.param({"n": unsigned(1 << 2048)}, id="n even"),
        pytest.param({"n": unsigned((1 << 8200) + 1)}, id="n too long"),
        pytest.param({"e": unsigned(1)}, id="e=1"),
        pytest.param({"e": unsigned(65536)}, id="e even"),
        pytest.param({"e": encode_base64url(b"\0\0\1\0\1")}, id="e with leading zeros"),
        pytest.param({"e": "AA"}, id="e zero"),
        pytest.param({"e": unsigned((1 << 64) + 1)}, id="e too long"),
        *[
            pytest.param({name: "AQAB"}, id=f"private member {name}")
            for name in ("d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv")
        ],
    ],
)
def test_a_jwk_that_cannot_verify_is_refused(changes):
    """Private, symmetric, foreign, weak or malformed keys never become a PublicJwk."""
    with pytest.raises(InvalidJwk):
        parse_public_jwk(good(**changes))


@pytest.mark.attack("V8")
@pytest.mark.rfc("7518-3-1")
def test_a_weak_jwk_is_refused():
    """A set may not bring in an RSA key below 2048 bits."""
    numbers = weak_rsa_key().public_key().public_numbers()
    with pytest.raises(InvalidJwk, match="too weak"):
        parse_public_jwk(good(n=unsigned(numbers.n)))


def test_a_jwk_cannot_be_changed():
    """Key, algorithm and name stay together."""
    with pytest.raises(AttributeError):
        public_rsa_jwk().alg = "none"  # type: ignore[misc]


def test_members_of_a_larger_exponent_and_modulus_are_exact():
    """Encoding keeps every octet of numbers of any width."""
    numbers = rsa.RSAPublicNumbers(3, rsa_key().public_key().public_numbers().n)
    jwk = PublicJwk(kid="k", alg="RS256", kty="RSA", key=numbers.public_key())

    assert jwk.members()["e"] == "Aw"
    assert parse_public_jwk(jwk.members()).key.public_numbers() == numbers


P256 = {
    "kty": "EC",
    "crv": "P-256",
    "x": "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
    "y": "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA",
}


@pytest.mark.rfc("7638-3-1")
def test_members_that_are_not_required_do_not_count():
    """use, alg and kid leave the thumbprint alone."""
    members = public_rsa_jwk().members()
    bare = {name: members[name] for name in ("n", "kty", "e")}

    assert thumbprint(bare) == thumbprint(members)


@pytest.mark.rfc("7638-3-1")
@pytest.mark.parametrize("kty", ["oct", "rsa", "", None, 1, ["RSA"]])
def test_other_key_types_have_no_thumbprint(kty):
    """A thumbprint of a symmetric key would be a hash of the secret."""
    with pytest.raises(InvalidJwk, match="needs a kty of RSA, EC, OKP, AKP"):
        thumbprint({"kty": kty, "k": "c2VjcmV0"})


@pytest.mark.rfc("7638-3-1")
@pytest.mark.parametrize(
    ("good", "changes", "told"),
    [
        (public_rsa_jwk().members(), {"e": "AAEAAQ"}, "leading zero octets"),
        (public_rsa_jwk().members(), {"n": "AAEAAQ"}, "leading zero octets"),
        (public_rsa_jwk().members(), {"e": "AQAB="}, "is not base64url"),
        (public_rsa_jwk().members(), {"e": ""}, "missing or not a plain string"),
        (public_rsa_jwk().members(), {"e": 65537}, "missing or not a plain string"),
        (public_rsa_jwk().members(), {"n": "ÄÖÜ"}, "missing or not a plain string"),
        (P256, {"x": "AQAB"}, "width of its curve"),
        (P256, {"crv": "P-384"}, "width of its curve"),
        (P256, {"crv": "secp256k1"}, "width of its curve"),
        (P256, {"crv": None}, "missing or not a plain string"),
    ],
)
def test_a_form_that_is_not_canonical_has_no_thumbprint(good, changes, told):
    """One key has one thumbprint, so any second form of it is refused."""
    with pytest.raises(InvalidJwk, match=told):
        thumbprint({**good, **changes})


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"d": "AQAB"}, "holds private members"),
        ({"kid": None}, "has no kid"),
        ({"use": "enc"}, "use is not sig"),
        ({"key_ops": ["sign"]}, "key_ops does not contain verify"),
        ({"alg": None, "kty": "EC"}, "kty fits no algorithm"),
        ({"alg": 1}, "alg is not a string"),
        ({"alg": "ES256K"}, "alg is not one of ours"),
        ({"kty": "EC"}, "kty does not fit its alg"),
        ({"n": unsigned(1 << 2048)}, "modulus is even"),
        ({"e": unsigned(1)}, "is not an RSA key"),
        ({"n": None}, "member n is missing"),
        ({"e": 65_537}, "member e is missing or not a string"),
        ({"n": "="}, "member n is not base64url"),
        ({"e": ""}, "member e is empty"),
        ({"n": unsigned(weak_rsa_key().public_key().public_numbers().n)}, "1024 bits is too weak"),
    ],
)
def test_the_refusal_of_a_jwk_names_the_fault(changes: dict[str, object], told: str) -> None:
    """An operator who has to mend a key reads what is wrong with it."""
    with pytest.raises(InvalidJwk, match=told):
        parse_public_jwk(good(**changes))


def test_the_reason_for_which_a_key_is_weak_is_told() -> None:
    """It says what is wrong with the numbers, not only that something is."""
    modulus = 3 * public_rsa_jwk().key.public_numbers().n
    with pytest.raises(InvalidJwk, match="key is too weak: its modulus has a small factor"):
        parse_public_jwk(good(n=unsigned(modulus)))


def test_the_largest_numbers_are_taken() -> None:
    """A modulus of 8192 bits and an exponent of four octets are the bounds themselves."""
    modulus = largest_modulus()
    parsed = parse_public_jwk(good(n=unsigned(modulus), e=unsigned((1 << 32) - 1)))

    assert (parsed.bits, parsed.key.public_numbers().e) == (8192, (1 << 32) - 1)
    for beyond in ({"n": unsigned(modulus << 1 | 1)}, {"e": unsigned((1 << 32) + 1)}):
        with pytest.raises(InvalidJwk, match="too long"):
            parse_public_jwk(good(**beyond))


def largest_modulus() -> int:
    """Return an odd number of 8192 bits that no check finds weak; nobody knows its factors."""
    modulus = (1 << 8192) - 1
    while find_rsa_weakness(modulus, 65_537) is not None:
        modulus -= 2
    return modulus


def test_a_key_of_another_type_has_no_jwk_for_the_algorithm():
    """An algorithm is served by keys of its own type alone (RFC 8725 §3.1)."""
    for key in (ec_key(), ec_key().public_key()):
        with pytest.raises(InvalidJwk, match="not an RSA key, which RS256 needs"):
            public_jwk(key, "RS256")
