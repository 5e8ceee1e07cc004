"""Public JWKs of EC, OKP and AKP: strict forms, points, lengths, and which algorithm they get."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, mldsa, x25519

from keys.encoding import decode_base64url, encode_base64url
from keys.errors import InvalidJwk
from keys.jwk import PRIVATE_MEMBERS, parse_public_jwk, public_jwk, thumbprint
from keys.key_types import ALGORITHMS, KEY_TYPES, algorithm
from keys.weak_keys import find_ed25519_weakness
from tests.support.keys import public_key_of
from watchword.testing.keys import private_key

CURVES = {"ES256": ("P-256", 32), "ES384": ("P-384", 48), "ES512": ("P-521", 66)}
LENGTHS = {"ML-DSA-44": 1312, "ML-DSA-65": 1952, "ML-DSA-87": 2592}
SEED_OF_MATRIX = 32
# RFC 8032 §5.1: the field; the y of the points of order 8; a y that no point has.
P = 2**255 - 19
ORDER_8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
NO_POINT = 2


def with_members(alg: str, /, **changes: Any) -> dict[str, Any]:
    """Give the members of a good key with some replaced, or left out where the value is None."""
    members = {**public_key_of(alg).members(), **changes}
    return {name: value for name, value in members.items() if value is not None}


def octets_of(alg: str, name: str) -> bytes:
    """Read a member of the good key."""
    return decode_base64url(public_key_of(alg).members()[name])


def refusal(members: dict[str, Any]) -> str:
    """Give the reason for which a JWK is refused."""
    with pytest.raises(InvalidJwk) as caught:
        parse_public_jwk(members)
    return str(caught.value)


@pytest.mark.rfc("7517-8-1", "7638-3-1")
@pytest.mark.parametrize("alg", ALGORITHMS)
def test_what_is_published_is_what_is_read(alg: str):
    """Every member comes back, the kid is the thumbprint, and nothing else is published."""
    jwk = public_jwk(private_key(alg), alg)
    parsed = parse_public_jwk(jwk.members())
    assert parsed == jwk == public_jwk(jwk.key, alg)
    assert parsed.members() == jwk.members()
    assert jwk.kid == thumbprint(jwk.members())
    needed = {"RSA": {"n", "e"}, "EC": {"crv", "x", "y"}, "OKP": {"crv", "x"}, "AKP": {"pub"}}
    assert jwk.members().keys() == {"kty", "use", "alg", "kid"} | needed[jwk.kty]


def test_the_size_of_a_key_is_told():
    """The modulus, the field, or the public key of ML-DSA, in bits."""
    sizes = {alg: public_key_of(alg).bits for alg in ALGORITHMS if algorithm(alg).kty != "RSA"}
    assert sizes == {
        **{"ES256": 256, "ES384": 384, "ES512": 521, "EdDSA": 256, "Ed25519": 256},
        **{alg: octets * 8 for alg, octets in LENGTHS.items()},
    }


@pytest.mark.rfc("8725-3.1-1")
@pytest.mark.parametrize("alg", ALGORITHMS)
def test_a_jwk_without_alg_gets_the_one_algorithm_of_its_kind(alg: str):
    """One key, one algorithm: the first of the table; AKP alone has to name it (RFC 9964)."""
    members = with_members(alg, alg=None)
    if algorithm(alg).kty == "AKP":
        assert refusal(members) == "JWK of kty AKP has no alg of ours"
        return
    bound = {"RSA": "RS256", "OKP": "EdDSA"}.get(algorithm(alg).kty, alg)
    assert parse_public_jwk(members).alg == bound


@pytest.mark.attack("V8")
@pytest.mark.rfc("8725-3.1-1")
@pytest.mark.parametrize("alg", ALGORITHMS)
def test_a_key_of_another_kind_is_refused(alg: str):
    """By its type, its curve or its parameter set, as a JWK and as an object."""
    for other in ALGORITHMS:
        alike = algorithm(alg).kty in ("RSA", "OKP") and algorithm(alg).kty == algorithm(other).kty
        if not alike and other != alg:
            refusal(with_members(other, alg=alg))
            with pytest.raises(InvalidJwk, match=r"key is not|member pub"):
                public_jwk(private_key(other), alg)


@pytest.mark.attack("V8")
@pytest.mark.parametrize("alg", ALGORITHMS)
@pytest.mark.parametrize("name", sorted(PRIVATE_MEMBERS))
def test_a_private_member_spoils_a_key_of_any_type(alg: str, name: str):
    """RFC 7517 §9.2, RFC 9964: `d`, and the seed in `priv`."""
    assert refusal(with_members(alg, **{name: "AQAB"})) == "JWK holds private members"


@pytest.mark.attack("V8")
@pytest.mark.rfc("7518-3-1")
@pytest.mark.parametrize("alg", CURVES)
@pytest.mark.parametrize("name", ["x", "y"])
def test_a_coordinate_has_one_form(alg: str, name: str):
    """RFC 7518 §6.2.1.2: the full width of the curve, leading zeros included, in base64url."""
    octets = octets_of(alg, name)
    good = encode_base64url(octets)
    for wrong in (octets[1:], octets[:-1], b"\0" + octets, octets + b"\0", b"", octets * 2):
        told = refusal(with_members(alg, **{name: encode_base64url(wrong)}))
        assert told == "JWK coordinates do not have the width of their curve"
    for text in (good + "=", good.replace(good[3], "+", 1), good + "A=", " " + good):
        assert "is not base64url" in refusal(with_members(alg, **{name: text}))
    for value in (None, 7, [good], True, {"x": good}):
        assert "missing or not a string" in refusal(with_members(alg, **{name: value}))


@pytest.mark.attack("V8")
@pytest.mark.parametrize("alg", CURVES)
def test_a_point_is_on_its_curve(alg: str):
    """An invalid point may be of a small group, and the point at infinity has no coordinates."""
    _, width = CURVES[alg]
    x, y = (int.from_bytes(octets_of(alg, name)) for name in ("x", "y"))
    largest = (1 << width * 8) - 1
    prime = {"ES256": 2**256 - 2**224 + 2**192 + 2**96 - 1,
             "ES384": 2**384 - 2**128 - 2**96 + 2**32 - 1, "ES512": 2**521 - 1}[alg]  # fmt: skip
    points = [(0, 0), (x, y ^ 1), (x ^ 1, y), (y, x), (x, 0), (0, y), (prime, y), (x, prime)]
    # The same point modulo p, where it fits the width.
    points += [(x + prime, y), (x, y + prime), (largest, largest)]
    for point in points:
        if max(point) <= largest:
            wrong = {
                name: encode_base64url(value.to_bytes(width))
                for name, value in zip("xy", point, strict=True)
            }
            assert refusal(with_members(alg, **wrong)) == "JWK is not a point of its curve"
    negative = encode_base64url((prime - y).to_bytes(width))
    assert parse_public_jwk(with_members(alg, y=negative)).key != public_key_of(alg).key


@pytest.mark.attack("V8")
@pytest.mark.parametrize(
    "crv", [None, "", "secp256k1", "p-256", "P-256 ", "P-192", "brainpoolP256r1", 256, ["P-256"]]
)
def test_only_three_curves_exist(crv: object):
    """By their exact names."""
    assert refusal(with_members("ES256", crv=crv)) == "JWK crv is not a curve of ours"
    assert "fits no algorithm" in refusal(with_members("ES256", crv=crv, alg=None))


def test_a_key_on_another_curve_has_no_jwk():
    """K-256 is as wide as P-256."""
    for key in (ec.generate_private_key(ec.SECP256K1()), ec.generate_private_key(ec.SECP224R1())):
        with pytest.raises(InvalidJwk, match="key is on no curve of ours"):
            public_jwk(key, "ES256")


@pytest.mark.attack("V8")
@pytest.mark.rfc("8037-2-1", "9864-1")
@pytest.mark.parametrize("alg", ["EdDSA", "Ed25519"])
def test_an_okp_key_is_ed25519_in_32_octets(alg: str):
    """Neither Ed448, which `EdDSA` could mean elsewhere, nor a key for agreement."""
    octets = octets_of(alg, "x")
    for crv in (None, "Ed448", "X25519", "ed25519", 1, ["Ed25519"]):
        assert refusal(with_members(alg, crv=crv)) == "JWK crv is not Ed25519"
    for wrong in (b"", octets[1:], octets + b"\0", b"\0" + octets, octets * 2):
        told = refusal(with_members(alg, x=encode_base64url(wrong)))
        assert told == "JWK member x does not have 32 octets"
    assert "is not base64url" in refusal(with_members(alg, x=encode_base64url(octets) + "="))
    for key in (ed448.Ed448PrivateKey.generate(), x25519.X25519PrivateKey.generate()):
        with pytest.raises(InvalidJwk, match=f"not an OKP key, which {alg} needs"):
            public_jwk(key, alg)


@pytest.mark.attack("V8")
@pytest.mark.rfc("8037-2-1")
@pytest.mark.parametrize("sign", [0, 1])
@pytest.mark.parametrize(
    ("y", "told"),
    [
        *((y, "small order") for y in (0, 1, P - 1, ORDER_8, P - ORDER_8)),
        *((y, "not canonical") for y in (P, P + 1, P + 18, 2**255 - 1)),
        *((y, "not a point") for y in (NO_POINT, P - NO_POINT)),
    ],
)
def test_a_point_of_small_order_or_in_another_form_is_no_key(y: int, sign: int, told: str):
    """For the first, anybody signs; the second is a second spelling; the third is nothing."""
    encoded = (y | sign << 255).to_bytes(32, "little")
    assert told in (find_ed25519_weakness(encoded) or "")
    assert told in refusal(with_members("Ed25519", x=encode_base64url(encoded)))


@pytest.mark.rfc("8037-2-1")
def test_good_ed25519_keys_have_no_weakness():
    """Keys as OpenSSL makes them pass."""
    for number in range(16):
        assert (
            find_ed25519_weakness(public_key_of("Ed25519", number).key.public_bytes_raw()) is None
        )


@pytest.mark.attack("V8")
@pytest.mark.rfc("9964-1", "9964-2")
@pytest.mark.parametrize("alg", LENGTHS)
def test_an_ml_dsa_key_has_the_length_of_its_parameter_set(alg: str):
    """1312, 1952 or 2592 octets, and the name of the algorithm that says which."""
    octets = octets_of(alg, "pub")
    assert len(octets) == LENGTHS[alg]
    for wrong in (b"", octets[:-1], octets + b"\0", octets[1:], octets * 2):
        told = refusal(with_members(alg, pub=encode_base64url(wrong)))
        assert told == f"JWK member pub does not have the length of {alg}"
    for value in (None, 7, [encode_base64url(octets)]):
        assert "missing or not a string" in refusal(with_members(alg, pub=value))
    assert "is not base64url" in refusal(with_members(alg, pub=encode_base64url(octets) + "=="))


@pytest.mark.attack("V8")
@pytest.mark.rfc("9964-1")
@pytest.mark.parametrize("alg", ["ML-DSA", "ML-DSA-45", "ml-dsa-44", "HashML-DSA-44", "ES256"])
def test_an_akp_key_names_a_parameter_set(alg: str):
    """RFC 9964 §3: `alg` is REQUIRED, and no HashML-DSA exists."""
    told = refusal(with_members("ML-DSA-44", alg=alg))
    assert told in ("JWK alg is not one of ours", "JWK kty does not fit its alg")


@pytest.mark.attack("V8")
@pytest.mark.parametrize("alg", LENGTHS)
def test_an_ml_dsa_key_without_a_vector_is_weak(alg: str):
    """With t1 = 0 the secret has no part in what is verified."""
    seed = octets_of(alg, "pub")[:SEED_OF_MATRIX]
    zero = seed + bytes(LENGTHS[alg] - SEED_OF_MATRIX)
    assert "its vector is zero" in refusal(with_members(alg, pub=encode_base64url(zero)))


def test_each_type_takes_its_own_keys_alone():
    """The classes of one row are of no other."""
    public = [kind for row in KEY_TYPES.values() for kind in row.public]
    private = [kind for row in KEY_TYPES.values() for kind in row.private]
    assert len(set(public)) == len(public) == len(private) == len(set(private)) == 6
    assert mldsa.MLDSA44PublicKey in public
