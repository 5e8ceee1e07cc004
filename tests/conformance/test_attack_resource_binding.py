"""The attack table of a protected API: tokens that are bound to a key or a certificate."""

from typing import Any

import pytest

from keys.client_cert import certificate_thumbprint
from keys.dpop import PROOF_ALGORITHMS
from keys.dpop_nonce import Nonces
from resource_api import ResourcePolicy, require
from resource_api.possession import Binding
from tests.support.attack import GOOD, assert_invalid_request, assert_no_credentials
from tests.support.bound_tokens import (
    CERTIFICATE_BOUND,
    CLIENT_CERT,
    DER,
    FORGE,
    KEY_BOUND,
    OTHER_PEM,
    PEM,
    SENDER,
    send,
)
from tests.support.dpop import ProofForge
from tests.support.protected_api import Answer, ProtectedApi, ask
from watchword.testing.forge import DROP, ISSUER, NOW, RESOURCE, dump, segment

PROXY = "10.0.0.7"


@pytest.fixture
def api() -> ProtectedApi:
    """Put a fresh middleware before a fresh application."""
    return ProtectedApi(FORGE)


def assert_refused(api: ProtectedApi, answer: Answer, error: str, reason: str) -> None:
    """401 with a DPoP challenge that says which algorithms proofs may have; nothing is reached."""
    assert (answer.status, answer.json["error"], api.reason) == (401, error, reason)
    assert answer.challenge is not None
    assert answer.challenge.startswith('DPoP realm="api", ')
    assert f'error="{error}"' in answer.challenge
    assert answer.challenge.endswith(f'algs="{" ".join(PROOF_ALGORITHMS)}"')
    assert answer.header("cache-control") == "no-store"
    assert api.reached == []


@pytest.mark.rfc("9449-7.1-1", "9700-2.2-1", "9449-4.3-9", "9449-4.3-12")
async def test_the_holder_of_the_key_gets_in_again_and_again(api: ProtectedApi) -> None:
    """The token is remembered, and each request proves possession anew."""
    for _ in range(3):
        answer = await send(api, KEY_BOUND, SENDER.proof(token=KEY_BOUND), query=b"a=b")
        assert answer.status == 200
    assert [each["access_token"].confirmation for each in api.reached] == [{"jkt": SENDER.jkt}] * 3


@pytest.mark.attack("V31")
@pytest.mark.rfc("9449-7.1-1")
@pytest.mark.parametrize("scheme", [b"dpop ", b"DPOP   ", b"DpOp "])
async def test_the_scheme_is_read_leniently(api: ProtectedApi, scheme: bytes) -> None:
    """The scheme has no case, and blanks around the token do not count."""
    proof = SENDER.proof(token=KEY_BOUND)
    lines = [(b"authorization", scheme + KEY_BOUND + b" \t"), (b"dpop", b" " + proof)]
    assert (await ask(api.app, "GET", "/read", *lines)).status == 200


@pytest.mark.attack("V32", "V33")
@pytest.mark.rfc("9449-7.2-1")
@pytest.mark.parametrize(
    "lines",
    [
        [b"DPoP"],
        [b"DPoP "],
        [b"DPoP\t" + KEY_BOUND],
        [b"DPoP a b"],
        [b"DPoP " + KEY_BOUND + b","],
        [b'DPoP "' + KEY_BOUND + b'"'],
        [b"DPoP " + KEY_BOUND, b"DPoP " + KEY_BOUND],
        [b"Bearer " + GOOD, b"DPoP " + KEY_BOUND],
        [b"DPoP " + KEY_BOUND + b", Bearer " + GOOD],
        [b"Bearer " + GOOD + b", DPoP " + KEY_BOUND],
        [b"Basic x, DPoP " + KEY_BOUND],
    ],
)
async def test_one_header_brings_one_token(api: ProtectedApi, lines: list[bytes]) -> None:
    """Two schemes, two lines, or what is no token68: a bad request, whatever the proof says."""
    proof = (b"dpop", SENDER.proof(token=KEY_BOUND))
    headers = [(b"authorization", line) for line in lines]
    assert_invalid_request(await ask(api.app, "GET", "/read", *headers, proof))
    assert api.reached == []


