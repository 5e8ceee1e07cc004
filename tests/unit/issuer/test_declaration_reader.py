"""`issuer.administration.declaration.reader` and the models, checks and words that it uses."""

import pytest

from issuer.administration.declaration.document import (
    DeclarationFile,
    SecretReference,
    declaration_schema,
)
from issuer.administration.declaration.reader import MAXIMUM_CHARACTERS, read_declaration
from issuer.registry.errors import InvalidDocument
from issuer.registry.mistakes import Mistake, write_path
from tests.support.declaration import mistakes, read

WHOLE = """
"$schema" = "registry.schema.json"
version = 1

[[resources]]
resource = "https://orders.example"
scopes = ["orders:read", "orders:write"]
token_ttl = 300

[[clients]]
client_id = "till"
client_name = "Kasse №1"
expires_at = 2030-01-31T12:00:00Z
secrets = [
    { env = "TILL_SECRET" },
    { file = "till.secret", expires_at = "2027-01-31T12:00:00Z" },
]

[clients.metadata]
team = "shop"

[[clients.grants]]
resource = "https://orders.example"
scope = "orders:read orders:write"
default_scope = "orders:read"
"""

SAME_IN_YAML = """
"$schema": registry.schema.json
version: 1
resources:
  - resource: https://orders.example
    scopes: [orders:read, orders:write]
    token_ttl: 300
clients:
  - client_id: till
    client_name: Kasse №1
    expires_at: 2030-01-31T12:00:00+00:00
    secrets:
      - env: TILL_SECRET
      - file: till.secret
        expires_at: "2027-01-31T12:00:00Z"
    metadata: {team: shop}
    grants:
      - resource: https://orders.example
        scope: orders:read orders:write
        default_scope: orders:read
"""


def test_toml_and_yaml_say_the_same():
    """There is one schema, whatever the language."""
    declaration = read(WHOLE)
    assert declaration == read(SAME_IN_YAML, "yaml")
    (client,) = declaration.clients
    assert client.client_name == "Kasse №1"
    assert client.expires_at == 1_896_091_200
    assert [each.source for each in client.secrets or ()] == [
        "env TILL_SECRET",
        "file till.secret",
    ]


@pytest.mark.parametrize("form", ["toml", "yaml"])
def test_an_empty_text_declares_nothing(form):
    """Which is not the same as declaring that there is nothing."""
    assert read_declaration("", form) == DeclarationFile()
    assert read_declaration("", form).names_nothing
    assert not read("clients: []", "yaml").names_nothing


def test_a_mistyped_key_is_named_with_the_right_one():
    """The way to the key is written as people write it; in YAML it has its line, too."""
    why = "clients[0].grants[0].defualt_scope: is not known here; did you mean default_scope?"
    text = WHOLE.replace('default_scope = "orders:read"', 'defualt_scope = "orders:read"')
    assert mistakes(text) == [why]
    text = SAME_IN_YAML.replace("default_scope: orders:read", "defualt_scope: orders:read")
    assert mistakes(text, "yaml") == [f"line 20: {why}"]


def test_a_key_that_resembles_nothing_is_only_unknown():
    """No guess is better than a wild one."""
    assert mistakes("zzz: 1", "yaml") == ["line 1: zzz: is not known here"]


def test_all_mistakes_come_at_once_in_the_order_of_lines():
    """Bad values, bad keys and collisions do not hide one another."""
    text = """\
        resources:
          - resource: https://orders.example
            scopes: [read, wri te]
        clients:
          - client_id: till
            token_ttl: 0
            scope: read
          - client_id: till
            metadata: {x: 1e999}
            grants: [{resource: https://orders.example, scope: raed}]
        """
    assert mistakes(text, "yaml") == [
        "line 3: resources[0].scopes: 'wri te' is not a scope: visible ASCII without space, quote"
        " and backslash",
        "line 6: clients[0].token_ttl: must be at least 1",
        "line 7: clients[0].scope: is not known here",
        "line 8: clients[1].client_id: is given twice; first as clients[0].client_id",
        "line 9: clients[1].metadata.x: is no finite number",
        "line 10: clients[1].grants[0].scope: no such scope on https://orders.example: raed;"
        " did you mean read?",
    ]


def test_toml_has_no_lines_but_every_key_path():
    """The parser of TOML tells no positions of what is valid."""
    text = """\
        [[clients]]
        client_id = "till"
        metadata = { x = nan }

        [[clients]]
        client_id = "till"
        """
    assert mistakes(text) == [
        "clients[0].metadata.x: is no finite number",
        "clients[1].client_id: is given twice; first as clients[0].client_id",
    ]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("client_id = 5", "client_id: must be a string"),
        ("disabled = 1", "disabled: must be true or false"),
        ("token_ttl = '5'", "token_ttl: must be a whole number"),
        ("token_ttl = 5.0", "token_ttl: must be a whole number"),
        ("grants = {}", "grants: must be an array"),
        ("metadata = 1", "metadata: must be an object"),
        ("grants = [1]", "grants[0]: must be an object"),
        ("secrets = [{ env = '' }]", "secrets[0].env: must not be empty"),
        ("secrets = [{}]", "secrets[0]: must have exactly one of env, file, generate_to"),
        ("secrets = [{ env = 'A', file = 'b' }]", "secrets[0]: must have exactly one of env, file"),
        ("secrets = [{ value = 'hunter22' }]", "a secret does not belong in the file; use env"),
        ("expires_at = 2030-01-31", "expires_at: must be a time such as"),
        ("client_name = '\\u0007'", None),
        ('client_name = "\\u0000"', "client_name: has a NUL or a lone surrogate in it"),
        ("metadata.n = 0xffffffffffffffffff", "metadata.n: is a number of more than 64 bits"),
        ("jwks_uri = 'https://a.example'", "clients[0]: client_secret_basic has no jwks_uri"),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_its_name(line, words):
    """What is wrong is said; what was written is not repeated, for it may be a secret."""
    base = "[[clients]]\n" + ("" if "client_id" in line else "client_id = 'till'\n")
    if words is None:
        read(base + line)
        return
    assert any(words in mistake for mistake in mistakes(base + line))
    assert "hunter22" not in "".join(mistakes(base + line))


