"""RFC 6749 and its updates, as the issuer keeps them."""

import secrets

import pytest

from issuer.registry.auth_methods import AuthMethod
from issuer.registry.credentials import generate_secret
from issuer.registry.resource import TokenPolicy
from tests.support.issuer import (
    API,
    FORM,
    SECRET,
    Clients,
    TestIssuer,
    basic,
    make_client,
    make_secret,
)

FORM_HEADER = (b"content-type", FORM.encode())
GOOD = (b"authorization", basic("svc-a", SECRET))
GRANT = b"grant_type=client_credentials"


@pytest.mark.rfc("6749-2.3-2")
async def test_client_id_beside_basic_only_identifies() -> None:
    """The same client id in the body changes nothing; another one is a bad request."""
    issuer = TestIssuer()
    same = await issuer.ask({"client_id": "svc-a"})
    other = await issuer.ask({"client_id": "svc-b"})
    assert (same.status, other.status, other.json["error"]) == (200, 400, "invalid_request")


@pytest.mark.rfc("6749-2.3.1-1", "21-2.4.1-1")
@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
async def test_both_plain_secret_methods_serve_every_such_client(method: str) -> None:
    """Whichever of the two it is registered for, a client may use header or body."""
    issuer = TestIssuer(clients=Clients(make_client(token_endpoint_auth_method=AuthMethod(method))))
    body = GRANT + b"&client_id=svc-a&client_secret=" + SECRET.encode()
    by_header = await issuer.ask()
    by_body = await issuer.send(body)
    assert (by_header.status, by_body.status) == (200, 200)


@pytest.mark.rfc("6749-2.3.1-4")
async def test_a_secret_counts_from_its_start_to_its_end() -> None:
    """A secret that has not begun or has ended does not authenticate."""
    secret = make_secret(starts_at=100, expires_at=200)
    issuer = TestIssuer(clients=Clients(make_client(secrets=(secret,))))
    statuses = []
    for issuer.now in (99, 100, 199, 200):
        statuses.append((await issuer.ask()).status)
    assert statuses == [401, 200, 200, 401]


@pytest.mark.rfc("6749-3.2-2", "6749-3.3-3")
@pytest.mark.parametrize("extra", [b"", b"&scope=", b"&scope", b"&resource="])
async def test_an_omitted_scope_means_all_that_the_client_has(extra: bytes) -> None:
    """A parameter without a value counts as omitted; the documented default is granted."""
    answer = await TestIssuer().send(GRANT + extra, headers=[FORM_HEADER, GOOD])
    assert (answer.status, answer.json["scope"]) == (200, "read write")


@pytest.mark.rfc("6749-3.3-1", "6749-3.3-2", "21-3.2.3-1", "9068-2.2.3-1")
@pytest.mark.parametrize(
    ("asked", "granted"),
    [("read", "read"), ("write read", "write read"), ("read read write", "read write")],
)
async def test_scope_comes_back_exactly_as_granted(asked: str, granted: str) -> None:
    """Response and token say the same scope, in the order asked, each once."""
    answer = await TestIssuer().ask({"scope": asked})
    assert answer.json["scope"] == answer.claims["scope"] == granted


@pytest.mark.rfc("6749-4.4.3-1", "6749-5.1-1")
async def test_success_has_these_members_and_no_others() -> None:
    """A token response is plain: no refresh token, no null, the lifetime as a number."""
    answer = await TestIssuer().ask()
    assert set(answer.json) == {"access_token", "token_type", "expires_in", "scope"}
    assert answer.json["token_type"] == "Bearer"
    assert answer.json["expires_in"] == 3600
    assert answer.header("content-type") == "application/json"


@pytest.mark.rfc("6749-5.1-2")
async def test_success_may_not_be_stored() -> None:
    """A token is in no cache, new or old."""
    answer = await TestIssuer().ask()
    assert (answer.header("cache-control"), answer.header("pragma")) == ("no-store", "no-cache")


@pytest.mark.rfc("6749-5.2-3")
@pytest.mark.parametrize(
    ("faults", "error"),
    [
        ({"method", "type", "repeat", "client", "grant", "scope"}, "invalid_request 405"),
        ({"type", "client", "grant", "scope"}, "invalid_request 400"),
        ({"repeat", "client", "grant", "scope"}, "invalid_request 400"),
        ({"client", "grant", "resource", "scope"}, "invalid_client 401"),
        ({"grant", "resource", "scope"}, "unsupported_grant_type 400"),
        ({"resource", "scope"}, "invalid_target 400"),
        ({"scope"}, "invalid_scope 400"),
    ],
)
async def test_the_first_fault_in_the_fixed_order_is_told(faults: set[str], error: str) -> None:
    """With several faults at once, the answer is that of the earliest check."""
    body = b"grant_type=password" if "grant" in faults else GRANT
    body += b"&scope=admin" if "scope" in faults else b""
    body += b"&scope=admin" if "repeat" in faults else b""
    body += b"&resource=nowhere" if "resource" in faults else b""
    headers = [
        (b"content-type", b"text/plain" if "type" in faults else FORM.encode()),
        (b"authorization", basic("svc-a", "x" * 40 if "client" in faults else SECRET)),
    ]
    method = "GET" if "method" in faults else "POST"
    answer = await TestIssuer().send(body, headers=headers, method=method)
    assert f"{answer.json['error']} {answer.status}" == error


