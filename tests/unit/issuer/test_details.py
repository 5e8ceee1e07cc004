"""Unit tests of `issuer.grants.details`: which authorization details a client gets (RFC 9396)."""

import json
from typing import Any

import pytest

from issuer.client_request import Evidence
from issuer.config import IssuerConfig
from issuer.errors import InvalidAuthorizationDetails, InvalidScope, InvalidTarget, Reason
from issuer.grants import client_credentials
from issuer.grants.details import MAX_DETAILS_BYTES, parse_details
from issuer.registry.authorization_details import DetailsType
from issuer.registry.permission import ResourcePermission
from issuer.registry.resource import TokenPolicy
from issuer.token_request import TokenRequest
from tests.support.issuer import (
    API,
    FORM,
    ISSUER,
    OTHER_API,
    SECRET,
    Clients,
    TestIssuer,
    basic,
    make_client,
)

SCHEMA = {
    "properties": {
        "actions": {"type": "array", "items": {"enum": ["initiate", "status"]}},
        "locations": {"type": "array", "items": {"type": "string"}},
        "amount": {"type": "number", "multipleOf": 0.01},
        "creditor": {"type": "string"},
    },
    "required": ["actions"],
}
PAYMENT = {"type": "payment", "actions": ["initiate"], "amount": 12.5}


def policy(*types: str, **rest: Any) -> TokenPolicy:
    """Make what a resource with some types asks of tokens."""
    known = tuple(DetailsType(type=each, schema=SCHEMA) for each in types)
    return TokenPolicy(authorization_details_types=known, **rest)


def permission(resource: str, *types: str, scopes: tuple[str, ...] = ("read",)):
    """Grant scopes and types on a resource."""
    return ResourcePermission(resource=resource, scopes=scopes, authorization_details_types=types)


def issuer(**changes: Any) -> TestIssuer:
    """Make an issuer whose client may ask for payments on the API and for reports elsewhere."""
    registered = {
        "grants": (
            permission(API, "payment", scopes=("read", "write")),
            permission(OTHER_API, "report", "shared"),
        ),
        "policies": {
            API: policy("payment", "refund", "shared"),
            OTHER_API: policy("report", "payment", "shared"),
        },
    }
    return TestIssuer(clients=Clients(make_client(**(registered | changes))))


async def ask(details: Any, on: TestIssuer | None = None, **form: str) -> Any:
    """Ask for details; text is sent as it is."""
    text = details if isinstance(details, str) else json.dumps(details)
    return await (on or issuer()).ask({"authorization_details": text, **form})


@pytest.mark.rfc("9396-2-1")
async def test_what_is_granted_is_in_the_token_and_in_the_response():
    """RFC 9396 §7, §9.1; a request for details alone gets no default scope beside them."""
    alone = await ask([PAYMENT])
    assert alone.status == 200
    assert alone.json["authorization_details"] == [PAYMENT]
    assert alone.claims["authorization_details"] == [PAYMENT]
    assert "scope" not in alone.json
    assert "scope" not in alone.claims
    both = await ask([PAYMENT], scope="read")
    assert (both.claims["scope"], both.claims["authorization_details"]) == ("read", [PAYMENT])
    neither = await issuer().ask()
    assert neither.claims["scope"] == "read write"
    assert "authorization_details" not in neither.json


async def test_text_beyond_ascii_comes_back_as_it_was():
    """In the response it is escaped, in the token it is UTF-8."""
    named = PAYMENT | {"creditor": "Kasse №1 \"'\\"}
    answer = await ask([named, PAYMENT])
    assert answer.json["authorization_details"] == [named, PAYMENT]
    assert answer.claims["authorization_details"] == [named, PAYMENT]


NO_ARRAY = "not a JSON array, or one with repeated names"
NO_TYPE = "each must be an object with a type"
TOO_LARGE = "a number is too large"
MALFORMED = [
    ("payment", NO_ARRAY),
    ("{}", NO_ARRAY),
    ("[]", "an array without objects"),
    ("null", NO_ARRAY),
    ('{"type": "payment", "actions": []}', NO_ARRAY),
    ("[[]]", NO_TYPE),
    ('["payment"]', NO_TYPE),
    ('[{"actions": []}]', NO_TYPE),
    ('[{"type": 5}]', NO_TYPE),
    ('[{"type": null}]', NO_TYPE),
    ('[{"type": "payment", "type": "refund", "actions": []}]', NO_ARRAY),
    ('[{"type": "payment", "actions": [], "amount": NaN}]', NO_ARRAY),
    ('[{"type": "payment", "actions": [], "amount": 1e999}]', NO_ARRAY),
    ('[{"type": "payment", "actions": [], "amount": 9007199254740992}]', TOO_LARGE),
    ('[{"type": "payment", "actions": [], "amount": -9007199254740992}]', TOO_LARGE),
    ('[{"type": "payment", "actions": [], "amount": ' + "9" * 4000 + "}]", TOO_LARGE),
    ('[{"type": "payment", "actions": [], "creditor": "\\ud800"}]', NO_ARRAY),
    ('[{"type": "payment", "actions": []}] []', NO_ARRAY),
    ('[{"type": "payment", "actions": []},]', NO_ARRAY),
    ("[" * 100 + "]" * 100, NO_ARRAY),
    ("[" + " " * (MAX_DETAILS_BYTES - 1) + "]", f"more than {MAX_DETAILS_BYTES} bytes"),
]


