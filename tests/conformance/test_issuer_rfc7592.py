"""RFC 7592: clients administer themselves, as the issuer keeps it."""

import json
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from issuer.registry.audit import Action, Via
from issuer.registry.credentials import NewSecret
from issuer.registry.permission import ResourcePermission
from tests.support.issuer import Answer
from tests.support.keys import public_rsa_jwk
from tests.support.registration import (
    BILLING,
    JSON,
    REQUEST_ID,
    BoundedBody,
    assert_refused,
    bearer,
    open_reception,
)
from tests.support.registry import NOW, RESOURCE, TESTER, fast_hash

JWKS = {"keys": [public_rsa_jwk().members()]}
METHODS = ["GET", "PUT", "DELETE"]


@pytest.fixture
def reception(tmp_path):
    """Open `/register`."""
    with open_reception(tmp_path) as opened:
        yield opened


def stored(reception: BoundedBody, registered: Answer):
    """Read a registered client from the registry."""
    return reception.registry.find_client(registered.json["client_id"])


def body_for(method: str, registered: Answer) -> bytes:
    """Write the body that a good request of this method has."""
    document = {"client_id": registered.json["client_id"]}
    return json.dumps(document).encode() if method == "PUT" else b""


# ---- reading ----


@pytest.mark.rfc("7592-1")
async def test_a_client_reads_what_it_is_registered_with(reception: BoundedBody) -> None:
    """All of the first answer but the secret, of which only a hash is kept."""
    registered = await reception.register(client_name="till", scope="read")
    answer = await reception.manage("GET", registered)
    expected = dict(registered.json)
    del expected["client_secret"], expected["client_secret_expires_at"]
    assert (answer.status, answer.json) == (200, expected)
    assert answer.header("cache-control") == "no-store"


@pytest.mark.rfc("7592-1")
async def test_a_client_reads_what_an_operator_has_changed(reception: BoundedBody) -> None:
    """The answer is the state of now; without any grant left there is no scope."""
    registered = await reception.register(client_name="till")
    before = stored(reception, registered).registration
    changed = replace(before, client_name="Kasse", grants=())
    reception.registry.change(lambda edit: edit.replace_client(changed), by=TESTER)
    document = (await reception.manage("GET", registered)).json
    assert (document["client_name"], "scope" in document) == ("Kasse", False)


# ---- replacing ----


@pytest.mark.rfc("7592-1")
async def test_an_update_replaces_everything(reception: BoundedBody) -> None:
    """What is not repeated is gone, and its default is back."""
    registered = await reception.register(
        client_name="till",
        token_endpoint_auth_method="private_key_jwt",
        jwks=JWKS,
        dpop_bound_access_tokens=True,
    )
    answer = await reception.update(
        registered,
        token_endpoint_auth_method="tls_client_auth",
        tls_client_auth_san_dns="till.example",
    )
    assert answer.status == 200
    assert answer.json["tls_client_auth_san_dns"] == "till.example"
    assert answer.json["dpop_bound_access_tokens"] is False
    assert not {"jwks", "client_name", "client_secret"} & answer.json.keys()
    for name in ("client_id", "client_id_issued_at", "registration_access_token"):
        assert answer.json[name] == registered.json[name]
    assert (await reception.manage("GET", registered)).json == answer.json


@pytest.mark.rfc("7592-1")
async def test_an_update_leaves_what_only_operators_decide(reception: BoundedBody) -> None:
    """Lifetime, end, grant types and notes are not the client's; its secret stays as well."""
    registered = await reception.register(reception.token(token_ttl=60))
    before = stored(reception, registered)
    noted = replace(
        before.registration, expires_at=NOW + 9, metadata={"team": "tills"}, grant_types=()
    )
    reception.registry.change(lambda edit: edit.replace_client(noted), by=TESTER)
    assert (await reception.update(registered, client_name="Kasse")).status == 200
    after = stored(reception, registered)
    assert after.registration == replace(noted, client_name="Kasse")
    assert after.secrets == before.secrets


