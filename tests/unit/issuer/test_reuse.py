"""Unit tests of `issuer.reuse`: when a request gets a token that another one got before."""

from dataclasses import replace
from types import MappingProxyType

import pytest
from pydantic import ValidationError

from issuer.client_request import ClientPassword, Evidence
from issuer.errors import Reason
from issuer.grants.authorization import Authorization
from issuer.registry.client import ClientRegistration, ResourcePermission
from issuer.registry.resource import TokenPolicy
from issuer.reuse import ReusedTokens, reuse_window, same_thing
from issuer.status.lists import StatusLists
from keys.signers.local import LocalSigner
from tests.support.assertions import evidence_of, make_assertion
from tests.support.dpop import ProofForge
from tests.support.issuer import (
    API,
    ISSUER,
    NOW,
    OTHER_API,
    SECRET,
    Clients,
    TestIssuer,
    basic,
    make_client,
    make_secret,
)
from tests.support.keys import public_rsa_jwk, rsa_key

SCOPE = {"scope": "read"}
GRANTS = tuple(ResourcePermission(resource=on, scopes=("read", "write")) for on in (API, OTHER_API))


def issuer_with(**client: object) -> TestIssuer:
    """Make an issuer whose client has a reuse window of a minute, unless it says otherwise."""
    return TestIssuer(clients=Clients(make_client(**{"reuse_window": 60, **client})))


async def tokens_of(issuer: TestIssuer, *seconds: int) -> list[str]:
    """Ask for the same at several times; returns the tokens."""
    found = []
    for later in seconds:
        issuer.now = NOW + later
        found.append((await issuer.ask(SCOPE)).json["access_token"])
    return found


async def test_without_a_window_every_token_is_a_new_one():
    """Off by default, and then nothing is remembered."""
    issuer = TestIssuer()
    assert len(set(await tokens_of(issuer, 0, 0, 0))) == 3
    assert len(issuer.reused) == 0
    assert all(fields["reused"] is None for _, fields in issuer.events)


async def test_the_same_request_gets_the_same_token_for_a_while():
    """`expires_in` is what is left; the log has the same `jti`, and says that it is reused."""
    issuer = issuer_with()
    answers = []
    for second in (0, 1, 59):
        issuer.now = NOW + second
        answers.append(await issuer.ask(SCOPE))
    assert {answer.json["access_token"] for answer in answers} == {answers[0].json["access_token"]}
    assert [answer.json["expires_in"] for answer in answers] == [3600, 3599, 3541]
    assert {answer.json["scope"] for answer in answers} == {"read"}
    assert [(name, fields["jti"], fields["reused"]) for name, fields in issuer.events] == [
        ("token.issued", "jti-1", None),
        ("token.issued", "jti-1", True),
        ("token.issued", "jti-1", True),
    ]
    assert issuer.usage.take().credentials == {("svc-a", "s1"): NOW}


async def test_the_log_names_the_secret_of_the_request_and_not_of_the_token():
    """A token that was made for one secret may be given again for another of the client."""
    another = "wws_" + "another" * 6
    issuer = issuer_with(secrets=(make_secret(), make_secret(another, secret_id="s2")))
    for secret in (SECRET, another, another):
        await issuer.ask(auth=basic("svc-a", secret))
    told = [(fields["jti"], fields["secret_id"]) for _, fields in issuer.events]
    assert told == [("jti-1", "s1"), ("jti-1", "s2"), ("jti-1", "s2")]


