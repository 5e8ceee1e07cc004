"""The key of nonces, on every engine: one for all nodes, made by the first of them."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from issuer.errors import TemporarilyUnavailable
from issuer.registry.errors import StoreUnavailable
from issuer.storage.registry import Registry
from issuer.storage.shared_keys import DPOP_NONCE_KEY, find_shared_key
from watchword.provider.dpop_nonces import SharedNonces

NOW = 1_800_000_000


def issued(nonces: SharedNonces) -> str:
    """Return the nonce that a node gives now."""
    assert nonces.source is not None
    return nonces.source().issue(NOW)


@pytest.mark.rfc("9449-8-1")
def test_all_nodes_know_the_nonces_of_each(registry, another):
    """Also those that start at the same moment, and those that start later."""
    nodes = [registry, another]
    with ThreadPoolExecutor(len(nodes)) as pool:
        started = list(pool.map(lambda node: SharedNonces(node, wanted=True), nodes))
    given = {issued(each) for each in (*started, SharedNonces(registry, wanted=True))}
    assert len(given) == 1


def test_no_key_is_made_unless_it_is_wanted(registry):
    """Nothing is written, and proofs need no nonce."""
    assert SharedNonces(registry, wanted=False).source is None
    assert registry.read(lambda reading: reading.shared_key(DPOP_NONCE_KEY)) is None


def test_the_key_is_in_no_representation_and_not_in_the_audit_trail(registry):
    """It is random, and made without a trace."""
    before = registry.read(lambda reading: reading.identity())
    SharedNonces(registry, wanted=True)
    after = registry.read(lambda reading: reading.identity())
    key = find_shared_key(registry, DPOP_NONCE_KEY)
    assert len(key) == 32
    assert key.hex() not in repr(after)
    assert (before.issuer, before.epoch) == (after.issuer, after.epoch)


def test_until_the_registry_is_open_no_proof_is_judged(registry):
    """503 rather than a proof without a nonce; the key is read once the registry is there."""
    nonces = SharedNonces(Registry(None, now=lambda: NOW), wanted=True)
    with pytest.raises(TemporarilyUnavailable):
        issued(nonces)
    nonces.load(registry)
    assert issued(nonces) == issued(SharedNonces(registry, wanted=True))


def test_a_registry_that_does_not_answer_is_closed_again(another, monkeypatch):
    """It is opened anew with the next try."""
    nonces = SharedNonces(Registry(None, now=lambda: NOW), wanted=True)
    closed = []
    monkeypatch.setattr(another, "read", fail)
    monkeypatch.setattr(another, "close", lambda: closed.append(True))
    with pytest.raises(StoreUnavailable):
        nonces.load(another)
    assert closed == [True]


def fail(work):
    """Answer nothing."""
    raise StoreUnavailable("away")