@pytest.mark.rfc("7592-1")
async def test_an_update_narrows_and_never_widens(reception: BoundedBody) -> None:
    """What was given up is gone for good, whatever the first token allowed."""
    registered = await reception.register()
    narrowed = await reception.update(registered, scope="bill read")
    assert narrowed.json["scope"] == "read bill"
    grants = stored(reception, registered).grants
    assert [(grant.resource, grant.scopes) for grant in grants] == [
        (RESOURCE, ("read",)),
        (BILLING, ("read", "bill")),
    ]
    for wider in ("read write", "write", "admin"):
        refused = await reception.update(registered, scope=wider)
        assert_refused(refused, 400, "invalid_client_metadata")
    assert (await reception.update(registered)).json["scope"] == "read bill"


@pytest.mark.rfc("7592-1")
async def test_defaults_shrink_with_the_scopes(reception: BoundedBody) -> None:
    """An operator's choice of default scopes (RFC 6749 §3.3) holds for what is left of them."""
    registered = await reception.register()
    chosen = (
        ResourcePermission(resource=RESOURCE, scopes=("read", "write"), default_scopes=("read",)),
        ResourcePermission(resource=BILLING, scopes=("read", "bill"), default_scopes=("bill",)),
    )
    before = stored(reception, registered).registration
    reception.registry.change(
        lambda edit: edit.replace_client(replace(before, grants=chosen)), by=TESTER
    )
    assert (await reception.update(registered, scope="read write")).status == 200
    assert stored(reception, registered).grants == (
        ResourcePermission(resource=RESOURCE, scopes=("read", "write"), default_scopes=("read",)),
        ResourcePermission(resource=BILLING, scopes=("read",)),
    )


@pytest.mark.rfc("7592-1")
async def test_another_method_takes_the_secret_and_coming_back_gives_a_new_one(
    reception: BoundedBody,
) -> None:
    """No secret sleeps behind another method, to count again when nobody knows who has it."""
    registered = await reception.register()
    by_key = await reception.update(
        registered, token_endpoint_auth_method="private_key_jwt", jwks=JWKS
    )
    assert "client_secret" not in by_key.json
    assert stored(reception, registered).secrets == ()
    back = await reception.update(registered)
    (secret,) = stored(reception, registered).secrets
    assert secret.hash.verify(back.json["client_secret"])
    assert back.json["client_secret"] != registered.json["client_secret"]
    assert back.json["client_secret_expires_at"] == 0


@pytest.mark.rfc("7592-1")
async def test_a_secret_that_is_sent_along_must_be_the_clients(reception: BoundedBody) -> None:
    """RFC 7592 §2.2: a client cannot choose its secret, only repeat it."""
    registered = await reception.register()
    secret = registered.json["client_secret"]
    same = await reception.update(registered, client_secret=secret, client_name="a")
    other = await reception.update(registered, client_secret=secret + "x", client_name="b")
    assert (same.status, "client_secret" in same.json) == (200, False)
    assert_refused(other, 400, "invalid_client_metadata")
    assert secret not in other.body.decode()
    assert stored(reception, registered).registration.client_name == "a"


@pytest.mark.rfc("7592-1")
async def test_any_live_secret_of_the_client_is_its_own(reception: BoundedBody) -> None:
    """An operator may have added one; one that has ended does not count."""
    registered = await reception.register()
    client_id, added = registered.json["client_id"], "wws_" + "a" * 43
    new = NewSecret(hash=fast_hash(added), expires_at=NOW + 60)
    reception.registry.change(lambda edit: edit.add_secret(client_id, new), by=TESTER)
    assert (await reception.update(registered, client_secret=added)).status == 200
    reception.clock.advance(60)
    refused = await reception.update(registered, client_secret=added)
    assert_refused(refused, 400, "invalid_client_metadata")


