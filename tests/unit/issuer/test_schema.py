"""Unit tests of the schema of clients and resources: what operators write, strictly read."""

import json
import re
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from issuer.registry.auth_methods import TLS_SUBJECTS, AuthMethod
from issuer.registry.client import ClientRegistration
from issuer.registry.errors import InvalidValue
from issuer.registry.grant_types import GRANT_TYPES
from issuer.registry.permission import ResourcePermission
from issuer.registry.resource import Resource
from issuer.registry.schema import SCOPE_PATTERN, read, restored, stored
from keys.key_types import ALGORITHMS
from tests.support.keys import public_rsa_jwk
from tests.support.registry import RESOURCE

JWKS = {"keys": [public_rsa_jwk().members()]}
CLIENT = {
    "client_id": "till",
    "client_name": "Till № 1",
    "token_endpoint_auth_method": "private_key_jwt",
    "jwks": JWKS,
    "grant_types": ["client_credentials"],
    "grants": [{"resource": RESOURCE, "scope": "read write", "default_scope": "read"}],
    "token_ttl": 60,
    "dpop_bound_access_tokens": True,
    "tls_client_certificate_bound_access_tokens": True,
    "disabled": True,
    "expires_at": "2027-01-15T10:00:00+02:00",
    "metadata": {"team": {"name": "tills", "size": 3}},
    "claims": {"tenant": "shop-1"},
}
API = {
    "resource": RESOURCE,
    "scopes": ["read", "write"],
    "token_ttl": 60,
    "signing_alg": "RS256",
    "dpop_bound_access_tokens_required": True,
    "tls_client_certificate_bound_access_tokens": True,
    "claims": {"region": ["eu"]},
}


def mistakes(model: type[Any], document: object) -> dict[str, str]:
    """Return what is wrong with a document: the message by the place."""
    with pytest.raises(ValidationError) as caught:
        read(model, document)
    return {
        ".".join(map(str, error["loc"])): error["msg"].removeprefix("Value error, ")
        for error in caught.value.errors()
    }


def client(**changes: object) -> ClientRegistration:
    """Read the document of a client that has nothing but its id and the changes."""
    return read(ClientRegistration, {"client_id": "till", **changes})


def test_every_member_of_a_client_arrives():
    """What is written is what is registered, under the names of RFC 7591 §2 and its followers."""
    assert read(ClientRegistration, CLIENT) == ClientRegistration(
        client_id="till",
        client_name="Till № 1",
        token_endpoint_auth_method=AuthMethod.PRIVATE_KEY_JWT,
        jwks=JWKS,
        grant_types=("client_credentials",),
        grants=(
            ResourcePermission(
                resource=RESOURCE, scopes=("read", "write"), default_scopes=("read",)
            ),
        ),
        token_ttl=60,
        dpop_bound_access_tokens=True,
        tls_client_certificate_bound_access_tokens=True,
        disabled=True,
        expires_at=1_800_000_000,
        metadata={"team": {"name": "tills", "size": 3}},
        claims={"tenant": "shop-1"},
    )


def test_every_member_of_a_resource_arrives():
    """RFC 9728 §2 has the names of what an API asks of tokens."""
    assert read(Resource, API) == Resource(
        resource=RESOURCE,
        scopes=("read", "write"),
        token_ttl=60,
        signing_alg="RS256",
        dpop_bound_access_tokens_required=True,
        tls_client_certificate_bound_access_tokens=True,
        claims={"region": ["eu"]},
    )


def test_what_is_left_out_is_as_the_model_has_it():
    """One set of defaults: that of the registry."""
    assert client() == ClientRegistration(client_id="till")
    bare = read(Resource, {"resource": RESOURCE, "scopes": ["read"]})
    assert bare == Resource(resource=RESOURCE, scopes=("read",))


@pytest.mark.parametrize("name", TLS_SUBJECTS)
def test_the_certificate_of_a_client_is_named_in_one_of_five_ways(name):
    """RFC 8705 §2.1.2: each way has a member of its own."""
    value = {"ip": "192.0.2.7", "dn": "CN=till,C=DE"}.get(name[-2:], "till.example")
    document = client(token_endpoint_auth_method="tls_client_auth", **{name: value})
    assert getattr(document, name) == value


