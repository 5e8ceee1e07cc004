"""Faults that can be planted, to show that the simulation finds them."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from keys.jwks import JwkSet
from keys.lifecycle import Plan
from keys.remote.answer import Fetched
from keys.remote.jwks_client import FetchJwks, JwksClient
from keys.ring import RingKey, RingPolicy
from tests.simulation.issuer_side import Store
from tests.simulation.world import Parts


class _SignAtOnce(RingPolicy):
    """A successor signs as soon as it is made."""

    @property
    def publish_ahead(self) -> int:
        return 0


class _KeepTooShort(RingPolicy):
    """A key leaves the set while tokens that it signed are valid."""

    @property
    def keep(self) -> int:
        return self.longest_token // 2


class _CacheNotFound(JwksClient):
    """A 404 counts as a key set without keys."""

    def _parse(self, answer: Fetched) -> JwkSet | None:
        return JwkSet(keys=()) if answer.status == 404 else super()._parse(answer)


class _NeverRevalidates(JwksClient):
    """A validator that ignores how often the issuer wants to be asked."""

    def __init__(self, fetch: FetchJwks, **options: Any) -> None:
        async def fetch_without_interval(etag: str | None) -> Fetched:
            return replace(await fetch(etag), revalidate=None)

        super().__init__(fetch_without_interval, **options)


class _PlanOnWhatWasRead(Store):
    """A change is planned on the keys that the node read last, not under the lock."""

    def apply(
        self,
        who: str,
        why: str,
        plan_of: Callable[[tuple[RingKey, ...]], Plan],
        seen: tuple[RingKey, ...],
    ) -> None:
        self.carry_out(who, why, plan_of(seen))


FAULTS: Mapping[str, Parts] = {
    "sign-at-once": Parts(policy=_SignAtOnce),
    "keep-too-short": Parts(policy=_KeepTooShort),
    "cache-404": Parts(client=_CacheNotFound),
    "never-revalidate": Parts(client=_NeverRevalidates),
    "both-rotate": Parts(store=_PlanOnWhatWasRead),
}
"""The parts with a fault in them, by the name of the fault."""