@pytest.mark.rfc("7592-1")
@pytest.mark.parametrize(
    "metadata",
    [
        {"client_id": None},
        {"client_id": ""},
        {"client_id": 7},
        {"client_id": "dyn-" + "0" * 32},
        {"registration_access_token": "x"},
        {"registration_client_uri": "https://auth.example/"},
        {"client_secret_expires_at": 0},
        {"client_id_issued_at": NOW},
        {"client_secret": 7},
        {"scope": "admin"},
        {"grant_types": ["password"]},
        {"token_endpoint_auth_method": "private_key_jwt"},
        {"jwks": JWKS},
    ],
)
async def test_bad_updates_change_nothing(
    reception: BoundedBody, metadata: dict[str, object]
) -> None:
    """The client id is repeated, what we set is not, and the rest is as when registering."""
    registered = await reception.register(client_name="till")
    before = stored(reception, registered)
    answer = await reception.update(registered, client_name="other", **metadata)
    assert_refused(answer, 400, "invalid_client_metadata")
    assert stored(reception, registered) == before


@pytest.mark.rfc("7592-1", "8725-3.10-1")
async def test_the_host_of_a_new_jwks_uri_is_looked_at(reception: BoundedBody) -> None:
    """An update is no way around the rules of registering."""
    registered = await reception.register()
    reception.public = False
    answer = await reception.update(
        registered,
        token_endpoint_auth_method="private_key_jwt",
        jwks_uri="https://keys.client.example/",
    )
    assert_refused(answer, 400, "invalid_client_metadata")
    assert reception.looked_at == ["keys.client.example"]


@pytest.mark.rfc("7592-1")
async def test_an_update_of_a_client_that_is_deleted_meanwhile_is_refused(
    reception: BoundedBody,
) -> None:
    """What was proven before the look at a host is proven again with the change."""
    registered = await reception.register()
    reception.meanwhile = lambda: reception.manage("DELETE", registered)
    answer = await reception.update(
        registered,
        token_endpoint_auth_method="private_key_jwt",
        jwks_uri="https://keys.client.example/",
    )
    assert_refused(answer, 401, "invalid_token")
    assert stored(reception, registered) is None


# ---- deleting ----


@pytest.mark.rfc("7592-1")
async def test_a_client_deletes_itself(reception: BoundedBody) -> None:
    """204 without a body, and from then on it is unknown."""
    registered = await reception.register()
    answer = await reception.manage("DELETE", registered)
    assert (answer.status, answer.body) == (204, b"")
    assert answer.header("cache-control") == "no-store"
    assert stored(reception, registered) is None
    for method in METHODS:
        again = await reception.manage(method, registered, body=body_for(method, registered))
        assert_refused(again, 401, "invalid_token")


@pytest.mark.rfc("7592-1")
async def test_what_a_client_does_to_itself_is_in_the_trail(reception: BoundedBody) -> None:
    """By its id, through this door; tokens and secrets are nowhere."""
    registered = await reception.register()
    client_id = registered.json["client_id"]
    await reception.update(registered, client_name="Kasse")
    await reception.manage("DELETE", registered)
    trail = reception.registry.list_audit(target=client_id)[:2]
    assert [entry.action for entry in trail] == [Action.CLIENT_DELETED, Action.CLIENT_UPDATED]
    for entry in trail:
        assert (entry.actor.name, entry.actor.via) == (client_id, Via.REGISTRATION)
        assert entry.actor.request_id == REQUEST_ID
    told = repr((reception.registry.list_audit(), reception.events))
    assert registered.json["registration_access_token"] not in told


# ---- who may ----


