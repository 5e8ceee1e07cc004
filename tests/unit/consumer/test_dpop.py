"""DPoP proofs and the nonces of servers, checked by the rules of the other side."""

import copy
import json
import pickle
from pathlib import Path

import pytest

from consumer.dpop import DpopKey, Proofs, target_of
from consumer.origin import Origin
from consumer.token_cache import MAX_ORIGINS
from keys.dpop import InvalidProof, check_proof
from keys.encoding import decode_base64url
from tests.support.consumer_flow import API, NOW, OTHER_API
from watchword.testing.keys import private_key

URL = "https://api.example/orders"
KEY = DpopKey(private_key("ES256"))


def read(proof):
    """Return header and claims."""
    return [json.loads(decode_base64url(part)) for part in proof.split(".")[:2]]


@pytest.mark.rfc("9449-4.2-1")
@pytest.mark.parametrize("alg", ["ES256", "Ed25519", "EdDSA", "RS256", "PS256"])
def test_a_proof_stands_before_the_other_side(alg):
    """With each algorithm, with and without a token; query and fragment do not count."""
    key = DpopKey(private_key(alg), alg)
    for token in (None, "t0ken"):
        proof = key.prove("GET", f"{URL}?page=2#top", now=NOW, token=token, nonce="n1")
        raw = token and token.encode()
        found = check_proof([proof.encode()], method="GET", url=URL, now=NOW, token=raw)
        assert (found.jkt, found.nonce, found.issued_at) == (key.thumbprint, "n1", NOW)
        assert read(proof)[0]["alg"] == alg


def test_a_proof_has_the_public_key_and_no_more_than_is_needed():
    """Neither `kid` nor `use`, and no claim without a value."""
    header, claims = read(KEY.prove("POST", URL, now=NOW))
    assert header.keys() == {"alg", "typ", "jwk"}
    assert header["typ"] == "dpop+jwt"
    assert header["jwk"].keys() == {"kty", "crv", "x", "y"}
    assert claims.keys() == {"htm", "htu", "iat", "jti"}


def test_the_digest_of_a_token_is_that_of_the_specification():
    """RFC 9449 §7.1 prints a token and its `ath`."""
    vectors = json.loads((Path(__file__).parents[2] / "vectors/rfc9449-dpop.json").read_text())[
        "vectors"
    ]
    [vector] = [each for each in vectors if each.get("access_token")]
    _, claims = read(KEY.prove("GET", URL, now=NOW, token=vector["access_token"]))
    assert claims["ath"] == vector["claims"]["ath"]


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://api.example", "https://api.example/"),
        ("https://API.example:443/a%2Fb?x=1", "https://api.example/a%2Fb"),
        ("http://127.0.0.1:8080/a", "http://127.0.0.1:8080/a"),
        ("https://user:secret@api.example:8443/a#f", "https://api.example:8443/a"),
        ("http://[::1]:80/", "http://[::1]/"),
    ],
)
def test_the_url_of_a_proof_has_nothing_that_does_not_count(url, target):
    """Nor a user name, which may come with a password."""
    assert target_of(url) == target


def test_a_key_is_made_for_the_process_or_given():
    """A new one is of P-256; equal keys are the same wherever they came from."""
    made = DpopKey()
    assert repr(made) == f"DpopKey(ES256, {made.thumbprint})"
    other = DpopKey()
    assert (made != other, hash(made) != hash(other)) == (True, True)
    assert DpopKey(alg="Ed25519").prove("GET", URL, now=NOW)
    for other in (copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert (other, hash(other), other.secret) == (made, hash(made), made.secret)


@pytest.mark.rfc("9449-8-1-C")
def test_each_server_has_its_own_nonce():
    """The last one that it gave; the issuer's is none of an API on the same server."""
    proofs = Proofs(KEY, lambda: NOW)

    def nonce_for(server):
        return read(proofs.prove(server, "GET", URL))[1].get("nonce")

    assert nonce_for(API) is None
    assert proofs.learn(API, "a1")
    assert proofs.learn(API, "a2")
    assert proofs.learn(None, "i1")
    assert [nonce_for(each) for each in (API, OTHER_API, None)] == ["a2", None, "i1"]


@pytest.mark.parametrize("nonce", [None, "", "a b", "a, b", 'a"', "a\\", "é", "n" * 1025])
def test_what_is_no_nonce_changes_nothing(nonce):
    """RFC 9449 §8.1 says which characters it has; two header lines are none."""
    proofs = Proofs(KEY, lambda: NOW)
    assert not proofs.learn(API, nonce)
    assert "nonce" not in read(proofs.prove(API, "GET", URL))[1]


def test_the_memory_of_nonces_is_bounded():
    """The oldest one goes; that server gives it again."""
    proofs = Proofs(KEY, lambda: NOW)
    servers = [Origin("https", "api.example", port) for port in range(1, MAX_ORIGINS + 2)]
    for server in servers:
        assert proofs.learn(server, "n")
    known = [read(proofs.prove(each, "GET", URL))[1].get("nonce") for each in servers]
    assert known == [None] + ["n"] * MAX_ORIGINS


class TakenOut(dict):
    """Nonces of which another thread takes some out while this one looks for the oldest."""

    taken = 1

    def __iter__(self):
        names = list(super().__iter__())
        for name in names[: self.taken]:
            del self[name]
        return iter(names[:1] if self else ())


@pytest.mark.parametrize("taken", [1, MAX_ORIGINS])
def test_threads_may_drop_the_same_nonce(taken):
    """There is no lock: what another thread has taken out, be it all of them, is not missed."""
    proofs = Proofs(KEY, lambda: NOW)
    servers = [Origin("https", "api.example", port) for port in range(1, MAX_ORIGINS + 1)]
    proofs._nonces = TakenOut(dict.fromkeys(servers, "n"))
    proofs._nonces.taken = taken
    assert proofs.learn(API, "new")
    assert read(proofs.prove(API, "GET", URL))[1]["nonce"] == "new"


def test_a_proof_of_one_request_is_none_of_another():
    """The other side refuses it; this is what the tests above rely on."""
    proof = KEY.prove("GET", URL, now=NOW).encode()
    for other in ({"method": "POST"}, {"url": f"{URL}/1"}, {"now": NOW + 61}, {"token": b"t"}):
        with pytest.raises(InvalidProof):
            check_proof([proof], **({"method": "GET", "url": URL, "now": NOW} | other))