@pytest.mark.attack("V36")
@pytest.mark.rfc("9449-7.2-1")
async def test_a_bound_token_is_no_bearer_token(api: ProtectedApi) -> None:
    """One who stole it could leave the proof away; the same holds once it is remembered."""
    for _ in range(2):
        answer = await send(api, KEY_BOUND, SENDER.proof(token=KEY_BOUND), scheme=b"Bearer ")
        assert_refused(api, answer, "invalid_token", "sender_constrained")
        assert (await send(api, KEY_BOUND, SENDER.proof(token=KEY_BOUND))).status == 200
        api.reached.clear()


@pytest.mark.attack("V36")
@pytest.mark.rfc("9068-4-11")
@pytest.mark.parametrize(
    "cnf",
    [
        None,
        {},
        [],
        "x",
        {"unknown": 1},
        {"jkt": "x"},
        {"jkt": 1},
        {"jkt": None},
        {"jkt": SENDER.jkt + "="},
        {"jkt": SENDER.jkt, "unknown": 1},
        {"jkt": SENDER.jkt, "x5t#S256": "x"},
        {"x5t": "A" * 27},
        {"jwk": SENDER.jwk},
        {"kid": "a"},
    ],
)
@pytest.mark.parametrize("scheme", [b"Bearer ", b"DPoP "])
async def test_what_cannot_be_checked_is_refused(
    api: ProtectedApi, cnf: Any, scheme: bytes
) -> None:
    """Every member of `cnf` is a condition, so one that nobody checks lets nobody in."""
    token = FORGE.token(cnf=cnf)
    answer = await send(api, token, SENDER.proof(token=token), scheme=scheme, pem=PEM)
    assert (answer.status, api.reason) == (401, "invalid_confirmation_claim")
    assert 'error="invalid_token"' in (answer.challenge or "")
    assert api.reached == []


@pytest.mark.rfc("9449-7.2-1")
@pytest.mark.parametrize("token", [GOOD, CERTIFICATE_BOUND])
async def test_a_token_without_a_key_is_not_sent_as_dpop(api: ProtectedApi, token: bytes) -> None:
    """The proof would prove nothing about it; the same holds once it is remembered."""
    for _ in range(2):
        answer = await send(api, token, SENDER.proof(token=token), pem=PEM)
        assert_refused(api, answer, "invalid_token", "unbound_token")
        assert (await send(api, token, scheme=b"Bearer ", pem=PEM)).status == 200
        api.reached.clear()


