"""Unit tests of `issuer.registry.audit`."""

import pytest

from issuer.registry.audit import Action, Actor, AuditEntry, Via
from keys.events import KeyEvent

# What scripts outside of the project watch the log for.
WATCHED = {
    "client.created",
    "client.updated",
    "client.disabled",
    "client.deleted",
    "secret.added",
    "secret.revoked",
}


def test_actions_are_named_as_the_log_events_are():
    """One name for one thing: an entry of the trail is found in the log by its action."""
    assert {action.value for action in Action} >= WATCHED
    keys = {event.value for event in KeyEvent if event.value.startswith("key.")}
    recorded = {action.value for action in Action if action.value.startswith("key.")}
    assert recorded == keys - {KeyEvent.UPKEEP_REFUSED}


@pytest.mark.parametrize("action", list(Action))
def test_an_event_names_its_target_by_what_it_is(action: Action) -> None:
    """A log event of a resource has no `client_id`."""
    kind = action.value.partition(".")[0]
    names = {
        "resource": "resource",
        "registry": "issuer",
        "registration_token": "token_id",
        "key": "kid",
    }
    # Tokens have no one name: the entry says what they were selected by.
    after = {"client_id": "T"} if kind == "token" else {}
    by = Actor(name="ada", via=Via.CLI)
    entry = AuditEntry(at=0, actor=by, action=action, target="T", before=None, after=after)
    assert {name for name, value in entry.event_fields().items() if value == "T"} == {
        names.get(kind, "client_id")
    }
