"""Unit tests of `watchword.provider.dpop_nonces`; the contract tests try it on real registries."""

import pytest

from issuer.errors import Reason, TemporarilyUnavailable
from tests.support.registry import NOW
from tests.support.sqlite_registry import open_registry
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


@pytest.mark.rfc("9449-8-1")
def test_nodes_of_one_registry_give_the_same_nonces(tmp_path) -> None:
    """Whether it was open from the start or answers later only; another one has other nonces."""
    given = []
    with open_registry(tmp_path / "one") as one, open_registry(tmp_path / "other") as other:
        late = SharedNonces(Registry(), wanted=True)  # type: ignore[arg-type]
        late.load(one.registry)
        nodes = [late, *(SharedNonces(each.registry, wanted=True) for each in (one, other))]
        for each in nodes:
            assert each.source is not None
            given.append(each.source().issue(NOW))
    assert given[0] == given[1] != given[2]


def test_where_proofs_need_no_nonce_there_is_none() -> None:
    """So no key is made either."""
    assert SharedNonces(Registry(), wanted=False).source is None  # type: ignore[arg-type]
