"""RFC 7591: dynamic client registration, as the issuer keeps it."""

import sqlite3
from contextlib import closing

import pytest

from issuer.registry.audit import Action, Via
from issuer.registry.credentials import SECRET_PREFIX
from tests.support.issuer import Answer
from tests.support.keys import public_rsa_jwk
from tests.support.registration import (
    BASE,
    BILLING,
    JSON,
    REQUEST_ID,
    BoundedBody,
    assert_refused,
    open_reception,
)
from tests.support.registry import NOW, RESOURCE, TESTER, orders

JWKS = {"keys": [public_rsa_jwk().members()]}


@pytest.fixture
def reception(tmp_path):
    """Open `/register`."""
    with open_reception(tmp_path) as opened:
        yield opened


def challenge(answer: Answer) -> str:
    """Give the challenge, which is always of Bearer."""
    text = answer.header("www-authenticate") or ""
    assert text.startswith('Bearer realm="registration"')
    return text


# ---- what is registered ----


@pytest.mark.rfc("7591-3-1")
async def test_a_client_that_asks_for_nothing_gets_the_defaults(reception: BoundedBody) -> None:
    """201 with the id, a secret that never ends, and everything that was registered."""
    answer = await reception.register()
    document = answer.json
    assert (answer.status, answer.header("content-type")) == (201, "application/json")
    assert answer.header("cache-control") == "no-store"
    assert document.pop("client_id").startswith("dyn-")
    assert document.pop("client_secret").startswith(SECRET_PREFIX)
    assert document.pop("registration_access_token").startswith("wwa_")
    uri = document.pop("registration_client_uri")
    assert uri == f"{BASE}/register/{answer.json['client_id']}"
    assert document == {
        "client_id_issued_at": NOW,
        "client_secret_expires_at": 0,
        "scope": "read write bill",
        "token_endpoint_auth_method": "client_secret_basic",
        "grant_types": ["client_credentials"],
        "response_types": [],
        "dpop_bound_access_tokens": False,
        "tls_client_certificate_bound_access_tokens": False,
    }


@pytest.mark.rfc("7591-3-1", "6749-10.10-1")
async def test_what_is_kept_is_what_was_told(reception: BoundedBody) -> None:
    """The secret verifies, only hashes are kept, and the token's bounds are the client's."""
    answer = await reception.register(reception.token(token_ttl=120))
    client = reception.registry.find_client(answer.json["client_id"])
    assert client is not None
    (secret,) = client.secrets
    assert secret.hash.verify(answer.json["client_secret"])
    assert not secret.hash.slow
    assert (secret.expires_at, client.registration.token_ttl) == (None, 120)
    assert [(grant.resource, grant.scopes) for grant in client.grants] == [
        (RESOURCE, ("read", "write")),
        (BILLING, ("read", "bill")),
    ]


@pytest.mark.rfc("7591-3-1")
@pytest.mark.parametrize(
    ("scope", "granted"),
    [
        ("read", {RESOURCE: ("read",), BILLING: ("read",)}),
        ("bill", {BILLING: ("bill",)}),
        ("write read write", {RESOURCE: ("read", "write"), BILLING: ("read",)}),
        (None, {RESOURCE: ("read", "write"), BILLING: ("read", "bill")}),
        ("", {RESOURCE: ("read", "write"), BILLING: ("read", "bill")}),
    ],
)
async def test_a_scope_narrows_what_the_token_allows(
    reception: BoundedBody, scope: str | None, granted: dict[str, tuple[str, ...]]
) -> None:
    """Each resource of the token gives the scopes asked for that it has; without any, all."""
    answer = await reception.register(scope=scope)
    client = reception.registry.find_client(answer.json["client_id"])
    assert client is not None
    assert {grant.resource: grant.scopes for grant in client.grants} == granted


@pytest.mark.rfc("7591-3-1")
@pytest.mark.parametrize("scope", ["admin", "read admin", "READ", "read:all"])
async def test_no_scope_goes_beyond_the_token(reception: BoundedBody, scope: str) -> None:
    """More than the token allows is refused as a whole, not trimmed."""
    assert_refused(await reception.register(scope=scope), 400, "invalid_client_metadata")
    assert reception.registry.list_clients() == []


