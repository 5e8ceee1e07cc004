"""Attacks on the token endpoint with client assertions: rows T14 to T17, and T10 for them."""

import asyncio
import statistics
import time
from pkgutil import resolve_name
from typing import Any
from unittest.mock import Mock

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from issuer.replay import CLOCK_SKEW
from tests.support.assertions import (
    asserting_client,
    form_of,
    jwk_of,
    make_assertion,
    make_hmac_assertion,
    secret_asserting_client,
    secret_jwt,
)
from tests.support.issuer import ISSUER, NOW, Answer, Clients, TestIssuer
from watchword.testing.forge import DROP
from watchword.testing.keys import private_key

OWN = jwk_of()["kid"]
YEAR = 31_536_000


def issuer_of_assertions(**options: Any) -> TestIssuer:
    """Make an issuer of two clients that authenticate by assertions, each with its own key."""
    other = asserting_client("svc-b", jwks={"keys": [jwk_of(n=1)]})
    return TestIssuer(clients=Clients(asserting_client(), other), **options)


async def send(issuer: TestIssuer, assertion: str, **fields: str) -> Answer:
    """Ask for a token with an assertion."""
    return await issuer.ask(form_of(assertion, **fields), authenticated=False)


def is_refused(answer: Answer) -> bool:
    """Tell whether the answer is that of every failed authentication (RFC 6749 §5.2)."""
    assert (answer.status, answer.json) == (401, {"error": "invalid_client"})
    return answer.header("www-authenticate") is not None


@pytest.mark.attack("T14")
@pytest.mark.rfc("10070-4-1", "7521-4-1")
@pytest.mark.parametrize(
    "audience",
    [
        f"{ISSUER}/token",
        [f"{ISSUER}/token"],
        [ISSUER, "https://other.example"],
        [ISSUER, ISSUER],
        DROP,
        None,
        "",
        [],
        [[ISSUER]],
        {"aud": ISSUER},
        f"{ISSUER}/",
        ISSUER.upper(),
        f" {ISSUER}",
        "https://other.example",
        ISSUER[:-1],
        True,
    ],
)
async def test_an_assertion_for_anything_but_this_issuer_alone_is_refused(audience: Any) -> None:
    """Another server that got the assertion could send it here."""
    issuer = issuer_of_assertions()
    assert is_refused(await send(issuer, make_assertion(aud=audience)))
    assert issuer.events[-1][1]["reason"] == "assertion_audience"
    assert not issuer.store.claims


@pytest.mark.attack("T15")
@pytest.mark.rfc("7523-3-1", "7523-3-2", "7521-4-1")
@pytest.mark.parametrize(
    ("reason", "claims"),
    [
        ("wrong_method", {"iss": "svc-b"}),
        ("wrong_method", {"sub": "svc-b"}),
        ("wrong_method", {"iss": DROP}),
        ("wrong_method", {"iss": ["svc-a"]}),
        ("assertion_times", {"exp": DROP}),
        ("assertion_times", {"iat": DROP}),
        ("assertion_identity", {"jti": DROP}),
        ("assertion_identity", {"jti": ""}),
        ("assertion_identity", {"jti": 7}),
        ("assertion_identity", {"jti": "j" * 129}),
        ("assertion_expired", {"iat": NOW - 120, "exp": NOW - 60}),
        ("assertion_times", {"exp": NOW + YEAR}),
        ("assertion_times", {"exp": NOW + 301}),
        ("assertion_times", {"exp": str(NOW + 60)}),
        ("assertion_times", {"exp": True}),
        ("assertion_times", {"exp": 1e300}),
        ("assertion_times", {"iat": NOW + 61, "exp": NOW + 120}),
        ("assertion_times", {"iat": NOW - 301, "exp": NOW}),
        ("assertion_times", {"nbf": NOW + 61}),
        ("assertion_times", {"iat": NOW + 50, "exp": NOW + 40}),
    ],
)
async def test_an_assertion_with_wrong_claims_is_refused(
    reason: str, claims: dict[str, Any]
) -> None:
    """Each is signed with the right key, and refused all the same; the log knows why."""
    issuer = issuer_of_assertions()
    assert is_refused(await send(issuer, make_assertion(**claims)))
    told = issuer.events[-1][1]
    assert (told["reason"], told["client_id"]) == (reason, claims.get("sub", "svc-a"))
    assert not issuer.store.claims


