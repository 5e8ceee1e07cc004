"""Dynamic registration on every engine: uses are counted, and all counts or nothing does."""

import asyncio
import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from issuer.errors import TemporarilyUnavailable
from issuer.registration import service as registrar
from issuer.registration.metadata import parse_registration, parse_update
from issuer.registration.request import InvalidClientMetadata, InvalidToken
from issuer.registration.service import Registrar
from issuer.registry.audit import Action, Via
from issuer.registry.errors import UnknownRegistrationToken, UnknownResource, UnknownScope
from issuer.registry.initial_access_token import describe_registration_token
from issuer.status.positions import StatusBlock, bucket_for
from issuer.storage.engines.database import Statement
from tests.support.registration import make_token
from tests.support.registry import NOW, RESOURCE, TESTER, orders
from tests.support.status_blocks import SIZE, give_blocks

GRANTS = [{"resource": RESOURCE, "scope": "write read", "default_scope": "read"}]


def tokens(registry):
    """Read all initial access tokens."""
    return registry.read(lambda reading: reading.list_registration_tokens())


def service_over(registry):
    """Make a registrar over a registry."""
    return Registrar(registry.registry, now=lambda: NOW, random_bytes=secrets.token_bytes)


@pytest.fixture
def service(registry):
    """Give a registrar."""
    made = service_over(registry)
    yield made
    made.close()


async def register(service, text, **metadata):
    """Register a client as the endpoint does."""
    token = await service.admit(text)
    return await service.register(parse_registration(metadata), token, request_id=None)


def test_a_token_comes_back_as_it_was_made(registry, another):
    """Everything of it is kept but the token itself."""
    text, made = make_token(
        registry, grants=GRANTS, token_ttl=60, uses=3, expires_at="2030-01-01T00:00:00Z"
    )
    _, plain = make_token(registry, now=NOW + 1, grants=GRANTS)
    assert tokens(another) == [made, plain]
    assert made.hash.verify(text)
    found = another.read(lambda reading: reading.find_registration_token(made.token_id))
    assert found == made
    assert found.grants[0].defaults == ("read",)


@pytest.mark.parametrize(
    ("grant", "error"),
    [
        ({"resource": RESOURCE, "scope": "fly"}, UnknownScope),
        ({"resource": "urn:example:no", "scope": "read"}, UnknownResource),
    ],
)
def test_a_token_allows_what_exists(registry, grant, error):
    """A slip of the pen shows when the token is made, not when somebody registers."""
    with pytest.raises(error):
        make_token(registry, grants=[grant])
    assert tokens(registry) == []


def test_making_and_ending_a_token_is_told(registry, events):
    """In the trail and as events, by its id and what it allows."""
    text, token = make_token(registry, grants=GRANTS)
    registry.revoke_registration_token(token.token_id)
    assert tokens(registry) == []
    ended, made = registry.list_audit(target=token.token_id)
    assert (made.action, ended.action) == (
        Action.REGISTRATION_TOKEN_CREATED,
        Action.REGISTRATION_TOKEN_REVOKED,
    )
    described = describe_registration_token(token)
    assert (made.after, ended.before, ended.after) == (described, described, None)
    assert [(name, told["token_id"]) for name, told in events] == [
        ("registration_token.created", token.token_id),
        ("registration_token.revoked", token.token_id),
    ]
    told = repr((made, ended, events))
    assert (text in told, token.hash.text.split("$")[-1] in told) == (False, False)


def test_only_a_token_that_is_there_can_be_ended(registry):
    """The refusal is one clear line."""
    with pytest.raises(UnknownRegistrationToken, match="no such registration token: x"):
        registry.revoke_registration_token("x")


def test_uses_are_counted_to_zero_and_no_further(registry, another):
    """However many processes and threads claim at once, each use is taken once."""
    _, token = make_token(registry, grants=GRANTS, uses=5)

    def claim(number):
        return (registry, another)[number % 2].claim_registration(token.token_id)

    with ThreadPoolExecutor(8) as pool:
        claimed = list(pool.map(claim, range(16)))
    assert claimed.count(True) == 5
    assert tokens(registry)[0].uses_left == 0


def test_a_token_without_a_number_serves_as_many_as_come(registry):
    """Nothing is counted."""
    _, token = make_token(registry, grants=GRANTS)
    assert all(registry.claim_registration(token.token_id) for _ in range(3))
    assert tokens(registry)[0].uses_left is None


def test_what_has_ended_cannot_be_claimed(registry, clock):
    """From `expires_at` on, and never if there is no such token."""
    _, token = make_token(registry, grants=GRANTS, expires_in=60)
    clock.now += 59
    assert registry.claim_registration(token.token_id)
    clock.now += 1
    assert not registry.claim_registration(token.token_id)
    assert not registry.claim_registration("x")


