"""Unit tests of `issuer.replay`, and of where requests for tokens and forms with tokens claim."""

import asyncio
from urllib.parse import urlencode

import pytest

from issuer.errors import InvalidClient, Reason, TemporarilyUnavailable
from issuer.replay import CLOCK_SKEW, Once, Replays
from keys.replay import ReplayStoreUnavailable
from tests.support.hot_store import SharedStore
from tests.support.issuer import FORM, NOW, SECRET, Clients, TestIssuer, basic, call, make_client


def once(id="jti", reason=Reason.WRONG_SECRET):
    """Make what counts once."""
    return Once("app", id, NOW + 60, InvalidClient(reason))


class Waiting:
    """A store that answers when all that is expected was asked for, as a batch is written."""

    def __init__(self, expected):
        self.expected = expected
        self.asked = 0
        self.complete = asyncio.Event()

    async def claim(self, scope, id, until):
        """Claim an id; "taken" is claimed already."""
        self.asked += 1
        if self.asked == self.expected:
            self.complete.set()
        await asyncio.wait_for(self.complete.wait(), 5)
        return id != "taken"


class Away:
    """A store of another engine than the database, which does not answer."""

    async def claim(self, scope, id, until):
        """Fail."""
        raise ReplayStoreUnavailable("away")


def test_every_outcome_is_counted_from_the_start():
    """A rate needs a first value, which is 0 also where nothing was ever replayed."""
    assert dict(Replays(SharedStore()).outcomes) == {"claimed": 0, "replayed": 0, "unavailable": 0}


async def test_one_of_all_requests_wins():
    """Whichever worker they are sent to; each other one is refused for what it showed again."""
    shared = SharedStore()
    workers = Replays(shared), Replays(shared)
    claims = [worker.claim(once()) for worker in workers for _ in range(5)]
    outcomes = await asyncio.gather(*claims, return_exceptions=True)
    assert outcomes.count(None) == 1
    assert [type(each) for each in outcomes if each] == [InvalidClient] * 9
    counted = [worker.outcomes for worker in workers]
    assert sum(each["claimed"] for each in counted) == 1
    assert sum(each["replayed"] for each in counted) == 9


async def test_all_of_a_request_is_claimed_together():
    """None is asked for after another, and the first that was lost is what is reported."""
    await Replays(Waiting(2)).claim(once("one"), once("two"))
    with pytest.raises(InvalidClient) as caught:
        await Replays(Waiting(3)).claim(
            once("one"), once("taken"), once("taken", Reason.UNKNOWN_CLIENT)
        )
    assert caught.value.reason is Reason.WRONG_SECRET


@pytest.mark.attack("T23")
async def test_nothing_counts_while_no_store_can_tell():
    """Neither the database nor another engine."""
    shared = SharedStore()
    shared.away = True
    for store in (shared, Away()):
        replays = Replays(store)
        with pytest.raises(TemporarilyUnavailable) as caught:
            await replays.claim(once())
        assert caught.value.reason is Reason.STORE_UNAVAILABLE
        assert replays.outcomes["unavailable"] == 1


class OnceOnly:
    """Authenticates as another does, by what counts once."""

    def __init__(self, authenticator):
        self.clients = authenticator.clients
        self._authenticator = authenticator

    async def authenticate(self, evidence, *, now):
        """Authenticate."""
        authenticated = await self._authenticator.authenticate(evidence, now=now)
        return authenticated._replace(once=(once(),))


def issuer_of_assertions():
    """Return an issuer whose clients authenticate by what counts once."""
    issuer = TestIssuer(Clients(make_client()))
    issuer._authenticator = OnceOnly(issuer.authenticator)
    return issuer


async def send_token(issuer, **form):
    """Revoke a token."""
    lines = [(b"content-type", FORM.encode()), (b"authorization", basic("svc-a", SECRET))]
    return await call(issuer.revocation, "POST", "/revoke", lines, urlencode(form).encode())


async def test_a_request_claims_last():
    """What is refused for another reason has used up nothing, and may be sent again."""
    issuer = issuer_of_assertions()
    assert (await issuer.ask({"scope": "unknown"})).status == 400
    key, issuer.keys.key = issuer.keys.key, None
    assert (await issuer.ask()).status == 503
    issuer.keys.key = key
    assert issuer.store.claims == []
    answers = [(await issuer.ask()).status for _ in range(2)]
    assert answers == [200, 401]
    assert issuer.store.claims == [("app", "jti", NOW + 60 + CLOCK_SKEW)] * 2
    assert list(issuer.usage.take().credentials) == [("svc-a", "s1")]


async def test_a_form_with_a_token_claims_as_well():
    """Each endpoint that authenticates clients does, and what was claimed at one counts at all."""
    issuer = issuer_of_assertions()
    assert (await send_token(issuer)).status == 400
    assert issuer.store.claims == []
    assert (await send_token(issuer, token="any")).status == 200
    assert (await send_token(issuer, token="any")).status == 401
    assert (await issuer.ask()).status == 401
    issuer.store.is_away = True
    assert (await send_token(issuer, token="any")).status == 503
