"""`issuer.binding`: what a request proves possession of, and what its token is bound to."""

import re
from typing import Any

import pytest

from issuer.binding import Possession, bind, read_possession
from issuer.client_request import Evidence
from issuer.config import IssuerConfig
from issuer.errors import InvalidDpopProof, InvalidRequest, OAuthError, Reason, UseDpopNonce
from issuer.grants.authorization import Authorization
from issuer.profile import FAPI2
from issuer.reasons import DIAGNOSES
from issuer.registry.client import Client
from issuer.registry.permission import ResourcePermission
from issuer.registry.resource import TokenPolicy
from keys.client_cert import certificate_thumbprint
from keys.dpop import PROOF_DIAGNOSES, ProofKeys
from keys.dpop_nonce import NONCE_STEP, Nonces
from tests.support.dpop import ProofForge
from tests.support.issuer import API, ISSUER, NOW, OTHER_API, Clients, TestIssuer, make_client

URL = f"{ISSUER}/token"
SENDER = ProofForge(url=URL)
DER = b"a certificate"
BOTH = Possession("j", "x")
CERTIFICATE_BOUND = "tls_client_certificate_bound_access_tokens"
RESOURCE_FLAGS = {"dpop": "dpop_bound_access_tokens_required", "certificate": CERTIFICATE_BOUND}
TWO_APIS = (
    ResourcePermission(resource=API, scopes=("read",)),
    ResourcePermission(resource=OTHER_API, scopes=("read",)),
)


def read(*proofs: bytes, certificate: bytes | None = None, **options: Any) -> Possession:
    """Read what a request to the token endpoint proves."""
    evidence = Evidence(dpop_proofs=proofs, peer_certificate=certificate, url=URL)
    options = {"memo": ProofKeys()} | options
    return read_possession(evidence, NOW, client_id="svc-a", **options)


def bound(*, client: str | None = None, resource: str | None = None) -> Client:
    """Make a client that must have its tokens bound, by its own flag or the resource's."""
    policy = {RESOURCE_FLAGS[resource]: True} if resource else {}
    own = {RESOURCE_FLAGS[client].removesuffix("_required"): True} if client else {}
    return make_client(policies={API: TokenPolicy(**policy)}, **own)


def authorized(*further: str, **changes: Any) -> Authorization:
    """Authorize a token for one API and these."""
    return Authorization("svc-a", "svc-a", API, ("read",), 60, further_resources=further, **changes)


def refused(
    client: Client, possession: Possession, error: type[OAuthError], *options: Any, **changes: Any
) -> Reason:
    """Return why nothing is bound, which the peer and the log are told."""
    with pytest.raises(error) as caught:
        bind(authorized(**changes), client, possession, *options)
    return told(caught.value)


def told(refusal: OAuthError) -> Reason:
    """Return why a request of svc-a is refused, once it is found to say so to both sides."""
    assert (refusal.client_id, refusal.status) == ("svc-a", 400)
    assert refusal.description
    return refusal.reason


@pytest.mark.rfc("9449-5-1")
def test_a_proof_gives_the_thumbprint_and_what_counts_once() -> None:
    """Its id counts once for its key and the URL, until it is too old to be taken."""
    possession = read(SENDER.proof(jti="a", iat=NOW - 9.5), certificate=DER)
    assert (possession.jkt, possession.x5t) == (SENDER.jkt, certificate_thumbprint(DER))
    (once,) = possession.once
    assert once.scope.split() == ["dpop", SENDER.jkt, URL]
    assert once.id == "a"
    assert NOW + 50 < once.until <= NOW + 52
    assert (once.refusal.code, told(once.refusal)) == ("invalid_dpop_proof", "proof_replayed")


def test_the_key_of_a_good_proof_is_remembered() -> None:
    """The next proof with it costs no parsing of it, whichever URL of the endpoint it names."""
    for url, alias in ((URL, None), ("https://mtls.example.com/token",) * 2):
        memo, proof = ProofKeys(), ProofForge(url=url).proof()
        jkt = read(proof, memo=memo, alias=alias).jkt
        remembered = memo.get(proof.partition(b".")[0])
        assert remembered is not None
        assert remembered.kid == jkt


