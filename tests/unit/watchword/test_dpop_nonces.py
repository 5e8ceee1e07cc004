"""Unit tests of `watchword.provider.dpop_nonces`; the contract tests try it on real registries."""

import pytest

from issuer.errors import Reason, TemporarilyUnavailable
from watchword.provider.dpop_nonces import SharedNonces


class Registry:
    """One that does not answer yet."""

    is_open = False


def test_without_the_key_a_request_is_answered_later() -> None:
    """Another key would refuse the nonces that other nodes have given."""
    nonces = SharedNonces(Registry(), wanted=True)  # type: ignore[arg-type]
    assert nonces.source is not None
    with pytest.raises(TemporarilyUnavailable) as refused:
        nonces.source()
    assert refused.value.reason is Reason.STORE_UNAVAILABLE


def test_where_proofs_need_no_nonce_there_is_none() -> None:
    """So no key is made either."""
    assert SharedNonces(Registry(), wanted=False).source is None  # type: ignore[arg-type]
