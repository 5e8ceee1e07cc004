"""Invariants of the JWK parsers: any input gives a value or a refusal of ours."""

import contextlib
import json

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from hypothesis import given, settings
from hypothesis import strategies as st

from keys.encoding import decode_base64url, encode_base64url
from keys.errors import InvalidJwk, InvalidJwkSet
from keys.jwk import PRIVATE_MEMBERS, parse_public_jwk, public_jwk, thumbprint
from keys.jwks import build_jwk_set, parse_jwk_set
from keys.key_types import ALGORITHMS, algorithm, verifier
from keys.stores.key_file import render_private_pem
from tests.support.keys import public_key_of, public_rsa_jwk, rsa_key

NAMES = st.sampled_from(
    ["kty", "use", "key_ops", "alg", "kid", "n", "e", "x", "y", "crv", "pub", *PRIVATE_MEMBERS]
)


def json_values(
    text: st.SearchStrategy[str], numbers: st.SearchStrategy[float]
) -> st.SearchStrategy:
    """Generate what a JSON document may hold."""
    return st.recursive(
        st.none() | st.booleans() | numbers | text,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
        max_leaves=6,
    )


JSON = json_values(st.text(max_size=12), st.integers() | st.floats())
# What strict JSON allows: one odd member spoils a whole document otherwise, and rightly so.
STRICT_JSON = json_values(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12),
    st.integers(min_value=-(2**53), max_value=2**53),
)
TELLING = st.sampled_from(["RSA", "EC", "OKP", "sig", "verify", "RS256", "AQAB", "AAAA", "P-256"])
MEMBERS = st.dictionaries(NAMES, TELLING | JSON, max_size=8)
STRICT_MEMBERS = st.dictionaries(NAMES, TELLING | STRICT_JSON, max_size=8)
# How fast a machine is does not decide what is right.
UNHURRIED = settings(deadline=None)


@UNHURRIED
@given(MEMBERS, st.booleans())
def test_any_members_give_a_strong_public_key_or_a_refusal(changes, on_a_good_key):
    """Nothing but InvalidJwk comes out of the parser, and nothing weak or private gets through."""
    members = {**(public_rsa_jwk().members() if on_a_good_key else {}), **changes}
    with contextlib.suppress(InvalidJwk):
        jwk = parse_public_jwk(members)
        assert jwk.bits >= (2048 if jwk.kty in ("RSA", "AKP") else 256)
        # A member that is null is not there.
        assert not PRIVATE_MEMBERS & {name for name in members if members[name] is not None}
        assert parse_public_jwk(jwk.members()).members() == jwk.members()


@UNHURRIED
@given(MEMBERS)
def test_any_members_give_a_thumbprint_or_a_refusal(members):
    """A thumbprint has 43 characters, and no other error comes out."""
    with contextlib.suppress(InvalidJwk):
        assert len(thumbprint(members)) == 43


@UNHURRIED
@given(st.binary(max_size=200) | st.builds(lambda v: json.dumps({"keys": v}).encode(), JSON))
def test_any_document_gives_a_set_or_a_refusal(document):
    """Nothing but InvalidJwkSet comes out of the parser, and a set is never empty."""
    with contextlib.suppress(InvalidJwkSet):
        assert parse_jwk_set(document).keys


@UNHURRIED
@given(st.lists(STRICT_MEMBERS, max_size=4), st.integers(min_value=0, max_value=4))
def test_bad_keys_never_cost_a_good_one(others, position):
    """Wherever the good key stands among others, it is found."""
    good = public_rsa_jwk()
    members: list[object] = [{**each, "kid": "other"} for each in others]
    members.insert(position, build_jwk_set([good])["keys"][0])
    found = parse_jwk_set(json.dumps({"keys": members}).encode()).select(good.kid, "RS256")

    assert found is not None
    assert found.members() == good.members()


ORDER_OF_P256 = ec.SECP256R1().group_order


@st.composite
def signing_keys(draw: st.DrawFn) -> tuple[PrivateKeyTypes, str]:
    """Generate a private key of any type with an algorithm that it serves."""
    alg = draw(st.sampled_from(list(ALGORITHMS)))
    seed = draw(st.binary(min_size=32, max_size=32))
    kty = algorithm(alg).kty
    if kty == "EC":
        # Any number below the smallest of the orders makes a key on each curve.
        number = int.from_bytes(seed) % (ORDER_OF_P256 - 1) + 1
        curve = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}[alg]
        return ec.derive_private_key(number, curve), alg
    if kty == "OKP":
        return ed25519.Ed25519PrivateKey.from_private_bytes(seed), alg
    if kty == "AKP":
        kind = {
            "ML-DSA-44": mldsa.MLDSA44PrivateKey,
            "ML-DSA-65": mldsa.MLDSA65PrivateKey,
            "ML-DSA-87": mldsa.MLDSA87PrivateKey,
        }[alg]
        return kind.from_seed_bytes(seed), alg
    return rsa_key(seed[0] % 3), alg


@UNHURRIED
@given(signing_keys())
def test_what_is_published_of_any_key_is_read_back(made):
    """`parse(members(key)) == key`, over JSON too, and the kid is the thumbprint."""
    key, alg = made
    jwk = public_jwk(key, alg)
    members = json.loads(json.dumps(jwk.members()))
    assert parse_public_jwk(members) == jwk
    assert parse_public_jwk(members).members() == members
    assert jwk.kid == thumbprint(members) == thumbprint({**members, "use": "enc", "kid": "x"})
    assert load_pem_private_key(render_private_pem(key), None).public_key() == jwk.key


@UNHURRIED
@given(signing_keys(), st.binary(max_size=64), st.data())
def test_a_signature_with_any_bit_changed_is_refused(made, message, data):
    """Whatever the type: one bit of the signature or of the message is enough."""
    key, alg = made
    jwk, scheme = public_jwk(key, alg), verifier(alg)
    signature = scheme.sign(message, key)
    assert scheme.verify(message, jwk.key, signature)
    bit = data.draw(st.integers(min_value=0, max_value=len(signature) * 8 - 1))
    changed = bytearray(signature)
    changed[bit // 8] ^= 1 << bit % 8
    with contextlib.suppress(ValueError):
        assert not scheme.verify(message, jwk.key, bytes(changed))
    assert not scheme.verify(message + b"\0", jwk.key, signature)


@UNHURRIED
@given(st.sampled_from(list(ALGORITHMS)), st.data())
def test_a_changed_member_gives_another_key_or_a_refusal(alg, data):
    """No member of a published key has a second spelling."""
    good = public_key_of(alg).members()
    name = data.draw(st.sampled_from(sorted(good.keys() & {"n", "e", "x", "y", "pub"})))
    octets = bytearray(decode_base64url(good[name]))
    at = data.draw(st.integers(min_value=0, max_value=len(octets) - 1))
    octets[at] ^= data.draw(st.integers(min_value=1, max_value=255))
    members = {**good, name: encode_base64url(bytes(octets))}
    with contextlib.suppress(InvalidJwk):
        parsed = parse_public_jwk(members)
        assert parsed.key != public_key_of(alg).key
        assert parsed.members() == members or octets[0] == 0
