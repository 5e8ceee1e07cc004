"""DPoP proofs, judged by RFC 9449 §4.3."""

import json
from pathlib import Path
from typing import Any

import pytest

from keys.dpop import (
    MAX_PROOF_BYTES,
    PROOF_ALGORITHMS,
    PROOF_DIAGNOSES,
    InvalidProof,
    Proof,
    ProofFault,
    ProofKeys,
    check_proof,
)
from keys.encoding import encode_base64url
from keys.jwk import PUBLISHED_TEST_KEYS
from tests.support.dpop import TOKEN_URL, ProofForge
from watchword.testing.forge import DROP, NOW, TokenForge, dump, segment

VECTORS = json.loads(
    (Path(__file__).resolve().parents[2] / "vectors" / "rfc9449-dpop.json").read_text()
)["vectors"]
SENDER = ProofForge()
TOKEN = b"a.token.sent"


def check(*proofs: bytes, url: str = TOKEN_URL, now: float = NOW, **options: Any) -> Proof:
    """Check the proofs of a request to the token endpoint."""
    return check_proof(proofs, method="POST", url=url, now=now, **options)


def fault(*proofs: bytes, **options: Any) -> ProofFault:
    """Return why they are refused."""
    with pytest.raises(InvalidProof) as caught:
        check(*proofs, **options)
    assert str(caught.value) == caught.value.fault
    return caught.value.fault


@pytest.mark.rfc("9449-4.3-6", "9449-4.3-8", "9449-4.3-9", "9449-4.3-12")
@pytest.mark.parametrize("vector", VECTORS, ids=["token", "refreshed", "resource"])
def test_published_proofs_are_good(vector: dict[str, Any]) -> None:
    """The proofs of the RFC pass for the request that they were made for, with their thumbprint."""
    claims, token = vector["claims"], vector.get("access_token")
    proof = check_proof(
        [vector["compact"].encode()],
        method=claims["htm"],
        url=claims["htu"],
        now=claims["iat"],
        token=token and token.encode(),
    )
    assert proof == Proof(vector["jkt"], claims["jti"], claims["iat"], None, claims.get("ath"))


@pytest.mark.parametrize("alg", PROOF_ALGORITHMS)
def test_each_algorithm_proves_possession(alg: str) -> None:
    """A proof of each algorithm passes, with a memo and without, and gives the key's thumbprint."""
    sender, memo = ProofForge(alg), ProofKeys()
    for known in (None, memo, memo):
        assert check(sender.proof(nonce="n"), memo=known).jkt == sender.jkt
    assert check(sender.proof(nonce="n")).nonce == "n"


@pytest.mark.rfc("9449-4.3-1")
def test_there_is_exactly_one_proof() -> None:
    """A proof that is missing, is there twice or is a list of two is refused."""
    assert fault() == ProofFault.MISSING
    assert fault(SENDER.proof(), SENDER.proof()) == ProofFault.SEVERAL
    assert fault(SENDER.proof() + b", " + SENDER.proof()) == ProofFault.MALFORMED
    assert check(b" " + SENDER.proof() + b"\t").jkt == SENDER.jkt


@pytest.mark.rfc("9449-4.3-2")
@pytest.mark.parametrize(
    "proof",
    [
        b"",
        b"a.b",
        b"a.b.c",
        SENDER.proof() + b".e30",
        SENDER.proof() + b"=",
        SENDER.proof() + b"\n",
        b"\x0b" + SENDER.proof(),
        SENDER.raw(b"[]", b"{}"),
        SENDER.raw(dump({"typ": "dpop+jwt", "alg": "ES256", "jwk": SENDER.jwk}), b'{"jti":NaN}'),
        SENDER.raw(b'{"typ":"dpop+jwt","alg":"ES256","alg":"ES256"}', b"{}"),
        SENDER.proof(header={"crit": ["exp"]}),
        SENDER.proof(header={"b64": False}),
        SENDER.proof(header={"alg": DROP}),
        *(SENDER.proof(header={name: "x"}) for name in ("x5c", "jku", "x5u", "zip", "cty")),
    ],
)
def test_it_is_one_well_formed_jwt(proof: bytes) -> None:
    """What two parsers could read differently is refused, and so are keys that are elsewhere."""
    assert fault(proof) == ProofFault.MALFORMED


def test_a_long_proof_is_not_looked_at() -> None:
    """The bound counts before anything is decoded."""
    assert fault(b"a" * (MAX_PROOF_BYTES + 1)) == ProofFault.TOO_LONG
    assert fault(b"a" * MAX_PROOF_BYTES) == ProofFault.MALFORMED


@pytest.mark.rfc("9449-4.3-3")
@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("jti", [DROP, "", 7, None, "j" * 256]),
        ("htm", [DROP, 7, None, ["POST"]]),
        ("htu", [DROP, 7, None]),
        ("iat", [DROP, "1800000000", True, None, -1, 1e300]),
        ("nonce", [7, ["n"]]),
        ("ath", [7, {}]),
    ],
)
def test_claims_are_there_and_of_their_type(name: str, values: list[Any]) -> None:
    """Each required claim, and the optional ones if they are there."""
    for value in values:
        assert fault(SENDER.proof(**{name: value})) == ProofFault.CLAIMS, value


