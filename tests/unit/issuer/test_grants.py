"""Unit tests of `issuer.grants.client_credentials`: what each client gets, and what none gets."""

from typing import Any

import pytest

from issuer.client_request import ClientPassword, Evidence
from issuer.config import IssuerConfig
from issuer.errors import (
    InvalidRequest,
    InvalidScope,
    InvalidTarget,
    OAuthError,
    Reason,
    UnauthorizedClient,
    UnsupportedGrantType,
)
from issuer.grants import GRANTS
from issuer.grants.authorization import Authorization
from issuer.registry.client import Client
from issuer.registry.grant_types import GRANT_TYPES
from issuer.registry.permission import ResourcePermission
from issuer.registry.resource import TokenPolicy
from issuer.service import find_grant
from issuer.token_request import TokenRequest
from tests.support.issuer import (
    API,
    ISSUER,
    NOW,
    OTHER_API,
    SECRET,
    Clients,
    OneKey,
    TestIssuer,
    basic,
    make_client,
)

CONFIG = IssuerConfig(issuer=ISSUER)
TWO_APIS = (
    ResourcePermission(resource=API, scopes=("read", "write"), default_scopes=("read",)),
    ResourcePermission(resource=OTHER_API, scopes=("read", "pay")),
)


def decide(
    client: Client,
    *,
    grant_type: str | None = "client_credentials",
    scope: str | None = None,
    resources: tuple[str, ...] = (),
) -> Authorization:
    """Decide what a request of the client gets."""
    request = TokenRequest(
        evidence=Evidence(basic=ClientPassword(client.client_id, SECRET)),
        grant_type=grant_type,
        scope=scope,
        resources=resources,
    )
    return find_grant(grant_type, client.registration).decide(request, client, CONFIG, None)


def refused(client: Client, error: type[OAuthError], **request: Any) -> OAuthError:
    """Return the refusal of a request; it names the client for the log."""
    with pytest.raises(error) as caught:
        decide(client, **request)
    assert type(caught.value) is error
    assert caught.value.client_id == client.client_id
    return caught.value


@pytest.mark.parametrize(
    ("registered", "asked"),
    [
        ("https://h.example", "https://h.example/"),
        ("https://h.example/", "https://h.example"),
        ("http://h.internal:8080", "http://h.internal:8080/"),
        ("https://h.example?x=1", "https://h.example/?x=1"),
    ],
)
def test_an_empty_path_and_a_slash_are_one(registered: str, asked: str):
    """RFC 3986 §6.2.3; the token is for the resource as it is registered (V21)."""
    client = make_client(
        grants=(ResourcePermission(resource=registered, scopes=("read",)),),
        policies={registered: TokenPolicy()},
    )
    assert decide(client, resources=(asked,)).resource == registered
    assert decide(client, resources=(registered,)).resource == registered


def test_the_exact_identifier_goes_first():
    """A registry of before may hold both."""
    both = ("https://h.example", "https://h.example/")
    client = make_client(
        grants=tuple(ResourcePermission(resource=each, scopes=("read",)) for each in both),
        policies=dict.fromkeys(both, TokenPolicy()),
    )
    assert [decide(client, resources=(each,)).resource for each in both] == list(both)


@pytest.mark.parametrize(
    ("registered", "asked"),
    [
        ("https://h.example/a", "https://h.example/a/"),
        ("https://h.example", "https://h.example//"),
        ("https://h.example", "https://H.example"),
        ("https://h.example", "http://h.example/"),
        ("https://h.example", "https://h.example:443/"),
        ("https://h.example", "https://h.example?"),
        ("api://h", "api://h/"),
        ("urn:a:b", "urn:a:b/"),
    ],
)
def test_nothing_else_is_normalised(registered: str, asked: str):
    """What means the same to one parser may not to another (T13)."""
    client = make_client(
        grants=(ResourcePermission(resource=registered, scopes=("read",)),),
        policies={registered: TokenPolicy()},
    )
    refused(client, InvalidTarget, resources=(asked,))


def test_every_grant_that_can_be_registered_is_there_and_no_other():
    """A grant type without a function would be refused to who was promised it."""
    assert set(GRANTS) == set(GRANT_TYPES)


