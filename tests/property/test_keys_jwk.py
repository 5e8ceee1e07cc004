"""Invariants of the JWK parsers: any input gives a value or a refusal of ours."""

import contextlib
import json

from hypothesis import given, settings
from hypothesis import strategies as st

from keys.errors import InvalidJwk, InvalidJwkSet
from keys.jwk import PRIVATE_MEMBERS, parse_public_jwk, thumbprint
from keys.jwks import build_jwk_set, parse_jwk_set
from tests.support.keys import public_rsa_jwk

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
        assert jwk.bits >= 2048
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
