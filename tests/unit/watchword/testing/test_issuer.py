"""The issuer of the test kit, as an API and a client see it: its tokens, its keys, its faults."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import httpx
import pytest

from consumer import ClientCredentials, TokenExchange, TokenRequestRefused
from keys.key_types import generate_private_key
from resource_api.errors import Reason, ResourceError
from resource_api.middleware import BearerMiddleware
from resource_api.protection import Protection
from tests.support.protected_api import ask, bearer
from watchword.testing import DROP, Issuer, faults, keys
from watchword.testing.endpoints import TOKEN_EXCHANGE, claims_of

SHAPES = [
    ({"expired": True}, Reason.EXPIRED),
    ({"expired": True, "lifetime": 86_000}, Reason.EXPIRED),
    ({"not_yet_valid": True}, Reason.NOT_YET_VALID),
    ({"wrong_issuer": True}, Reason.WRONG_ISSUER),
    ({"wrong_audience": True}, Reason.WRONG_AUDIENCE),
    ({"wrong_key": True}, Reason.BAD_SIGNATURE),
    ({"revoked": True}, Reason.TOKEN_REVOKED),
    ({"header": {"typ": "JWT"}}, Reason.WRONG_TYPE),
    ({"claims": {"client_id": DROP}}, Reason.INVALID_IDENTITY),
    ({"audience": "https://other.test"}, Reason.WRONG_AUDIENCE),
]


async def outcome(protection: Protection, token: str) -> Reason | None:
    """Return why an API refuses a token; None if it does not."""
    try:
        await protection.authenticate([bearer(token.encode())])
    except ResourceError as error:
        return error.reason
    return None


@pytest.mark.parametrize(("shape", "reason"), SHAPES)
async def test_each_shape_is_refused_for_what_is_wrong_with_it(
    shape: dict[str, object], reason: Reason
) -> None:
    """A token is good but for the one thing that was asked for."""
    issuer = Issuer()
    protection = Protection(**issuer.protection_settings())
    assert await outcome(protection, issuer.token(scope="read")) is None
    assert await outcome(protection, issuer.token(scope="read", **shape)) is reason  # type: ignore[arg-type]


@pytest.mark.parametrize("alg", ["RS256", "PS256", "ES256", "EdDSA"])
async def test_what_is_asked_for_is_in_the_token(alg: str) -> None:
    """Scope as text or names, client, subject, audience and claims of issuer and token."""
    issuer = Issuer(alg=alg, claims={"tenant": "shop", "region": "eu"})
    protection = Protection(**issuer.protection_settings())
    token = issuer.token(
        scope=["read", "write"],
        client_id="billing",
        subject="user-1",
        audience=["https://other.test", issuer.audience],
        claims={"region": "us"},
    )
    seen = await protection.validate(token.encode())
    assert (seen.client_id, seen.subject) == ("billing", "user-1")
    assert seen.scopes == {"read", "write"}
    assert (seen.claims["tenant"], seen.claims["region"]) == ("shop", "us")
    assert "scope" not in (await protection.validate(issuer.token().encode())).claims
    ended = claims_of(issuer.token(lifetime=0))
    assert ended["exp"] == ended["iat"]


async def test_the_clock_is_turned_by_hand() -> None:
    """A token ends when the test says that the time has come, and not before."""
    issuer = Issuer(lifetime=60)
    protection = Protection(**issuer.protection_settings())
    token = issuer.token()
    assert await outcome(protection, token) is None
    issuer.clock.advance(59)
    assert await outcome(protection, token) is None
    issuer.clock.advance(60)
    assert await outcome(protection, token) is Reason.EXPIRED


async def test_a_rotation_keeps_tokens_and_a_withdrawal_ends_them() -> None:
    """As at a real issuer: the API knows the next key before it signs, and a withdrawal in time."""
    issuer = Issuer()
    protection = Protection(**issuer.protection_settings())
    before = issuer.token()
    assert await outcome(protection, before) is None
    issuer.rotate()
    assert await outcome(protection, issuer.token()) is None
    assert await outcome(protection, before) is None
    issuer.withdraw_keys()
    assert await outcome(protection, before) is None
    issuer.clock.advance(600)
    await eventually_is(lambda: outcome(protection, before), Reason.UNKNOWN_KEY)
    assert await outcome(protection, issuer.token()) is None


async def test_a_token_in_use_is_revoked() -> None:
    """The API sees it when it looks at the list again."""
    issuer = Issuer()
    protection = Protection(**issuer.protection_settings())
    token = issuer.token()
    assert await outcome(protection, token) is None
    issuer.revoke(token)
    issuer.clock.advance(600)
    await eventually_is(lambda: outcome(protection, token), Reason.TOKEN_REVOKED)
    with pytest.raises(ValueError, match="no token"):
        issuer.revoke("nonsense")
    with pytest.raises(ValueError, match="cannot be revoked"):
        issuer.revoke(issuer.token(claims={"jti": DROP}))


async def eventually_is(look: Callable[[], Awaitable[object]], wanted: object) -> None:
    """Wait for what is done in the background."""
    async with asyncio.timeout(5):
        while (await look()) is not wanted:
            await asyncio.sleep(0.005)


async def test_keys_that_cannot_be_had_are_a_503() -> None:
    """An API without keys answers so, and is well again with the issuer."""
    issuer = Issuer()
    issuer.fail("jwks", status=500, times=2)
    api = BearerMiddleware(greet, **issuer.protection_settings())
    token = bearer(issuer.token().encode())
    assert (await ask(api, "GET", "/", token)).status == 503
    issuer.heal()
    issuer.clock.advance(60)
    assert (await ask(api, "GET", "/", token)).status == 200


async def greet(scope: object, receive: object, send: Callable[..., Awaitable[None]]) -> None:
    """Answer 200."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def client_of(issuer: Issuer, client: str = "billing", secret: str = "s3cret") -> ClientCredentials:
    """Return a client of the issuer."""
    return ClientCredentials(issuer.url, client, secret, scope="read", transport=issuer.transport)