OTHER = ProofForge(n=1, method="GET", url=f"{RESOURCE}/read")
GOOD_PROOF = SENDER.proof(token=KEY_BOUND)
WRONG_PROOFS: dict[str, tuple[list[bytes], str]] = {
    "none": ([], "proof_missing"),
    "two": ([SENDER.proof(token=KEY_BOUND)] * 2, "proof_several"),
    "a list": ([GOOD_PROOF + b", " + GOOD_PROOF], "proof_malformed"),
    "the token itself": ([KEY_BOUND], "proof_type"),
    "no typ": ([SENDER.proof(token=KEY_BOUND, header={"typ": DROP})], "proof_type"),
    "HS256": ([SENDER.proof(token=KEY_BOUND, header={"alg": "HS256"})], "proof_algorithm"),
    "none as alg": ([SENDER.proof(token=KEY_BOUND, header={"alg": "none"})], "proof_algorithm"),
    "private key": (
        [SENDER.proof(token=KEY_BOUND, header={"jwk": {**SENDER.jwk, "d": "AA"}})],
        "proof_key",
    ),
    "no key": ([SENDER.proof(token=KEY_BOUND, header={"jwk": DROP})], "proof_key"),
    "signed by another": (
        [SENDER.proof(token=KEY_BOUND, header={"jwk": OTHER.jwk})],
        "proof_signature",
    ),
    "no jti": ([SENDER.proof(token=KEY_BOUND, jti=DROP)], "proof_claims"),
    "other method": ([SENDER.proof(token=KEY_BOUND, htm="POST")], "proof_method"),
    "method in lower case": ([SENDER.proof(token=KEY_BOUND, htm="get")], "proof_method"),
    "other path": ([SENDER.proof(token=KEY_BOUND, htu=f"{RESOURCE}/write")], "proof_url"),
    "other host": ([SENDER.proof(token=KEY_BOUND, htu="https://b.example/read")], "proof_url"),
    "plain http": ([SENDER.proof(token=KEY_BOUND, htu="http://api.example/read")], "proof_url"),
    "too old": ([SENDER.proof(token=KEY_BOUND, iat=NOW - 61)], "proof_time"),
    "from the future": ([SENDER.proof(token=KEY_BOUND, iat=NOW + 61)], "proof_time"),
    "no ath": ([SENDER.proof()], "proof_token"),
    "ath of another token": ([SENDER.proof(token=GOOD)], "proof_token"),
    "longer than any": ([SENDER.proof(token=KEY_BOUND, x="x" * 4096)], "proof_too_long"),
}


@pytest.mark.attack("V37")
@pytest.mark.rfc(
    "9449-7.1-1",
    "9449-4.3-1",
    "9449-4.3-2",
    "9449-4.3-3",
    "9449-4.3-4",
    "9449-4.3-5",
    "9449-4.3-6",
    "9449-4.3-7",
    "9449-4.3-8",
    "9449-4.3-9",
    "9449-4.3-11",
    "9449-4.3-12",
)
@pytest.mark.parametrize("name", WRONG_PROOFS)
async def test_a_wrong_proof_lets_nobody_in(api: ProtectedApi, name: str) -> None:
    """The answer says that the proof is not valid, and the log which check it was."""
    proofs, reason = WRONG_PROOFS[name]
    answer = await send(api, KEY_BOUND, *proofs)
    assert_refused(api, answer, "invalid_dpop_proof", reason)
    assert not any(proof.decode() in repr((answer, api.events)) for proof in proofs)
    # A refused proof uses up nothing.
    assert (await send(api, KEY_BOUND, SENDER.proof(token=KEY_BOUND))).status == 200


@pytest.mark.attack("V37")
@pytest.mark.rfc("9449-7.1-1", "9449-4.3-12")
async def test_the_proof_is_of_the_key_that_the_token_is_bound_to(api: ProtectedApi) -> None:
    """A stolen token is of no use with a key of one's own."""
    answer = await send(api, KEY_BOUND, OTHER.proof(token=KEY_BOUND))
    assert_refused(api, answer, "invalid_token", "wrong_proof_key")


@pytest.mark.attack("V37")
async def test_a_proof_counts_once(api: ProtectedApi) -> None:
    """Seen again, it is refused for as long as its time would be accepted."""
    proof = SENDER.proof(token=KEY_BOUND, iat=NOW + 60)
    assert (await send(api, KEY_BOUND, proof)).status == 200
    api.reached.clear()
    for later in (0, 60, 120):
        api.clock.now = NOW + later
        answer = await send(api, KEY_BOUND, proof)
        assert_refused(api, answer, "invalid_dpop_proof", "proof_replayed")