@pytest.mark.rfc("9396-2-1")
@pytest.mark.parametrize(("text", "said"), MALFORMED)
async def test_what_is_no_array_of_typed_objects_is_refused(text, said):
    """400 `invalid_authorization_details`, without a word of what was sent."""
    answer = await ask(text)
    assert (answer.status, answer.json["error"]) == (400, "invalid_authorization_details")
    assert answer.json["error_description"] == f"authorization_details: {said}"
    with pytest.raises(InvalidAuthorizationDetails) as refused:
        parse_details(text, "svc-a")
    assert refused.value.reason is Reason.MALFORMED_DETAILS
    assert refused.value.client_id == "svc-a"


async def test_the_longest_details_and_the_largest_numbers_are_taken():
    """RFC 7493 §2.2: one more is the first that is too large."""
    text = json.dumps([PAYMENT | {"amount": each} for each in (2**53 - 1, 1 - 2**53)])
    answer = await ask(text.ljust(MAX_DETAILS_BYTES))
    assert answer.json["authorization_details"] == json.loads(text)


async def test_it_is_sent_once_and_empty_counts_as_omitted():
    """RFC 6749 §3.2 holds for every parameter."""
    empty = await ask("")
    assert empty.claims["scope"] == "read write"
    body = b"grant_type=client_credentials&authorization_details=a&authorization_details=b"
    twice = await issuer().send(body)
    assert (twice.status, twice.json["error"]) == (400, "invalid_request")


@pytest.mark.attack("T3")
async def test_a_megabyte_of_details_is_refused_by_its_length():
    """Before anything of it is parsed."""
    answer = await ask([PAYMENT | {"creditor": "x" * 1_000_000}])
    assert answer.status == 413


@pytest.mark.rfc("9396-2-1")
@pytest.mark.parametrize(
    ("details", "reason", "said"),
    [
        ([{"type": "fly"}], Reason.DETAILS_NOT_ALLOWED, "details: payment report shared"),
        ([PAYMENT | {"type": "refund"}], Reason.DETAILS_NOT_ALLOWED, "payment report shared"),
        ([PAYMENT, {"type": "report"}], Reason.DETAILS_NOT_ALLOWED, "belong to several resources"),
        ([PAYMENT | {"purpose": "x"}], Reason.DETAILS_NOT_VALID, "says: additionalProperties"),
        ([{"type": "payment"}], Reason.DETAILS_NOT_VALID, "object 1 is not as"),
        (
            [PAYMENT, PAYMENT | {"actions": ["steal"]}],
            Reason.DETAILS_NOT_VALID,
            "object 2 is not as the schema of its type says: properties/actions/items/enum",
        ),
        ([PAYMENT | {"amount": "12"}], Reason.DETAILS_NOT_VALID, "properties/amount/type"),
        ([PAYMENT | {"amount": 0.001}], Reason.DETAILS_NOT_VALID, "properties/amount/multipleOf"),
        ([PAYMENT | {"amount": 1e308}], Reason.DETAILS_NOT_VALID, "properties/amount/multipleOf"),
    ],
)
async def test_an_unknown_type_field_or_value_is_refused(details, reason, said):
    """RFC 9396 §5; the description has what the operator has written, and nothing of the input."""
    asked = issuer()
    answer = await ask(details, asked)
    assert (answer.status, answer.json["error"]) == (400, "invalid_authorization_details")
    assert said in answer.json["error_description"]
    (event, fields) = asked.events[-1]
    assert (event, fields["reason"]) == ("token.refused", reason)
    assert fields["client_id"] == "svc-a"
    assert fields["asked"] == " ".join(dict.fromkeys(each["type"] for each in details))


@pytest.mark.parametrize(
    ("locations", "fits"),
    [
        ([API], True),
        ([API, API], True),
        ([OTHER_API], False),
        ([API, OTHER_API], False),
        ([API + "/"], False),
        ([], False),
    ],
)
async def test_locations_name_the_resource_of_the_token(locations, fits):
    """RFC 9396 §2.2: rights for another place would be shown to an API that they are not for."""
    asked = issuer()
    answer = await ask([PAYMENT | {"locations": locations}], asked, resource=API)
    assert (answer.status == 200) is fits
    if not fits:
        told = asked.events[-1][1]
        assert told["reason"] == Reason.DETAILS_ELSEWHERE
        assert (told["client_id"], told["asked"]) == ("svc-a", "payment")
        assert "locations must be among: https://api.example" in answer.json["error_description"]


