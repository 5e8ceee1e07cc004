"""Whatever the registry can hold, its description reads back as the same, through JSON too."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from issuer.administration.declaration.reader import read_declaration
from issuer.administration.declaration.yaml_form import write_declaration
from issuer.registry.auth_methods import MATERIAL, TLS_SUBJECTS, AuthMethod
from issuer.registry.claims import CLOSED_CLAIMS
from issuer.registry.client import ClientRegistration
from issuer.registry.federated_identity import FederatedIdentity
from issuer.registry.grant_types import GRANT_TYPES
from issuer.registry.permission import ExchangePermission, ResourcePermission
from issuer.registry.resource import Resource, describe_resource
from issuer.registry.schema import members_of, narrowed, read, write
from keys.key_types import ALGORITHMS
from tests.support.keys import public_rsa_jwk

VISIBLE = st.characters(min_codepoint=0x21, max_codepoint=0x7E)
CLIENT_IDS = st.text(VISIBLE, min_size=1, max_size=255)
NAMES = st.text(min_size=1, max_size=40).filter(str.isprintable)
SCOPES = st.lists(
    st.text(
        st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters='"\\'),
        min_size=1,
        max_size=12,
    ),
    min_size=1,
    max_size=4,
    unique=True,
).map(tuple)
URIS = st.lists(st.sampled_from([*"abc123-._~:/?=&", "%2F"]), min_size=1, max_size=30).map(
    lambda pieces: "urn:x:" + "".join(pieces)
)
LIFETIMES = st.none() | st.integers(1, 86_400)
TIMES = st.none() | st.integers(0, 253_402_300_799)
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=10)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
METADATA = st.dictionaries(TEXTS, JSON, max_size=3)
CLAIMS = st.dictionaries(NAMES.filter(lambda name: name not in CLOSED_CLAIMS), JSON, max_size=3)
KEYS = st.lists(st.sampled_from([0, 1, 2]), min_size=1, unique=True).map(
    lambda numbers: {"jwks": {"keys": [public_rsa_jwk(n).members() for n in numbers]}}
)
PUBLISHED = st.just({"jwks_uri": "https://keys.example/jwks?of=till"})
SUBJECTS = st.sampled_from(TLS_SUBJECTS).flatmap(
    lambda name: st.fixed_dictionaries(
        {
            name: st.ip_addresses().map(str)
            if name.endswith("_ip")
            else st.integers().map(lambda number: f"CN=till {number}")
            if name.endswith("_dn")
            else NAMES
        }
    )
)

IDENTITIES = st.lists(
    st.builds(
        FederatedIdentity,
        issuer=st.just("https://other.example"),
        subject=NAMES.filter(lambda name: "*" not in name),
        claims=st.dictionaries(st.just("tenant"), st.integers(0, 9) | st.booleans()),
        audience=st.none() | st.just("orders"),
        jwks_uri=st.none() | st.just("https://10.0.0.1:6443/openid/v1/jwks"),
    ),
    min_size=1,
    max_size=3,
).map(tuple)


def materials(method: AuthMethod) -> st.SearchStrategy[dict[str, Any]]:
    """Make material that fits the method."""
    if "jwks" in MATERIAL[method]:
        return KEYS | PUBLISHED
    if method is AuthMethod.FEDERATED:
        return st.fixed_dictionaries({"federated_identities": IDENTITIES})
    return SUBJECTS if method is AuthMethod.TLS_CLIENT_AUTH else st.just({})


@st.composite
def grants(draw: st.DrawFn) -> ResourcePermission:
    """Make a grant, with or without default scopes."""
    scopes = draw(SCOPES)
    some = st.lists(st.sampled_from(scopes), min_size=1, unique=True).map(tuple)
    return ResourcePermission(
        resource=draw(URIS), scopes=scopes, default_scopes=draw(st.none() | some)
    )


EXCHANGES = st.lists(
    st.builds(
        ExchangePermission,
        subject_resource=URIS,
        resource=URIS,
        subjects=st.just(("*",)) | st.lists(CLIENT_IDS, min_size=1, max_size=3).map(tuple),
        max_depth=st.integers(1, 5),
    ),
    max_size=3,
    unique_by=lambda each: (each.subject_resource, each.resource),
).map(tuple)


@st.composite
def registrations(draw: st.DrawFn) -> ClientRegistration:
    """Make anything that the registry accepts as a client."""
    method = draw(st.sampled_from(AuthMethod))
    return ClientRegistration(
        client_id=draw(CLIENT_IDS),
        client_name=draw(st.none() | NAMES),
        token_endpoint_auth_method=method,
        **draw(materials(method)),
        grant_types=draw(st.sampled_from([(), GRANT_TYPES])),
        grants=draw(
            st.lists(grants(), max_size=3, unique_by=lambda grant: grant.resource).map(tuple)
        ),
        token_ttl=draw(LIFETIMES),
        dpop_bound_access_tokens=draw(st.booleans()),
        tls_client_certificate_bound_access_tokens=draw(st.booleans()),
        disabled=draw(st.booleans()),
        expires_at=draw(TIMES),
        metadata=draw(METADATA),
        claims=draw(CLAIMS),
        token_exchange=draw(EXCHANGES),
    )


RESOURCES = st.builds(
    Resource,
    resource=URIS,
    scopes=SCOPES,
    token_ttl=LIFETIMES,
    signing_alg=st.none() | st.sampled_from(list(ALGORITHMS)),
    dpop_bound_access_tokens_required=st.booleans(),
    tls_client_certificate_bound_access_tokens=st.booleans(),
    claims=CLAIMS,
)


def through_json(document: object) -> Any:
    """Return what is left of a document on the other side of a wire or a database."""
    return json.loads(json.dumps(document, allow_nan=False))


@given(registration=registrations())
def test_a_client_reads_back_as_it_was(registration: ClientRegistration) -> None:
    """What is shown can be edited and given back, and what was not touched is the same."""
    described = write(registration)
    assert read(ClientRegistration, described) == registration
    assert read(ClientRegistration, through_json(described)) == registration


@given(resource=RESOURCES)
def test_a_resource_reads_back_as_it_was(resource: Resource) -> None:
    """As for clients."""
    described = describe_resource(resource)
    assert read(Resource, through_json(described)) == resource


@given(registration=registrations())
def test_one_registration_has_one_description(registration: ClientRegistration) -> None:
    """A client that is described, read and described again has not changed on the way."""
    described = write(registration)
    again = write(read(ClientRegistration, described))
    assert through_json(again) == through_json(described)


WORDS = st.sampled_from(
    ["", "x", "urn:x:a", "read", "2027-01-31T12:00:00Z", "tls_client_auth", "\ud800"]
)
ANYTHING = JSON | WORDS | st.lists(st.dictionaries(WORDS, WORDS, max_size=2), max_size=2)


@given(
    document=st.dictionaries(
        st.sampled_from([*members_of(ClientRegistration), "", "x"]), ANYTHING, max_size=5
    )
)
def test_any_object_is_a_client_or_is_refused(document: dict[str, object]) -> None:
    """Nothing else ever comes out, whatever somebody wrote."""
    try:
        built = read(ClientRegistration, {"client_id": "till", **document})
    except ValidationError:
        return
    assert isinstance(built, ClientRegistration)


@given(st.lists(registrations(), max_size=3, unique_by=lambda each: each.client_id))
def test_what_is_exported_reads_back_as_the_same(
    decided: list[ClientRegistration],
) -> None:
    """Whatever words the registry holds, a file of it means what it means."""
    text = write_declaration([], [write(each) for each in decided])
    found = read_declaration(text, "yaml")
    assert [narrowed(ClientRegistration, each) for each in found.clients] == decided