@pytest.mark.rfc("6749-5.2-3")
def test_a_grant_that_the_client_is_not_registered_for_is_unauthorized():
    """RFC 6749 §5.2: known here, but not this client's; before anything else is looked at."""
    client = make_client(grant_types=())
    error = refused(client, UnauthorizedClient, scope="fly", resources=("nowhere",))
    assert error.reason is Reason.GRANT_NOT_ALLOWED


@pytest.mark.attack("T19")
async def test_only_who_proved_itself_is_told_that_the_grant_is_not_its_own():
    """400 `unauthorized_client` to the authenticated client, 401 to any other."""
    issuer = TestIssuer(clients=Clients(make_client(grant_types=())))
    proven = await issuer.ask()
    guessed = await issuer.ask(auth=basic("svc-a", "x" * 40))
    assert (proven.status, proven.json) == (400, {"error": "unauthorized_client"})
    assert (guessed.status, guessed.json["error"]) == (401, "invalid_client")
    assert issuer.events[0][1]["reason"] == "grant_not_allowed"


def test_a_grant_type_that_no_client_may_use_is_unsupported():
    """RFC 6749 §5.2: unknown here comes before not allowed to the client."""
    error = refused(make_client(grant_types=()), UnsupportedGrantType, grant_type="password")
    assert error.reason is Reason.UNSUPPORTED_GRANT


def test_a_missing_grant_type_is_a_bad_request():
    """RFC 6749 §4.4.2: required."""
    error = refused(make_client(grant_types=()), InvalidRequest, grant_type=None)
    assert error.reason is Reason.GRANT_TYPE_MISSING


@pytest.mark.rfc("6749-3.3-3")
@pytest.mark.parametrize(
    ("resources", "scopes"),
    [((), ("read",)), ((API,), ("read",)), ((OTHER_API,), ("read", "pay"))],
)
def test_an_omitted_scope_means_the_default_of_the_grant(resources, scopes):
    """RFC 6749 §3.3: what the client's grant on that resource names, or all of it."""
    grant = decide(make_client(grants=TWO_APIS), resources=resources)
    assert (grant.resource, grant.scopes) == ((resources or (API,))[0], scopes)


def test_scopes_beyond_the_default_are_there_for_who_asks():
    """A default narrows what comes by itself, not what may be had."""
    client = make_client(grants=TWO_APIS)
    assert decide(client, scope="write read").scopes == ("write", "read")
    assert decide(client, scope="write").scopes == ("write",)


def test_scopes_that_fit_the_default_resource_mean_it():
    """RFC 9068 §3: the default resource comes first where several have the scope."""
    client = make_client(grants=TWO_APIS)
    assert decide(client, scope="read").resource == API
    assert decide(client, scope="pay read").resource == OTHER_API


@pytest.mark.parametrize("scope", ["write pay", "fly"])
def test_scopes_that_no_one_resource_has_are_refused(scope):
    """RFC 9068 §3: one token, one audience."""
    refused(make_client(grants=TWO_APIS), InvalidScope, scope=scope)


@pytest.mark.parametrize("alg", [None, "RS256"])
async def test_the_algorithm_of_the_resource_reaches_the_signer(alg):
    """A resource's choice decides which key signs; none leaves it to the settings."""
    keys = OneKey()
    client = make_client(policies={API: TokenPolicy(signing_alg=alg)})
    answer = await TestIssuer(clients=Clients(client), keys=keys).ask()
    assert (answer.status, keys.asked) == (200, [(NOW, alg)])


async def test_without_a_key_for_that_algorithm_there_is_no_token():
    """A token is not signed in another way than its API asks for."""
    keys = OneKey()
    keys.key = None
    client = make_client(policies={API: TokenPolicy(signing_alg="RS256")})
    answer = await TestIssuer(clients=Clients(client), keys=keys).ask()
    assert (answer.status, answer.json) == (503, {"error": "temporarily_unavailable"})


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        ({"scope": "fly"}, "this client may ask for: read write pay"),
        ({"scope": "fly", "resources": (OTHER_API,)}, "this client may ask for: read pay"),
        (
            {"scope": "write pay"},
            "the scopes belong to several resources: name one with resource",
        ),
        ({"scope": "a  b"}, "scope is malformed"),
        ({"scope": 'say "'}, "scope is malformed"),
    ],
)
def test_an_invalid_scope_is_answered_with_what_may_be_asked_for(
    request_: dict[str, Any], told: str
) -> None:
    """To an authenticated client, of its own; what it asked for is for the log (RFC 6749 §5.2)."""
    error = refused(make_client(grants=TWO_APIS), InvalidScope, **request_)
    assert (error.description, error.asked) == (told, request_["scope"])