def test_a_certificate_has_one_name():
    """RFC 8705 §2.1.2: exactly one of them; the two that collide are named."""
    two = dict.fromkeys(TLS_SUBJECTS[1:3], "till.example")
    document = {"client_id": "till", "token_endpoint_auth_method": "tls_client_auth", **two}
    assert mistakes(ClientRegistration, document) == {
        "": "tls_client_auth has only one of tls_client_auth_san_dns, tls_client_auth_san_uri"
    }


@pytest.mark.parametrize(
    ("model", "document", "place"),
    [
        (ClientRegistration, {**CLIENT, "clientid": "x"}, "clientid"),
        (ClientRegistration, {**CLIENT, "client_secret": "x"}, "client_secret"),
        (
            ClientRegistration,
            {**CLIENT, "grants": [{"resource": "urn:x", "scope": "a", "scopes": ["a"]}]},
            "grants.0.scopes",
        ),
        (Resource, {**API, "scope": "read"}, "scope"),
    ],
)
def test_unknown_members_are_refused(model, document, place):
    """A mistyped name that is ignored would be a hole with a delay."""
    assert mistakes(model, document) == {place: "Unexpected keyword argument"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("client_id", 7),
        ("client_id", None),
        ("client_name", b"till"),
        ("token_endpoint_auth_method", None),
        ("jwks", json.dumps(JWKS)),
        ("jwks", [public_rsa_jwk().members()]),
        ("jwks_uri", 1),
        ("tls_client_auth_san_dns", ["till.example"]),
        ("grant_types", "client_credentials"),
        ("grant_types", None),
        ("grants", {}),
        ("grants", None),
        ("token_ttl", "60"),
        ("token_ttl", 60.0),
        ("token_ttl", True),
        ("dpop_bound_access_tokens", "true"),
        ("dpop_bound_access_tokens", 1),
        ("tls_client_certificate_bound_access_tokens", 0),
        ("disabled", "no"),
        ("disabled", None),
        ("expires_at", 1_800_000_000),
        ("expires_at", True),
        ("metadata", None),
        ("metadata", "{}"),
        ("metadata", []),
    ],
)
def test_nothing_is_converted(name, value):
    """A value of another type is a mistake of its own, not a riddle for whoever reads it next."""
    assert list(mistakes(ClientRegistration, {**CLIENT, name: value})) == [name]


@pytest.mark.parametrize(
    ("name", "value", "place"),
    [
        ("resource", None, "resource"),
        ("scopes", "read write", "scopes"),
        ("scopes", [1], "scopes.0"),
        ("token_ttl", 60.5, "token_ttl"),
        ("signing_alg", ["RS256"], "signing_alg"),
        ("dpop_bound_access_tokens_required", "yes", "dpop_bound_access_tokens_required"),
    ],
)
def test_nothing_of_a_resource_is_converted(name, value, place):
    """Strict as the document of a client is."""
    assert list(mistakes(Resource, {**API, name: value})) == [place]


@pytest.mark.parametrize("document", [None, [], "till", 1, [CLIENT]])
def test_a_document_is_an_object(document):
    """Nothing else has members."""
    assert list(mistakes(ClientRegistration, document)) == [""]


