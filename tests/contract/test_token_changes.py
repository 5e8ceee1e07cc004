"""`Administration.change_tokens` over every engine: which tokens, what is written, what is not."""

import asyncio
import json

import pytest

from issuer.administration.authority import Authority
from issuer.registry.audit import Actor, Via
from issuer.registry.errors import (
    BeyondAuthority,
    InvalidDocument,
    StoreUnavailable,
    UnknownClient,
    UnknownResource,
)
from issuer.registry.resource import Resource
from issuer.registry.schema import write_time
from issuer.status.lists import StatusLists
from issuer.status.positions import (
    Position,
    StatusBlock,
    bucket_end,
    bucket_for,
    status_claim,
)
from issuer.storage.engines.database import Statement
from issuer.storage.hot import open_hot_store
from issuer.storage.status_changes import TokenSelection, find_ranges
from keys.encoding import encode_base64url
from tests.support.declaration import declaration, declared
from tests.support.registry import NOW, RESOURCE
from tests.support.status_blocks import SIZE, give_blocks, jti_of

ISSUER = "https://auth.example"
ADMINISTRATION = f"{ISSUER}/admin/api/v1"
BUCKET = bucket_for(NOW, 3600)
REVOKED, SUSPENDED, VALID = 1, 2, 0
# First index, client, subject, resource, and when it was reserved before now.
BLOCKS = (
    (0, "till", "till", RESOURCE, 1800),
    (16, "till", "till", RESOURCE, 60),
    (32, "shop", "shop", RESOURCE, 60),
    (48, "shop", "mary", "urn:other", 60),
    (64, "till", "till", "urn:other", 60),
)
COUNT = 80


def give(registry, *blocks):
    """Give clients blocks of 16 indexes each."""
    made = [
        StatusBlock(BUCKET, first, SIZE, client_id, subject, resource, NOW - ago)
        for first, client_id, subject, resource, ago in blocks
    ]
    give_blocks(registry.registry._database, NOW, *made)


@pytest.fixture
def blocks(registry):
    """Give the blocks to clients, and the registry its issuer."""
    registry.registry.settle_issuer(ISSUER, own=RESOURCE, serving=True)
    give(registry, *BLOCKS)


def rows(registry):
    """Read all changes as first index, size and status."""
    statement = Statement("SELECT first, size, status FROM status_changes ORDER BY change")
    return [tuple(map(int, row)) for row in registry.registry._database.read_one(statement)]


def statuses(registry):
    """Return the status of each token by what the registry tells."""
    lists = StatusLists(longest=86_400)
    news = registry.registry.status_news(0)
    lists.apply(news.changes, NOW, counts=news.counts)
    return [int(lists.status(Position(BUCKET, index))) for index in range(COUNT)]


def token_of(index, **claims):
    """Write a token; who signed it does not matter here."""
    claims = {
        "iss": ISSUER,
        "jti": jti_of(BUCKET, index),
        "status": status_claim(Position(BUCKET, index), ISSUER),
    } | claims
    segments = ({"alg": "RS256"}, {k: v for k, v in claims.items() if v is not None})
    return ".".join([*(encode_base64url(json.dumps(each).encode()) for each in segments), "c2ln"])


SELECTIONS = (
    ({"client_id": "till"}, [0, 16, 64]),
    ({"client_id": "till", "resource": RESOURCE}, [0, 16]),
    ({"client_id": "till", "issued_before": write_time(NOW - 900)}, [0]),
    ({"client_id": "till", "issued_before": write_time(NOW - 1800)}, []),
    ({"client_id": "shop", "resource": "urn:other"}, [48]),
    ({"subject": "mary"}, [48]),
    ({"subject": "till", "resource": "urn:other"}, [64]),
    ({"resource": RESOURCE}, [0, 16, 32]),
    ({"issued_before": write_time(NOW)}, [0, 16, 32, 48, 64]),
)


@pytest.mark.usefixtures("blocks")
def test_whole_blocks_are_selected(operations, registry):
    """A dry run tells how many tokens they have, and writes nothing; then they are suspended."""
    for selection, hit in SELECTIONS:
        wanted = {"action": "suspend", **selection}
        told = operations.change_tokens({**wanted, "dry_run": True})
        assert told == {"action": "suspend", "tokens": 16 * len(hit), "dry_run": True}
    assert rows(registry) == []
    assert operations.list_audit().items[0]["action"] != "token.suspended"
    for selection, hit in SELECTIONS:
        done = operations.change_tokens({"action": "suspend", **selection})
        assert done == {"action": "suspend", "tokens": 16 * len(hit), "dry_run": False}
        expected = [
            int(any(first <= index < first + 16 for first in hit)) for index in range(COUNT)
        ]
        assert statuses(registry) == [SUSPENDED * each for each in expected], selection
        operations.change_tokens({"action": "restore", **selection})


