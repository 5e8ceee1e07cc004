"""Unit tests of `issuer.registry.audit`."""

from issuer.registry.audit import Action

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