def test_any_client_gets_a_token_unless_a_secret_is_set() -> None:
    """The real consumer gets it, through the metadata."""
    issuer = Issuer()
    assert client_of(issuer).token().scope == "read"
    assert issuer.requests == {"metadata": 1, "token": 1}
    strict = Issuer(secret="s3cret")
    assert client_of(strict).token()
    with pytest.raises(TokenRequestRefused, match="invalid_client"):
        client_of(strict, secret="wrong").token()


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"status": 429, "retry_after": 7}, TokenRequestRefused),
        ({"status": 503}, TokenRequestRefused),
        ({"body": "<html>"}, Exception),
    ],
)
def test_a_token_endpoint_fails_as_told_and_so_often(
    fault: dict[str, object], error: type[Exception]
) -> None:
    """What the consumer makes of it is its own affair; the next client is served."""
    issuer = Issuer()
    issuer.fail(**fault)
    with pytest.raises(error):
        client_of(issuer).token()
    assert client_of(issuer).token()


def test_a_token_for_the_wrong_audience_is_given_out_when_told() -> None:
    """The claims of a fault go before what was asked for."""
    issuer = Issuer()
    issuer.fail(claims={"aud": "https://other.test"})
    token = client_of(issuer).token().value
    protection = Protection(**issuer.protection_settings())
    assert asyncio.run(outcome(protection, token)) is Reason.WRONG_AUDIENCE


def test_a_slow_answer_is_waited_for_as_long_as_the_client_wants() -> None:
    """The timeout of httpx counts, though there is no socket."""
    issuer = Issuer()
    issuer.fail("metadata", delay=30)
    with httpx.Client(transport=issuer.transport, timeout=0.01) as client:
        url = f"{issuer.url}/.well-known/oauth-authorization-server"
        with pytest.raises(httpx.ReadTimeout):
            client.get(url)
        assert client.get(url).json()["issuer"] == issuer.url


