"""Unit tests of what a declaration does, and how it is shown."""

import json

import pytest

from issuer.administration.declaration.apply import (
    LostPermission,
    Outcome,
    describe_outcome,
    foresee_entries,
    lost_permissions,
    secrets_used,
)
from issuer.administration.declaration.plan import Plan
from issuer.registry.usage import LastUse
from tests.support.declaration import (
    absent,
    declaration,
    declared,
    grant,
    known,
    plan,
    registered,
    resource,
    state,
    stored_secret,
)
from tests.support.registry import NOW, RESOURCE, SECRET, TESTER
from watchword.cli.apply import render_outcome
from watchword.cli.audit import difference

OTHER = "urn:example:billing"


def describe(wanted, present, *, usage=(), applied=False, **reach):
    """Describe what a declaration does."""
    made = plan(wanted, present, **reach)
    return describe_outcome(Outcome(plan=made, applied=applied, usage=usage, usage_days=30))


def rendered(*arguments, **options):
    """Write what a declaration does, line by line."""
    return render_outcome(describe(*arguments, **options)).splitlines()


def test_new_things_are_shown_with_what_was_said_of_them():
    """What was left out is left out here."""
    wanted = declaration(
        resource(),
        declared(
            "till",
            grant("read", "write", default=("read",)),
            secrets=(known(expires_at=NOW + 60), absent()),
            client_name="Kasse",
            metadata={"team": "shop"},
        ),
    )
    assert rendered(wanted, state()) == [
        f"+ resource {RESOURCE}",
        "    scopes: +read +write",
        "+ client till",
        "    client_name: Kasse",
        f"    default_resource: {RESOURCE}",
        f"    default_scope on {RESOURCE}: +read",
        "    metadata: set",
        f"    scope on {RESOURCE}: +read +write",
        "    secret: +env TILL, until 2023-11-14T22:14:20Z",
        "    secret: +generate_to till.secret (generated)",
        "2 to create; nothing is changed yet.",
    ]


def test_changes_are_shown_as_they_were_and_are():
    """Lists by what came and went; a resource that gains and loses scopes is one thing."""
    wanted = declaration(
        resource("write", "fly"),
        declared("till", grant("write"), token_ttl=600, disabled=True),
    )
    present = state(
        resource("read", "write"),
        registered("till", grant("read", "write"), token_ttl=300, metadata={"a": 1}),
    )
    assert rendered(wanted, present, applied=True) == [
        f"~ resource {RESOURCE}",
        "    scopes: +fly -read",
        "~ client till",
        "    disabled: false -> true",
        "    metadata: removed",
        f"    scope on {RESOURCE}: -read",
        "    token_ttl: 300 -> 600",
        "Nothing of what goes was used in the last 30 days.",
        "2 changed.",
    ]


def test_an_object_that_changes_is_only_named():
    """JSON has what it was and is."""
    present = state(registered(metadata={"a": 1}, client_name="Till"))
    described = describe(declaration(declared(metadata={"a": 2})), present)
    assert described["changes"] == [
        {
            "action": "update",
            "kind": "client",
            "client_id": "till",
            "fields": [
                {"name": "client_name", "before": "Till", "after": None},
                {"name": "metadata", "before": {"a": 1}, "after": {"a": 2}},
            ],
        }
    ]
    assert render_outcome(described).splitlines()[1:3] == [
        "    client_name: Till -> none",
        "    metadata: changed",
    ]


def test_a_client_of_which_only_the_secrets_change_is_shown_as_changed():
    """Secrets are shown by where they come from, or by their ids."""
    wanted = declaration(declared(secrets=(known(),)))
    present = state(registered(secrets=[stored_secret("x" * 40, "abc")]))
    assert rendered(wanted, present, prune=True) == [
        "~ client till",
        "    secret: -abc",
        "    secret: +env TILL",
        "Nothing of what goes was used in the last 30 days.",
        "1 to change; nothing is changed yet.",
    ]


def test_what_is_deleted_is_shown_with_who_used_it():
    """So that no client loses access unnoticed."""
    present = state(resource(), registered("till", grant(), secrets=[stored_secret()]))
    usage = (
        LastUse(client_id="till", secret_id="s1", last_used_at=NOW),
        LastUse(client_id="till", resource=RESOURCE, scope="read", last_used_at=NOW),
    )
    assert rendered(declaration(), present, prune=True, usage=usage) == [
        "- client till",
        f"- resource {RESOURCE}",
        "Of what goes, this was used in the last 30 days:",
        "    client till: secret s1, last at 2023-11-14T22:13:20Z",
        f"    client till: read on {RESOURCE}, last at 2023-11-14T22:13:20Z",
        "2 to delete; nothing is changed yet.",
    ]


def test_where_nothing_differs_one_line_says_so():
    """Notes are shown all the same."""
    present = state(registered(secrets=[stored_secret()]))
    lines = rendered(declaration(declared(secrets=(absent(),))), present)
    assert lines[0].startswith("! client till: generate_to till.secret is not there")
    assert lines[1:] == ["Nothing to change: the registry is as the file says."]


