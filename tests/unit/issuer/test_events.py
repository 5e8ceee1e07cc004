"""Unit tests of `issuer.events`: names, and one sink made of several."""

from issuer.events import Event, fan_out, ignore_event
from issuer.registry.audit import Action


class Recorded(list[tuple[str, dict[str, object]]]):
    """A sink that keeps what it records."""

    def __call__(self, event: str, /, **fields: object) -> None:
        """Record one event."""
        self.append((event, fields))


def test_no_event_shares_its_name_with_a_change_of_the_registry():
    """A log line with the name of a change says that the registry was changed.

    But for a token that is revoked: its client does so without an entry in the trail.
    """
    shared = {event.value for event in Event} & {action.value for action in Action}
    assert shared == {Event.TOKEN_REVOKED.value}


def test_every_sink_records_every_event():
    """The log, metrics and spans are told the same."""
    log, metrics = Recorded(), Recorded()
    sink = fan_out(log, ignore_event, metrics)
    sink(Event.TOKEN_ISSUED, jti="j")
    sink(Event.TOKEN_REFUSED)
    assert log == metrics == [("token.issued", {"jti": "j"}), ("token.refused", {})]


def test_a_single_sink_costs_no_further_call():
    """An event is recorded for each token; without a second sink there is nothing between."""
    log = Recorded()
    assert fan_out(log) is log
