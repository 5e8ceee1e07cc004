"""Unit tests of `issuer.administration.provider` behind its routes, over a real key store."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from issuer.administration.http.answers import ANSWERS
from issuer.registry.audit import Action
from issuer.registry.errors import StoreUnavailable
from issuer.registry.schema import parse_time, read, write_time
from keys.errors import KeyStoreError
from keys.ring import RingPolicy
from tests.support.administration_api import Api, opened_api, refused
from tests.support.registry import NOW

POLICY = RingPolicy()
LONG_AGO = NOW - 30 * 86_400


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    """Give the API of a provider whose key signs, and whose successor is known to validators."""
    async with opened_api(tmp_path) as opened:
        for _ in range(2):
            opened.key_store.generate(alg="ES256", now=LONG_AGO, policy=POLICY)
        yield opened


async def keys_of(api: Api) -> list[dict[str, Any]]:
    """List the keys."""
    listed: list[dict[str, Any]] = (await api.ask("GET", "/keys")).json()["keys"]
    return listed


async def trail(api: Api) -> list[tuple[str, str, str]]:
    """List action, target and actor of all that was done to keys, the latest first."""
    answer = await api.ask("GET", "/audit", params={"action": "key"})
    return [(each["action"], each["target"], each["actor"]) for each in answer.json()["entries"]]


async def test_keys_are_listed_with_all_their_times_and_no_private_part(api: Api) -> None:
    """In the order in which they sign; what comes next is told."""
    first, second = await keys_of(api)
    read(ANSWERS["SigningKey"], first)
    assert (first["state"], second["state"]) == ("gone", "active")
    assert first["superseded_at"] == second["signs_from"]
    assert first["next"] == {"state": "deleted", "at": None}
    assert second["next"] == {"state": "retiring", "at": None}
    assert "PRIVATE" not in str(first)
    assert api.guarded[-1] == ("watchword:keys:read",)


async def test_a_rotation_that_is_foreseen_changes_nothing(api: Api) -> None:
    """It says which keys it would touch, and when the new one would sign."""
    before = await keys_of(api)
    foreseen = await api.ask("POST", "/key-rotations", json={"alg": "ES256", "dry_run": True})
    document = foreseen.json()
    read(ANSWERS["KeyChange"], document)
    assert (document["dry_run"], document["recorded"]) == (True, False)
    signs, new = document["keys"]
    assert (signs["kid"], new["kid"], new["state"]) == (before[1]["kid"], None, "pending")
    assert document["in_force_at"] == new["signs_from"] == write_time(NOW + POLICY.publish_ahead)
    assert await keys_of(api) == before
    assert await trail(api) == []


async def test_a_rotation_is_carried_out_and_recorded(api: Api) -> None:
    """As it was foreseen, but for the id of the key that is made."""
    foreseen = await api.ask("POST", "/key-rotations", json={"alg": "ES256", "dry_run": True})
    done = (await api.ask("POST", "/key-rotations", json={"alg": "ES256"})).json()
    assert (done["dry_run"], done["recorded"]) == (False, True)
    assert done["in_force_at"] == foreseen.json()["in_force_at"]
    new = done["keys"][1]
    assert (await keys_of(api))[-1] == new
    assert await trail(api) == [("key.generated", new["kid"], "tester")]
    assert api.guarded[-3] == ("watchword:keys:write",)


async def test_a_second_rotation_waits_for_the_first(api: Api) -> None:
    """Of two operators who rotate at the same time one is told that it is under way."""
    assert (await api.ask("POST", "/key-rotations", json={"alg": "ES256"})).status_code == 200
    again = await api.ask("POST", "/key-rotations", json={"alg": "ES256"})
    assert "a rotation is under way" in refused(again, 409, "key-change-refused")["detail"]


async def test_an_algorithm_without_a_key_is_not_rotated(api: Api) -> None:
    """Also where it is the configured one, and none is named."""
    for sent in ({}, {"json": {"alg": "PS256"}}):
        refused(await api.ask("POST", "/key-rotations", **sent), 422, "unknown-key")


async def test_a_withdrawal_takes_effect_at_once(api: Api) -> None:
    """Its successor signs from the next second; the last validator knows within 15 seconds."""
    kid = (await keys_of(api))[1]["kid"]
    wanted = {"kid": kid, "dry_run": True}
    foreseen = (await api.ask("POST", "/key-withdrawals", json=wanted)).json()
    assert (await keys_of(api))[1]["state"] == "active"
    done = (await api.ask("POST", "/key-withdrawals", json={"kid": kid})).json()
    assert done["in_force_at"] == foreseen["in_force_at"] == write_time(NOW + 15)
    states = {each["kid"]: each["state"] for each in await keys_of(api)}
    assert states[kid] == "revoked"
    assert "active" in states.values()
    assert ("key.revoked", kid, "tester") in await trail(api)
    again = await api.ask("POST", "/key-withdrawals", json={"kid": kid})
    refused(again, 409, "key-change-refused")


async def test_a_key_that_is_not_there_is_not_withdrawn(api: Api) -> None:
    """It is named by the body, so it is a mistake in the document."""
    refused(await api.ask("POST", "/key-withdrawals", json={"kid": "x"}), 422, "unknown-key")
    refused(await api.ask("POST", "/key-withdrawals", json={}), 422, "invalid-document")


async def test_keys_that_cannot_be_read_are_unavailable(api: Api, tmp_path: Path) -> None:
    """The reason, which may name places, is for the log."""
    for file in (tmp_path / "keys").glob("*.pem"):
        file.write_text("damaged")
    for method, path, sent in (
        ("GET", "/keys", None),
        ("POST", "/key-rotations", {}),
        ("POST", "/key-withdrawals", {"kid": "x"}),
    ):
        document = refused(await api.ask(method, path, json=sent), 503, "unavailable")
        assert str(tmp_path) not in str(document)


async def test_what_the_trail_cannot_take_is_in_the_log(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The registry went away between the look at the caller and the entry: the key is withdrawn."""
    kid = (await keys_of(api))[1]["kid"]

    def away(*_: object, **__: object) -> None:
        raise StoreUnavailable("away")

    monkeypatch.setattr(api.registry, "change", away)
    done = (await api.ask("POST", "/key-withdrawals", json={"kid": kid})).json()
    assert done["recorded"] is False
    logged = [fields for event, fields in api.events if event == Action.KEY_REVOKED]
    assert [(each["kid"], each["actor"]) for each in logged] == [(kid, "tester")]


async def test_a_store_that_takes_no_change_says_why(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as one that another process fills, or a disk that is full."""

    def full(*_: object, **__: object) -> None:
        raise KeyStoreError("the disk is full; free some space")

    monkeypatch.setattr(api.key_store, "apply", full)
    answer = await api.ask("POST", "/key-rotations", json={"alg": "ES256"})
    assert "the disk is full" in refused(answer, 409, "key-change-refused")["detail"]


async def test_health_is_told_while_the_registry_is_away(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That is when it is asked for; who may was settled by the token."""
    assert (await api.ask("GET", "/health")).json() == {"answers": True}

    def away(*_: object) -> None:
        raise StoreUnavailable("away")

    monkeypatch.setattr(api.registry, "read", away)
    assert (await api.ask("GET", "/health")).json() == {"answers": False}
    refused(await api.ask("GET", "/keys"), 503, "unavailable")
    assert api.guarded[0] == ("watchword:health:read",)


async def test_times_of_a_key_are_those_of_the_rule(api: Api) -> None:
    """A key is gone as long after its successor began as its last token may be accepted."""
    first, second = await keys_of(api)
    assert parse_time(first["gone_at"]) == parse_time(second["signs_from"]) + POLICY.keep
