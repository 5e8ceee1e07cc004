"""The closed table of algorithms."""

import pytest

from keys.errors import UnknownAlgorithm
from keys.key_types import ALGORITHMS, algorithm, verifier
from tests.support.keys import rsa_key


def test_the_table_holds_rs256_alone():
    """Neither none nor any HMAC is an algorithm of ours."""
    assert list(ALGORITHMS) == ["RS256"]


@pytest.mark.rfc("8725-3.1-1", "none-1", "7515-4.1.1-1")
@pytest.mark.parametrize(
    "name", ["none", "None", "HS256", "rs256", "RS256 ", "", "RSA1_5", "PS256"]
)
def test_what_is_not_in_the_table_is_refused(name):
    """An alg is an exact name out of an allow-list, whatever the library below could do."""
    with pytest.raises(UnknownAlgorithm):
        algorithm(name)
    with pytest.raises(UnknownAlgorithm):
        verifier(name)


def test_nobody_can_add_an_algorithm():
    """The table cannot be written at run time."""
    with pytest.raises(TypeError):
        ALGORITHMS["none"] = ALGORITHMS["RS256"]


def test_a_refusal_does_not_repeat_the_name():
    """An alg from outside may be hostile text; it does not come back in the error."""
    with pytest.raises(UnknownAlgorithm) as caught:
        algorithm("<script>")
    assert "<script>" not in str(caught.value)


def test_the_verifier_tells_a_good_signature_from_a_bad_one():
    """The object of a table entry signs with a private key and verifies with its public one."""
    rs256 = verifier("RS256")
    signature = rs256.sign(b"message", rsa_key())

    assert rs256.verify(b"message", rsa_key().public_key(), signature)
    assert not rs256.verify(b"other message", rsa_key().public_key(), signature)
    assert not rs256.verify(b"message", rsa_key(1).public_key(), signature)