@pytest.mark.usefixtures("blocks")
def test_blocks_that_follow_each_other_are_one_row(operations, registry):
    """Revoking everything does not take a row for each block."""
    operations.change_tokens({"action": "revoke", "issued_before": write_time(NOW)})
    assert rows(registry) == [(0, COUNT, REVOKED)]


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("how", ["jti", "token"])
def test_one_token_is_revoked(operations, registry, how, events):
    """By itself or its id; the trail has the id and whose it was, and never the token."""
    token = token_of(17)
    selection = {"jti": jti_of(BUCKET, 17)} if how == "jti" else {"token": token}
    events.clear()
    told = operations.change_tokens({"action": "revoke", **selection})
    assert told == {"action": "revoke", "tokens": 1, "dry_run": False}
    assert rows(registry) == [(17, 1, REVOKED)]
    entry = operations.list_audit().items[0]
    assert (entry["action"], entry["target"]) == ("token.revoked", jti_of(BUCKET, 17))
    assert entry["after"] == {
        "client_id": "till", "jti": jti_of(BUCKET, 17), "tokens": 1, "administrators": []
    }  # fmt: skip
    ((name, fields),) = events
    assert (name, fields["client_id"], fields["jti"]) == (
        "token.revoked",
        "till",
        jti_of(BUCKET, 17),
    )
    assert token not in str(entry) + str(fields)


@pytest.mark.usefixtures("blocks")
def test_the_same_again_is_answered_alike_and_leaves_no_trace(operations, registry):
    """Neither a row nor an entry, so an answer that was lost can be asked for again."""
    for selection in (
        {"jti": jti_of(BUCKET, 17)},
        {"client_id": "shop"},
        {"issued_before": write_time(NOW)},
    ):
        for action in ("suspend", "restore", "revoke"):
            before = rows(registry)
            first = operations.change_tokens({"action": action, **selection})
            kept = rows(registry), len(operations.list_audit().items)
            assert len(kept[0]) > len(before)
            assert operations.change_tokens({"action": action, **selection}) == first
            assert (rows(registry), len(operations.list_audit().items)) == kept
        assert operations.change_tokens({"action": "restore", **selection})["tokens"] > 0
        assert rows(registry) == kept[0]


@pytest.mark.usefixtures("blocks")
def test_what_was_changed_in_between_is_changed_again(operations, registry):
    """One of the suspended tokens was restored, and another revoked."""
    for action, selection in (
        ("suspend", {"client_id": "till"}),
        ("restore", {"jti": jti_of(BUCKET, 3)}),
        ("revoke", {"jti": jti_of(BUCKET, 4)}),
        ("suspend", {"client_id": "till"}),
    ):
        operations.change_tokens({"action": action, **selection})
    assert statuses(registry)[2:6] == [SUSPENDED, SUSPENDED, REVOKED, SUSPENDED]
    operations.change_tokens({"action": "restore", "client_id": "till"})
    assert statuses(registry)[2:6] == [VALID, VALID, REVOKED, VALID]


@pytest.mark.usefixtures("blocks")
def test_tokens_that_have_expired_are_none(operations, registry, clock):
    """Their list is about to go."""
    clock.now = bucket_end(BUCKET)
    operations.create_client({"client_id": "till"})
    for selection in ({"jti": jti_of(BUCKET, 17)}, {"client_id": "till"}, {"resource": RESOURCE}):
        assert operations.change_tokens({"action": "revoke", **selection})["tokens"] == 0
    assert rows(registry) == []


