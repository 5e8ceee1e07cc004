"""The signer that holds a key in this process."""

from typing import cast

import pytest

from keys.errors import UnknownAlgorithm
from keys.key_types import verifier
from keys.signers.local import LocalSigner, Signer
from tests.support.keys import rsa_key


async def test_a_local_signer_signs_for_its_public_key():
    """Sync and async give signatures that the public key verifies."""
    local = LocalSigner("kid-1", "RS256", rsa_key())
    signer = cast(Signer, local)

    for signature in (local.sign_now(b"input"), await signer.sign(b"input")):
        assert verifier("RS256").verify(b"input", rsa_key().public_key(), signature)
    assert (signer.kid, signer.alg) == ("kid-1", "RS256")


def test_a_signer_needs_an_algorithm_of_the_table():
    """No signer signs with an algorithm that no validator of ours accepts."""
    with pytest.raises(UnknownAlgorithm):
        LocalSigner("kid-1", "none", rsa_key())


def test_the_repr_shows_no_key():
    """A signer in a log line names the key and nothing of it."""
    assert repr(LocalSigner("kid-1", "RS256", rsa_key())) == "LocalSigner(kid='kid-1', alg='RS256')"
