"""The audit trail and the events, on every engine: who changed what, before and after."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from issuer.registry.audit import SYSTEM, Action, AuditEntry, Via
from issuer.registry.errors import (
    RegistryError,
)
from tests.support.registry import (
    NOW,
    RESOURCE,
    TESTER,
    new_client,
    orders,
)

BILLING = orders("read", "bill", identifier="urn:example:billing", token_ttl=60)


def test_the_trail_says_who_changed_what_and_how(registry, clock):
    """One entry a change, the latest first, with the target before and after."""
    registry.create_client(new_client(scopes=("read",)))
    clock.now += 5
    registry.set_disabled("till", True)
    registry.set_disabled("till", False)
    registry.delete_client("till")
    trail = registry.list_audit(target="till")
    assert [entry.action for entry in trail] == [
        Action.CLIENT_DELETED,
        Action.CLIENT_ENABLED,
        Action.CLIENT_DISABLED,
        Action.SECRET_ADDED,
        Action.CLIENT_CREATED,
    ]
    deleted, _, disabled, added, created = trail
    assert {entry.actor for entry in trail} == {TESTER}
    assert (created.at, disabled.at) == (NOW, NOW + 5)
    assert (created.before, deleted.after) == (None, None)
    assert (disabled.before["disabled"], disabled.after["disabled"]) == (False, True)
    assert disabled.before | {"disabled": True} == disabled.after
    assert set(added.after) >= {"secret_id", "starts_at", "expires_at"}


def test_the_trail_holds_neither_secrets_nor_hashes(registry):
    """Not in any entry, whatever it tells of."""
    made = registry.create_client(new_client())
    registry.revoke_secret("till", made.secrets[0].secret_id)
    text = repr(registry.list_audit())
    assert "sha256" not in text
    assert made.secrets[0].hash.text.split("$")[-1] not in text


def test_the_trail_goes_in_pages(registry):
    """Older entries follow by the number of the last one seen; numbers never repeat."""
    for number in range(7):
        registry.create_resource(orders(identifier=f"urn:r{number}"))
    pages, before = [], None
    while page := registry.list_audit(before=before, limit=3):
        pages += page
        before = page[-1].number
    numbers = [entry.number for entry in pages]
    assert numbers == sorted(set(numbers), reverse=True)
    assert [e.target for e in pages][:7] == [f"urn:r{number}" for number in range(6, -1, -1)]


def test_the_default_resource_is_the_programs_own_doing(registry):
    """What nobody asked for is told as such."""
    (entry,) = registry.list_audit(target=RESOURCE)
    assert (entry.actor.via, entry.actor.name) == (Via.SYSTEM, "watchword")


def test_changes_are_told_as_events_once_committed(registry, events):
    """The same words as in the trail; who, whom, through which door."""
    made = registry.create_client(new_client())
    registry.delete_client("till")
    assert [name for name, _ in events] == ["client.created", "secret.added", "client.deleted"]
    told = events[1][1]
    assert told["client_id"] == "till"
    assert told["secret_id"] == made.secrets[0].secret_id
    assert (told["actor"], told["via"]) == ("tester", "cli")
    registry.create_resource(BILLING)
    assert events[-1][1]["resource"] == BILLING.resource


def test_refusals_are_one_line_and_hold_no_secret(registry):
    """What the command line prints needs no cleaning."""
    registry.create_client(new_client())
    for refused in (
        lambda: registry.revoke_secret("till", "a\nb"),
        lambda: registry.replace_resource(orders("read")),
        lambda: registry.delete_client("till", revision=0),
    ):
        with pytest.raises(RegistryError) as caught:
            refused()
        assert "\n" not in str(caught.value)


def test_what_several_processes_notice_is_recorded_once(registry, clock):
    """An entry whose action its target has had already is left out; others of it are not."""

    def entry(action: Action, target: str) -> AuditEntry:
        return AuditEntry(
            at=clock.now,
            actor=SYSTEM,
            action=action,
            target=target,
            before=None,
            after={"alg": "RS256", "signs_from": None},
        )

    noticed = [entry(Action.KEY_ACTIVATED, "one"), entry(Action.KEY_RETIRED, "two")]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: registry.registry.record_once(noticed), range(12)))
    registry.registry.record_once([entry(Action.KEY_GONE, "two")])

    trail = registry.list_audit()
    found = [(each.action, each.target) for each in trail if each.action.startswith("key.")]
    assert sorted(found) == [
        (Action.KEY_ACTIVATED, "one"),
        (Action.KEY_GONE, "two"),
        (Action.KEY_RETIRED, "two"),
    ]
    latest = registry.list_audit()[0]
    assert (latest.after, latest.before) == ({"alg": "RS256", "signs_from": None}, None)
    assert (latest.actor, latest.at) == (SYSTEM, clock.now)
