"""Objects that were made with the same arguments share one token."""

import gc
import ssl
from collections import Counter

import httpx
import pytest

from consumer import ClientSecretPost, shared_flows
from consumer.auth import ClientCredentials, TokenSource
from consumer.token_files import TokenFiles
from tests.support.consumer_flow import ISSUER
from watchword.testing.clock import Clock

TOKEN = {"token_type": "Bearer", "expires_in": 3600}


class Issuer:
    """Gives out numbered tokens."""

    def __init__(self):
        self.requests = Counter()
        self.transport = httpx.MockTransport(self)

    def __call__(self, request):
        self.requests[str(request.url)] += 1
        return httpx.Response(200, json=TOKEN | {"access_token": f"t{self.requests.total()}"})


@pytest.fixture
def issuer():
    """An issuer of its own for each test."""
    return Issuer()


CLOCK = Clock(1000)


def make(issuer, kind=ClientCredentials, **changes):
    """Make an object whose token requests go to this issuer."""
    options = {
        "client_id": "id",
        "client_secret": "s3cret",
        "scope": "read",
        "resource": "https://api.example",
        "token_endpoint": f"{ISSUER}/token",
        "transport": issuer.transport,
        "clock": CLOCK,
    } | changes
    return kind(ISSUER, **options)


def test_the_same_arguments_share_one_token(issuer):
    """Whichever class they are of."""
    objects = [make(issuer), make(issuer), make(issuer, TokenSource), make(issuer, scope=["read"])]
    assert {each.token().value for each in objects} == {"t1"}


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "other"},
        {"client_secret": "other"},
        {"scope": "write"},
        {"resource": None},
        {"authorization_details": [{"type": "payment"}]},
        {"token_endpoint": f"{ISSUER}/other"},
        {"transport": Issuer().transport},
        {"verify": ssl.create_default_context()},
        {"clock": Clock(1000)},
        {"client": ClientSecretPost("id", "s3cret"), "client_id": None, "client_secret": None},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_others_do_not(issuer, changes):
    """Above all, who knows another secret gets no token that was got with this one."""
    kept, other = make(issuer), make(issuer, **changes)
    kept.token()
    assert other.token() is not kept.token()


def test_nothing_outlives_the_objects(issuer):
    """Neither the token nor the secret, once the last object is gone."""
    gc.collect()
    before = len(shared_flows._flows)
    kept, other = make(issuer), make(issuer)
    other.token()
    assert len(shared_flows._flows) == before + 1
    del kept, other
    gc.collect()
    assert len(shared_flows._flows) == before
    assert make(issuer).token().value == "t2"


def test_a_sink_of_the_owner_keeps_nothing_alive(issuer):
    """Although it leads from the settings back to what they are the settings of."""

    class Service:
        def __init__(self):
            self.source = make(issuer, on_event=self.count)

        def count(self, event, /, **fields):
            """Count nothing."""

    gc.collect()
    before = len(shared_flows._flows)
    service = Service()
    assert service.source._flow is make(issuer, on_event=service.count)._flow
    del service
    gc.collect()
    assert len(shared_flows._flows) == before


def test_a_method_that_cannot_be_hashed_is_of_one_object(issuer):
    """There is no telling whether two of them are the same."""

    class Method(dict):
        def apply(self, form, headers, *, audience, now):
            """Add nothing."""

        def redact(self, text):
            return text

    options = {"client": Method(), "client_id": None, "client_secret": None}
    first, second = make(issuer, **options), make(issuer, **options)
    assert [first.token().value, second.token().value] == ["t1", "t2"]


class _WithAudience(ClientSecretPost):
    """Adds what the issuer wants to know, and says nothing of it when it is compared."""

    def __init__(self, audience):
        super().__init__("id", "s3cret")
        object.__setattr__(self, "audience", audience)

    def apply(self, form, headers, **about):
        super().apply(form, headers, **about)
        form["audience"] = self.audience


def test_a_method_that_inherits_its_equality_is_of_one_object(issuer):
    """Two that ask for different tokens would pass for the same, and get one token."""
    orders, bills = (
        make(issuer, client=_WithAudience(audience), client_id=None, client_secret=None)
        for audience in ("orders", "bills")
    )
    assert [orders.token().value, bills.token().value] == ["t1", "t2"]


def test_a_store_is_for_the_methods_that_say_all_by_which_tokens_differ(issuer, tmp_path):
    """Another one may ask for another token under the same name."""
    options = {"client_id": None, "client_secret": None, "store": TokenFiles(tmp_path)}
    with pytest.raises(ValueError, match="a store needs"):
        make(issuer, client=_WithAudience("orders"), **options)


def test_allowed_hosts_may_be_a_set(issuer):
    """As `allow_insecure_http` takes them."""
    options = {"allow_insecure_http": {"as.example"}}
    first, second = make(issuer, **options), make(issuer, **options)
    assert first.token() is second.token()