def test_without_a_proof_there_is_a_certificate_at_the_most() -> None:
    """What a client does not show costs nothing."""
    assert read() == Possession()
    assert read(certificate=DER) == Possession(x5t=certificate_thumbprint(DER))


@pytest.mark.rfc("9449-5-1")
@pytest.mark.parametrize("proofs", [(b"",), (SENDER.proof(htm="GET"),), (SENDER.proof(),) * 2])
def test_a_bad_proof_is_refused(proofs: tuple[bytes, ...]) -> None:
    """Also if the token would not have to be bound: the client relies on it."""
    with pytest.raises(InvalidDpopProof) as caught:
        read(*proofs)
    assert told(caught.value).startswith("proof_")


@pytest.mark.rfc("9449-5-1", "8705-5-1")
async def test_a_proof_may_name_the_url_for_clients_with_certificates() -> None:
    """Only if there is such a URL; it counts once for both, and nothing else of it is let pass."""
    alias = "https://mtls.example.com/token"
    asked = [ProofForge(url=url).proof() for url in (URL, alias, "https://mtls.example.com/other")]
    aliased = TestIssuer(config=IssuerConfig(issuer=ISSUER, mtls_base="https://mtls.example.com"))
    for issuer, statuses in ((aliased, [200, 200, 400]), (TestIssuer(), [200, 400, 400])):
        assert [(await issuer.ask(proofs=[proof])).status for proof in asked] == statuses
    assert (await aliased.ask(proofs=asked[1:2])).json["error"] == "invalid_dpop_proof"
    (once,) = read(asked[1], alias=alias).once
    assert once.scope.endswith(f" {URL}")
    with pytest.raises(InvalidDpopProof) as caught:
        read(ProofForge(url=alias).proof(iat=NOW - 61), alias=alias)
    assert caught.value.reason == "proof_time"


@pytest.mark.rfc("9449-8-1", "9449-4.3-10")
@pytest.mark.attack("T21")
@pytest.mark.parametrize("nonce", [None, "", "other", Nonces(b"o" * 32).issue(NOW)])
def test_a_nonce_is_given_to_who_has_none(nonce: str | None) -> None:
    """The refusal has the one that the next proof is to carry."""
    nonces = Nonces(bytes(32))
    with pytest.raises(UseDpopNonce) as caught:
        read(SENDER.proof(nonce=nonce), nonces=lambda: nonces)
    assert (caught.value.code, told(caught.value)) == ("use_dpop_nonce", "proof_nonce")
    ((name, value),) = caught.value.headers
    assert name == b"dpop-nonce"
    assert read(SENDER.proof(nonce=value.decode()), nonces=lambda: nonces).jkt == SENDER.jkt


@pytest.mark.rfc("9449-5-1", "8705-3-1")
@pytest.mark.parametrize(
    ("client", "possession", "confirmation"),
    [
        (bound(), Possession(), None),
        (bound(), BOTH, {"jkt": "j"}),
        (bound(), Possession(x5t="x"), None),
        (bound(client="dpop"), BOTH, {"jkt": "j"}),
        (bound(resource="certificate"), Possession(x5t="x"), {"x5t#S256": "x"}),
        (bound(client="certificate"), BOTH, {"jkt": "j", "x5t#S256": "x"}),
        (bound(client="certificate", resource="dpop"), BOTH, {"jkt": "j", "x5t#S256": "x"}),
    ],
)
def test_a_token_is_bound_to_what_was_proven(
    client: Client, possession: Possession, confirmation: dict[str, str] | None
) -> None:
    """To a key wherever there is a proof of one, to a certificate where that is asked for."""
    assert bind(authorized(), client, possession).confirmation == confirmation


@pytest.mark.rfc("9449-5-1")
@pytest.mark.parametrize(
    "client",
    [
        bound(client="dpop"),
        bound(resource="dpop"),
        bound(client="dpop", resource="dpop"),
        bound(client="certificate", resource="dpop"),
        bound(client="dpop", resource="certificate"),
    ],
)
def test_what_must_be_bound_to_a_key_is_refused_without_a_proof(client: Client) -> None:
    """RFC 9449 §5.2: by the client's flag or the resource's; a certificate does not replace it."""
    for possession in (Possession(), Possession(x5t="x")):
        assert refused(client, possession, InvalidDpopProof) == Reason.DPOP_REQUIRED


