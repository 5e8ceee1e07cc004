"""Unit tests of `issuer.reuse`: what is shared, kept and forgotten."""

import asyncio

import pytest

from issuer.access_token import IssuedToken
from issuer.errors import Reason, TemporarilyUnavailable
from issuer.reuse import ReusedTokens, Wanted
from issuer.status.lists import StatusLists
from issuer.status.positions import Position, Status, StatusChange, new_jti
from keys.signers.local import LocalSigner
from tests.support.issuer import NOW, OneKey, TestIssuer, make_client
from tests.support.keys import public_rsa_jwk, rsa_key
from tests.unit.issuer.test_reuse import SCOPE, issuer_with

POSITION = Position(NOW // 1800 + 3, 7)


class CountingKey(OneKey):
    """Signs when it is let, and counts."""

    def __init__(self) -> None:
        super().__init__()
        self.signatures = 0
        self.fault: Exception | None = None
        self.let = asyncio.Event()
        self.kid, self.alg = public_rsa_jwk().kid, "RS256"
        self._signer = LocalSigner(self.kid, self.alg, rsa_key())
        self.key = self

    async def sign(self, signing_input: bytes) -> bytes:
        """Wait, then sign or fail."""
        self.signatures += 1
        await self.let.wait()
        if self.fault is not None:
            raise self.fault
        return await self._signer.sign(signing_input)


async def begun(issuer: TestIssuer, count: int) -> "list[asyncio.Task[object]]":
    """Begin several requests for the same at once."""
    tasks = [asyncio.ensure_future(issuer.ask(SCOPE)) for _ in range(count)]
    for _ in range(5):
        await asyncio.sleep(0)
    return tasks


async def test_who_asks_at_once_shares_one_signature():
    """The others' events say that their token is reused."""
    issuer = issuer_with()
    issuer.keys = keys = CountingKey()
    tasks = await begun(issuer, 8)
    keys.let.set()
    answers = await asyncio.gather(*tasks)
    assert keys.signatures == 1
    assert len({answer.json["access_token"] for answer in answers}) == 1
    reused = [fields["reused"] for _, fields in issuer.events]
    assert sorted(reused, key=str) == [None] + [True] * 7


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (TemporarilyUnavailable(Reason.SIGNER_UNAVAILABLE), 503),
        (RuntimeError("x"), 500),
        (ConnectionResetError("of the signer's, and not the client's"), 500),
    ],
)
async def test_a_failure_reaches_all_who_wait_and_is_not_kept(fault, status):
    """The next request tries again."""
    issuer = issuer_with()
    issuer.keys = keys = CountingKey()
    keys.fault = fault
    tasks = await begun(issuer, 3)
    keys.let.set()
    assert [answer.status for answer in await asyncio.gather(*tasks)] == [status] * 3
    assert (keys.signatures, len(issuer.reused)) == (1, 0)
    keys.fault = None
    assert (await issuer.ask(SCOPE)).status == 200


async def test_who_goes_away_takes_no_token_along():
    """The others, who wait for it too, get it."""
    issuer = issuer_with()
    issuer.keys = keys = CountingKey()
    first, *others = await begun(issuer, 3)
    first.cancel()
    keys.let.set()
    assert [answer.status for answer in await asyncio.gather(*others)] == [200, 200]
    assert (keys.signatures, first.cancelled()) == (1, True)


async def test_a_client_that_changes_meanwhile_has_a_token_of_its_own():
    """What is being made for the client as it was is neither given to it nor kept."""
    issuer = issuer_with()
    issuer.keys = keys = CountingKey()
    before = await begun(issuer, 1)
    issuer.clients.known["svc-a"] = make_client(reuse_window=60, revision=2, claims={"tenant": "b"})
    after = await begun(issuer, 2)
    keys.let.set()
    old, *new = await asyncio.gather(*before, *after)
    assert keys.signatures == 2
    assert "tenant" not in old.claims
    assert {answer.claims["tenant"] for answer in new} == {"b"}
    assert (await issuer.ask(SCOPE)).claims["tenant"] == "b"


def token_at(jti: str) -> IssuedToken:
    """Make a token that was issued."""
    return IssuedToken("aaa.bbb.ccc", "svc-a", ("read",), 3600, jti, "k", "Bearer")


def lists_with(*changes: StatusChange, read: bool = True) -> StatusLists:
    """Make status lists as the registry tells of them."""
    lists = StatusLists(longest=86_400)
    if read:
        lists.apply(changes, NOW, counts={POSITION.bucket: 100})
    return lists


def change(number: int, status: Status, first: int = POSITION.index) -> StatusChange:
    """Change the status of one token."""
    return StatusChange(number, POSITION.bucket, first, 1, status)


@pytest.mark.parametrize(
    ("lists", "again"),
    [
        (lists_with(), True),
        (lists_with(change(1, Status.INVALID, first=8)), True),
        (lists_with(change(1, Status.SUSPENDED), change(2, Status.VALID)), True),
        (lists_with(change(1, Status.INVALID)), False),
        (lists_with(change(1, Status.SUSPENDED)), False),
        (lists_with(read=False), False),
    ],
)
async def test_only_a_token_that_is_valid_is_given_again(lists, again):
    """Token Status List §7.1; as long as nothing is known of the statuses, none is."""
    reused = ReusedTokens(lists, memo_key=bytes(32))
    wanted = Wanted("x", make_client(), "k", NOW)

    async def make() -> IssuedToken:
        return token_at(new_jti(POSITION, bytes))

    assert not (await reused.get(wanted, 60, make)).reused
    assert (await reused.get(wanted, 60, make)).reused is again
    assert repr(reused) == "ReusedTokens(1 kept)"


async def test_what_is_remembered_is_bounded():
    """The least recently used goes first: a client can ask for many different things."""
    reused = ReusedTokens(lists_with(), memo_key=bytes(32), bound=2)
    client = make_client()

    async def make() -> IssuedToken:
        return token_at("j")

    async def is_kept(what: str) -> bool:
        return (await reused.get(Wanted(what, client, "k", NOW), 60, make)).reused

    assert [await is_kept(what) for what in "ababca"] == [False, False, True, True, False, False]
    assert len(reused) == 2
    for fingerprint in (b"1", b"2"):
        reused.remember(fingerprint, ())
    assert reused.recall(b"1") == ()
    reused.remember(b"3", ())
    assert [reused.recall(each) for each in (b"1", b"2", b"3")] == [(), None, ()]


async def test_a_task_that_is_cancelled_keeps_nothing():
    """At the end of the process, for one."""
    reused = ReusedTokens(lists_with(), memo_key=bytes(32))

    async def make() -> IssuedToken:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await reused.get(Wanted("x", make_client(), "k", NOW), 60, make)
    await asyncio.sleep(0)
    assert len(reused) == 0