async def test_a_token_is_exchanged_for_its_subject() -> None:
    """The caller stays the subject, the service is the actor."""
    issuer = Issuer()
    acting = TokenExchange(issuer.url, "orders", "s3cret", transport=issuer.transport)
    protection = Protection(**issuer.protection_settings())
    caller = await protection.validate(issuer.token(subject="user-1").encode())
    token = await acting.for_caller(caller).atoken()
    seen = await protection.validate(token.value.encode())
    assert (seen.subject, seen.client_id) == ("user-1", "orders")
    assert seen.claims["act"] == {"sub": "orders"}
    form = {"grant_type": TOKEN_EXCHANGE, "subject_token": "nonsense"}
    async with httpx.AsyncClient(transport=issuer.transport, auth=("orders", "s")) as client:
        answer = await client.post(f"{issuer.url}/token", data=form)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    ("method", "form", "status", "error"),
    [
        ("GET", {}, 405, "invalid_request"),
        ("POST", {"client_id": "a"}, 400, "invalid_request"),
        ("POST", {"client_id": "a", "grant_type": "password"}, 400, "unsupported_grant_type"),
        ("POST", {"grant_type": "client_credentials"}, 401, "invalid_client"),
    ],
)
def test_an_ill_formed_request_is_refused_as_the_real_issuer_does(
    method: str, form: dict[str, str], status: int, error: str
) -> None:
    """Code and status are those of RFC 6749 §5.2."""
    issuer = Issuer("https://auth.example.com/tenant-1")
    with httpx.Client(transport=issuer.transport) as client:
        answer = client.request(method, f"{issuer.url}/token", data=form or None)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert answer.headers["cache-control"] == "no-store"


def test_an_assertion_names_its_client() -> None:
    """In the place of a secret, by its subject; nothing else of it is looked at."""
    issuer = Issuer()
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": Issuer().token(subject="till"),
    }
    with httpx.Client(transport=issuer.transport) as client:
        answer = client.post(f"{issuer.url}/token", data=form)
        too_large = client.post(f"{issuer.url}/token", data={"a": "b" * 65_536})
    assert claims_of(answer.json()["access_token"])["client_id"] == "till"
    assert too_large.status_code == 413


def test_what_an_issuer_remembers_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Faults and revocations, which anyone may ask a mock for."""
    monkeypatch.setattr(faults, "MOST_FAULTS", 1)
    monkeypatch.setattr("watchword.testing.issuer._MOST_REVOKED", 1)
    issuer = Issuer(alg="ES256")  # whose keys are made at once
    issuer.fail()
    with pytest.raises(ValueError, match="faults already"):
        issuer.fail()
    issuer.token(revoked=True)
    with pytest.raises(ValueError, match="revoked already"):
        issuer.token(revoked=True)
    for _ in range(20):
        issuer.rotate()
    assert len(issuer.published_keys) == 9


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ({"endpoint": "tokens"}, "endpoint must be one of"),
        ({"status": 42}, "status must be"),
        ({"retry_after": "soon"}, "retry_after must be"),
        ({"body": b""}, "body must be"),
        ({"delay": "1"}, "delay must be a number"),
        ({"delay": 3600}, "delay must be from"),
        ({"claims": 1}, "claims must be"),
        ({"endpoint": "jwks", "claims": {"a": 1}}, "claims are of tokens"),
        ({"times": 0}, "times must be"),
    ],
)
def test_a_fault_that_cannot_be_is_refused(fault: dict[str, object], why: str) -> None:
    """The message names the value."""
    with pytest.raises(ValueError, match=why):
        Issuer().fail(**fault)  # type: ignore[arg-type]


def test_an_issuer_is_ready_within_a_tenth_of_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its key included, which is made once a process: 45 ms on the average, of processor time."""
    monkeypatch.setattr(keys, "_generated", lambda alg, n: generate_private_key(alg))
    needed = []
    for _ in range(3):
        start = time.process_time()
        Issuer().token()
        needed.append(time.process_time() - start)
    assert min(needed) < 0.1
