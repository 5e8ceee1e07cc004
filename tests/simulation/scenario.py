"""What happens in one run: the settings, who takes part, and when something is done or goes wrong.

A scenario is drawn from a seed and is a plain value, so a counterexample can be run again, and with
less in it.
"""

import random
from dataclasses import dataclass

EPOCH = 1_800_000_000
"""The wall clock, in seconds since the epoch, at the beginning of a run."""

_SKEW = 7
_READ_TIMES = (0.5, 3.0, 20.0)
_CLOCK_ERRORS = (-3600.0, 7200.0, 31_536_000.0)

COOLDOWN = 30
FETCH_TIMEOUT = 5
"""Seconds; as a validator has them unless it is configured otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of the issuer and of the validators, in seconds."""

    max_age: int
    status_ttl: int
    longest_token: int
    rotate_every: int
    leeway: int
    stale_for: int


@dataclass(frozen=True, slots=True)
class ValidatorTraits:
    """One validator: how its clock is set, and how it gets the key set."""

    skew: float
    through_cdn: bool
    told_interval: bool
    """Whether it read in the issuer's metadata how often to revalidate."""
    has_disk: bool
    """Whether it keeps a copy of the key set."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that is wrong from one moment to another.

    Args:
        kind: `outage`, `partition`, `loss`, `restart`, `slow_store` or `clock`.
        start: seconds since the beginning.
        end: seconds since the beginning.
        whom: the number of the validator or node; None for all.
        amount: seconds that reading the store takes, or by which a clock is set wrong.
    """

    kind: str
    start: float
    end: float
    whom: int | None = None
    amount: float = 0

    def affects(self, validator: int) -> bool:
        """Tell whether a validator may notice it."""
        return self.kind not in ("partition", "loss") or self.whom == validator


@dataclass(frozen=True, slots=True)
class Action:
    """Something that is done at one moment.

    Args:
        kind: `rotate`, `revoke`, `delete`, `restart_validator` or `forge`.
        at: seconds since the beginning.
        whom: the number of the node or validator.
        choice: how many nodes rotate at once; which key is revoked or deleted; whether the copy on
            disk survives; how many forged tokens come.
    """

    kind: str
    at: float
    whom: int = 0
    choice: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Everything about a run that is not decided by the product."""

    seed: int
    settings: Settings
    horizon: float
    node_skews: tuple[float, ...]
    validators: tuple[ValidatorTraits, ...]
    consumers: int
    troubles: tuple[Trouble, ...]
    actions: tuple[Action, ...]


def draw_scenario(seed: int) -> Scenario:
    """Draw a scenario; every one has rotations, a withdrawal and an outage."""
    draw = random.Random(seed)
    settings = _draw_settings(draw)
    # Long enough for a key to be prepared, to sign and to be gone; short in revalidations.
    life = 2 * settings.max_age + settings.longest_token + 60
    horizon = float(draw.randint(life, 2 * life))
    # The slack has to cover the differences of the nodes' clocks too, and the minute that a key is
    # kept beyond its last token has to cover those of all clocks beside the validators' leeway.
    skew = min(_SKEW, settings.max_age / 4)
    nodes = draw.randint(1, 3)
    validators = draw.randint(2, 3)
    return Scenario(
        seed=seed,
        settings=settings,
        horizon=horizon,
        node_skews=tuple(draw.uniform(-skew, skew) for _ in range(nodes)),
        validators=tuple(
            ValidatorTraits(
                skew=draw.uniform(-_SKEW, _SKEW),
                through_cdn=draw.random() < 0.5,
                told_interval=draw.random() < 0.8,
                has_disk=draw.random() < 0.5,
            )
            for _ in range(validators)
        ),
        consumers=2,
        troubles=_draw_troubles(draw, horizon, nodes, validators, settings),
        actions=_draw_actions(draw, horizon, nodes, validators),
    )


def _draw_settings(draw: random.Random) -> Settings:
    max_age = draw.choice((20, 40, 60, 120, 300))
    longest_token = draw.choice((30, 60, 120, 300))
    publish_ahead = max_age + min(60, max_age)
    return Settings(
        max_age=max_age,
        status_ttl=draw.choice((max_age // 4, max_age // 2, max_age)),
        longest_token=longest_token,
        rotate_every=draw.choice((0, publish_ahead, 2 * publish_ahead)),
        leeway=draw.choice((10, 30)),
        stale_for=draw.choice((30, 120, 3600)),
    )


def _draw_troubles(
    draw: random.Random, horizon: float, nodes: int, validators: int, settings: Settings
) -> tuple[Trouble, ...]:
    troubles = [_draw_outage(draw, horizon, settings)]
    for _ in range(draw.randint(0, 4)):
        kind = draw.choice(("outage", "partition", "loss", "restart", "slow_store", "clock"))
        if kind == "outage":
            troubles.append(_draw_outage(draw, horizon, settings))
            continue
        start = draw.uniform(0, horizon)
        whom = draw.randrange(validators if kind in ("partition", "loss") else nodes)
        end = start + draw.choice((1.0, 5.0, 30.0, settings.max_age * 1.5)) * draw.uniform(0.5, 1)
        amounts = _CLOCK_ERRORS if kind == "clock" else _READ_TIMES
        troubles.append(Trouble(kind, start, end, whom, draw.choice(amounts)))
    return tuple(sorted(troubles, key=lambda trouble: trouble.start))


def _draw_outage(draw: random.Random, horizon: float, settings: Settings) -> Trouble:
    start = draw.uniform(0, horizon)
    beyond = settings.max_age + settings.stale_for + 10.0
    lasts = draw.choice((2.0, 20.0, settings.max_age * 1.2, beyond))
    return Trouble("outage", start, start + min(lasts, horizon / 2))


def _draw_actions(
    draw: random.Random, horizon: float, nodes: int, validators: int
) -> tuple[Action, ...]:
    def moment() -> float:
        return draw.uniform(0, horizon)

    def some_node() -> int:
        return draw.randrange(nodes)

    actions = []
    for _ in range(draw.randint(1, 3)):
        actions.append(Action("rotate", moment(), some_node(), draw.randint(1, nodes)))
    for _ in range(draw.randint(1, 2)):
        # Sometimes at the very moment of a rotation.
        at = draw.choice((moment(), actions[0].at))
        actions.append(Action("revoke", at, some_node(), draw.randrange(3)))
    for _ in range(draw.randint(0, 2)):
        whom = draw.randrange(validators)
        actions.append(Action("delete", moment(), some_node(), draw.randrange(4)))
        actions.append(Action("restart_validator", moment(), whom, draw.randrange(2)))
        actions.append(Action("forge", moment(), whom, draw.choice((1, 5, 30))))
    return tuple(sorted(actions, key=lambda action: action.at))
