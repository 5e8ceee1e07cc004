"""Registration requests: whatever comes, the answer is a value or a refusal in fixed words."""

import json
import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from issuer.errors import OAuthError
from issuer.registration.metadata import (
    DECIDED,
    decide_registration,
    decide_update,
    parse_registration,
    parse_update,
)
from issuer.registration.request import check_media_type, parse_bearer, parse_document
from issuer.registry.auth_methods import TLS_SUBJECTS, AuthMethod
from issuer.registry.client import ClientRegistration
from issuer.registry.credentials import DUMMY_FAST
from issuer.registry.initial_access_token import InitialAccessToken
from issuer.registry.permission import ResourcePermission
from issuer.registry.schema import write

MARK = "zq7"
# RFC 6749 §5.2.
DESCRIPTION = re.compile(r"[\x20-\x21\x23-\x5B\x5D-\x7E]*")
TOKEN = InitialAccessToken(
    token_id="t",
    hash=DUMMY_FAST,
    grants=(
        ResourcePermission(resource="urn:a", scopes=("read", "write"), default_scopes=("read",)),
        ResourcePermission(resource="urn:b", scopes=("read", "bill")),
    ),
    token_ttl=60,
    uses_left=None,
    created_at=0,
    expires_at=None,
)

NAMES = [
    *DECIDED,
    "client_id",
    "client_secret",
    "grant_types",
    "response_types",
    "scope",
    "redirect_uris",
    "software_statement",
    "x-unknown",
]
texts = st.one_of(
    st.text(max_size=20),
    st.sampled_from([*AuthMethod, "read", "read bill", "https://a.example/x", "10.0.0.1"]),
).map(lambda text: text + MARK if len(text) % 3 == 0 else text)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), texts),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(texts, st.sampled_from(["keys", "kty", "n", "d"])), inner),
    ),
    max_leaves=8,
)
documents = st.dictionaries(st.one_of(st.sampled_from(NAMES), texts), values, max_size=8)


def assert_fixed_words(refusal: OAuthError) -> None:
    """The description repeats nothing and keeps to its characters."""
    assert DESCRIPTION.fullmatch(refusal.description or "")
    assert MARK not in str(refusal) + (refusal.description or "")


def granted(registration: ClientRegistration) -> set[tuple[str, str]]:
    """Flatten what a client may ask for."""
    return {(grant.resource, scope) for grant in registration.grants for scope in grant.scopes}


@given(documents)
def test_registering_yields_a_client_within_the_token_or_a_refusal(
    document: dict[str, Any],
) -> None:
    """No document makes a client that may more than the token allows."""
    try:
        metadata = parse_registration(document)
        registration = decide_registration(metadata, TOKEN, client_id="dyn-1")
    except OAuthError as refusal:
        assert_fixed_words(refusal)
        return
    allowed = {(grant.resource, scope) for grant in TOKEN.grants for scope in grant.scopes}
    assert granted(registration) <= allowed
    assert (registration.token_ttl, registration.disabled, registration.metadata) == (60, False, {})


@given(documents, st.sampled_from(["read", "read bill", "write"]))
def test_updating_never_widens(document: dict[str, Any], first: str) -> None:
    """Whatever an update says, the client may afterwards at most what it might before."""
    before = decide_registration(parse_registration({"scope": first}), TOKEN, client_id="dyn-1")
    try:
        after = decide_update(parse_update(document | {"client_id": "dyn-1"}, "dyn-1"), before)
    except OAuthError as refusal:
        assert_fixed_words(refusal)
        return
    assert granted(after) <= granted(before)
    assert (after.client_id, after.token_ttl) == (before.client_id, before.token_ttl)


@given(documents)
def test_what_was_registered_can_be_sent_back(document: dict[str, Any]) -> None:
    """RFC 7592 §2.2: a client may repeat its metadata as it got them, and nothing changes."""
    try:
        registration = decide_registration(parse_registration(document), TOKEN, client_id="dyn-1")
    except OAuthError:
        return
    scopes = dict.fromkeys(scope for _, scope in sorted(granted(registration)))
    repeated = {
        "client_id": "dyn-1",
        **{name: value for name, value in write(registration).items() if name in DECIDED},
        "grant_types": ["client_credentials"],
        "response_types": [],
        "scope": " ".join(scopes),
    }
    sent = json.loads(json.dumps(repeated))
    assert decide_update(parse_update(sent, "dyn-1"), registration) == registration


@given(
    st.one_of(
        st.binary(max_size=200),
        documents.map(lambda document: json.dumps(document).encode()),
    )
)
def test_any_body_is_an_object_or_refused(body: bytes) -> None:
    """No bytes are anything else."""
    try:
        assert isinstance(parse_document(body), dict)
    except OAuthError as refusal:
        assert_fixed_words(refusal)


lines = st.lists(
    st.tuples(
        st.sampled_from([b"authorization", b"content-type", b"content-encoding"]),
        st.one_of(
            st.binary(max_size=30),
            st.sampled_from([b"Bearer a", b"application/json", b"identity"]),
            st.binary(max_size=10).map(lambda tail: b"Bearer " + tail),
        ),
    ),
    max_size=4,
)


@given(lines)
def test_any_headers_are_read_or_refused(headers: list[tuple[bytes, bytes]]) -> None:
    """A token that is read is visible ASCII without quotes, as RFC 6750 §2.1 has it."""
    try:
        assert re.fullmatch(r"[A-Za-z0-9._~+/-]+=*", parse_bearer(headers))
        check_media_type(headers)
    except OAuthError as refusal:
        assert_fixed_words(refusal)


def test_every_name_of_the_standards_is_known() -> None:
    """The subjects of a certificate are spelt as RFC 8705 §2.1.2 has them."""
    assert set(TLS_SUBJECTS) <= DECIDED
