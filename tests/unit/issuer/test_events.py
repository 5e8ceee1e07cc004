"""Unit tests of `issuer.events`: names."""

from issuer.events import Event
from issuer.registry.audit import Action


def test_no_event_shares_its_name_with_a_change_of_the_registry():
    """A log line with the name of a change says that the registry was changed.

    But for a token that is revoked: its client does so without an entry in the trail.
    """
    shared = {event.value for event in Event} & {action.value for action in Action}
    assert shared == {Event.TOKEN_REVOKED.value}