@pytest.mark.rfc("7592-1")
@pytest.mark.parametrize("method", METHODS)
async def test_every_stranger_gets_the_same_answer(reception: BoundedBody, method: str) -> None:
    """Unknown client, another's token, no such token, the initial one: nobody learns which."""
    registered, other = await reception.register(), await reception.register()
    by_operator = "svc-a"
    reception.registry.change(
        lambda edit: edit.create_client(
            replace(stored(reception, registered).registration, client_id=by_operator)
        ),
        by=TESTER,
    )
    theirs = other.json["registration_access_token"]
    body = body_for(method, registered)
    answers = [
        await reception.manage(method, registered, token=theirs, body=body),
        await reception.manage(method, registered, token="wwa_" + "x" * 43, body=body),
        await reception.manage(method, registered, token=reception.token(), body=body),
        await reception.manage(method, registered, token="x", body=body),
        await reception.manage(method, registered, client_id=by_operator, body=body),
        await reception.manage(method, registered, client_id="dyn-" + "0" * 32, body=body),
    ]
    for odd in ("", "a\0b", "é", "a/b", "x" * 256, "' OR 1=1--", "%"):
        answers.append(await reception.manage(method, registered, client_id=odd, body=body))
    for answer in answers:
        assert_refused(answer, 401, "invalid_token")
        challenge = answer.header("www-authenticate")
        assert challenge == 'Bearer realm="registration", error="invalid_token"'
    assert len({answer.body for answer in answers}) == 1
    assert (await reception.manage("GET", registered)).status == 200


@pytest.mark.rfc("7592-1")
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("change", [{"disabled": True}, {"expires_at": NOW}])
async def test_a_client_that_is_refused_tokens_is_refused_here(
    reception: BoundedBody, method: str, change: dict[str, object]
) -> None:
    """Disabled or ended, it may do nothing, and is told no more than a stranger."""
    registered = await reception.register()
    before = stored(reception, registered).registration
    reception.registry.change(
        lambda edit: edit.replace_client(replace(before, **change)), by=TESTER
    )
    answer = await reception.manage(method, registered, body=body_for(method, registered))
    assert_refused(answer, 401, "invalid_token")
    assert stored(reception, registered).registration == replace(before, **change)


@pytest.mark.rfc("7592-1", "6750-3.1-1")
@pytest.mark.parametrize("method", METHODS)
async def test_without_a_token_nobody_is_told_anything(reception: BoundedBody, method: str) -> None:
    """401 with a challenge that names no error."""
    registered = await reception.register()
    answer = await reception.manage(method, registered, headers=[JSON])
    assert_refused(answer, 401, "unauthorized")
    assert answer.header("www-authenticate") == 'Bearer realm="registration"'


@pytest.mark.rfc("7592-1")
@pytest.mark.parametrize("method", ["POST", "PATCH", "HEAD", "OPTIONS"])
async def test_a_client_is_read_replaced_or_deleted(reception: BoundedBody, method: str) -> None:
    """Anything else is 405 with `Allow`."""
    answer = await reception.manage(method, await reception.register())
    assert_refused(answer, 405, "invalid_request")
    assert answer.header("allow") == "GET, PUT, DELETE"


@pytest.mark.rfc("7592-1")
@pytest.mark.parametrize("body", [b"", b"[]", b'{"client_id":"a","client_id":"b"}', b"[" * 60_000])
async def test_an_update_is_one_strict_json_object(reception: BoundedBody, body: bytes) -> None:
    """As when registering."""
    answer = await reception.manage("PUT", await reception.register(), body=body)
    assert_refused(answer, 400, "invalid_client_metadata")


@pytest.mark.rfc("7592-1")
async def test_an_update_is_plain_json(reception: BoundedBody) -> None:
    """A form is no update."""
    registered = await reception.register()
    form = (b"content-type", b"application/x-www-form-urlencoded")
    lines = [bearer(registered.json["registration_access_token"]), form]
    assert_refused(await reception.manage("PUT", registered, headers=lines), 400, "invalid_request")


@pytest.mark.rfc("7592-1")
@pytest.mark.parametrize("method", METHODS)
async def test_a_store_that_cannot_answer_is_told(reception: BoundedBody, method: str) -> None:
    """503 with `Retry-After`: the client is neither known nor unknown."""
    registered = await reception.register()
    with closing(sqlite3.connect(reception.path)) as connection, connection:
        connection.execute("DROP TABLE client_secrets")
    answer = await reception.manage(method, registered, body=body_for(method, registered))
    assert_refused(answer, 503, "temporarily_unavailable")
    assert answer.header("retry-after") is not None