@pytest.mark.parametrize(
    ("of_client", "of_resource", "ttl", "until"),
    [
        (60, None, 3600, 60),
        (None, 60, 3600, 60),
        (60, 30, 3600, 30),
        (30, 60, 3600, 30),
        (60, 0, 3600, 0),
        (0, 60, 3600, 0),
        (60, None, 60, 30),
        (60, None, 61, 31),
        (60, None, 1, 1),
    ],
)
async def test_the_shorter_window_counts_and_half_of_the_life(of_client, of_resource, ttl, until):
    """Either side can switch it off; who gets a token gets more than half of its life."""
    issuer = issuer_with(
        reuse_window=of_client,
        token_ttl=ttl,
        policies={API: TokenPolicy(reuse_window=of_resource)},
    )
    first, last, after = await tokens_of(issuer, 0, max(until - 1, 0), until)
    assert (last == first) is (until > 0)
    assert after != first


async def test_a_clock_that_was_set_back_proves_nothing():
    """The token may be from a future that another node does not know."""
    first, before = await tokens_of(issuer_with(), 0, -1)
    assert first != before


@pytest.mark.parametrize("seconds", [-1, 3601, 1.5, True, "60"])
def test_a_window_has_at_most_an_hour(seconds):
    """Longer than that no change of anything should wait for a token to end."""
    for make in (lambda **given: ClientRegistration(client_id="a", **given), TokenPolicy):
        with pytest.raises(ValidationError):
            make(reuse_window=seconds)


async def test_another_thing_is_another_token():
    """Scopes after defaulting, and the resource, are compared; how they were asked for is not."""
    issuer = issuer_with(
        grants=GRANTS, policies=dict.fromkeys((API, OTHER_API), TokenPolicy()), reuse_window=60
    )
    forms = [SCOPE, {"scope": "write"}, {"scope": "write read"}, SCOPE | {"resource": OTHER_API}]
    different = [(await issuer.ask(form)).json["access_token"] for form in forms]
    assert len(set(different)) == 4
    everything = (await issuer.ask()).json["access_token"]
    assert everything not in different
    same = [
        (await issuer.ask({"scope": "read write"})).json["access_token"],
        (await issuer.ask({"scope": "read write", "resource": API})).json["access_token"],
        (await issuer.ask({"client_id": "svc-a"})).json["access_token"],
    ]
    assert set(same) == {everything}


async def test_another_client_gets_another_token():
    """Whatever it asks for."""
    other = make_client("svc-b", reuse_window=60)
    issuer = TestIssuer(clients=Clients(make_client(reuse_window=60), other))
    one = await issuer.ask(SCOPE)
    two = await issuer.ask(SCOPE, auth=basic("svc-b", SECRET))
    assert (one.claims["sub"], two.claims["sub"]) == ("svc-a", "svc-b")


async def test_a_wrong_secret_gets_nothing_of_what_was_kept():
    """RFC 6749 §3.2.1: the client is authenticated each time."""
    issuer = issuer_with()
    await tokens_of(issuer, 0, 0, 0)
    assert (await issuer.ask(SCOPE, auth=basic("svc-a", "wrong"))).status == 401
    issuer.clients.known.clear()
    issuer.clients.stored.clear()
    assert (await issuer.ask(SCOPE)).status == 401


@pytest.mark.parametrize(
    "change",
    [
        {"revision": 2},
        {"policies": {API: TokenPolicy(claims={"tier": 1})}},
        {"registration": ClientRegistration(client_id="svc-a", grants=GRANTS[:1], reuse_window=9)},
    ],
)
async def test_a_change_of_the_client_ends_its_tokens(change):
    """At once, with the view's next state; an equal one, read again, is no change."""
    issuer = issuer_with()
    first, again = await tokens_of(issuer, 0, 0)
    client = issuer.clients.known["svc-a"]
    issuer.clients.known["svc-a"] = same = replace(client)
    assert await tokens_of(issuer, 0, 0) == [first, again] == [first, first]
    (kept,) = issuer.reused._kept.values()
    assert kept.client is same
    issuer.clients.known["svc-a"] = replace(client, **change)
    assert first not in await tokens_of(issuer, 0, 0)