@pytest.mark.rfc("7591-3-1")
@pytest.mark.parametrize(
    "metadata",
    [
        {"client_name": "Kasse №1"},
        {"token_endpoint_auth_method": "client_secret_post"},
        {"token_endpoint_auth_method": "private_key_jwt", "jwks": JWKS},
        {"token_endpoint_auth_method": "self_signed_tls_client_auth", "jwks": JWKS},
        {
            "token_endpoint_auth_method": "private_key_jwt",
            "jwks_uri": "https://keys.client.example/jwks?v=1",
        },
        {
            "token_endpoint_auth_method": "tls_client_auth",
            "tls_client_auth_san_dns": "till.client.example",
        },
        {"dpop_bound_access_tokens": True, "tls_client_certificate_bound_access_tokens": True},
    ],
)
async def test_metadata_come_back_as_registered(
    reception: BoundedBody, metadata: dict[str, object]
) -> None:
    """Everything registered is in the answer; a secret only for methods that use one."""
    answer = await reception.register(**metadata)
    assert answer.status == 201
    assert answer.json | metadata == answer.json
    uses_secret = str(answer.json["token_endpoint_auth_method"]).startswith("client_secret")
    assert ("client_secret" in answer.json, "client_secret_expires_at" in answer.json) == (
        uses_secret,
        uses_secret,
    )


@pytest.mark.rfc("7591-3-1")
async def test_unknown_metadata_are_ignored(reception: BoundedBody) -> None:
    """RFC 7591 §2: what is not understood is ignored, and not in the answer."""
    unknown = {
        "client_id": "mine",
        "client_secret": "mine",
        "client_name#ja": "x",
        "contacts": ["a@example"],
        "logo_uri": "https://10.0.0.1/",
        "jku": "https://10.0.0.1/",
        "disabled": True,
        "token_ttl": 9,
        "grants": [],
    }
    answer = await reception.register(**unknown)
    assert answer.status == 201
    assert answer.json["client_id"] != "mine"
    assert not {"contacts", "logo_uri", "jku", "disabled", "grants"} & answer.json.keys()


@pytest.mark.rfc("7591-3-1")
async def test_two_clients_share_nothing(reception: BoundedBody) -> None:
    """Id, secret and access token are new each time."""
    token = reception.token()
    first, second = await reception.register(token), await reception.register(token)
    for name in ("client_id", "client_secret", "registration_access_token"):
        assert first.json[name] != second.json[name]


@pytest.mark.rfc("7591-3-1")
async def test_a_registration_is_in_the_trail(reception: BoundedBody) -> None:
    """Who registered is the token by its id, never the token itself."""
    token = reception.token()
    token_id = token.split("_")[1]
    answer = await reception.register(token)
    trail = reception.registry.list_audit(target=answer.json["client_id"])
    assert [entry.action for entry in trail] == [Action.SECRET_ADDED, Action.CLIENT_CREATED]
    assert {entry.actor.via for entry in trail} == {Via.REGISTRATION}
    assert {(entry.actor.name, entry.actor.request_id) for entry in trail} == {
        (token_id, REQUEST_ID)
    }
    told = repr((reception.registry.list_audit(), reception.events))
    for secret in (token, answer.json["client_secret"], answer.json["registration_access_token"]):
        assert secret not in told


# ---- who may register ----


@pytest.mark.rfc("7591-3-1", "6750-3.1-1")
@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (None, "no_credentials"),
        (b"", "no_credentials"),
        (b"Basic YTpi", "unsupported_scheme"),
        (b"DPoP x", "unsupported_scheme"),
        (b"Bearer=x", "unsupported_scheme"),
    ],
)
async def test_without_a_token_nobody_registers(
    reception: BoundedBody, line: bytes | None, reason: str
) -> None:
    """401, and the challenge names no error where no token was sent."""
    lines = [] if line is None else [(b"authorization", line)]
    answer = await reception.send(*lines, JSON)
    assert_refused(answer, 401, "unauthorized")
    assert "error" not in challenge(answer)
    assert reception.events[-1] == ("registration.refused", {"reason": reason})


@pytest.mark.rfc("7591-3-1", "6750-2-1")
@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([b"Bearer"], "malformed_authorization"),
        ([b"Bearer a b"], "malformed_authorization"),
        ([b"Bearer\ta"], "malformed_authorization"),
        ([b'Bearer "a"'], "malformed_authorization"),
        ([b"Bearer a"] * 2, "several_mechanisms"),
    ],
)
async def test_a_malformed_header_is_a_bad_request(
    reception: BoundedBody, values: list[bytes], reason: str
) -> None:
    """400 `invalid_request`, in body and challenge."""
    answer = await reception.send(*((b"authorization", value) for value in values), JSON)
    assert_refused(answer, 400, "invalid_request")
    assert 'error="invalid_request"' in challenge(answer)
    assert reception.events[-1] == ("registration.refused", {"reason": reason})