MISTAKES = (
    ({}, "", "says which tokens"),
    ({"jti": "x", "client_id": "till"}, "", "has only one of"),
    ({"token": "x", "jti": "x"}, "", "has only one of"),
    ({"jti": "x", "resource": RESOURCE}, "", "has jti alone"),
    ({"token": "x", "issued_before": write_time(NOW)}, "", "has token alone"),
    ({"client_id": "till", "until": 5}, "until", "is not known here"),
    ({"action": "delete", "client_id": "till"}, "action", "must be"),
    ({"client_id": "till", "dry_run": "yes"}, "dry_run", "must be true or false"),
    ({"client_id": "till", "issued_before": "soon"}, "issued_before", "must be a time"),
    ({"issued_before": write_time(NOW + 1)}, "issued_before", "must not be in the future"),
    ({"jti": "x"}, "jti", "is no id of a token"),
    ({"jti": jti_of(BUCKET, 17)[:-1] + "x"}, "jti", "is no id of a token"),
    ({"jti": jti_of(BUCKET, COUNT)}, "jti", "names no token that was issued here"),
    ({"jti": jti_of(BUCKET + 1, 0)}, "jti", "names no token that was issued here"),
    ({"token": "x"}, "token", "is no access token"),
    ({"token": "x.y.z"}, "token", "is no access token"),
    ({"token": token_of(1, iss="https://other")}, "token", "is of another issuer"),
    ({"token": token_of(17, client_id="shop")}, "token", "names another client than it was"),
    ({"token": token_of(1, status=None)}, "token", "is on no status list"),
    ({"token": token_of(1, status={"status_list": 1})}, "token", "names no list"),
    ({"token": token_of(1, jti=jti_of(BUCKET, 2))}, "token", "not of its place"),
    ({"token": token_of(1, jti=None)}, "token", "not of its place"),
    ({"token": token_of(COUNT)}, "token", "names no token that was issued here"),
)


@pytest.mark.usefixtures("blocks")
def test_what_cannot_be_is_refused(operations, registry):
    """With where it is and what is wrong; nothing is changed."""
    for document, path, why in MISTAKES:
        with pytest.raises(InvalidDocument) as refused:
            operations.change_tokens({"action": "revoke", **document})
        (mistake,) = refused.value.mistakes
        assert (".".join(mistake.path), why in mistake.why) == (path, True), (why, mistake)
    assert rows(registry) == []


@pytest.mark.usefixtures("blocks")
def test_a_client_and_a_resource_that_nothing_knows_are_probably_mistyped(operations):
    """One that is registered may have no token; one that was deleted may have some."""
    with pytest.raises(UnknownClient, match="tilll"):
        operations.change_tokens({"action": "revoke", "client_id": "tilll"})
    with pytest.raises(UnknownResource, match="urn:othr"):
        operations.change_tokens({"action": "revoke", "resource": "urn:othr"})
    operations.create_client({"client_id": "idle"})
    told = operations.change_tokens({"action": "revoke", "client_id": "idle"})
    assert told["tokens"] == 0
    told = operations.change_tokens({"action": "revoke", "client_id": "till"})
    assert told["tokens"] == 48


@pytest.mark.usefixtures("blocks")
def test_disabling_and_deleting_a_client_may_revoke_its_tokens(operations, registry):
    """In the same transaction; without it they count until they expire."""
    for client_id in ("till", "shop"):
        operations.create_client({"client_id": client_id})
    operations.update_client("till", {"disabled": True})
    operations.delete_client("shop")
    assert rows(registry) == []
    operations.create_client({"client_id": "shop"})
    operations.update_client("till", {"disabled": True}, revoke_tokens=True)
    assert statuses(registry)[0:80:16] == [1, 1, 0, 0, 1]
    operations.delete_client("shop", revoke_tokens=True)
    assert statuses(registry) == [1] * COUNT
    actions = [each["action"] for each in operations.list_audit(limit=3).items]
    assert actions == ["token.revoked", "client.deleted", "token.revoked"]
    operations.create_client({"client_id": "new"})
    operations.delete_client("new", revoke_tokens=True)  # it has none


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize(("revoke", "status"), [(False, 0), (True, 1)])
def test_a_declaration_may_revoke_the_tokens_of_clients_that_go(
    operations, registry, revoke, status
):
    """Of those that it deletes or disables; without it, and before, their live tokens are told."""
    for client_id in ("shop", "till", "idle"):
        operations.create_client({"client_id": client_id})
    wanted = declaration(declared("till", disabled=True), declared("new"))
    options = {"prune": True, "revoke_tokens": revoke}
    foreseen = operations.apply(wanted, dry_run=True, **options)
    assert rows(registry) == []
    done = operations.apply(wanted, **options)
    live = [{"client_id": "till", "tokens": 48}, {"client_id": "shop", "tokens": 32}]
    for outcome in (foreseen, done):
        assert outcome["tokens"]["revoke"] is revoke
        assert sorted(outcome["tokens"]["live"], key=live.index) == live
    assert statuses(registry) == [status] * COUNT
    again = operations.apply(wanted, **options)
    assert again["tokens"]["live"] == []


