"""Unit tests of `issuer.registry.authorization_details`: which schemas may be registered."""

import json
import subprocess
import sys
import time

import pytest
from pydantic import ValidationError

from issuer.registry.authorization_details import (
    MAX_COST,
    MAX_LEVELS,
    MAX_SCHEMA_BYTES,
    MAX_STEPS,
    MAX_TYPES,
    DetailsType,
    check_schema,
)
from issuer.registry.errors import InvalidValue
from issuer.registry.permission import ResourcePermission, rights_of
from issuer.registry.resource import Resource, TokenPolicy, facts_of_resource
from issuer.registry.schema import read, restored, stored, write

PAYMENT = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {"amount": {"type": "integer", "minimum": 1, "maximum": 1000}},
    "properties": {
        "actions": {"type": "array", "items": {"enum": ["initiate", "status"]}, "minItems": 1},
        "amount": {"$ref": "#/$defs/amount"},
        "creditor": {"type": "string", "maxLength": 40},
    },
    "required": ["actions"],
    "additionalProperties": False,
}
A = "https://a.example"


def doubling(levels):
    """Make definitions that each refer twice to the next one: small, and exponential to check."""
    chain = {f"d{i}": {"allOf": [{"$ref": f"#/$defs/d{i + 1}"}] * 2} for i in range(levels)}
    return {
        "$defs": chain | {f"d{levels}": {}},
        "properties": {"a": {"$ref": "#/$defs/d0"}},
    }


def chain(levels, *, backwards=False, siblings=0, deeper=0):
    """Make definitions that each refer to the next one, as they come first or last.

    What refers to the first one comes after some other members, and some levels deeper.
    """
    names = range(levels)
    links = {f"d{i}": {"not": {"$ref": f"#/$defs/d{i + 1}"}} for i in names} | {f"d{levels}": {}}
    definitions = dict(sorted(links.items(), key=lambda link: int(link[0][1:]), reverse=backwards))
    others = {str(number): {} for number in range(siblings)}
    last = {"$ref": "#/$defs/d0"}
    for _ in range(deeper):
        last = {"not": last}
    return {"$defs": definitions, "properties": others | {"a": last}}


def referring_to(name):
    """Make a schema that refers to a definition which is there."""
    return {"$defs": {name: {}}, "properties": {"a": {"$ref": f"#/$defs/{name}"}}}