def test_the_json_has_what_the_lines_have():
    """Secrets that are still to be made are marked."""
    described = describe(declaration(declared(secrets=(known(), absent()))), state())
    assert json.loads(json.dumps(described)) == {
        "applied": False,
        "changed": True,
        "changes": [
            {"action": "create", "kind": "client", "client_id": "till", "fields": []},
            {
                "action": "add",
                "kind": "secret",
                "client_id": "till",
                "source": "env TILL",
                "expires_at": None,
                "generate": False,
            },
            {
                "action": "add",
                "kind": "secret",
                "client_id": "till",
                "source": "generate_to till.secret",
                "expires_at": None,
                "generate": True,
            },
        ],
        "notes": [],
        "usage": {"days": 30, "takes_away": False, "uses": []},
        "tokens": {"revoke": False, "live": []},
    }
    assert SECRET not in json.dumps(described)


def test_uses_are_described_by_what_was_used():
    """A scope of a resource, or a secret."""
    usage = (
        LastUse(client_id="till", secret_id="s1", last_used_at=NOW),
        LastUse(client_id="till", resource=RESOURCE, scope="read", last_used_at=NOW),
    )
    outcome = Outcome(plan=Plan(), applied=True, usage=usage, usage_days=1)
    at = "2023-11-14T22:13:20Z"
    assert describe_outcome(outcome)["usage"]["uses"] == [
        {"client_id": "till", "secret_id": "s1", "last_used_at": at},
        {"client_id": "till", "resource": RESOURCE, "scope": "read", "last_used_at": at},
    ]


def test_one_day_is_one_day():
    """Words are for people."""
    made = plan(declaration(), state(registered()), prune=True)
    outcome = Outcome(plan=made, applied=True, usage=(), usage_days=1)
    lines = render_outcome(describe_outcome(outcome)).splitlines()
    assert lines[1] == "Nothing of what goes was used in the last 1 day."


def test_text_that_a_terminal_would_act_upon_is_escaped():
    """A declaration may come from anywhere."""
    described = describe(declaration(declared(secrets=(known(),))), state())
    described["changes"][1]["source"] = "env \x1b[2J"
    assert "\x1b" not in render_outcome(described)


@pytest.mark.parametrize(
    ("wanted", "present", "goes"),
    [
        (declaration(), state(registered()), [LostPermission(client_id="till")]),
        (declaration(), state(resource()), [LostPermission(resource=RESOURCE)]),
        (
            declaration(resource("read")),
            state(resource("read", "write", "fly")),
            [
                LostPermission(resource=RESOURCE, scope="write"),
                LostPermission(resource=RESOURCE, scope="fly"),
            ],
        ),
        (
            declaration(resource(), declared("till", grant("read"))),
            state(resource(), registered("till", grant("read", "write"))),
            [LostPermission(client_id="till", resource=RESOURCE, scope="write")],
        ),
        (
            declaration(resource(), declared("till", disabled=True)),
            state(resource(), registered("till", grant("read", "write"))),
            [LostPermission(client_id="till")],
        ),
        (declaration(resource(), declared("till", grant())), state(), []),
    ],
)
def test_what_goes_is_asked_after(wanted, present, goes):
    """A disabled client can do as little as a deleted one."""
    assert list(lost_permissions(plan(wanted, present, prune=True))) == goes


def test_secrets_that_go_are_reported_if_they_were_used():
    """Whether alone or with their client; what was last used long ago is not."""
    used = stored_secret("x" * 40, "used", last_used_at=NOW - 10)
    unused = stored_secret("y" * 40, "unused")
    before = stored_secret("z" * 40, "before", last_used_at=NOW - 100)
    present = state(
        registered("gone", secrets=[used, unused, before]), registered("till", secrets=[used])
    )
    made = plan(declaration(resource(), declared(secrets=())), present, prune=True)
    assert list(secrets_used(made, since=NOW - 50)) == [
        LastUse(client_id="till", secret_id="used", last_used_at=NOW - 10),
        LastUse(client_id="gone", secret_id="used", last_used_at=NOW - 10),
    ]


def test_every_step_is_foreseen_as_the_trail_would_tell_it():
    """With the documents before and after, by which authority is judged."""
    wanted = declaration(
        resource("read", identifier="urn:new"),
        resource("write"),
        declared("fresh", grant("write")),
        declared("till", grant("write"), secrets=(known("another secret of enough characters"),)),
    )
    present = state(
        resource("read", "write"),
        resource("x", identifier="urn:old"),
        registered("till", grant("read"), secrets=[stored_secret()]),
        registered("gone", grant("read")),
    )
    made = plan(wanted, present, prune=True)
    foreseen = foresee_entries(made, by=TESTER, now=NOW)
    assert {(each.at, each.actor) for each in foreseen} == {(NOW, TESTER)}
    told = {
        (each.action.value, each.target): [
            None if document is None else document.get("scopes", document.get("grants"))
            for document in (each.before, each.after)
        ]
        for each in foreseen
    }
    read, write = ([{"resource": RESOURCE, "scope": scope}] for scope in ("read", "write"))
    assert told == {
        ("resource.created", "urn:new"): [None, ["read"]],
        ("resource.updated", RESOURCE): [["write", "read"], ["write"]],
        ("resource.deleted", "urn:old"): [["x"], None],
        ("client.created", "fresh"): [None, write],
        ("client.updated", "till"): [read, write],
        ("client.deleted", "gone"): [read, None],
        ("secret.added", "till"): [None, None],
        ("secret.revoked", "till"): [None, None],
    }


# ---- the audit list ----


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
    """A change of one of many has one line."""
    before = {"metadata": {"team": "shop", "cost": {"centre": 7}}}
    after = {"metadata": {"team": "web", "cost": {"centre": 7}}}
    assert difference(before, after) == ["~ metadata.team: shop -> web"]
