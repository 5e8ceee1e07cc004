"""Whatever is sent as `authorization_details`: objects that match, or the one error."""

import json

from hypothesis import given
from hypothesis import strategies as st

from issuer.errors import InvalidAuthorizationDetails
from issuer.grants.details import MAX_DETAILS_BYTES, check_details, parse_details
from issuer.registry.authorization_details import DetailsType
from issuer.registry.permission import ResourcePermission
from issuer.registry.resource import TokenPolicy
from keys.encoding import parse_json_array
from tests.support.issuer import API, make_client

SCHEMA = {
    "$defs": {"amount": {"type": "integer", "multipleOf": 0.5}},
    "properties": {
        "actions": {"type": "array", "items": {"enum": ["see", "pay"]}, "uniqueItems": True},
        "amount": {"anyOf": [{"$ref": "#/$defs/amount"}, {"type": "null"}]},
        "identifier": {"type": "string", "maxLength": 5},
        "nested": {"type": "object"},
    },
    "dependentRequired": {"amount": ["actions"]},
}
GRANT = ResourcePermission(
    resource=API, scopes=("read",), authorization_details_types=("pay", "see")
)
TYPES = tuple(DetailsType(type=name, schema=SCHEMA) for name in ("pay", "see", "fly"))
CLIENT = make_client(
    grants=(GRANT,), policies={API: TokenPolicy(authorization_details_types=TYPES)}
)

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=12,
)
OBJECTS = st.fixed_dictionaries(
    {"type": st.sampled_from(["pay", "see", "fly", "", 1])},
    optional={
        "actions": st.lists(st.sampled_from(["see", "pay", "steal"]), max_size=3) | VALUES,
        "amount": VALUES,
        "identifier": st.text(max_size=8) | VALUES,
        "nested": VALUES,
        "locations": st.lists(st.sampled_from([API, "urn:x"]), max_size=2) | VALUES,
        "other": VALUES,
    },
)
TEXTS = (
    st.text()
    | VALUES.map(json.dumps)
    | st.lists(OBJECTS | VALUES, max_size=3).map(json.dumps)
    | st.lists(OBJECTS, min_size=1, max_size=3).map(lambda each: json.dumps(each, indent=1))
)


@given(TEXTS)
def test_details_are_granted_as_they_were_sent_or_refused(text):
    """Nothing else is raised, and what is granted is what the text says."""
    try:
        details = check_details(parse_details(text, "svc-a"), [GRANT], CLIENT)
    except InvalidAuthorizationDetails as refusal:
        said = refusal.description or ""
        assert said.isascii()
        assert said.isprintable()
        return
    assert len(text.encode()) <= MAX_DETAILS_BYTES
    assert list(details) == json.loads(text)
    for each in details:
        assert each["type"] in GRANT.authorization_details_types
        assert each.keys() <= {"type", *SCHEMA["properties"]}
        assert set(each.get("actions", [])) <= {"see", "pay"}


@given(st.binary() | TEXTS.map(lambda text: text.encode("utf-8", "replace")))
def test_an_array_is_read_as_json_has_it_or_refused(raw):
    """Strictly: what is read means the same to the standard library."""
    try:
        found = parse_json_array(raw)
    except ValueError:
        return
    assert found == json.loads(raw)