def test_as_many_clients_register_as_a_token_has_uses(registry, another):
    """The race for the last use has one winner in all processes, and losers leave nothing."""
    text, token = make_token(registry, grants=GRANTS, uses=4)

    def crowd(of):
        service = service_over(of)

        async def all_at_once():
            return await asyncio.gather(
                *(register(service, text) for _ in range(6)), return_exceptions=True
            )

        try:
            return asyncio.run(all_at_once())
        finally:
            service.close()

    with ThreadPoolExecutor(2) as pool:
        outcomes = [each for of in pool.map(crowd, (registry, another)) for each in of]
    refused = [each for each in outcomes if isinstance(each, Exception)]
    assert {type(each) for each in refused} == {InvalidToken}
    registered = {each.client.client_id for each in outcomes if each not in refused}
    assert registered == {client.client_id for client in registry.list_clients()}
    assert (len(registered), tokens(registry)[0].uses_left) == (4, 0)
    by_token = [e for e in registry.list_audit() if e.actor.via is Via.REGISTRATION]
    assert {entry.target for entry in by_token} == registered
    assert {entry.actor.name for entry in by_token} == {token.token_id}


async def test_a_registration_that_fails_takes_no_use(registry, service):
    """The use, the client and its secret are one transaction."""
    text, _ = make_token(registry, grants=GRANTS, uses=1)
    registry.replace_resource(orders("write"))
    with pytest.raises(InvalidClientMetadata):
        await register(service, text)
    assert (registry.list_clients(), tokens(registry)[0].uses_left) == ([], 1)


async def test_a_registered_client_proves_itself_to_every_process(registry, another, service):
    """Secret and access token are good at once, wherever the next request goes."""
    text, _ = make_token(registry, grants=GRANTS, token_ttl=60)
    made = await register(service, text, client_name="Kasse №1")
    found = another.find_client(made.client.client_id)
    assert found == made.client
    assert found.secrets[0].hash.verify(made.secret)
    assert (found.registration.token_ttl, found.grants[0].defaults) == (60, ("read",))
    elsewhere = service_over(another)
    try:
        assert await elsewhere.find(found.client_id, made.access_token) == found
    finally:
        elsewhere.close()


async def test_a_client_changes_and_deletes_itself(registry, service):
    """Each a transaction of its own, told to the views by the change feed."""
    text, _ = make_token(registry, grants=GRANTS)
    made = await register(service, text)
    client_id, access = made.client.client_id, made.access_token
    cursor = registry.changes_since(0).cursor
    update = parse_update({"client_id": client_id, "scope": "read"}, client_id)
    changed = await service.replace(update, access, request_id="r1")
    assert changed.client == registry.find_client(client_id)
    assert changed.client.grants[0].scopes == ("read",)
    assert registry.changes_since(cursor).client_ids == {client_id}
    await service.delete(client_id, access, request_id="r2")
    assert registry.find_client(client_id) is None
    trail = registry.list_audit(target=client_id)[:2]
    assert [entry.actor.request_id for entry in trail] == ["r2", "r1"]


@pytest.mark.rfc("7592-1")
async def test_the_tokens_of_a_client_that_deletes_itself_end_with_it(registry, service):
    """RFC 7592 §2.3: what it was granted SHOULD count no more."""
    text, _ = make_token(registry, grants=GRANTS)
    made = await register(service, text)
    client_id = made.client.client_id
    bucket = bucket_for(NOW, 3600)
    block = StatusBlock(bucket, 0, SIZE, client_id, client_id, RESOURCE, NOW - 60)
    await asyncio.to_thread(give_blocks, registry.registry._database, NOW, block)
    await service.delete(client_id, made.access_token, request_id="r1")
    written = Statement("SELECT bucket, first, size, status FROM status_changes")
    assert [tuple(row) for row in registry.registry._database.read_one(written)] == [
        (bucket, 0, SIZE, 1)
    ]
    trail = registry.list_audit(target=client_id)[:2]
    assert {entry.action.value for entry in trail} == {"token.revoked", "client.deleted"}


@pytest.mark.parametrize("client_id", ["", "till", "a\0b", "é", "\ud800", "x" * 256, "' OR 1=1--"])
async def test_strangers_are_strangers_on_every_engine(registry, service, client_id):
    """No text that a path may hold makes a database fail."""
    with pytest.raises(InvalidToken):
        await service.find(client_id, "wwa_" + "x" * 43)


async def test_an_operators_client_does_not_administer_itself(registry, service):
    """Without a registration access token there is no door."""
    text, _ = make_token(registry, grants=GRANTS)
    made = await register(service, text)
    registry.change(
        lambda edit: edit.create_client(replace(made.client.registration, client_id="till")),
        by=TESTER,
    )
    with pytest.raises(InvalidToken):
        await service.find("till", made.access_token)


async def test_no_more_wait_than_a_bound(registry, service, monkeypatch):
    """A crowd is told to come back instead of filling the memory; the others are served."""
    monkeypatch.setattr(registrar, "MAX_WAITING", 3)
    text, _ = make_token(registry, grants=GRANTS)
    outcomes = await asyncio.gather(
        *(service.admit(text) for _ in range(5)), return_exceptions=True
    )
    assert [type(each) for each in outcomes].count(TemporarilyUnavailable) == 2
    assert (await service.admit(text)).grants[0].resource == RESOURCE


def test_nothing_of_a_registration_shows_its_secrets(registry):
    """A representation may end up in a log."""
    text, token = make_token(registry, grants=GRANTS)
    service = service_over(registry)
    made = asyncio.run(register(service, text))
    service.close()
    shown = repr((token, made))
    assert not any(each in shown for each in (text, made.secret, made.access_token, "sha256"))