@pytest.mark.parametrize("ending", [{"disabled": True}, {"expires_at": 1}])
async def test_a_client_that_may_not_ask_gets_nothing(ending):
    """Not even the token that it has."""
    issuer = issuer_with()
    await tokens_of(issuer, 0, 0)
    client = issuer.clients.known["svc-a"]
    ended = replace(client, registration=replace(client.registration, **ending))
    issuer.clients.known["svc-a"] = issuer.clients.stored["svc-a"] = ended
    assert (await issuer.ask(SCOPE)).status == 401


async def test_a_secret_that_ends_is_not_remembered_longer():
    """Though the client is the same, and another secret of it is live."""
    secrets = (make_secret(expires_at=NOW + 5), make_secret("w" * 40, secret_id="s2"))
    issuer = issuer_with(secrets=secrets)
    await tokens_of(issuer, 0, 0, 4)
    issuer.now = NOW + 5
    assert (await issuer.ask(SCOPE)).status == 401
    assert (await issuer.ask(SCOPE, auth=basic("svc-a", "w" * 40))).status == 200


async def test_a_client_that_the_view_expires_gets_nothing_from_memory():
    """`expires_at` needs no change of the registration."""
    issuer = issuer_with(expires_at=NOW + 5)
    await tokens_of(issuer, 0, 0, 4)
    issuer.now = NOW + 5
    assert (await issuer.ask(SCOPE)).status == 401


async def test_the_key_of_the_moment_has_signed_every_token():
    """One that was withdrawn, or does not sign any more, ends the tokens that it signed."""
    issuer = issuer_with()
    first, again = await tokens_of(issuer, 0, 0)
    assert first == again
    issuer.keys.key = LocalSigner(public_rsa_jwk(1).kid, "RS256", rsa_key(1))
    second, third = await tokens_of(issuer, 0, 0)
    assert (second == third, second == first) == (True, False)
    issuer.keys.key = None
    refused = await issuer.ask(SCOPE)
    assert (refused.status, issuer.events[-1][1]["reason"]) == (503, Reason.NO_SIGNING_KEY)


async def test_a_further_header_field_changes_nothing_but_the_way():
    """A request that differs in anything is parsed; fields for tracing do not count."""
    issuer = issuer_with()
    (first,) = await tokens_of(issuer, 0)
    usual = [
        (b"content-type", b"application/x-www-form-urlencoded"),
        (b"authorization", basic("svc-a", SECRET)),
    ]
    body = b"grant_type=client_credentials&scope=read"
    for field in ((b"x", b"1"), (b"traceparent", b"1"), (b"traceparent", b"2")):
        for _ in range(2):
            answer = await issuer.send(body, headers=[*usual, field])
            assert answer.json["access_token"] == first
    twice = [*usual, (b"authorization", basic("svc-a", SECRET))]
    assert (await issuer.send(body, headers=twice)).status == 400
    assert (await issuer.send(body, headers=usual, query=b"client_secret=x")).status == 400


@pytest.mark.parametrize(
    ("evidence", "may"),
    [
        (Evidence(basic=ClientPassword("a", "b")), True),
        (Evidence(secret_post=ClientPassword("a", "b")), True),
        (evidence_of(make_assertion()), False),
        (Evidence(basic=ClientPassword("a", "b"), dpop_proofs=(b"p",)), False),
        (Evidence(basic=ClientPassword("a", "b"), peer_certificate=b"c"), False),
    ],
)
def test_a_proof_that_counts_once_is_not_remembered(evidence, may):
    """RFC 7523 §3, RFC 9449 §11.1: a replayed request must reach the check of its proof."""
    assert evidence.may_repeat is may