def test_secrets_are_for_clients_that_use_them():
    """A client with a key would have a secret without effect."""
    text = """\
        clients:
          - client_id: till
            token_endpoint_auth_method: private_key_jwt
            jwks_uri: https://till.example.com/jwks
            secrets: [{env: TILL}]
        """
    assert mistakes(text, "yaml") == ["line 2: clients[0]: private_key_jwt uses no secrets"]


def test_more_secrets_than_a_client_may_have_are_refused():
    """The registry would refuse the last one."""
    listed = ", ".join(f"{{env: S{number}}}" for number in range(11))
    text = f"clients: [{{client_id: till, secrets: [{listed}]}}]"
    assert mistakes(text, "yaml") == ["line 1: clients[0].secrets: must have at most 10 members"]


def test_two_secrets_are_not_written_to_one_file():
    """One of them would be lost."""
    text = """\
        clients:
          - client_id: a
            secrets: [{generate_to: x.secret}]
          - client_id: b
            secrets:
              - generate_to: x.secret
        """
    assert mistakes(text, "yaml") == [
        "line 6: clients[1].secrets[0].generate_to: is given twice;"
        " first as clients[0].secrets[0].generate_to"
    ]


def test_a_resource_is_declared_once():
    """Two declarations of one thing have no meaning."""
    text = """\
        resources:
          - {resource: "urn:a", scopes: [x]}
          - {resource: "urn:a", scopes: [y]}
        """
    assert mistakes(text, "yaml") == [
        "line 3: resources[1].resource: is given twice; first as resources[0].resource"
    ]


@pytest.mark.parametrize(
    "part",
    [
        "resources: [{resource: [1], scopes: 5}]\nclients: [{client_id: [], grants: [{}, 3]}]",
        "resources: [{resource: 'urn:a', scopes: x}]\n"
        "clients: [{client_id: a, grants: [{resource: 'urn:a', scope: x}]}]",
        "resources: [{resource: 'urn:a', scopes: [1]}]\n"
        "clients: [{client_id: a, grants: [{resource: 'urn:a', scope: ' '}]}]",
        "clients: [{client_id: a, grants: [{resource: 5, scope: x}, {resource: x, scope: 5}]}]",
    ],
)
def test_comparisons_pass_over_what_has_no_meaning(part):
    """Only the models speak of values of the wrong kind."""
    assert not any("no such scope" in mistake for mistake in mistakes(part, "yaml"))


def test_a_grant_on_a_resource_of_the_registry_is_left_to_the_registry():
    """The file need not name every resource."""
    found = read("clients: [{client_id: a, grants: [{resource: 'urn:a', scope: x}]}]", "yaml")
    assert [grant.resource for grant in found.clients[0].grants] == ["urn:a"]


def test_a_newer_file_is_refused_by_its_version_alone():
    """Its keys cannot be judged here."""
    assert mistakes("version = 2\nnew = 1\n") == [
        "version: the file is of version 2; this program reads version 1"
    ]


def test_a_version_that_never_was_is_refused():
    """There is only one."""
    assert mistakes("version = 0") == ["version: must be 1"]


def test_a_text_beyond_all_measure_is_not_parsed():
    """A mistaken path to a large file costs no time."""
    assert mistakes("#" * (MAXIMUM_CHARACTERS + 1)) == ["has more than 10485760 characters"]


def test_the_error_has_a_line_for_each_mistake():
    """In the order of the text."""
    with pytest.raises(InvalidDocument, match=r"^line 1: zzz: is not known here$"):
        read_declaration("zzz: 1", "yaml")
    with pytest.raises(InvalidDocument, match=r"^line 1: zzz: is not known here\nline 2: yyy"):
        read_declaration("zzz: 1\nyyy: 1", "yaml")


def test_a_key_that_a_terminal_could_not_show_is_escaped():
    """A file may come from anywhere."""
    assert write_path(("clients", 0, "\x1b[2J\n")) == r"clients[0].'\x1b[2J\n'"
    assert write_path(("x" * 100,)) == "'" + "x" * 64 + "'…"
    assert str(Mistake((), "is odd")) == "is odd"


def test_a_reference_to_a_name_that_cannot_be_shown_is_escaped():
    """Its words end up on a terminal."""
    assert SecretReference(env="A\x1b").source == r"env 'A\x1b'"


def test_the_schema_describes_every_key_for_editors():
    """It is JSON Schema 2020-12, closed at each level, and has the one choice of a reference."""
    schema = declaration_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert set(schema["properties"]) == {"$schema", "version", "resources", "clients"}
    assert all(each["additionalProperties"] is False for each in schema["$defs"].values())
    assert schema["$defs"]["SecretReference"]["oneOf"] == [
        {"required": ["env"]},
        {"required": ["file"]},
        {"required": ["generate_to"]},
    ]