@pytest.mark.attack("T15")
@pytest.mark.rfc("7523-3-4", "8725-3.1-1", "7521-4.2-1")
@pytest.mark.parametrize(
    ("reason", "assertion", "fields"),
    [
        ("wrong_method", make_assertion(), {"client_id": "svc-b"}),
        ("assertion_algorithm", make_assertion(header={"alg": "none"}), {}),
        (
            "assertion_algorithm",
            make_assertion(header={"alg": "none"}).rpartition(".")[0] + ".",
            {},
        ),
        ("assertion_algorithm", make_assertion(header={"alg": "nOnE"}), {}),
        ("assertion_key", make_assertion(header={"alg": "RS256"}), {}),
        ("assertion_malformed", make_assertion(header={"alg": ["ES256"]}), {}),
        ("assertion_key", make_assertion("RS256"), {}),
        ("assertion_algorithm", make_assertion("ES384"), {}),
        ("assertion_key", make_assertion(n=1), {}),
        ("assertion_signature", make_assertion(n=1, header={"kid": OWN}), {}),
        ("assertion_malformed", make_assertion(n=1, header={"jwk": jwk_of(n=1)}), {}),
        (
            "assertion_malformed",
            make_assertion(n=1, header={"jku": "https://attacker.example"}),
            {},
        ),
        ("assertion_malformed", make_assertion(header={"jwk": jwk_of()}), {}),
        ("assertion_malformed", make_assertion(header={"x5c": ["MII"]}), {}),
        ("assertion_malformed", make_assertion(header={"crit": ["exp"]}), {}),
        ("assertion_malformed", make_assertion(header={"b64": True}), {}),
        ("assertion_malformed", make_assertion(header={"kid": 7}), {}),
        ("assertion_malformed", make_assertion(header={"kid": ""}), {}),
        ("assertion_malformed", make_assertion(header={"kid": None}), {}),
        ("assertion_key", make_assertion(header={"kid": "../../dev/null"}), {}),
        ("assertion_malformed", make_assertion()[:-1], {}),
        ("assertion_signature", make_assertion()[:-2], {}),
        ("unknown_client", make_assertion(iss="nobody", sub="nobody", exp=NOW + YEAR), {}),
        ("assertion_malformed", make_assertion() + "=", {}),
        ("assertion_malformed", "a.b.c", {}),
        ("assertion_malformed", "{}", {}),
    ],
)
async def test_an_assertion_that_the_client_did_not_make_is_refused(
    reason: str, assertion: str, fields: dict[str, str]
) -> None:
    """Keys and algorithms of the sender's choice prove nothing."""
    issuer = issuer_of_assertions()
    assert is_refused(await send(issuer, assertion, **fields))
    assert issuer.events[-1][1]["reason"] == reason
    assert not issuer.store.claims