@pytest.mark.rfc("9449-4.3-4")
@pytest.mark.parametrize("typ", [DROP, None, "JWT", "at+jwt", "dpop+jwt;x", ["dpop+jwt"]])
def test_its_type_is_its_own(typ: Any) -> None:
    """Another kind of JWT is no proof, an access token least of all."""
    assert fault(SENDER.proof(header={"typ": typ})) == ProofFault.TYPE
    assert fault(TokenForge().token()) == ProofFault.TYPE


def test_a_media_type_may_be_written_out() -> None:
    """RFC 7515 §4.1.9: `application/` may be there, in any case."""
    assert check(SENDER.proof(header={"typ": "Application/DPoP+JWT"})).jkt == SENDER.jkt


@pytest.mark.rfc("9449-4.3-5")
@pytest.mark.parametrize("alg", ["none", "None", "HS256", "es256", "ES256 ", "ES384", "RS512", ""])
def test_its_algorithm_is_an_accepted_one(alg: str) -> None:
    """No HMAC, no `none`, and no other than those that are listed, exactly as they are written."""
    assert fault(SENDER.proof(header={"alg": alg})) == ProofFault.ALGORITHM


def test_an_algorithm_that_the_caller_leaves_out_is_refused() -> None:
    """Also if the key is known from elsewhere."""
    memo = ProofKeys()
    check(SENDER.proof(), memo=memo)
    assert fault(SENDER.proof(), memo=memo, algorithms=("PS256",)) == ProofFault.ALGORITHM


@pytest.mark.rfc("9449-4.3-6")
@pytest.mark.attack("T21")
def test_the_key_in_it_has_signed() -> None:
    """A signature of another key, of other bytes, or none proves nothing, with a memo too."""
    memo, good = ProofKeys(), SENDER.proof()
    check(good, memo=memo)
    header, payload, signature = good.split(b".")
    stranger = ProofForge(n=1)
    other = segment(dump({"jti": "j", "htm": "POST", "htu": TOKEN_URL, "iat": NOW}))
    forged = [
        stranger.sign(header + b"." + payload),
        header + b"." + other + b"." + signature,
        header + b"." + payload + b".",
        header + b"." + payload + b"." + segment(bytes(64)),
    ]
    for proof in forged:
        assert fault(proof, memo=memo) == ProofFault.SIGNATURE
        assert fault(proof) == ProofFault.SIGNATURE


@pytest.mark.rfc("9449-4.3-7")
@pytest.mark.parametrize(
    "jwk",
    [
        DROP,
        None,
        "key",
        {},
        {**SENDER.jwk, "d": "AQ"},
        {"kty": "oct", "k": "c2VjcmV0"},
        {**SENDER.jwk, "alg": "ES384"},
        {**SENDER.jwk, "use": "enc"},
        {**SENDER.jwk, "key_ops": ["sign"]},
        {**SENDER.jwk, "x": SENDER.jwk["y"]},
        {**SENDER.jwk, "crv": "P-384"},
        {**SENDER.jwk, "kty": "RSA"},
        ProofForge("Ed25519").jwk,
    ],
)
def test_its_key_is_public_and_fits(jwk: Any) -> None:
    """A private or symmetric key, one for another purpose or algorithm, or none, is refused."""
    assert fault(SENDER.proof(header={"jwk": jwk})) == ProofFault.KEY


def test_names_of_the_key_do_not_matter() -> None:
    """The thumbprint covers what makes the key, not what the sender calls it."""
    jwk = {**SENDER.jwk, "kid": "mine", "use": "sig", "alg": "ES256", "x5t": "x"}
    assert check(SENDER.proof(header={"jwk": jwk, "kid": 7})).jkt == SENDER.jkt