def test_every_mistake_of_a_client_is_told_at_its_place():
    """Who mends one thing at a time should not have to come back for each."""
    assert mistakes(
        ClientRegistration,
        {
            "client_name": "two\nlines",
            "token_endpoint_auth_method": "none",
            "jwks": {"keys": []},
            "jwks_uri": "http://keys.example",
            "grant_types": ["client_credentials", "password"],
            "grants": [
                {"resource": RESOURCE, "scope": "read  write"},
                {"scope": "read", "default_scope": "write"},
                {"resource": RESOURCE, "scope": "read", "default_scope": "write"},
            ],
            "token_ttl": 0,
            "disabled": "yes",
            "expires_at": "tomorrow",
            "metadata": {"note": "x" * 4096},
            "colour": "red",
        },
    ) == {
        "client_id": "Field required",
        "client_name": "a name is 1 to 255 printable characters",
        "token_endpoint_auth_method": "must be one of client_secret_basic, client_secret_post, "
        "private_key_jwt, client_secret_jwt, tls_client_auth, self_signed_tls_client_auth, "
        "federated",
        "jwks": "jwks is an object with 1 to 10 keys in `keys`",
        "jwks_uri": "jwks_uri must be https, without user information and fragment",
        "grant_types.1": "'password' is no grant here; use client_credentials,"
        " urn:ietf:params:oauth:grant-type:token-exchange,"
        " urn:ietf:params:oauth:grant-type:jwt-bearer",
        "grants.0.scope": "must be scopes with single spaces between, visible ASCII without quote "
        "and backslash",
        "grants.1.resource": "Field required",
        "grants.2": f"the default scope write is not granted on {RESOURCE}",
        "token_ttl": "Input should be greater than or equal to 1",
        "disabled": "Input should be a valid boolean",
        "expires_at": "must be a time such as 2027-01-31T12:00:00Z",
        "metadata": "metadata has more than 4096 bytes",
        "colour": "Unexpected keyword argument",
    }


def test_every_mistake_of_a_resource_is_told_at_its_place():
    """As for clients."""
    assert mistakes(
        Resource,
        {
            "resource": "orders",
            "scopes": ["read", "read"],
            "token_ttl": 86_401,
            "signing_alg": "none",
            "dpop_bound_access_tokens_required": None,
        },
    ) == {
        "resource": "the resource identifier 'orders' must be an absolute URI such as "
        "https://orders.example.com",
        "scopes": "the scope read is named twice",
        "token_ttl": "Input should be less than or equal to 86400",
        "signing_alg": "'none' is no signing algorithm here; use one of " + ", ".join(ALGORITHMS),
        "dpop_bound_access_tokens_required": "Input should be a valid boolean",
    }


def test_a_resource_has_a_scope():
    """An API that understands nothing would grant nothing."""
    assert list(mistakes(Resource, {**API, "scopes": []})) == ["scopes"]


@pytest.mark.parametrize("scope", ["", " ", "read ", " read", "a  b", "a\tb", 're"ad', "ré"])
def test_scopes_are_written_as_on_the_wire(scope):
    """RFC 6749 §3.3: one space between two."""
    grant = {"resource": RESOURCE, "scope": "read", "default_scope": scope}
    assert list(mistakes(ResourcePermission, grant)) == ["default_scope"]


def test_a_scope_named_twice_is_one():
    """RFC 6749 §3.3: a scope is a set; the order of first appearance is kept."""
    grant = read(ResourcePermission, {"resource": RESOURCE, "scope": "write read write"})
    assert grant.scopes == ("write", "read")


@pytest.mark.parametrize("text", ["1969-12-31T23:59:59Z", "9999-12-31T23:59:59-00:01"])
def test_a_time_that_cannot_be_shown_is_told_at_its_place(text):
    """A text may name a moment that no text in UTC can."""
    document = {"client_id": "till", "expires_at": text}
    assert mistakes(ClientRegistration, document) == {
        "expires_at": "a time is from 1970 to the year 9999"
    }


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"token_endpoint_auth_method": "private_key_jwt"}, "needs one of jwks, jwks_uri"),
        ({"jwks": JWKS}, "client_secret_basic has no jwks"),
        ({"grants": [{"resource": "urn:x", "scope": "a"}] * 2}, "two grants on urn:x"),
    ],
)
def test_what_only_the_whole_shows_is_refused(changes, words):
    """The members may be good each for itself and still make no client."""
    with pytest.raises(ValidationError, match=words):
        client(**changes)