@pytest.mark.attack("V37")
@pytest.mark.rfc("9449-4.3-10", "9449-8-1")
async def test_a_nonce_is_asked_for_until_it_is_there() -> None:
    """The challenge brings the nonce, which counts for this API alone and for some minutes."""
    nonces = Nonces(b"n" * 32)
    api = ProtectedApi(FORGE, binding=Binding(nonces=nonces))
    foreign = Nonces(b"o" * 32).issue(NOW)
    for claims in ({}, {"nonce": ""}, {"nonce": foreign}, {"nonce": nonces.issue(NOW - 600)}):
        answer = await send(api, KEY_BOUND, SENDER.proof(token=KEY_BOUND, **claims))
        assert_refused(api, answer, "use_dpop_nonce", "proof_nonce")
        nonce = answer.header("dpop-nonce")
        assert nonce == nonces.issue(NOW)
    answer = await send(api, KEY_BOUND, SENDER.proof(token=KEY_BOUND, nonce=nonce))
    assert (answer.status, answer.header("dpop-nonce")) == (200, None)


@pytest.mark.rfc("9449-7.1-1")
async def test_a_lacking_scope_is_told_with_the_scheme_of_the_request(api: ProtectedApi) -> None:
    """403, and the challenge is one of DPoP."""
    api = ProtectedApi(FORGE, app=require("admin").app(api.protected))
    answer = await send(api, KEY_BOUND, SENDER.proof(token=KEY_BOUND))
    assert answer.status == 403
    assert (answer.challenge or "").startswith('DPoP realm="api", error="insufficient_scope", ')
    assert 'scope="admin"' in (answer.challenge or "")


@pytest.mark.rfc("9449-7.1-1")
async def test_an_expired_token_is_told_with_the_scheme_of_the_request(api: ProtectedApi) -> None:
    """401 `invalid_token`, as of a bearer token."""
    expired = FORGE.token(iat=NOW - 99, exp=NOW - 50, cnf={"jkt": SENDER.jkt})
    answer = await send(api, expired, SENDER.proof(token=expired))
    assert_refused(api, answer, "invalid_token", "expired")


@pytest.mark.rfc("8705-3-1")
async def test_the_holder_of_the_certificate_gets_in_again_and_again(api: ProtectedApi) -> None:
    """The token is remembered, and each request shows the certificate."""
    for _ in range(3):
        answer = await send(api, CERTIFICATE_BOUND, scheme=b"Bearer ", pem=PEM)
        assert answer.status == 200
    assert api.reached[0]["access_token"].confirmation == {"x5t#S256": certificate_thumbprint(DER)}


@pytest.mark.attack("V36")
@pytest.mark.rfc("8705-3-1", "9440-2.4-2")
async def test_another_certificate_or_none_is_refused(api: ProtectedApi) -> None:
    """401 `invalid_token`, also for a token that is remembered."""
    for _ in range(2):
        for pem, reason in ((None, "no_certificate"), (OTHER_PEM, "wrong_certificate")):
            answer = await send(api, CERTIFICATE_BOUND, scheme=b"Bearer ", pem=pem)
            assert (answer.status, api.reason) == (401, reason)
            assert answer.header("cache-control") == "no-store"
            assert (answer.challenge or "").startswith('Bearer realm="api", error="invalid_token"')
            assert api.reached == []
        assert (await send(api, CERTIFICATE_BOUND, scheme=b"Bearer ", pem=PEM)).status == 200
        api.reached.clear()


@pytest.mark.attack("V38")
@pytest.mark.rfc("9440-2.4-1")
@pytest.mark.parametrize("client", ["10.0.0.8", "::1", "/run/api.sock", None])
async def test_a_client_cert_header_counts_from_trusted_proxies_alone(client: str | None) -> None:
    """By default from none; from others it is not even read."""
    more = ((b"client-cert", CLIENT_CERT), (b"x-forwarded-for", PROXY.encode()))
    for binding in (Binding(), Binding(trusted_proxies=(PROXY, "fd00::/64"))):
        api = ProtectedApi(FORGE, binding=binding)
        answer = await send(api, CERTIFICATE_BOUND, scheme=b"Bearer ", more=more, client=client)
        assert (answer.status, api.reason) == (401, "no_certificate")