@pytest.mark.rfc("6749-10.10-1")
def test_generated_secrets_are_256_random_bits_behind_a_prefix() -> None:
    """Secret scanners find them, form-encoding does not change them, no guess finds them."""
    asked: list[int] = []

    def random_bytes(count: int) -> bytes:
        asked.append(count)
        return secrets.token_bytes(count)

    secret = generate_secret(random_bytes)
    assert asked == [32]
    assert secret.startswith("wws_")
    assert len(secret) == 4 + 43


@pytest.mark.rfc("9700-2.3-1", "8707-2-1")
async def test_a_token_is_for_one_resource_with_no_more_than_asked() -> None:
    """The audience is the resource asked for, verbatim, as a string."""
    answer = await TestIssuer().ask({"resource": API, "scope": "read"})
    assert (answer.claims["aud"], answer.claims["scope"]) == (API, "read")


@pytest.mark.rfc("9700-4.10-1")
async def test_events_name_the_token_but_never_hold_it() -> None:
    """What is logged is its id, its key, its client, and what it is for; never the token."""
    issuer = TestIssuer()
    answer = await issuer.ask()
    name, fields = issuer.events[0]
    of_client = {"client_id", "secret_id", "subject"}
    of_token = {"kid", "jti", "token_type", "reused"}
    assert name == "token.issued"
    of_request = {"grant_type", "auth_method", "resource", "scope"}
    assert set(fields) == of_client | of_token | of_request
    assert (fields["secret_id"], fields["resource"], fields["scope"]) == ("s1", API, "read write")
    assert fields["jti"] == answer.claims["jti"]
    assert answer.json["access_token"] not in repr(issuer.events)
    assert SECRET not in repr(issuer.events)


async def test_a_secret_added_elsewhere_works_at_once() -> None:
    """The view lags, but a refusal is made on the store's word alone."""
    issuer = TestIssuer()
    fresh = "wws_" + "y" * 43
    issuer.clients.stored["svc-a"] = make_client(secrets=(make_secret(fresh),))
    assert (await issuer.ask(auth=basic("svc-a", fresh))).status == 200


async def test_a_slow_secret_is_paid_once() -> None:
    """A proven short secret is remembered; the slow hash is not computed again."""
    short = "hunter2hunter2"
    issuer = TestIssuer(clients=Clients(make_client(secrets=(make_secret(short),))))
    answers = [await issuer.ask(auth=basic("svc-a", short)) for _ in range(5)]
    assert [answer.status for answer in answers] == [200] * 5
    assert issuer.slow.verified == 1


@pytest.mark.rfc("6749-2.3.1-4")
async def test_where_any_secret_is_slow_every_refusal_pays_one_slow_hash() -> None:
    """So the time of a refusal does not tell which clients exist."""
    slow = make_client("slow", secrets=(make_secret("hunter2hunter2"),))
    issuer = TestIssuer(clients=Clients(slow, make_client()))
    counted = []
    for client_id in ("slow", "svc-a", "nobody"):
        before = issuer.slow.verified
        answer = await issuer.ask(auth=basic(client_id, "wws_" + "x" * 43))
        counted.append((answer.status, issuer.slow.verified - before))
    assert counted == [(401, 1)] * 3


@pytest.mark.parametrize(
    ("client_ttl", "resource_ttl", "lifetime"),
    [(None, None, 3600), (60, None, 60), (None, 90, 90), (60, 90, 60), (600, 90, 90)],
)
async def test_the_shortest_lifetime_that_is_set_counts(
    client_ttl: int | None, resource_ttl: int | None, lifetime: int
) -> None:
    """Client and resource may each shorten what the issuer gives."""
    policies = {API: TokenPolicy(token_ttl=resource_ttl)}
    client = make_client(token_ttl=client_ttl, policies=policies)
    answer = await TestIssuer(clients=Clients(client)).ask()
    claims = answer.claims
    assert answer.json["expires_in"] == claims["exp"] - claims["iat"] == lifetime
