"""Unit tests of `watchword.provider.published_status`: the provider's APIs know its lists."""

import asyncio

import pytest

from issuer.config import IssuerConfig
from issuer.status.lists import StatusLists
from issuer.status.positions import PART, Position, Status, StatusChange, status_claim
from resource_api import InvalidToken, Reason, ResourcePolicy
from resource_api.errors import StatusUnavailable
from resource_api.validator import TokenValidator, TrustedIssuer
from watchword.provider.published_keys import PublishedKeys
from watchword.provider.published_status import PublishedStatuses
from watchword.testing.clock import Clock
from watchword.testing.forge import ISSUER, NOW, RESOURCE, TokenForge

CONFIG = IssuerConfig(issuer=ISSUER + "/", outage_seconds=600)
BUCKET = NOW // 1800 + 1
URI = f"{ISSUER}/status-lists/{BUCKET}-1"


class Provider:
    """Lists that follow a registry, and what an API sees of them."""

    def __init__(self) -> None:
        """Start; the registry was not read yet."""
        self.lists = StatusLists(longest=3600)
        self.clock = Clock(NOW)
        self.statuses = PublishedStatuses(self.lists, CONFIG, clock=self.clock)

    def look(self, *changes: tuple[int, Status]) -> None:
        """Read the registry, which has these changes of single indexes of the bucket."""
        told = [
            StatusChange(number, BUCKET, index, 1, status)
            for number, (index, status) in enumerate(changes, 1)
        ]
        self.lists.apply(told, int(self.clock()), counts={BUCKET: 2 * PART})


@pytest.mark.attack("V40")
async def test_a_revoked_token_is_refused_at_once():
    """As soon as this process has read the change, remembered or not, and no other token is."""
    provider, forge = Provider(), TokenForge()
    provider.look()
    policy = ResourcePolicy(issuer=ISSUER, resource=RESOURCE)
    keys = PublishedKeys(lambda: type("Document", (), {"body": forge.jwks_document}))
    trusted = TrustedIssuer(policy, keys, provider.statuses)
    validator = TokenValidator([trusted], clock=provider.clock)
    position = Position(BUCKET, PART + 5)
    token = forge.token(status=status_claim(position, CONFIG.base))
    assert await validator.validate(token)
    assert validator.cached(token)
    provider.look((4, Status.INVALID), (PART + 6, Status.INVALID))
    assert validator.cached(token)
    for status, reason in (
        (Status.SUSPENDED, Reason.TOKEN_SUSPENDED),
        (Status.INVALID, Reason.TOKEN_REVOKED),
    ):
        provider.look((position.index, status))
        assert validator.cached(token) is None
        with pytest.raises(InvalidToken) as caught:
            await validator.validate(token)
        assert caught.value.reason is reason


async def test_a_list_is_a_million_long():
    """What lies beyond has no status."""
    provider = Provider()
    provider.look((2 * PART - 1, Status.INVALID))
    statuses = provider.statuses.current(URI)
    assert [statuses.status(idx) for idx in (0, PART - 1, PART)] == [0, 1, None]
    assert provider.statuses.current(URI) is statuses


@pytest.mark.parametrize(
    "uri",
    [
        f"{BUCKET}-1",
        f"{ISSUER}/{BUCKET}-1",
        f"{ISSUER}/status-lists/",
        f"{ISSUER}/status-lists/{BUCKET}",
        f"{ISSUER}/status-lists/{BUCKET}-1/",
        f"{ISSUER}/status-lists/{BUCKET}-1?",
    ],
)
async def test_what_this_issuer_does_not_write_is_no_list(uri: str):
    """A token with such a list is refused."""
    provider = Provider()
    provider.look()
    assert provider.statuses.current(uri) is None
    with pytest.raises(InvalidToken) as caught:
        await provider.statuses.get(uri)
    assert caught.value.reason is Reason.INVALID_STATUS


async def test_the_first_look_at_the_registry_is_waited_for():
    """A worker that has just started refuses nothing for lack of it."""
    provider = Provider()
    assert provider.statuses.current(URI) is None
    waiting = asyncio.create_task(provider.statuses.get(URI))
    await asyncio.sleep(0)
    provider.look()
    assert (await waiting).status(0) == 0
    await provider.statuses.aclose()


async def test_without_the_registry_lists_count_as_long_as_served_ones(monkeypatch):
    """Then nobody can say that a token was not revoked."""
    monkeypatch.setattr("watchword.provider.published_status.WAITS", 1)
    provider = Provider()
    with pytest.raises(StatusUnavailable):
        await provider.statuses.get(URI)
    provider.look()
    provider.clock.advance(CONFIG.status_list_life - 1)
    assert provider.statuses.current(URI) is not None
    provider.clock.advance(1)
    assert provider.statuses.current(URI) is None
    with pytest.raises(StatusUnavailable):
        await provider.statuses.get(URI)


async def test_lists_that_are_known_are_bounded():
    """Those of buckets that ended are let go."""
    provider = Provider()
    provider.look()
    for bucket in range(200):
        assert provider.statuses.current(f"{ISSUER}/status-lists/{BUCKET + bucket}-0") is not None
    assert len(provider.statuses._known) <= 64