def test_an_error_does_not_repeat_what_was_written():
    """A secret in the wrong place stays where it is."""
    with pytest.raises(ValidationError) as caught:
        client(client_secret="wws_canary", token_ttl="wws_canary", expires_at="wws_canary")
    assert "wws_canary" not in str(caught.value)
    assert "wws_canary" not in repr(caught.value)


def schema_of(model: type[Any], name: str) -> dict[str, Any]:
    """Return how editors and OpenAPI see a member."""
    return TypeAdapter(model).json_schema()["properties"][name]


def test_editors_see_what_may_be_written():
    """The schema closes the object, lists the methods and marks times."""
    assert TypeAdapter(ClientRegistration).json_schema()["additionalProperties"] is False
    methods = schema_of(ClientRegistration, "token_endpoint_auth_method")["enum"]
    assert methods == [method.value for method in AuthMethod]
    assert {"type": "string", "format": "date-time"} in schema_of(ClientRegistration, "expires_at")[
        "anyOf"
    ]
    assert schema_of(Resource, "scopes")["minItems"] == 1


@pytest.mark.parametrize(
    ("model", "name", "constraints"),
    [
        (ClientRegistration, "client_id", {"pattern": r"^[\x21-\x7e]{1,255}$"}),
        (ClientRegistration, "client_name", {"minLength": 1, "maxLength": 255}),
        (ClientRegistration, "jwks_uri", {"pattern": "^https://", "maxLength": 2048}),
        (ClientRegistration, "tls_client_auth_san_dns", {"minLength": 1, "maxLength": 1024}),
        (ClientRegistration, "token_ttl", {"minimum": 1, "maximum": 86_400}),
        (Resource, "token_ttl", {"minimum": 1, "maximum": 86_400}),
        (Resource, "signing_alg", {"enum": list(ALGORITHMS)}),
        (ResourcePermission, "scope", {"pattern": SCOPE_PATTERN, "maxLength": 4096}),
        (ResourcePermission, "default_scope", {"pattern": SCOPE_PATTERN, "maxLength": 4096}),
    ],
)
def test_editors_and_openapi_see_the_constraints(model, name, constraints):
    """What would be refused can be marked while it is written."""
    member = schema_of(model, name)
    written = next(iter(member.get("anyOf", [member])))
    assert constraints.items() <= written.items()


def test_the_items_of_lists_have_their_constraints():
    """Each grant type and each scope of a resource is one of a kind."""
    assert schema_of(ClientRegistration, "grant_types")["items"]["enum"] == list(GRANT_TYPES)
    assert re.fullmatch(schema_of(Resource, "scopes")["items"]["pattern"], "orders:read")
    assert not re.fullmatch(schema_of(Resource, "scopes")["items"]["pattern"], "two words")


def test_a_client_is_kept_without_what_has_columns_of_its_own():
    """The database holds the rest by the names of the schema, and what is not set is left out."""
    registration = read(ClientRegistration, {**CLIENT, "client_name": None})
    elsewhere = {"client_id", "disabled", "expires_at", "grants"}
    kept = json.loads(json.dumps(stored(registration, without=elsewhere)))
    assert not kept.keys() & {*elsewhere, "client_name", "jwks_uri"}
    columns = {name: getattr(registration, name) for name in elsewhere}
    of = "client till"
    assert restored(ClientRegistration, json.dumps(kept), columns, of=of) == registration
    with pytest.raises(
        InvalidValue, match=r"no possible registration of client till: see token_ttl"
    ):
        restored(ClientRegistration, {**kept, "token_ttl": 0}, columns, of=of)


@pytest.mark.parametrize(
    "kept",
    ["[]", "null", '"s"', "x{", '{"metadata":' + "[" * 100_000, '{"client_id": "root"}', "{}"],
    ids=lambda text: text[:12],
)
def test_a_damaged_registration_is_reported_with_its_client(kept):
    """Whatever its form; members of columns in it, or a missing method, are damage as well."""
    with pytest.raises(InvalidValue, match=r"no readable registration of client till$"):
        restored(
            ClientRegistration,
            kept,
            {"client_id": "till"},
            of="client till",
            needs=("token_endpoint_auth_method",),
        )