async def test_a_request_with_a_dpop_proof_is_read_each_time():
    """The same request again is a proof that was used before; another proof is another request."""
    issuer = issuer_with()
    usual = [
        (b"content-type", b"application/x-www-form-urlencoded"),
        (b"authorization", basic("svc-a", SECRET)),
    ]
    body = b"grant_type=client_credentials"
    sender = ProofForge(url=f"{ISSUER}/token", now=NOW)
    proven = [[*usual, (b"dpop", sender.proof())] for _ in range(2)]
    for fields, status in (*((each, 200) for each in (usual, *proven)), (proven[0], 400)):
        assert (await issuer.send(body, headers=fields)).status == status
    assert not issuer.reused._seen
    for _ in range(2):
        await issuer.send(body, headers=usual)
    assert len(issuer.reused._seen) == 1


def test_requests_that_differ_have_other_fingerprints():
    """Wherever a byte of one could be taken for a byte of another part."""
    reused = ReusedTokens(StatusLists(longest=60), memo_key=bytes(32))
    reused._in_use = True
    requests = [
        ([(b"a", b"b")], b"", b"c"),
        ([(b"a", b"b")], b"c", b""),
        ([(b"a", b"b"), (b"c", b"")], b"", b""),
        ([], b"a:b", b"c"),
        ([], b"a:b", b"\nc"),
        ([(b"a", b"b")], b"", b"\nc"),
        ([(b"a", b"b:c")], b"", b""),
        ([(b"a", b"b"), (b"a", b"b")], b"", b"c"),
    ]
    assert len({reused.fingerprint(*request) for request in requests}) == len(requests)
    other = ReusedTokens(StatusLists(longest=60), memo_key=b"\1" * 32)
    assert other.fingerprint(*requests[0]) is None
    other._in_use = True
    assert other.fingerprint(*requests[0]) != reused.fingerprint(*requests[0])


AUTHORIZATION = Authorization(
    subject="svc-a", client_id="svc-a", resource=API, scopes=("read",), token_ttl=60
)


def test_what_is_the_same_is_compared_as_json():
    """Objects have no order, and 1 is not true."""
    one = AUTHORIZATION._replace(authorization_details=({"type": "pay", "limit": 1},))
    two = AUTHORIZATION._replace(authorization_details=({"limit": 1, "type": "pay"},))
    three = AUTHORIZATION._replace(authorization_details=({"limit": True, "type": "pay"},))
    assert same_thing("g", one) == same_thing("g", two) != same_thing("g", three)
    bound = AUTHORIZATION._replace(confirmation={"jkt": "a"})
    assert len({same_thing("g", each) for each in (AUTHORIZATION, bound, one, three)}) == 4
    read_only = bound._replace(confirmation=MappingProxyType({"jkt": "a"}))
    assert same_thing("g", read_only) == same_thing("g", bound)
    assert same_thing("g", AUTHORIZATION) != same_thing("h", AUTHORIZATION)
    assert same_thing("g", AUTHORIZATION) == same_thing("g", AUTHORIZATION._replace())


@pytest.mark.parametrize(
    ("of_client", "of_resources", "window"),
    [(60, (30, 20), 20), (None, (None, 20), 20), (60, (None, None), 60), (None, (None, None), 0)],
)
def test_of_several_resources_the_shortest_window_counts(of_client, of_resources, window):
    """Each can switch it off."""
    policies = {
        resource: TokenPolicy(reuse_window=seconds)
        for resource, seconds in zip((API, OTHER_API), of_resources, strict=True)
    }
    client = make_client(reuse_window=of_client, policies=policies)
    both = AUTHORIZATION._replace(further_resources=(OTHER_API,))
    assert reuse_window(client, both) == window


def test_a_token_for_another_subject_is_always_a_new_one():
    """RFC 8693: it rests on the token that was shown for it, whose end must not be missed."""
    client = make_client(reuse_window=60)
    assert reuse_window(client, AUTHORIZATION) == 60
    assert reuse_window(client, AUTHORIZATION._replace(subject="user-1")) == 0
    assert reuse_window(client, AUTHORIZATION._replace(actor={"sub": "svc-b"})) == 0
    assert reuse_window(make_client(), AUTHORIZATION) == 0