@pytest.mark.rfc("9440-2-1", "9440-2.4-1")
@pytest.mark.parametrize("client", [PROXY, f"::ffff:{PROXY}", "fd00::7"])
async def test_a_trusted_proxy_tells_the_certificate(client: str) -> None:
    """What the proxy itself shows in TLS is not the certificate of the caller."""
    api = ProtectedApi(FORGE, binding=Binding(trusted_proxies=(PROXY, "fd00::/64")))

    async def ask_with(more: Any, pem: str | None = None) -> Answer:
        return await send(
            api, CERTIFICATE_BOUND, scheme=b"Bearer ", more=more, pem=pem, client=client
        )

    assert (await ask_with([(b"client-cert", CLIENT_CERT)], OTHER_PEM)).status == 200
    assert (await ask_with([], PEM)).status == 401
    for bad in (
        [CLIENT_CERT, CLIENT_CERT],
        [CLIENT_CERT + b", " + CLIENT_CERT],
        [PEM.encode()],
        [b""],
    ):
        assert_invalid_request(await ask_with([(b"client-cert", value) for value in bad]))
        assert api.reason == "malformed_certificate"


async def test_a_token_may_be_bound_to_both() -> None:
    """Then both are needed, and a proof is not used up by a request without the certificate."""
    api = ProtectedApi(FORGE)
    token = FORGE.token(cnf={"jkt": SENDER.jkt, "x5t#S256": certificate_thumbprint(DER)})
    proof = SENDER.proof(token=token)
    assert (await send(api, token, proof)).status == 401
    assert api.reason == "no_certificate"
    assert (await send(api, token, scheme=b"Bearer ", pem=PEM)).status == 401
    assert (await send(api, token, proof, pem=PEM)).status == 200


@pytest.mark.parametrize(
    ("required", "refused"),
    [
        ("any", [GOOD]),
        ("dpop", [GOOD, CERTIFICATE_BOUND]),
        ("certificate", [GOOD, KEY_BOUND]),
    ],
)
async def test_an_api_may_require_bound_tokens(required: Any, refused: list[bytes]) -> None:
    """A token that is not bound as it has to be is refused, each time."""
    policy = ResourcePolicy(issuer=ISSUER, resource=RESOURCE, binding_required=required)
    api = ProtectedApi(FORGE, policy=policy)
    for token in refused * 2:
        answer = await send(api, token, scheme=b"Bearer ", pem=PEM)
        assert (answer.status, api.reason) == (401, "binding_required")
        assert (answer.challenge or "").startswith("DPoP" if required == "dpop" else "Bearer")
    statuses = [
        (await send(api, KEY_BOUND, SENDER.proof(token=KEY_BOUND))).status,
        (await send(api, CERTIFICATE_BOUND, scheme=b"Bearer ", pem=PEM)).status,
    ]
    accepted = [each not in refused for each in (KEY_BOUND, CERTIFICATE_BOUND)]
    assert statuses == [200 if each else 401 for each in accepted]


async def test_an_api_that_requires_dpop_asks_for_it() -> None:
    """Without credentials, the challenge names no error, as that of Bearer."""
    policy = ResourcePolicy(issuer=ISSUER, resource=RESOURCE, binding_required="dpop")
    answer = await ask(ProtectedApi(FORGE, policy=policy).app)
    assert answer.status == 401
    assert (answer.challenge or "").startswith("DPoP realm=")
    assert "error" not in (answer.challenge or "")
    assert_no_credentials(await ask(ProtectedApi(FORGE).app))


@pytest.mark.attack("V14", "V15")
async def test_a_proof_that_two_parsers_read_differently_is_refused(api: ProtectedApi) -> None:
    """A repeated name, in header or claims, makes it no proof."""
    _, payload, _ = GOOD_PROOF.split(b".")
    twice = b'{"typ":"dpop+jwt","typ":"dpop+jwt","alg":"ES256","jwk":' + dump(SENDER.jwk) + b"}"
    proof = SENDER.sign(segment(twice) + b"." + payload)
    answer = await send(api, KEY_BOUND, proof)
    assert_refused(api, answer, "invalid_dpop_proof", "proof_malformed")
