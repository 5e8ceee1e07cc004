"""DPoP proofs that the token endpoint refuses, each with its reason."""

from collections.abc import Callable, Iterator

from issuer.binding import read_possession
from issuer.client_request import Evidence
from issuer.errors import Reason
from keys.dpop import ProofKeys
from keys.dpop_nonce import Nonces
from tests.support.dpop import ProofForge
from tests.support.exchange import FORGE
from tests.support.issuer import ISSUER, NOW, TestIssuer
from watchword.testing.forge import DROP

SENDER = ProofForge(url=f"{ISSUER}/token", now=NOW)
PRIVATE = {**SENDER.jwk, "d": "x"}
GOOD = SENDER.proof()

ONE_CHANGE: dict[Reason, tuple[str, bytes]] = {
    Reason.PROOF_TOO_LONG: ("a proof of more than 4 KB", b"x" * 4097),
    Reason.PROOF_MALFORMED: ("no JWT as a proof", b"x"),
    Reason.PROOF_TYPE: ("an access token as a proof", FORGE.token()),
    Reason.PROOF_ALGORITHM: ("a proof with HMAC", SENDER.proof(header={"alg": "HS256"})),
    Reason.PROOF_KEY: ("a private key in a proof", SENDER.proof(header={"jwk": PRIVATE})),
    Reason.PROOF_SIGNATURE: ("another signature of a proof", GOOD[:-8] + b"AAAAAAAA"),
    Reason.PROOF_CLAIMS: ("a proof without an id", SENDER.proof(jti=DROP)),
    Reason.PROOF_METHOD: ("a proof for GET", SENDER.proof(htm="GET")),
    Reason.PROOF_URL: ("a proof for another server", SENDER.proof(htu="https://x.example/token")),
    Reason.PROOF_TIME: ("a proof of the last hour", SENDER.proof(iat=NOW - 3600)),
}


def want_nonces(issuer: TestIssuer) -> None:
    """Have proofs carry a nonce."""
    issuer.nonces = lambda: Nonces(bytes(32))


def claim_good(issuer: TestIssuer) -> None:
    """Have the good proof used before."""
    (once,) = read_possession(
        Evidence(dpop_proofs=(GOOD,), url=SENDER.url), NOW, client_id="svc-a", memo=ProofKeys()
    ).once
    issuer.store.claims.append(once[:3])


def refused_proofs() -> Iterator[
    tuple[Reason, str, list[tuple[bytes, bytes]], Callable[[TestIssuer], object]]
]:
    """List reason, cause, the header lines, and what is done to the issuer before."""
    for reason, (cause, proof) in ONE_CHANGE.items():
        yield reason, cause, [(b"dpop", proof)], lambda issuer: None
    yield Reason.PROOF_SEVERAL, "two proofs", [(b"dpop", GOOD)] * 2, lambda issuer: None
    yield Reason.PROOF_NONCE, "a proof without a nonce", [(b"dpop", GOOD)], want_nonces
    yield Reason.PROOF_REPLAYED, "a proof again", [(b"dpop", GOOD)], claim_good


REFUSED_PROOFS = tuple(refused_proofs())
