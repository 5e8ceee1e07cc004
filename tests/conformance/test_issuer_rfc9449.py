"""RFC 9449 at the token endpoint: proofs, binding, nonces, and where a proof does not matter."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest

from issuer.registry.permission import ResourcePermission
from issuer.registry.resource import TokenPolicy
from issuer.status.positions import status_claim
from keys.dpop_nonce import NONCE_STEP, Nonces
from tests.support.dpop import ProofForge
from tests.support.exchange import FORGE, PLACE, exchange, issuer_of, refusal
from tests.support.issuer import (
    API,
    FORM,
    ISSUER,
    NOW,
    OTHER_API,
    SECRET,
    Answer,
    Clients,
    TestIssuer,
    basic,
    call,
    make_client,
)

URL = f"{ISSUER}/token"
SENDER = ProofForge(url=URL, now=NOW)
ANOTHER = ProofForge(n=1, url=URL, now=NOW)
NONCES = Nonces(b"n" * 32)


def issuer(**changes: Any) -> TestIssuer:
    """Give an issuer of one client."""
    return TestIssuer(clients=Clients(make_client(**changes)))


def refused(answer: Answer) -> str:
    """Return the code of a refusal, which is not to be stored and grants nothing."""
    assert (answer.status, answer.header("cache-control")) == (400, "no-store")
    assert set(answer.json) == {"error", "error_description"}
    return answer.json["error"]


@pytest.mark.rfc("9449-5-1")
@pytest.mark.parametrize("alg", ["ES256", "Ed25519", "EdDSA", "PS256", "RS256"])
async def test_a_proof_binds_the_token_to_its_key(alg: str) -> None:
    """§5: `token_type` is DPoP and `cnf.jkt` the thumbprint; all else is as without a proof."""
    sender, asked = ProofForge(alg, url=URL, now=NOW), issuer()
    answer = await asked.ask(proofs=[sender.proof()])
    assert (answer.status, answer.json["token_type"]) == (200, "DPoP")
    claims = answer.claims
    assert claims.pop("cnf") == {"jkt": sender.jkt}
    plain = await asked.ask()
    assert plain.json["token_type"] == "Bearer"
    assert {**plain.claims, "jti": claims["jti"]} == claims
    assert answer.header("dpop-nonce") is None


@pytest.mark.rfc("9449-5-1")
@pytest.mark.parametrize(
    "changes",
    [
        {"dpop_bound_access_tokens": True},
        {"policies": {API: TokenPolicy(dpop_bound_access_tokens_required=True)}},
    ],
    ids=["client", "resource"],
)
async def test_where_tokens_have_to_be_bound_a_proof_is_needed(changes: dict[str, Any]) -> None:
    """§5.2: a request without one MUST be refused."""
    asked = issuer(**changes)
    assert refused(await asked.ask()) == "invalid_dpop_proof"
    assert (await asked.ask(proofs=[SENDER.proof()])).json["token_type"] == "DPoP"


@pytest.mark.rfc("9449-11.1-1")
@pytest.mark.attack("T21")
async def test_a_proof_counts_once() -> None:
    """§11.1: by key and URL, for as long as it could be shown again; also at the last moment."""
    asked = issuer()
    proof = SENDER.proof(jti="one", iat=NOW + 60)
    assert (await asked.ask(proofs=[proof])).status == 200
    assert refused(await asked.ask(proofs=[proof])) == "invalid_dpop_proof"
    # The same id of another key, and another of the same key, are other proofs.
    assert (await asked.ask(proofs=[ANOTHER.proof(jti="one")])).status == 200
    assert (await asked.ask(proofs=[SENDER.proof(jti="two")])).status == 200
    (_, _, until), *_ = asked.store.claims
    assert until > NOW + 60 + 60
    assert [fields.get("reason") for _, fields in asked.events].count("proof_replayed") == 1


@pytest.mark.rfc("9449-11.1-1")
@pytest.mark.attack("T21")
async def test_what_is_refused_for_another_reason_uses_up_no_proof() -> None:
    """The id is claimed last; while the store is away, it is not known whether it counts: 503."""
    asked, proof = issuer(), SENDER.proof()
    assert refused(await asked.ask({"scope": "fly"}, proofs=[proof])) == "invalid_scope"
    asked.store.is_away = True
    assert (await asked.ask(proofs=[proof])).status == 503
    asked.store.is_away = False
    assert (await asked.ask(proofs=[proof])).status == 200


@pytest.mark.attack("T21", "T22")
@pytest.mark.parametrize("proof", [b"x" * 60_000, b"", SENDER.proof(htm="GET")])
async def test_a_bad_proof_is_refused_though_none_was_needed(proof: bytes) -> None:
    """The client relies on its token being bound; neither answer nor log repeats the proof."""
    asked = issuer()
    answer = await asked.ask(proofs=[proof])
    assert refused(answer) == "invalid_dpop_proof"
    told = answer.body.decode() + json.dumps(asked.events, default=str)
    assert not proof or proof.decode() not in told


@pytest.mark.attack("T21")
async def test_no_proof_of_a_stranger_is_verified() -> None:
    """A wrong secret is told of first, and nothing is claimed: strangers cause no work."""
    asked = issuer()
    for proof in (SENDER.proof(), b"x"):
        answer = await asked.ask(auth=basic("svc-a", "wrong"), proofs=[proof])
        assert (answer.status, answer.json["error"]) == (401, "invalid_client")
    assert not asked.store.claims


@pytest.mark.rfc("9449-8-1", "9449-4.3-10")
@pytest.mark.attack("T21")
async def test_a_nonce_is_asked_for_given_and_renewed() -> None:
    """§8: 400 `use_dpop_nonce` with the nonce; good answers have the next one (§8.2)."""
    asked = issuer()
    asked.nonces = lambda: NONCES
    answer = await asked.ask(proofs=[SENDER.proof()])
    assert refused(answer) == "use_dpop_nonce"
    nonce = answer.header("dpop-nonce")
    good = await asked.ask(proofs=[SENDER.proof(nonce=nonce)])
    assert (good.status, good.header("dpop-nonce")) == (200, nonce)
    asked.now += NONCE_STEP
    later = await asked.ask(proofs=[SENDER.proof(nonce=nonce, iat=asked.now)])
    renewed = later.header("dpop-nonce")
    assert later.status == 200
    assert renewed != nonce
    asked.now += NONCE_STEP
    late = await asked.ask(proofs=[SENDER.proof(nonce=nonce, iat=asked.now)])
    assert refused(late) == "use_dpop_nonce"


async def test_a_request_without_a_proof_needs_no_nonce() -> None:
    """It gets a Bearer token, where that is allowed, and no nonce."""
    asked = issuer()
    asked.nonces = lambda: NONCES
    answer = await asked.ask()
    assert (answer.status, answer.json["token_type"]) == (200, "Bearer")
    assert answer.header("dpop-nonce") is None


@pytest.mark.rfc("9449-5-1")
async def test_a_bound_token_is_given_again_to_its_key_alone() -> None:
    """A reuse window changes nothing: each request has a proof of its own, of the same key."""
    asked = issuer(reuse_window=60)
    first = await asked.ask(proofs=[SENDER.proof()])
    again = await asked.ask(proofs=[SENDER.proof()])
    assert again.json["access_token"] == first.json["access_token"]
    assert again.json["token_type"] == "DPoP"
    other = await asked.ask(proofs=[ANOTHER.proof()])
    assert other.claims["cnf"] == {"jkt": ANOTHER.jkt}
    assert "cnf" not in (await asked.ask()).claims
    proof = SENDER.proof()
    assert (await asked.ask(proofs=[proof])).status == 200
    assert refused(await asked.ask(proofs=[proof])) == "invalid_dpop_proof"


@pytest.mark.rfc("9449-6.2-1")
async def test_introspection_tells_key_and_type() -> None:
    """§6.2: what an API that asks needs to check a proof itself."""
    reader = make_client("api", introspects=(API,))
    asked = TestIssuer(clients=Clients(make_client(), reader))
    token = (await asked.ask(proofs=[SENDER.proof()])).json["access_token"]
    headers = [(b"content-type", FORM.encode()), (b"authorization", basic("api", SECRET))]
    body = urlencode({"token": token}).encode()
    answer = (await call(asked.introspection, "POST", "/introspect", headers, body)).json
    assert (answer["active"], answer["token_type"]) == (True, "DPoP")
    assert answer["cnf"] == {"jkt": SENDER.jkt}


@pytest.mark.parametrize("at", ["introspection", "revocation"])
async def test_where_tokens_are_sent_no_proof_is_read(at: str) -> None:
    """RFC 9449 has none there: a bound token is revoked like any other by the client it is of."""
    asked = issuer_of(make_client("svc-b", introspects=(API,)))
    token = FORGE.token(cnf={"jkt": SENDER.jkt}, status=status_claim(PLACE, ISSUER)).decode()
    sender = "svc-a" if at == "revocation" else "svc-b"
    headers = [(b"content-type", FORM.encode()), (b"authorization", basic(sender, SECRET))]
    headers.append((b"dpop", b"rubbish"))
    body = urlencode({"token": token}).encode()
    answer = await call(getattr(asked, at), "POST", "/", headers, body)
    assert answer.status == 200
    assert not asked.store.claims
    assert bool(asked.store.statuses) is (at == "revocation")


@pytest.mark.rfc("9449-5-1", "8693-P-1")
async def test_a_bound_token_is_exchanged_for_one_of_the_services_key() -> None:
    """Nothing loses its binding on the way; that the caller holds its key, the service checked."""
    subject = FORGE.token(cnf={"jkt": "x" * 43})
    asked = issuer_of()
    assert refusal(asked, await exchange(asked, subject)) == ("invalid_request", "subject_bound")
    bound = await exchange(asked, subject, proofs=[SENDER.proof()])
    assert (bound.status, bound.json["token_type"]) == (200, "DPoP")
    assert bound.claims["cnf"] == {"jkt": SENDER.jkt}
    assert (bound.claims["sub"], bound.claims["act"]) == ("svc-a", {"sub": "orders"})


@pytest.mark.rfc("9449-5-1")
async def test_several_resources_share_a_bound_token() -> None:
    """It is bound if one of them asks for that."""
    grants = tuple(ResourcePermission(resource=each, scopes=("read",)) for each in (API, OTHER_API))
    policies = {API: TokenPolicy(), OTHER_API: TokenPolicy(dpop_bound_access_tokens_required=True)}
    asked = issuer(grants=grants, policies=policies, several_resources=True)
    form = urlencode([("grant_type", "client_credentials"), ("resource", API)])
    both = f"{form}&{urlencode({'resource': OTHER_API})}".encode()
    lines = [(b"content-type", FORM.encode()), (b"authorization", basic("svc-a", SECRET))]
    assert refused(await asked.send(both, headers=lines)) == "invalid_dpop_proof"
    answer = await asked.send(both, headers=[*lines, (b"dpop", SENDER.proof())])
    assert answer.claims["cnf"] == {"jkt": SENDER.jkt}


async def test_the_log_says_that_a_token_is_bound() -> None:
    """By its type; the proof is in no event."""
    asked, proof = issuer(), SENDER.proof()
    await asked.ask(proofs=[proof])
    await asked.ask()
    assert [fields["token_type"] for _, fields in asked.events] == ["DPoP", None]
    assert proof.decode() not in repr(asked.events)
