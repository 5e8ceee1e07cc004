"""Tokens that are shown at the moments where a wrong rule would be noticed."""

import asyncio
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from issuer.access_token import assemble, build_signing_input, header_segment
from tests.simulation.issuer_side import ALG, ISSUER, Node
from tests.simulation.scenario import COOLDOWN, EPOCH, FETCH_TIMEOUT

if TYPE_CHECKING:
    from tests.simulation.api_side import Validator
    from tests.simulation.world import World

_AROUND = 0.6
"""Seconds before a key signs in which the last token of the one before it is issued."""
_TOKENS_OF_A_KEY = 3


class Probes:
    """Issues the last and first tokens of keys, and shows them early, late and too late."""

    def __init__(self, world: "World") -> None:
        """Prepare."""
        self._world = world
        self._changed = asyncio.Event()
        world.store.listeners.append(self._changed)
        self._dated: set[tuple[str, int]] = set()

    async def live(self) -> None:
        """Watch for every date that a key gets."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            for key in self._world.store.ring:
                if key.signs_from is not None and (key.kid, key.signs_from) not in self._dated:
                    self._dated.add((key.kid, key.signs_from))
                    for node in self._world.nodes:
                        begins = key.signs_from - EPOCH - node.skew
                        self._world.at(begins - _AROUND, partial(self._issue, node))
                        self._world.at(begins + 0.001, partial(self._issue, node))
                        self._world.at(begins + _AROUND, partial(self._issue, node))

    async def _issue(self, node: Node) -> None:
        world = self._world
        if node.is_down:
            return
        token = await node.token(world.scenario.settings.longest_token)
        if token is None:
            return
        now, settings = world.now(), world.scenario.settings
        await self._show_to_all(token)
        middle = now + world.chance.uniform(0, settings.longest_token)
        world.at(middle, partial(self._show_to_all, token))
        for validator in world.validators:
            # What the validator's clock shows then is the end of the token and the leeway.
            end = now + node.skew + settings.longest_token + settings.leeway - validator.traits.skew
            for moment in (end - settings.leeway, end - 2, end + 0.5):
                world.at(moment, partial(self._show, validator, token))

    async def _show_to_all(self, token: str) -> None:
        for validator in self._world.validators:
            self._world.start(self._show(validator, token))

    async def _show(self, validator: "Validator", token: str) -> None:
        await validator.judge(token)

    async def revoke(self, node: Node, choice: int) -> None:
        """Withdraw a key of the ring; show its tokens just before, and after every bound.

        Args:
            node: where it is done.
            choice: 0 for the key that signed last, 1 for any other that signed, 2 for any.
        """
        world = self._world
        if world.chance.random() < 0.5:
            await self._wait_for_the_cache()
        used = [kid for kid in reversed(world.by_key) if world.by_key[kid]]
        every = [key.kid for key in world.store.ring]
        kids = (used[:1], used[1:] or used, every)[choice] or every
        kid = world.chance.choice(kids)
        tokens = world.by_key[kid][-_TOKENS_OF_A_KEY:]
        for token in tokens:
            await self._show_to_all(token)
        node.revoke(kid)
        for token in tokens:
            for moment in self._moments_after_withdrawal():
                world.at(moment, partial(self._show_to_all, token))

    async def _wait_for_the_cache(self) -> None:
        """Wait until the shared cache has just been filled: a change is known latest then."""
        world = self._world
        world.cdn.filled.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(world.scenario.settings.status_ttl):
                await world.cdn.filled.wait()

    def _moments_after_withdrawal(self) -> list[float]:
        settings, now = self._world.scenario.settings, self._world.now()
        one_more_try = COOLDOWN + FETCH_TIMEOUT + 1
        bounds = (
            settings.status_ttl - settings.status_ttl // 2 + 1,
            settings.status_ttl + 1,
            settings.max_age + 1,
            settings.status_ttl + 1 + one_more_try,
            settings.max_age + settings.stale_for,
        )
        return [now + bound + 0.01 for bound in bounds]

    async def forge(self, validator: "Validator", count: int) -> None:
        """Show tokens of keys that do not exist, and as many with a key that does, for a minute."""
        claims: dict[str, object] = {"iss": ISSUER, "jti": "forged", "exp": EPOCH}
        for number in range(count):
            for kid in (f"forged-{number}", self._world.store.ring[0].kid):
                message = build_signing_input(header_segment(ALG, kid), claims)
                self._world.start(self._show(validator, assemble(message, b"not a signature")))
            await asyncio.sleep(60 / count)