REFUSED = {
    "a long chain": (chain(300), f"more than {MAX_LEVELS} levels"),
    "a chain from its end": (chain(300, backwards=True), f"more than {MAX_LEVELS} levels"),
    "a chain one too long": (chain(24, backwards=True), f"more than {MAX_LEVELS} levels"),
    "a chain after others": (chain(24, siblings=2), f"more than {MAX_LEVELS} levels"),
    "a chain too deep": (chain(23, siblings=2, deeper=2), f"more than {MAX_LEVELS} levels"),
    "no schema": ({"properties": {"a": {"type": "money"}}}, "no JSON Schema: see 'properties/a/t"),
    "not even an object": ({"properties": {"a": []}}, "is an object, true or false"),
    "of the wrong shape": ({"required": 1}, "no JSON Schema: see 'required'"),
    "another dialect": ({"$schema": "http://json-schema.org/draft-07/schema#"}, "dialect"),
    "remote": ({"properties": {"a": {"$ref": "https://b.example/s"}}}, "must be #/$defs/NAME"),
    "a file": ({"properties": {"a": {"$ref": "file:///etc/passwd"}}}, "must be #/$defs/NAME"),
    "a pointer": ({"properties": {"a": {"$ref": "#/properties/a"}}}, "must be #/$defs/NAME"),
    "the root": ({"properties": {"a": {"$ref": "#"}}}, "must be #/$defs/NAME"),
    "a name with a slash": (referring_to("a/b"), "must be #/$defs/NAME"),
    "a name with a tilde": (referring_to("a~0b"), "must be #/$defs/NAME"),
    "a name with a percent sign": (referring_to("a%62"), "must be #/$defs/NAME"),
    "no name": (referring_to(""), "must be #/$defs/NAME"),
    "no text": ({"properties": {"a": {"$ref": 1}}}, "must be #/$defs/NAME"),
    "unresolvable": ({"properties": {"a": {"$ref": "#/$defs/b"}}}, "'b', which $defs does not"),
    "a loop": ({"$defs": {"a": {"$ref": "#/$defs/a"}}}, "'a' of the schema refers to itself"),
    "a long loop": (
        {"$defs": {"a": {"not": {"$ref": "#/$defs/b"}}, "b": {"anyOf": [{"$ref": "#/$defs/a"}]}}},
        "of the schema refers to itself",
    ),
    "a recursion": (
        {"$defs": {"a": {"properties": {"child": {"$ref": "#/$defs/a"}}}}},
        "'a' of the schema refers to itself",
    ),
    "exponential": (doubling(20), f"more than {MAX_COST} steps"),
    "pattern": ({"properties": {"a": {"pattern": "^(a+)+$"}}}, "'pattern', which can take exp"),
    "patterns": ({"patternProperties": {"^(a+)+$": {}}}, "'patternProperties', which can take"),
    "format": ({"properties": {"a": {"format": "uri"}}}, "'format', which is not checked"),
    "mistyped": ({"properties": {"a": {"requried": ["b"]}}}, "'requried', which is not known"),
    "anchors": ({"$dynamicAnchor": "a"}, "'$dynamicAnchor', which is not known"),
    "inner definitions": ({"properties": {"a": {"$defs": {}}}}, "'$defs', which is not known"),
    "definitions": ({"$defs": []}, "$defs must be an object"),
    "a list": ({"allOf": {}}, "'allOf', which is not known here, or not in this place"),
    "another kind": ({"type": "array"}, "must be of an object"),
    "open": ({"additionalProperties": {}}, "must not allow additionalProperties"),
    "long": ({"title": "x" * MAX_SCHEMA_BYTES}, f"more than {MAX_SCHEMA_BYTES} bytes"),
    "many": ({"properties": {str(i): {} for i in range(MAX_COST)}}, f"more than {MAX_COST} st"),
    "not JSON": ({"const": float("nan")}, "is not JSON"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_schema_that_cannot_be_checked_in_bounded_time_is_refused(case):
    """Invalid, remote, looping, exponential, or with what would be written and not checked."""
    schema, why = REFUSED[case]
    with pytest.raises(InvalidValue) as refused:
        check_schema(schema)
    assert why in str(refused.value)


def test_a_schema_nested_too_deeply_is_refused():
    """Both checks of a schema go into its depth."""
    schema: dict[str, object] = {}
    for _ in range(20):
        schema = {"items": schema}
    with pytest.raises(InvalidValue, match="nested more than"):
        check_schema({"properties": {"a": schema}})


COSTS = {
    "nothing": ({}, 1),
    "keywords without schemas": ({"title": "a", "minProperties": 5}, 1),
    "properties": ({"properties": {"a": {}, "b": True}}, 3),
    "dependent schemas": ({"dependentSchemas": {"a": {}, "b": {"not": False}}}, 4),
    "lists of schemas": ({"allOf": [True], "anyOf": [True], "oneOf": [True, {}]}, 5),
    "values to compare with": ({"properties": {"a": {"enum": [1, 2, 3]}}}, 5),
    "an object to compare with": ({"properties": {"a": {"const": {"b": 1, "c": 2}}}}, 4),
    "values that differ": ({"properties": {"a": {"uniqueItems": True}}}, 34),
    "a definition that is used": (doubling(3), 31),
    "the most": ({"properties": {str(i): {} for i in range(MAX_COST - 1)}}, MAX_COST),
}


@pytest.mark.parametrize("case", COSTS)
def test_the_cost_of_a_schema_is_what_checking_one_value_takes(case):
    """A step for each schema, and for each value to compare with; a definition where it is used."""
    schema, cost = COSTS[case]
    assert check_schema(schema).cost == cost


@pytest.mark.parametrize("backwards", [False, True])
def test_the_longest_chain_of_references_can_be_checked(backwards):
    """Also by a server, whose calls are some dozens deep already."""
    assert check_schema(chain(23, siblings=2, deeper=1)).cost < MAX_COST
    schema = check_schema(chain(23, backwards=backwards))

    def check_deeper(calls):
        return check_deeper(calls - 1) if calls else schema.fault({"type": "t", "a": 1})

    assert check_deeper(100) == "properties/a/not"


@pytest.mark.rfc("9396-2-1")
@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"actions": ["status"], "amount": 5}, None),
        ({"actions": ["status"], "purpose": "x"}, "additionalProperties"),
        ({"amount": 5}, "required"),
        ({"actions": ["steal"]}, "properties/actions/items/enum"),
        ({"actions": "status"}, "properties/actions/type"),
        ({"actions": ["status"], "amount": 1001}, "properties/amount/maximum"),
        ({"actions": ["status"], "amount": True}, "properties/amount/type"),
        ({"actions": ["status"], "creditor": 5}, "properties/creditor/type"),
    ],
)
def test_an_object_matches_or_the_place_in_the_schema_is_told(value, place):
    """Unknown fields, missing ones, wrong types and values (RFC 9396 §5)."""
    assert check_schema(PAYMENT).fault({"type": "payment", **value}) == place


