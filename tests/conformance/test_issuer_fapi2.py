"""The FAPI 2.0 Security Profile at the issuer: the client credentials grant."""

from pathlib import Path
from typing import Any

import pytest

from issuer.config import IssuerConfig
from issuer.limits import Limits
from issuer.metadata import build_metadata
from issuer.profile import FAPI2
from issuer.registry.auth_methods import AuthMethod
from tests.support.assertions import asserting_client, form_of, jwk_of, make_assertion
from tests.support.dpop import ProofForge
from tests.support.issuer import ISSUER, NOW, Answer, Clients, TestIssuer, make_client
from tests.support.registration import assert_refused, open_reception
from watchword.registry import open_registry
from watchword.settings import SettingsError, load_settings

URL = f"{ISSUER}/token"
KEYS = {"keys": [jwk_of()]}
ALLOWED = ["PS256", "ES256", "Ed25519", "EdDSA"]


async def ask(
    alg: str = "ES256", *, proof: str | None = "ES256", bound: str | None = None, **claims: Any
) -> tuple[Answer, object]:
    """Ask for a token; return the answer and the reason in the log."""
    client = asserting_client(jwks={"keys": [jwk_of(alg)]}, token_endpoint_auth_signing_alg=bound)
    issuer = TestIssuer(clients=Clients(client), profile=FAPI2)
    proofs = () if proof is None else (ProofForge(proof, url=URL, now=NOW).proof(),)
    answer = await issuer.ask(
        form_of(make_assertion(alg, **claims)), authenticated=False, proofs=proofs
    )
    return answer, issuer.events[-1][1].get("reason")


@pytest.mark.rfc("fapi-5.3.2.1-1", "fapi-5.4-1")
@pytest.mark.parametrize("alg", ALLOWED)
async def test_a_client_with_a_key_gets_a_bound_token(alg: str) -> None:
    """Assertion and proof by each algorithm of the profile, whatever the client's flags say."""
    answer, _ = await ask(alg, proof=alg)
    assert (answer.status, answer.json["token_type"]) == (200, "DPoP")
    assert set(answer.claims["cnf"]) == {"jkt"}


@pytest.mark.rfc("fapi-5.3.2.1-1")
async def test_a_token_is_never_unbound() -> None:
    """Though neither client nor resource asks for that."""
    answer, reason = await ask(proof=None)
    assert (answer.status, answer.json["error"]) == (400, "invalid_request")
    assert reason == "binding_required"


@pytest.mark.rfc("fapi-5.3.2.1-1")
@pytest.mark.parametrize("way", ["basic", "post"])
async def test_a_secret_does_not_authenticate(way: str) -> None:
    """A client that was registered before is refused as any other, and the log says why."""
    issuer = TestIssuer(clients=Clients(make_client()), profile=FAPI2)
    posted = {"client_id": "svc-a", "client_secret": "x"} if way == "post" else {}
    answer = await issuer.ask(posted, authenticated=way == "basic")
    assert (answer.status, answer.json["error"]) == (401, "invalid_client")
    told = issuer.events[-1][1]
    assert (told["reason"], told["client_id"]) == ("unsupported_method", "svc-a")


async def test_guesses_at_a_method_that_is_off_are_limited_as_others() -> None:
    """Each costs a look at the registry, which is not read for one that there is no client of."""
    issuer = TestIssuer(clients=Clients(make_client()), profile=FAPI2, limits=Limits(failed_auth=3))
    answers = [
        await issuer.ask({"client_id": "nobody", "client_secret": "x"}, authenticated=False)
        for _ in range(5)
    ]
    assert [each.status for each in answers] == [401, 401, 401, 429, 429]
    assert issuer.clients.fetches == 3
    assert issuer.events[0][1].get("client_id") is None


@pytest.mark.rfc("fapi-5.4-1")
@pytest.mark.parametrize("bound", [None, "RS256"])
async def test_rs256_does_not_authenticate(bound: str | None) -> None:
    """Nor if the client was registered for it before."""
    answer, reason = await ask("RS256", bound=bound)
    assert (answer.status, reason) == (401, "assertion_algorithm")


