"""New private keys."""

import pytest

from keys.errors import UnknownAlgorithm
from keys.generate import generate_private_key


@pytest.mark.rfc("7518-3-1")
def test_a_key_has_2048_bits_unless_more_is_asked_for():
    """2048 is the default and the least."""
    key = generate_private_key()

    assert key.key_size == 2048
    assert key.public_key().public_numbers().e == 65_537


def test_a_larger_key_is_made_on_request():
    """3072 bits are there for those who want them."""
    assert generate_private_key("RS256", bits=3072).key_size == 3072


@pytest.mark.rfc("7518-3-1")
@pytest.mark.parametrize("bits", [0, -1, 1024, 2047, 2049, 8192, 10**9])
def test_other_sizes_are_refused(bits):
    """Only three sizes exist: neither weakness nor an endless computation can be asked for."""
    with pytest.raises(ValueError, match="2048, 3072, 4096"):
        generate_private_key(bits=bits)


def test_an_unknown_algorithm_is_refused():
    """The algorithm comes from the closed table."""
    with pytest.raises(UnknownAlgorithm):
        generate_private_key("HS256")