def test_a_client_that_has_ended_gets_no_further_places(operations, registry):
    """A worker that does not know yet must not take a block that the revocation did not find."""
    database = registry.registry._database

    async def own(client_id, first):
        store = open_hot_store(lambda: database, timeout=5, now=lambda: NOW)
        try:
            return await store.own(
                StatusBlock(BUCKET, first, SIZE, client_id, client_id, RESOURCE, NOW)
            )
        finally:
            await store.close()

    registry.registry.settle_issuer(ISSUER, own=RESOURCE, serving=True)
    for place, client_id in enumerate(("till", "shop")):
        operations.create_client({"client_id": client_id})
        assert not asyncio.run(own(client_id, 16 * place))
    operations.update_client("till", {"disabled": True}, revoke_tokens=True)
    operations.delete_client("shop", revoke_tokens=True)
    assert rows(registry) == [(0, 16, REVOKED), (16, 16, REVOKED)]
    for place, client_id in enumerate(("till", "shop"), 2):
        assert asyncio.run(own(client_id, 16 * place))
    operations.update_client("till", {"disabled": False})
    assert not asyncio.run(own("till", 64))


@pytest.fixture
def caller(administer, registry, clock):
    """Return a function that gives a client of the API what its token says."""
    scopes = ("clients:write", "tokens:write", "audit:read")
    registry.registry.ensure_resources(Resource(resource=ADMINISTRATION, scopes=scopes))

    def make(*scopes):
        administer().create_client(
            {"client_id": "root", "resources": [ADMINISTRATION], "scope": " ".join(scopes)}
        )
        authority = Authority(
            administration=ADMINISTRATION,
            scopes=frozenset(scopes),
            needed=frozenset({"tokens:write"}),
            issued_at=clock.now,
        )
        return administer(by=Actor(name="root", via=Via.API), authority=authority)

    return make


@pytest.mark.usefixtures("blocks")
def test_tokens_for_the_administration_take_what_they_are_for(caller, registry, administer):
    """Of whichever client; others take the scope of this operation alone."""
    operations = caller("tokens:write")
    administer().create_client(
        {"client_id": "boss", "resources": [ADMINISTRATION], "scope": "clients:write"}
    )
    give(
        registry,
        (COUNT, "boss", "boss", ADMINISTRATION, 60),
        (COUNT + 16, "boss", "boss", f"urn:both {ADMINISTRATION}", 60),
    )
    for selection in (
        {"client_id": "boss"},
        {"resource": "urn:both"},
        {"client_id": "boss", "resource": "urn:both"},
        {"jti": jti_of(BUCKET, COUNT + 17)},
        {"jti": jti_of(BUCKET, COUNT + 1)},
        {"issued_before": write_time(NOW)},
        {"resource": ADMINISTRATION},
    ):
        for dry_run in (True, False):
            with pytest.raises(BeyondAuthority, match="clients:write"):
                operations.change_tokens({"action": "revoke", **selection, "dry_run": dry_run})
    assert rows(registry) == []
    for selection in (
        {"client_id": "till"},
        {"jti": jti_of(BUCKET, 33)},
        {"resource": "urn:other"},
    ):
        operations.change_tokens({"action": "revoke", **selection, "dry_run": True})
        operations.change_tokens({"action": "revoke", **selection})
    assert statuses(registry)[0:80:16] == [1, 1, 0, 1, 1]
    administer().delete_client("boss")
    operations.change_tokens({"action": "revoke", "client_id": "boss"})


def test_while_the_database_is_away_nothing_is_revoked(operations, registry, monkeypatch):
    """The caller is told, and tries again."""
    monkeypatch.setattr(registry.registry, "_opened", None)
    with pytest.raises(StoreUnavailable):
        operations.change_tokens({"action": "revoke", "client_id": "till"})


def test_a_token_for_several_resources_is_hit_by_each_of_them(registry):
    """And a resource whose name is part of another's has its own tokens alone."""
    registry.registry.settle_issuer(ISSUER, own=RESOURCE, serving=True)
    give(
        registry,
        (0, "till", "till", "urn:a urn:b_c", 60),
        (16, "till", "till", "urn:b_c", 60),
        (32, "till", "till", "urn:bxc urn:a:b", 60),
    )
    for resource, hit in (("urn:a", 16), ("urn:b_c", 32), ("urn:a:b", 16), ("urn", 0)):
        selection = TokenSelection(resource=resource)
        found = registry.registry._database.read(
            lambda connection, what=selection: find_ranges(connection, what, NOW)
        )
        assert sum(each.size for each in found) == hit, resource