@pytest.mark.attack("T15")
@pytest.mark.rfc("7523-3-4")
@pytest.mark.parametrize(
    "form",
    [
        (Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        (Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        (Encoding.X962, PublicFormat.UncompressedPoint),
    ],
)
async def test_a_public_key_is_no_secret(form: tuple[Encoding, PublicFormat]) -> None:
    """HS256 under what everybody knows: the header does not switch to a secret."""
    public = private_key("ES256").public_key()  # type: ignore[union-attr]
    assertion = make_hmac_assertion(public.public_bytes(*form))
    assert is_refused(await send(issuer_of_assertions(), assertion))


@pytest.mark.attack("T16")
@pytest.mark.rfc("7523-3-3")
async def test_an_assertion_counts_once() -> None:
    """A second one with its id is refused as well, and that of another client is not."""
    issuer = issuer_of_assertions()
    assertion = make_assertion(jti="one")
    assert (await send(issuer, assertion)).status == 200
    assert is_refused(await send(issuer, assertion))
    assert is_refused(await send(issuer, make_assertion(jti="one", iat=NOW - 1)))
    of_another = make_assertion(n=1, jti="one", iss="svc-b", sub="svc-b")
    assert (await send(issuer, of_another)).status == 200


@pytest.mark.attack("T16")
@pytest.mark.rfc("7523-3-3")
async def test_of_replays_at_the_same_instant_one_counts() -> None:
    """They meet in the store, which all workers share."""
    issuer = issuer_of_assertions()
    assertion = make_assertion()
    answers = await asyncio.gather(*(send(issuer, assertion) for _ in range(8)))
    assert sorted(answer.status for answer in answers) == [200] + [401] * 7


@pytest.mark.attack("T16")
@pytest.mark.rfc("7523-3-3")
async def test_an_id_is_claimed_until_its_assertion_is_refused_for_its_age() -> None:
    """And only then: what is refused burns no id."""
    issuer = issuer_of_assertions()
    assertion = make_assertion(jti="late", exp=NOW + 60.5)
    await send(issuer, assertion, scope="fly")
    assert not issuer.store.claims
    assert (await send(issuer, assertion)).status == 200
    ((_, _, kept_until),) = issuer.store.claims
    until = kept_until - CLOCK_SKEW
    for now, reason in ((until - 1, "assertion_replayed"), (until, "assertion_expired")):
        issuer.now = now
        assert is_refused(await send(issuer, assertion))
        told = issuer.events[-1][1]
        assert (told["reason"], told["client_id"]) == (reason, "svc-a")


@pytest.mark.attack("T17")
@pytest.mark.rfc("10070-4-2")
@pytest.mark.parametrize(
    "kind",
    ["at+jwt", "application/at+jwt", "dpop+jwt", "statuslist+jwt", "secevent+jwt", "", None, 7],
)
async def test_another_kind_of_token_is_no_assertion(kind: Any) -> None:
    """With the claims of an assertion and the right signature."""
    issuer = issuer_of_assertions()
    assert is_refused(await send(issuer, make_assertion(header={"typ": kind})))
    assert issuer.events[-1][1]["reason"] == "assertion_type"


@pytest.mark.attack("T17")
async def test_an_access_token_and_a_workload_token_are_no_assertions() -> None:
    """Neither has the client as its issuer."""
    issuer = issuer_of_assertions()
    token = (await send(issuer, make_assertion())).json["access_token"]
    workload = make_assertion(
        header={"typ": DROP},
        iss="https://kubernetes.default.svc",
        sub="system:serviceaccount:default:svc-a",
        aud=[ISSUER],
        exp=NOW + 3600,
    )
    for other in (token, workload):
        assert is_refused(await send(issuer, other))
        assert is_refused(await send(issuer, other, client_id="svc-a"))


@pytest.mark.attack("T10")
@pytest.mark.rfc("7521-4-1")
async def test_an_unknown_client_and_a_wrong_assertion_are_told_alike() -> None:
    """The two answers are the same bytes, after the same look in the store."""
    issuer = issuer_of_assertions()
    unknown = await send(issuer, make_assertion(iss="nobody", sub="nobody"))
    wrong = await send(issuer, make_assertion(n=1, header={"kid": OWN}))
    assert is_refused(unknown)
    assert (unknown.headers, unknown.body) == (wrong.headers, wrong.body)
    assert issuer.clients.fetches == 2


@pytest.mark.attack("T10")
@pytest.mark.parametrize(
    ("method", "function"),
    [
        ("private_key", "check_client_assertion"),
        ("private_key", "verify_signature"),
        ("secret_jwt", "check_client_assertion"),
        ("secret_jwt", "_is_made_with"),
    ],
)
async def test_an_unknown_client_and_a_wrong_assertion_cost_the_same_checks(
    method: str, function: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also those that only find the reason for the log."""
    place = f"issuer.client_auth.{method}.{function}"
    check = Mock(side_effect=resolve_name(place))
    monkeypatch.setattr(place, check)
    if method == "private_key":
        issuer = issuer_of_assertions()
        unknown = make_assertion(iss="nobody", sub="nobody")
        wrong = make_assertion(n=1, header={"kid": OWN})
    else:
        clients = Clients(secret_asserting_client())
        issuer = TestIssuer(clients=clients, verifiers=(secret_jwt(),))
        unknown = make_hmac_assertion(bytes(32), iss="nobody", sub="nobody")
        wrong = make_hmac_assertion(bytes(32))
    costs = []
    for assertion in (unknown, wrong):
        check.reset_mock()
        assert is_refused(await send(issuer, assertion))
        costs.append(check.call_count)
    assert costs[0] == costs[1] > 0
    assert issuer.events[0][1]["reason"] == "unknown_client"


@pytest.mark.alone
@pytest.mark.attack("T10")
@pytest.mark.parametrize("alg", ["RS256", "ES256", "Ed25519"])
async def test_an_unknown_client_and_a_wrong_assertion_take_similar_time(alg: str) -> None:
    """Medians of interleaved rounds differ by less than half."""
    client = asserting_client(jwks={"keys": [jwk_of(alg)]})
    issuer = TestIssuer(clients=Clients(client))
    forged = {
        "unknown": make_assertion(alg, 1, iss="nobody", sub="nobody"),
        "wrong": make_assertion(alg, 1, header={"kid": jwk_of(alg)["kid"]}),
    }
    taken: dict[str, list[float]] = {name: [] for name in forged}
    for _ in range(150):
        for name, assertion in forged.items():
            begun = time.perf_counter()
            await send(issuer, assertion)
            taken[name].append(time.perf_counter() - begun)
    ratio = statistics.median(taken["unknown"]) / statistics.median(taken["wrong"])
    assert 2 / 3 < ratio < 3 / 2