def test_a_key_whose_private_half_is_published_is_refused() -> None:
    """RFC 7515 A.3: everyone can sign with it."""
    published = {
        "kty": "EC",
        "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    }
    assert "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U" in PUBLISHED_TEST_KEYS
    assert fault(SENDER.proof(header={"jwk": published})) == ProofFault.KEY


@pytest.mark.rfc("9449-4.3-8")
@pytest.mark.parametrize("method", ["GET", "post", "POST ", ""])
def test_it_is_for_the_method(method: str) -> None:
    """Methods are case-sensitive."""
    assert fault(SENDER.proof(htm=method)) == ProofFault.METHOD


@pytest.mark.rfc("9449-4.3-9")
@pytest.mark.parametrize(
    ("claimed", "url"),
    [
        ("HTTPS://AS.Example:443/token", TOKEN_URL),
        (TOKEN_URL + "?a=b#c", TOKEN_URL),
        (TOKEN_URL, TOKEN_URL + "?q=1"),
        ("https://as.example/%74oken", TOKEN_URL),
        ("https://as.example/a/../b/./%2e%2E/token", TOKEN_URL),
        ("https://as.example/../token", TOKEN_URL),
        ("https://as.example/a/..", "https://as.example/"),
        ("https://as.example/a/.", "https://as.example/a/"),
        ("https://as.example/a/b/..", "https://as.example/a/"),
        ("https://as.example", "https://as.example/"),
        ("https://as.example/a%2fb", "https://as.example/a%2Fb"),
        ("http://localhost:80/token", "http://localhost/token"),
    ],
)
def test_equal_urls_may_be_written_differently(claimed: str, url: str) -> None:
    """RFC 3986 §6.2.2, §6.2.3: case, escapes, dot segments, default port, empty path."""
    assert check(SENDER.proof(htu=claimed), url=url).jkt == SENDER.jkt


@pytest.mark.rfc("9449-4.3-9")
@pytest.mark.parametrize(
    "claimed",
    [
        "http://as.example/token",
        "https://as.example:8443/token",
        "https://as.example/token/",
        "https://as.example/Token",
        "https://as.example//token",
        "https://as.example%2Ftoken",
        "https://as.example.evil.example/token",
        "https://user@as.example/token",
        "https://as.example/a%2F..%2Ftoken",
        " https://as.example/token",
        "https://as.example/to\tken",
        "/token",
        "as.example/token",
        "urn:token",
        "",
        "https://as.example/" + "a" * 2100,
    ],
)
def test_it_is_for_the_url(claimed: str) -> None:
    """Another server, port, path or scheme, or no URL at all."""
    assert fault(SENDER.proof(htu=claimed)) == ProofFault.URL


@pytest.mark.rfc("9449-4.3-11")
@pytest.mark.parametrize(("age", "good"), [(60, True), (-60, True), (61, False), (-61, False)])
def test_it_is_of_this_minute(age: int, good: bool) -> None:
    """A clock may differ by a minute, in both directions, and no proof is older."""
    proof = SENDER.proof(iat=NOW - age)
    if good:
        assert check(proof).issued_at == NOW - age
    else:
        assert fault(proof) == ProofFault.TIME


@pytest.mark.rfc("9449-4.3-12")
def test_it_goes_with_the_token() -> None:
    """`ath` is the digest of the token as sent; without a token it does not matter."""
    assert check(SENDER.proof(token=TOKEN), token=TOKEN).jkt == SENDER.jkt
    assert check(SENDER.proof(token=TOKEN)).ath is not None
    assert fault(SENDER.proof(), token=TOKEN) == ProofFault.TOKEN
    assert fault(SENDER.proof(token=TOKEN + b"x"), token=TOKEN) == ProofFault.TOKEN
    assert fault(SENDER.proof(ath=""), token=TOKEN) == ProofFault.TOKEN
    assert fault(SENDER.proof(ath=encode_base64url(TOKEN)), token=TOKEN) == ProofFault.TOKEN


def test_a_memo_is_bounded_and_keeps_good_keys_alone() -> None:
    """The oldest leaves; a key whose signature was not verified never enters."""
    memo, senders = ProofKeys(bound=2), [ProofForge(n=n) for n in range(3)]
    for sender in (senders[0], senders[0], *senders):
        check(sender.proof(), memo=memo)
    first, second, third = (sender.proof().partition(b".")[0] for sender in senders)
    assert memo.get(first) is None
    assert [memo.get(each).kid for each in (second, third)] == [each.jkt for each in senders[1:]]  # type: ignore[union-attr]
    stranger = senders[0].proof(header={"jwk": SENDER.jwk, "kid": "other"})
    assert fault(senders[1].sign(stranger.rpartition(b".")[0]), memo=memo) == ProofFault.SIGNATURE
    assert memo.get(stranger.partition(b".")[0]) is None


def test_a_key_in_a_memo_is_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The header is neither parsed nor judged: this is what the memo is for."""
    memo = ProofKeys()
    check(SENDER.proof(), memo=memo)
    for name in ("parse_header", "thumbprint", "parse_public_jwk"):
        monkeypatch.delattr(f"keys.dpop.{name}")
    assert check(SENDER.proof(jti="another"), memo=memo).jkt == SENDER.jkt


def test_a_sender_pushes_no_keys_of_others_out_of_a_memo() -> None:
    """Another key than that of the token does not enter, and a key has one header at a time."""
    memo, other = ProofKeys(bound=2), ProofForge(n=1)
    other_header = other.proof().partition(b".")[0]
    check(other.proof(), memo=memo, jkt=other.jkt)
    for number in range(3):
        check(ProofForge(n=2 + number).proof(), memo=memo, jkt=SENDER.jkt)
        latest = SENDER.proof(header={"kid": str(number)})
        check(latest, memo=memo, jkt=SENDER.jkt)
    assert memo.get(other_header).kid == other.jkt  # type: ignore[union-attr]
    assert memo.get(latest.partition(b".")[0]).kid == SENDER.jkt  # type: ignore[union-attr]


def test_every_fault_has_a_cause_and_a_remedy() -> None:
    """Operators are told both."""
    assert set(PROOF_DIAGNOSES) == set(ProofFault)
