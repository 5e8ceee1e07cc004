"""Invariants of sealed key texts: they come back as they were, or not at all."""

from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keys.errors import KeyStoreError
from keys.stores.sealed import Sealer
from tests.support.keys import key_file

NAME = "a-kid.pem"
UNHURRIED = settings(deadline=None)


@cache
def sealer() -> Sealer:
    """Return one whose key is made."""
    made = Sealer(b"correct horse", random_bytes=lambda size: b"\1" * size)
    made.seal(NAME, b"")
    return made


@given(st.text(max_size=60), st.binary(max_size=300))
@UNHURRIED
def test_what_is_sealed_opens_under_its_name_alone(name, text):
    """Any text, any name."""
    content = sealer().seal(name, text)
    assert sealer().open(name, content, where=name) == text
    with pytest.raises(KeyStoreError):
        sealer().open(f"{name}.", content, where=name)


@given(st.data())
@UNHURRIED
def test_a_bit_that_is_flipped_anywhere_is_noticed(data):
    """In the version, the parameters, the salt, the nonce, the text or the tag."""
    content = bytearray(sealer().seal(NAME, key_file()))
    begin = data.draw(st.sampled_from([(0, 120), (120, len(content))]))
    place = data.draw(st.integers(begin[0], begin[1] - 1))
    content[place] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(KeyStoreError):
        sealer().open(NAME, bytes(content), where=NAME)


@given(st.binary(max_size=300))
@UNHURRIED
def test_anything_else_is_refused(content):
    """With an error of ours, whatever it is."""
    with pytest.raises(KeyStoreError):
        sealer().open(NAME, content, where=NAME)