@pytest.mark.rfc("7591-3-1", "6750-3.1-2")
async def test_every_bad_token_gets_the_same_answer(reception: BoundedBody) -> None:
    """Malformed, unknown, altered, ended, used up, revoked: nobody learns which."""
    good = reception.token(uses=1)
    ended = reception.token(expires_in=60)
    used = reception.token(uses=1)
    revoked = reception.token()
    assert (await reception.register(used)).status == 201
    reception.registry.change(
        lambda edit: edit.revoke_registration_token(revoked.split("_")[1]), by=TESTER
    )
    reception.clock.advance(60)
    altered = good[:-1] + ("A" if good[-1] != "A" else "B")
    swapped = good[:20] + reception.token()[20:]
    unknown = "wwr_" + "0" * 16 + good[20:]
    bad = ["x", "wwr_", good + "x", good.upper(), altered, swapped, unknown, ended, used, revoked]
    answers = [await reception.register(token) for token in bad]
    for answer in answers:
        assert_refused(answer, 401, "invalid_token")
        assert 'error="invalid_token"' in challenge(answer)
    assert len({(answer.body, tuple(answer.headers)) for answer in answers}) == 1
    assert (await reception.register(good)).status == 201


@pytest.mark.rfc("7591-3-1")
async def test_a_token_serves_until_the_moment_it_ends(reception: BoundedBody) -> None:
    """`expires_at` itself is too late."""
    token = reception.token(expires_at="2023-11-14T22:14:20Z")  # a minute after NOW
    reception.clock.advance(59)
    assert (await reception.register(token)).status == 201
    reception.clock.advance(1)
    assert_refused(await reception.register(token), 401, "invalid_token")


@pytest.mark.rfc("7591-3-1")
async def test_a_token_serves_as_often_as_it_says(reception: BoundedBody) -> None:
    """Only registrations count, not what was refused."""
    token = reception.token(uses=2)
    statuses = []
    for metadata in ({}, {"scope": "admin"}, {}, {}):
        statuses.append((await reception.register(token, **metadata)).status)
    assert statuses == [201, 400, 201, 401]


@pytest.mark.rfc("7591-3-1")
async def test_a_token_that_ends_meanwhile_registers_nobody(reception: BoundedBody) -> None:
    """Between admission and registration the last use may go to somebody else."""
    token = reception.token(uses=1)
    reception.meanwhile = lambda: reception.register(token)
    loser = await reception.register(
        token, token_endpoint_auth_method="private_key_jwt", jwks_uri="https://keys.client.example/"
    )
    assert_refused(loser, 401, "invalid_token")
    assert len(reception.registry.list_clients()) == 1


@pytest.mark.rfc("7591-3-1")
async def test_an_allowed_scope_that_is_gone_is_told(reception: BoundedBody) -> None:
    """The operator took it from the resource after the token was made; no use is taken."""
    token = reception.token(uses=1)
    reception.registry.change(lambda edit: edit.replace_resource(orders("read")), by=TESTER)
    answer = await reception.register(token)
    assert_refused(answer, 400, "invalid_client_metadata")
    assert (await reception.register(token, scope="read")).status == 201


@pytest.mark.rfc("7591-3-1", "6749-5.2-2")
@pytest.mark.parametrize(
    ("damage", "status", "error"),
    [
        ("DROP TABLE registration_tokens", 503, "temporarily_unavailable"),
        ("UPDATE registration_tokens SET hash = 'x'", 500, "server_error"),
    ],
)
async def test_faults_of_ours_tell_nothing(
    reception: BoundedBody, damage: str, status: int, error: str
) -> None:
    """A store that cannot answer is 503 with `Retry-After`; the unforeseen is 500 without words."""
    token = reception.token()
    with closing(sqlite3.connect(reception.path)) as connection, connection:
        connection.execute(damage)
    answer = await reception.register(token)
    assert_refused(answer, status, error)
    assert (answer.header("retry-after") is not None) == (status == 503)
    assert set(answer.json) == {"error"}