def test_an_invalid_target_is_answered_with_the_clients_resources() -> None:
    """Whether there is such a resource is not said."""
    error = refused(make_client(grants=TWO_APIS), InvalidTarget, resources=("https://no.example",))
    assert error.description == f"this client may ask for the resources: {API} {OTHER_API}"
    assert error.asked == "https://no.example"


def test_what_is_listed_is_bounded() -> None:
    """And within the characters of RFC 6749 §5.2."""
    many = tuple(f"scope-{number:03}" for number in range(200))
    client = make_client(grants=(ResourcePermission(resource=API, scopes=many),))
    error = refused(client, InvalidScope, scope="fly")
    assert error.description is not None
    assert len(error.description) < 450
    assert error.description.endswith("...")


async def test_what_was_asked_for_is_in_the_log_and_bounded() -> None:
    """One line of ASCII, whatever the client sent; the answer does not repeat it."""
    issuer = TestIssuer()
    answer = await issuer.ask({"scope": "fl\u00e9\n" + "y" * 1000})
    assert "yyy" not in answer.body.decode()
    ((event, fields),) = issuer.events
    assert (event, fields["reason"]) == ("token.refused", Reason.MALFORMED_SCOPE)
    asked = fields["asked"]
    assert asked.isascii()
    assert asked.isprintable()
    assert asked.startswith("fl\\xe9\\ny")
    assert len(asked) < 300


@pytest.mark.parametrize(
    ("client", "request_", "error", "reason"),
    [
        (make_client(grants=()), {}, UnauthorizedClient, Reason.NOTHING_GRANTED),
        (make_client(grants=()), {"scope": "read"}, UnauthorizedClient, Reason.NOTHING_GRANTED),
        (make_client(), {"scope": 'a"b'}, InvalidScope, Reason.MALFORMED_SCOPE),
        (make_client(), {"scope": "read  write"}, InvalidScope, Reason.MALFORMED_SCOPE),
        (make_client(), {"scope": "fly"}, InvalidScope, Reason.SCOPE_NOT_ALLOWED),
        (make_client(), {"scope": "read fly"}, InvalidScope, Reason.SCOPE_NOT_ALLOWED),
        (
            make_client(grants=TWO_APIS),
            {"scope": "pay", "resources": (API,)},
            InvalidScope,
            Reason.SCOPE_NOT_ALLOWED,
        ),
        (make_client(), {"resources": (OTHER_API,)}, InvalidTarget, Reason.INVALID_TARGET),
        (make_client(), {"resources": (API, API)}, InvalidTarget, Reason.INVALID_TARGET),
        (make_client(), {"resources": (API + "#f",)}, InvalidTarget, Reason.INVALID_TARGET),
    ],
)
def test_what_is_not_granted_has_its_own_reason(
    client: Client, request_: dict[str, Any], error: type[OAuthError], reason: Reason
):
    """The log has the client and one word for why."""
    assert refused(client, error, **request_).reason is reason


def test_a_request_is_refused_after_one_that_was_granted():
    """A grant leaves nothing behind: what differs in one thing is judged as if it came first."""
    client = make_client(grants=TWO_APIS)
    granted = {"scope": "pay", "resources": (OTHER_API,)}
    for _ in range(2):
        assert decide(client, **granted).scopes == ("pay",)
        refused(client, InvalidScope, **(granted | {"scope": "write"}))
        refused(client, InvalidTarget, **(granted | {"resources": (OTHER_API + "x",)}))
        refused(client, InvalidScope, **(granted | {"resources": (API,)}))
        refused(make_client(), InvalidTarget, **granted)


def test_a_refused_resource_is_explained():
    """What to do differs: name one, write it as a URI, or ask for a grant on it."""
    several, two, malformed, unknown = (
        refused(make_client(), InvalidTarget, resources=resources).description
        for resources in ((API, OTHER_API, API), (API, API), ("nowhere",), (OTHER_API,))
    )
    assert several == two
    assert len({several, malformed, unknown} - {None}) == 3