async def test_details_infer_the_resource():
    """As scopes do (RFC 9068 §3): the default one if it fits, else the one that does."""
    report = {"type": "report", "actions": []}
    assert (await ask([report])).claims["aud"] == OTHER_API
    assert (await ask([report], scope="read")).claims["aud"] == OTHER_API
    assert (await ask([PAYMENT])).claims["aud"] == API
    there = [{"type": "shared", "actions": [], "locations": [OTHER_API]}]
    both = issuer(grants=(permission(API, "shared"), permission(OTHER_API, "shared")))
    for asked in (issuer(), both):
        assert (await ask(there, asked)).claims["aud"] == OTHER_API
    asked = await ask([report], scope="write")
    assert "may ask for the types" in asked.json["error_description"]
    fly = await ask([report], scope="fly")
    assert fly.json["error"] == "invalid_scope"
    for known_there_only in (report, PAYMENT | {"type": "refund"}):
        elsewhere = await ask([known_there_only], resource=API)
        assert elsewhere.json["error_description"].endswith("authorization details: payment")


# ---- several resources ----


def decide(*resources: str, on: Any, **asked: Any) -> Any:
    """Decide what a request for some resources gets."""
    request = TokenRequest(Evidence(), resources, "client_credentials", **asked)
    return client_credentials.decide(request, on, IssuerConfig(issuer=ISSUER), None)


def shared(*, one: Any = None, other: Any = None, **changes: Any) -> Any:
    """Make a client that may have tokens for two resources at once."""
    registered = {
        "grants": (
            permission(API, "payment", "shared", scopes=("write", "read")),
            permission(OTHER_API, "shared", scopes=("read", "write", "ship")),
        ),
        "policies": {API: one or policy("payment", "shared"), OTHER_API: other or policy("shared")},
        "several_resources": True,
    }
    return make_client(**(registered | changes))


@pytest.mark.rfc("8707-2-1")
def test_several_resources_are_all_audiences_if_an_operator_says_so():
    """`aud` names each once, in the order asked; scopes and details are granted on each."""
    found = decide(API, OTHER_API, API, on=shared(), scope="read")
    assert found.resources == (API, OTHER_API)
    assert found.scopes == ("read",)
    assert decide(API, OTHER_API, on=shared()).scopes == ("write", "read")
    assert decide(OTHER_API, on=shared()).further_resources == ()
    details = json.dumps([{"type": "shared", "actions": [], "locations": [OTHER_API]}])
    granted = decide(API, OTHER_API, on=shared(), authorization_details=details)
    assert (granted.scopes, len(granted.authorization_details)) == ((), 1)


async def test_the_audience_of_several_is_an_array():
    """RFC 7519 §4.1.3; each of them counts as used."""
    asked = TestIssuer(clients=Clients(shared()))
    body = f"grant_type=client_credentials&scope=read&resource={API}&resource={OTHER_API}"
    headers = [(b"content-type", FORM.encode()), (b"authorization", basic("svc-a", SECRET))]
    answer = await asked.send(body.encode(), headers=headers)
    assert answer.claims["aud"] == [API, OTHER_API]
    assert {resource for _, resource, _ in asked.usage.take().grants} == {API, OTHER_API}


@pytest.mark.rfc("8707-2-1")
@pytest.mark.parametrize(
    ("client", "asked", "error", "reason", "said"),
    [
        (
            shared(several_resources=False),
            {},
            InvalidTarget,
            Reason.INVALID_TARGET,
            "one resource for each token",
        ),
        (
            shared(),
            {"scope": "ship"},
            InvalidScope,
            Reason.SCOPE_NOT_ALLOWED,
            "may ask for: write read",
        ),
        (
            shared(other=policy("shared", signing_alg="ES256")),
            {},
            InvalidTarget,
            Reason.RESOURCES_DIFFER,
            "differ",
        ),
        (
            shared(other=policy("shared", claims={"tier": 1})),
            {},
            InvalidTarget,
            Reason.RESOURCES_DIFFER,
            "differ",
        ),
        (
            shared(
                grants=(permission(API, scopes=("pay",)), permission(OTHER_API, scopes=("ship",)))
            ),
            {},
            InvalidScope,
            Reason.SCOPE_NOT_ALLOWED,
            "no default scope in common",
        ),
        (
            shared(),
            {"authorization_details": json.dumps([PAYMENT])},
            InvalidAuthorizationDetails,
            Reason.DETAILS_NOT_ALLOWED,
            "may ask for the types of authorization details: shared",
        ),
    ],
)
def test_resources_that_cannot_share_a_token_are_refused(client, asked, error, reason, said):
    """What one of them does not have, or has otherwise, no token for both can say."""
    with pytest.raises(error) as refused:
        decide(API, OTHER_API, on=client, **asked)
    assert said in refused.value.description
    assert (refused.value.client_id, refused.value.reason) == (client.client_id, reason)


@pytest.mark.parametrize("resources", [(API, "https://no.example"), (API, "relative")])
def test_each_of_several_resources_is_the_clients(resources):
    """An unknown one is not left out."""
    with pytest.raises(InvalidTarget):
        decide(*resources, on=shared())


def test_the_shortest_life_counts():
    """Of the client and of each resource."""
    client = shared(one=policy("shared", token_ttl=500), other=policy("shared", token_ttl=60))
    assert decide(API, OTHER_API, on=client).token_ttl == 60
    assert decide(API, on=client).token_ttl == 500