@pytest.mark.rfc("8705-3-1")
@pytest.mark.parametrize(
    "client",
    [
        bound(client="certificate"),
        bound(resource="certificate"),
        bound(client="certificate", resource="certificate"),
    ],
)
def test_what_must_be_bound_to_a_certificate_is_refused_without_one(client: Client) -> None:
    """RFC 8705 §3: there is no certificate to bind to, so there is no token."""
    for possession in (Possession(), Possession(jkt="j")):
        assert refused(client, possession, InvalidRequest) == Reason.CERTIFICATE_REQUIRED


@pytest.mark.parametrize(
    ("name", "error"),
    [(RESOURCE_FLAGS["dpop"], InvalidDpopProof), (CERTIFICATE_BOUND, InvalidRequest)],
)
def test_a_resource_asks_for_the_binding_of_its_own_tokens(
    name: str, error: type[OAuthError]
) -> None:
    """Alone or among several; tokens for the client's other ones are not its business."""
    policies = {API: TokenPolicy(), OTHER_API: TokenPolicy(**{name: True})}
    client = make_client(grants=TWO_APIS, policies=policies)
    assert bind(authorized(), client, Possession()) == authorized()
    with pytest.raises(error):
        bind(authorized(OTHER_API), client, Possession())


@pytest.mark.parametrize(
    ("client", "code"),
    [
        (bound(client="dpop"), "invalid_dpop_proof"),
        (bound(resource="dpop"), "invalid_dpop_proof"),
        (bound(client="certificate"), "invalid_request"),
        (bound(resource="certificate"), "invalid_request"),
    ],
)
async def test_a_refused_binding_leaves_no_token_and_no_use(client: Client, code: str) -> None:
    """The answer has an error and nothing else; no use was noted."""
    issuer = TestIssuer(clients=Clients(client))
    answer = await issuer.ask()
    assert (answer.status, answer.json["error"]) == (400, code)
    assert set(answer.json) == {"error", "error_description"}
    assert [event for event, _ in issuer.events] == ["token.refused"]
    assert not issuer.usage.take()


def test_what_is_bound_is_exchanged_for_what_is_bound_alone() -> None:
    """A token that was given for a bound one is bound to a key or a certificate of the client."""
    unbound = refused(bound(), Possession(x5t="x"), InvalidRequest, subject_is_bound=True)
    assert unbound == Reason.SUBJECT_BOUND
    exchanged = authorized(subject_is_bound=True)
    assert bind(exchanged, bound(), Possession(jkt="j")).confirmation == {"jkt": "j"}
    certified = bind(exchanged, bound(client="certificate"), Possession(x5t="x"))
    assert certified.confirmation == {"x5t#S256": "x"}


def test_a_client_is_told_what_is_wrong_with_its_proof() -> None:
    """In the characters that RFC 6749 §5.2 allows a description."""
    for fault, (cause, _) in PROOF_DIAGNOSES.items():
        assert re.fullmatch(r"[\x20\x21\x23-\x5b\x5d-\x7e]+", cause), fault
    assert {reason for reason in Reason if reason.startswith("proof_")} <= set(DIAGNOSES)


def test_a_nonce_outlives_the_window_of_a_proof() -> None:
    """A client may make its proof when it has the nonce, and send it later."""
    assert NONCE_STEP > 60


@pytest.mark.rfc("fapi-5.3.2.1-1", "8705-3-1")
@pytest.mark.parametrize(
    ("possession", "members"),
    [
        (Possession(x5t="x"), {"x5t#S256": "x"}),
        (Possession(jkt="j"), {"jkt": "j"}),
        (BOTH, {"jkt": "j"}),
    ],
)
def test_under_a_profile_of_bound_tokens_one_of_both_suffices(
    possession: Possession, members: dict[str, str]
) -> None:
    """A certificate counts where there is no proof, though nobody's flag asks for it."""
    assert bind(authorized(), bound(), possession, FAPI2).confirmation == members
    assert refused(bound(), Possession(), InvalidRequest, FAPI2) == Reason.BINDING_REQUIRED
    both = bind(authorized(), bound(resource="certificate"), BOTH, FAPI2)
    assert both.confirmation == {"jkt": "j", "x5t#S256": "x"}
