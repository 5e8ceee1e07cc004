"""docs/reference/events.md names every event of the server with its level and its fields."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import issuer.events
import resource_api.events
from issuer.registry.audit import Action
from keys.events import REMEDIES, KeyEvent
from watchword.logging import LEVELS

ROOT = Path(__file__).parents[3]
ROW = re.compile(r'^\| (?:<a id="\S+"></a>)?`([a-z_]+\.[a-z_]+)` \| (\w+) \|(.*?)\| ', re.MULTILINE)
LISTED = {
    event: (level, set(re.findall(r"`(\w+)`", fields)))
    for event, level, fields in ROW.findall((ROOT / "docs/reference/events.md").read_text())
}
ENUMS = {"Event": (issuer.events.Event, resource_api.events.Event), "KeyEvent": (KeyEvent,)}


def event_names(node: ast.expr) -> list[str]:
    """Return the event that an argument names: a literal or a member of an enumeration."""
    match node:
        case ast.Constant(value=str(name)) if re.fullmatch(r"[a-z_]+\.[a-z_]+", name):
            return [name]
        case ast.Attribute(value=ast.Name(id=enum), attr=member):
            known = (each.__members__.get(member) for each in ENUMS.get(enum, ()))
            return [str(found.value) for found in known if found is not None][:1]
    return []


def calls() -> Iterator[tuple[str, set[str | None]]]:
    """Yield each event that the server's packages emit by name, with the fields; None is `**`."""
    for package in ("issuer", "keys", "resource_api", "watchword"):
        for file in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Call) and "event" in ast.unparse(node.func).lower():
                    for name in event_names(node.args[0]) if node.args else ():
                        yield name, {keyword.arg for keyword in node.keywords}


def names_in_tables_of_jobs() -> set[str]:
    """Return the events that jobs name as what they report."""
    text = "".join(file.read_text() for file in (ROOT / "watchword/provider").glob("*.py"))
    return set(re.findall(r'\b(?:failed|recovered)(?:: str)? ?= ?"([a-z_.]+)"', text))


def test_every_event_is_listed_once_and_no_other() -> None:
    """An event that is missing: add a row to docs/reference/events.md."""
    enums = (issuer.events.Event, resource_api.events.Event, KeyEvent, Action)
    members = {member.value for enum in enums for member in enum}
    emitted = {name for name, _ in calls()}
    assert {"server.started", "registry.refused", "jwks.stale"} < emitted
    assert set(LISTED) == members | emitted | names_in_tables_of_jobs() | {"log.lost"}
    assert len(ROW.findall((ROOT / "docs/reference/events.md").read_text())) == len(LISTED)


def test_levels_are_those_of_the_log() -> None:
    """Of the server, and of what an API's own log has as a warning."""
    assert {event: level for event, (level, _) in LISTED.items()} == {
        event: LEVELS.get(event, "info") for event in LISTED
    }
    assert set(LEVELS) <= set(LISTED)
    assert {LEVELS.get(event) for event in REMEDIES} == {"warning"}


def test_fields_are_those_that_are_logged() -> None:
    """What is passed by name is listed; where all is, nothing else is listed."""
    fields: dict[str, set[str | None]] = defaultdict(set)
    for event, names in calls():
        fields[event] |= names - {"exception"}
    changes = {action.value for action in Action}
    for event, names in fields.items():
        listed = LISTED[event][1]
        assert names - {None} - {"actor", "via"} <= listed, event
        if None not in names and event not in changes and event not in names_in_tables_of_jobs():
            assert listed == names, event
