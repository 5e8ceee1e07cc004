"""What a change changed, as people read it in the audit trail."""

import pytest

from watchword.cli.difference import difference


@pytest.mark.parametrize(
    ("before", "after", "lines"),
    [
        (None, None, []),
        ({"ttl": 60}, {"ttl": 60}, []),
        ({"ttl": 60}, {"ttl": 90}, ["~ ttl: 60 -> 90"]),
        ({"ttl": None}, {"ttl": 90}, ["+ ttl: 90"]),
        ({"ttl": 60}, {"ttl": None}, ["- ttl: 60"]),
        ({"on": False}, {"on": True}, ["+ on: yes"]),
        (None, {"id": "a", "name": None, "off": False, "list": []}, ["+ id: a"]),
        ({"id": "a", "notes": {}}, None, ["- id: a"]),
        ({"scopes": ["a", "b"]}, {"scopes": ["b"]}, ["~ scopes: a b -> b"]),
        (None, {"jwks": {"keys": [{"kty": "RSA"}]}}, ['+ jwks: {"keys": [{"kty": "RSA"}]}']),
        (None, {"created": 0}, ["+ created: 0"]),
    ],
)
def test_each_value_that_changed_has_a_line(before, after, lines):
    """What is not set is no value; what stayed has no line."""
    assert difference(before, after) == lines


def test_grants_are_compared_by_resource():
    """Their order and their neighbours do not matter."""
    before = {"grants": [{"resource": "u:a", "scope": "read"}, {"resource": "u:b", "scope": "x"}]}
    after = {
        "grants": [
            {"resource": "u:c", "scope": "y"},
            {"resource": "u:a", "scope": "read write", "default_scope": "read"},
        ]
    }
    assert difference(before, after) == [
        "~ scope on u:a: read -> read write",
        "- scope on u:b: x",
        "+ scope on u:c: y",
        "+ default scope on u:a: read",
    ]


def test_notes_are_compared_one_by_one():
    """Whoever changes one of many sees one line."""
    before = {"metadata": {"team": "shop", "cost": {"centre": 7}}}
    after = {"metadata": {"team": "web", "cost": {"centre": 7}}}
    assert difference(before, after) == ["~ metadata.team: shop -> web"]
