"""Unit tests of `issuer.registry.resource`."""

import pytest
from pydantic import ValidationError

from issuer.config import MAX_TOKEN_TTL
from issuer.registry.errors import InvalidValue
from issuer.registry.resource import TokenPolicy, check_signing_alg
from keys.key_types import ALGORITHMS


@pytest.mark.parametrize("seconds", [None, 1, 3600, MAX_TOKEN_TTL])
def test_a_token_lives_up_to_a_day(seconds):
    """The key ring keeps a key no longer than the longest token needs it; None is no opinion."""
    assert TokenPolicy(token_ttl=seconds).token_ttl == seconds


@pytest.mark.parametrize("seconds", [0, -1, MAX_TOKEN_TTL + 1])
def test_other_lifetimes_are_refused(seconds):
    """A lifetime of nothing, or one that outlives its key, is a mistake."""
    with pytest.raises(ValidationError, match=r"equal to (1|86400)"):
        TokenPolicy(token_ttl=seconds)


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_a_resource_may_choose_any_algorithm_of_the_table(alg):
    """RFC 7518 §3.1: what the table has, keys can be made for."""
    assert TokenPolicy(signing_alg=alg).signing_alg == alg


@pytest.mark.parametrize("alg", ["", "none", "HS256", "rs256", "RS256 ", "RS\x1b256"])
def test_there_are_no_other_algorithms(alg):
    """RFC 8725 §3.1: a closed table; the line shows what was written as a terminal can."""
    with pytest.raises(InvalidValue, match="is no signing algorithm here; use ") as caught:
        check_signing_alg(alg)
    assert str(caught.value).isprintable()
    with pytest.raises(ValidationError, match="is no signing algorithm here"):
        TokenPolicy(signing_alg=alg)