@pytest.mark.rfc("fapi-5.4-1")
async def test_rs256_proves_no_possession() -> None:
    """A proof is no exception."""
    answer, reason = await ask(proof="RS256")
    assert (answer.status, answer.json["error"]) == (400, "invalid_dpop_proof")
    assert reason == "proof_algorithm"


@pytest.mark.rfc("fapi-5.3.2.1-2")
async def test_the_audience_is_a_text() -> None:
    """A list of one is taken without the profile alone."""
    answer, reason = await ask(aud=[ISSUER])
    assert (answer.status, reason) == (401, "assertion_audience")


@pytest.mark.rfc("fapi-5.3.2.1-3")
@pytest.mark.parametrize(("ahead", "status"), [(10, 200), (61, 401)])
@pytest.mark.parametrize("claim", ["iat", "nbf"])
async def test_a_clock_may_be_ahead_a_little(claim: str, ahead: int, status: int) -> None:
    """10 seconds count as now, and more than 60 do not."""
    claims: dict[str, Any] = {"exp": NOW + 120, claim: NOW + ahead}
    answer, _ = await ask(**claims)
    assert answer.status == status


@pytest.mark.rfc("fapi-5.3.2.1-1", "fapi-5.4-1")
def test_metadata_say_what_the_profile_allows() -> None:
    """Nothing that is refused is offered."""
    document = build_metadata(
        IssuerConfig(issuer=ISSUER),
        methods=[AuthMethod.PRIVATE_KEY_JWT],
        algorithms=["RS256", "PS256"],
        signing_alg="PS256",
        profile=FAPI2,
    )
    assert document["token_endpoint_auth_signing_alg_values_supported"] == ALLOWED
    assert document["dpop_signing_alg_values_supported"] == ALLOWED
    assert document["access_token_signing_alg_values_supported"] == ["PS256"]
    assert "urn:ietf:params:oauth:grant-type:jwt-bearer" not in str(document)
    methods = TestIssuer(profile=FAPI2).authenticator.methods
    assert set(methods) == set(FAPI2.methods)


@pytest.mark.rfc("fapi-5.3.2.1-1", "fapi-5.4-1")
def test_one_setting_turns_it_on(tmp_path: Path) -> None:
    """PS256 signs then, and nothing else has to be set but an issuer on https."""
    settings = load_settings(profile="fapi2", issuer=ISSUER, data_dir=tmp_path)
    assert settings.signing_alg == "PS256"
    assert load_settings().signing_alg == "RS256"
    with pytest.raises(SettingsError) as caught:
        load_settings(profile="fapi2", issuer="http://localhost:8080", signing_alg="RS256")
    alg, issuer = caught.value.lines
    assert "RS256 is not allowed by WATCHWORD_PROFILE=fapi2; use PS256" in alg
    assert "is on plain http" in issuer
    open_registry(settings, now=lambda: NOW).close()


@pytest.mark.rfc("fapi-5.3.2.1-1")
@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {
            "token_endpoint_auth_method": "private_key_jwt",
            "jwks": KEYS,
            "token_endpoint_auth_signing_alg": "RS256",
        },
        {
            "token_endpoint_auth_method": "private_key_jwt",
            "jwks": {"keys": [jwk_of(), jwk_of("RS256")]},
        },
    ],
)
async def test_no_client_registers_for_what_is_forbidden(
    tmp_path: Path, metadata: dict[str, Any]
) -> None:
    """It is told so when it registers, and the token keeps its use."""
    with open_reception(tmp_path, profile=FAPI2) as reception:
        token = reception.token(uses=1)
        answer = await reception.register(token, **metadata)
        assert_refused(answer, 400, "invalid_client_metadata")
        assert "fapi2" in answer.json["error_description"]
        good = {"token_endpoint_auth_method": "private_key_jwt", "jwks": KEYS}
        assert (await reception.register(token, **good)).status == 201