def test_unknown_members_are_refused_even_if_the_schema_does_not_say_so():
    """RFC 9396 §5: MUST refuse objects that contain unknown fields."""
    schema = check_schema({"properties": {"amount": {}}})
    assert schema.fault({"type": "payment", "amount": 5}) is None
    assert schema.fault({"type": "payment", "amount": 5, "x": 1}) == "additionalProperties"


def test_an_object_of_more_values_than_can_be_checked_is_refused_at_once():
    """Values times cost is bounded, so the time is."""
    schema = check_schema({"properties": {"a": {"items": {"anyOf": [{"minimum": 1}] * 480}}}})
    values = MAX_STEPS // schema.cost
    began = time.perf_counter()
    assert schema.fault({"type": "t", "a": [0] * values}) == "more values than can be checked"
    assert time.perf_counter() - began < 0.5
    assert schema.fault({"type": "t", "a": [0] * (values - 3)}) == "properties/a/items/anyOf"
    cheap = check_schema({"properties": {"a": {}}})
    assert cheap.fault({"type": "t", "a": [0] * (MAX_STEPS // 2 - 3)}) is None
    assert cheap.fault({"type": "t", "a": [0] * (MAX_STEPS // 2 - 2)}) is not None


def test_equal_schemas_are_one_object_however_they_are_read():
    """Ten thousand clients in memory hold each schema once."""
    document = {"type": "payment", "schema": PAYMENT}
    resource = Resource(
        resource=A, scopes=("read",), authorization_details_types=(read(DetailsType, document),)
    )
    kept = stored(resource, without={"resource", "scopes"})
    policy = restored(TokenPolicy, json.dumps(kept), {}, of="resource")
    (read_back,) = policy.authorization_details_types
    assert read_back.schema is resource.authorization_details_types[0].schema
    assert read_back.schema is check_schema(dict(reversed(PAYMENT.items())))
    assert read_back.schema.validator is resource.authorization_details_types[0].schema.validator


def test_a_number_and_true_are_different_schemas():
    """Python holds them for equal; a change from one to the other is one."""
    one, true = (
        Resource(
            resource=A,
            scopes=("read",),
            authorization_details_types=(
                DetailsType(type="t", schema={"properties": {"a": {"const": value}}}),
            ),
        )
        for value in (1, True)
    )
    assert one != true
    assert facts_of_resource(one) != facts_of_resource(true)
    assert len({one.authorization_details_types[0].schema} | {check_schema({})}) == 2


@pytest.mark.parametrize(
    ("types", "why"),
    [
        ([{"type": "a b", "schema": {}}], "is no type of authorization details"),
        ([{"type": 'a"b', "schema": {}}], "is no type of authorization details"),
        ([{"type": "x" * 256, "schema": {}}], "is no type of authorization details"),
        ([{"type": "t", "schema": {}}] * 2, "t is named twice"),
        ([{"type": f"t{i}", "schema": {}} for i in range(MAX_TYPES + 1)], "at most 32 types"),
        ([{"type": "t", "schema": {"pattern": "a"}}], "'pattern'"),
    ],
)
def test_a_resource_has_few_types_with_names_of_their_own(types, why):
    """Names have the characters of scopes, so that lists of them have one form."""
    document = {"resource": A, "scopes": ["read"]}
    most = [
        {"type": f"t{i}" + "x" * (252 if i > 9 else 253), "schema": {}} for i in range(MAX_TYPES)
    ]
    kept = read(Resource, document | {"authorization_details_types": most})
    assert [each.type for each in kept.authorization_details_types] == [e["type"] for e in most]
    with pytest.raises(ValidationError, match=why):
        read(Resource, document | {"authorization_details_types": types})


def test_a_permission_loses_rights_and_goes_with_its_last_scope():
    """What is left of it keeps its types."""
    grant = ResourcePermission(
        resource=A, scopes=("read", "write"), authorization_details_types=("pay", "see")
    )
    left = grant.without(rights_of(["write"], ["pay"]))
    assert left is not None
    assert write(left) == {
        "resource": A,
        "scope": "read",
        "authorization_details_types": ["see"],
    }
    assert grant.without(rights_of(["read", "write"], [])) is None
    with pytest.raises(ValidationError, match="pay is named twice"):
        ResourcePermission(resource=A, scopes=("read",), authorization_details_types=("pay", "pay"))


def test_the_library_is_loaded_with_the_first_schema():
    """An issuer without types pays neither its time nor its memory."""
    program = (
        "import sys; import issuer.registry.resource as r;"
        " r.Resource(resource='urn:a', scopes=('read',));"
        " sys.exit('jsonschema' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
