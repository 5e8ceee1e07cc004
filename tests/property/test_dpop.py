"""Any bytes in the place of a DPoP proof are a proof or an `InvalidProof`; equal URLs are equal."""

import json
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.dpop import MAX_PROOF_BYTES, InvalidProof, Proof, ProofKeys, check_proof
from keys.dpop_nonce import NONCE_STEP, Nonces
from tests.support.dpop import TOKEN_URL, ProofForge
from watchword.testing.forge import NOW, dump

SENDER = ProofForge()
GOOD = SENDER.proof()
MEMO = ProofKeys(bound=4)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
NAMES = ["typ", "alg", "jwk", "kid", "crit", "jti", "htm", "htu", "iat", "nonce", "ath", "x"]
MEMBERS = st.dictionaries(st.sampled_from(NAMES), JSON, max_size=4)
SEGMENTS = st.sampled_from("abcXYZ019-._~!$&'()*+,;=:@") | st.sampled_from("/%? é")


def read(proof: bytes, **options: Any) -> Proof | None:
    """Check a proof; None if it is refused. Nothing but `InvalidProof` ever comes out."""
    with suppress(InvalidProof):
        return check_proof([proof], method="POST", url=TOKEN_URL, now=NOW, **options)
    return None


@given(st.binary(max_size=300) | st.text("abcAZ09-_.=", max_size=300).map(str.encode))
def test_any_bytes_are_refused(raw: bytes) -> None:
    """No accident makes a proof."""
    assert read(raw, memo=MEMO) is None


@given(header=MEMBERS, claims=MEMBERS)
def test_any_members_prove_the_key_that_signed_or_nothing(
    header: dict[str, Any], claims: dict[str, Any]
) -> None:
    """Whatever stands in header and claims, properly signed."""
    proof = SENDER.proof(header=header, **claims)
    for memo in (None, MEMO):
        found = read(proof, memo=memo)
        assert found is None or found.jkt == SENDER.jkt


@given(st.data())
def test_any_change_of_a_byte_is_noticed(data: st.DataObject) -> None:
    """With the key in memory as well: a proof is good as it was signed, or not at all."""
    assert read(GOOD, memo=MEMO) is not None
    place = data.draw(st.integers(0, len(GOOD) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != GOOD[place]))
    changed = GOOD[:place] + bytes([other]) + GOOD[place + 1 :]
    assert read(changed, memo=MEMO) is None


@given(st.integers(0, 3 * MAX_PROOF_BYTES))
def test_length_and_depth_are_bounded(size: int) -> None:
    """Long values and deep nesting are refused before they cost anything."""
    assert read(SENDER.proof(jti="j" * size)) is None or size <= 255
    nested = b'{"a":' * size + b"1" + b"}" * size
    assert read(SENDER.raw(dump({"typ": "dpop+jwt", "alg": "ES256"}), nested)) is None


@given(st.text(SEGMENTS, max_size=40))
def test_urls_are_compared_without_an_error(path: str) -> None:
    """Any text as `htu`; a path in its escaped form is the same URL as itself."""
    read(SENDER.proof(htu=path))
    url = "https://as.example/" + quote(path, safe="/!$&'()*+,;=:@~")
    lower = url.replace("%C3%A9", "%c3%a9")
    sent = SENDER.proof(htu=lower.replace("https://as.example", "HTTPS://AS.EXAMPLE:443"))
    proof = check_proof([sent], method="POST", url=url + "?query", now=NOW)
    assert proof.jkt == SENDER.jkt


@given(at=st.integers(0, 2**40), later=st.integers(0, 10 * NONCE_STEP), key=st.binary(min_size=1))
def test_a_nonce_is_current_for_one_to_two_steps(at: int, later: int, key: bytes) -> None:
    """At any time, under any key."""
    nonces = Nonces(key)
    is_current = nonces.is_current(nonces.issue(at), at + later)
    assert is_current or later >= NONCE_STEP
    assert not is_current or later < 2 * NONCE_STEP


@pytest.mark.parametrize("proof", [b"", b".", b"..", b"...", b"e30.e30.", json.dumps({}).encode()])
def test_shapes_that_were_met(proof: bytes) -> None:
    """The corpus: what earlier parsers stumbled over."""
    assert read(proof) is None
