"""Nonces that a server gives and recognises without keeping any."""

import re

import pytest

from keys.dpop_nonce import NONCE_STEP, Nonces

NONCES = Nonces(b"k" * 32)
NOW = 1_800_000_000 - 1_800_000_000 % NONCE_STEP


@pytest.mark.rfc("9449-8-1")
def test_a_nonce_is_current_for_one_to_two_steps() -> None:
    """It lives at least one step after it was given, and a node whose clock lags takes it."""
    nonce = NONCES.issue(NOW)
    assert NONCES.issue(NOW + NONCE_STEP - 1) == nonce
    assert NONCES.issue(NOW + NONCE_STEP) != nonce
    for now in (NOW - 1, NOW, NOW + NONCE_STEP, NOW + 2 * NONCE_STEP - 1):
        assert NONCES.is_current(nonce, now), now
    for now in (NOW - NONCE_STEP - 1, NOW + 2 * NONCE_STEP):
        assert not NONCES.is_current(nonce, now), now


@pytest.mark.rfc("9449-8-1")
def test_nodes_with_one_key_share_their_nonces() -> None:
    """They depend on key and time alone; another server's are not recognised."""
    assert Nonces(b"k" * 32).is_current(NONCES.issue(NOW), NOW)
    assert not Nonces(b"o" * 32).is_current(NONCES.issue(NOW), NOW)


@pytest.mark.rfc("9449-8-1")
def test_nonces_are_written_in_the_characters_of_the_rfc() -> None:
    """RFC 9449 §8.1: 1*NQCHAR."""
    assert re.fullmatch(r"[\x21\x23-\x5B\x5D-\x7E]+", NONCES.issue(NOW))


@pytest.mark.parametrize("sent", ["", "x", "\ud800", "é" * 300, "0" * 10_000])
def test_any_text_that_was_not_given_is_refused(sent: str) -> None:
    """Whatever a peer sends, it raises nothing."""
    assert not NONCES.is_current(sent, NOW)


def test_the_key_is_not_shown() -> None:
    """A representation may end up in a log."""
    assert repr(Nonces(b"k" * 32)) == "Nonces()"
