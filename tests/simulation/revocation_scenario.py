"""What happens in one run of revocations: who takes part, what is revoked, and what goes wrong.

A scenario is drawn from a seed and is a plain value, as that of a rotation is.
"""

import random
from dataclasses import dataclass

from tests.simulation.scenario import FETCH_TIMEOUT, Action, Trouble

_SKEW = 7
_READ_TIMES = (0.5, 3.0, 20.0)
CLIENTS = 3
LONGEST_PAUSE = 30
"""Seconds between two tries of a validator while lists cannot be had."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of the issuer and of the validators, in seconds."""

    status_ttl: int
    token_ttl: int
    stale_for: int
    pause: float
    """Between two tokens of a client, at the longest."""


@dataclass(frozen=True, slots=True)
class Traits:
    """One validator: how its clock is set, and how it gets the lists."""

    skew: float
    through_cdn: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Everything about a run that is not decided by the product."""

    seed: int
    settings: Settings
    horizon: float
    node_skews: tuple[float, ...]
    validators: tuple[Traits, ...]
    troubles: tuple[Trouble, ...]
    actions: tuple[Action, ...]


def draw_scenario(seed: int) -> Scenario:
    """Draw a scenario; every one has revocations of both kinds and a node that is killed."""
    draw = random.Random(seed)
    status_ttl = draw.choice((1, 2, 5, 15, 30))
    settings = Settings(
        status_ttl=status_ttl,
        token_ttl=draw.choice((60, 120, 300, 3600)),
        stale_for=draw.choice((60, 86_400)),
        pause=draw.choice((0.5, 3.0, 20.0)),
    )
    horizon = float(draw.randint(90, 180))
    nodes, validators = draw.randint(1, 3), draw.randint(2, 3)
    return Scenario(
        seed=seed,
        settings=settings,
        horizon=horizon,
        node_skews=tuple(draw.uniform(-_SKEW, _SKEW) for _ in range(nodes)),
        validators=tuple(
            Traits(skew=draw.uniform(-_SKEW, _SKEW), through_cdn=draw.random() < 0.5)
            for _ in range(validators)
        ),
        troubles=_draw_troubles(draw, horizon, nodes, validators),
        actions=_draw_actions(draw, horizon, nodes, validators),
    )


def _draw_troubles(
    draw: random.Random, horizon: float, nodes: int, validators: int
) -> tuple[Trouble, ...]:
    restart = draw.uniform(0, horizon / 2)
    troubles = [Trouble("restart", restart, restart + draw.uniform(0.5, 5), draw.randrange(nodes))]
    for _ in range(draw.randint(0, 3)):
        kind = draw.choice(
            ("outage", "partition", "loss", "restart", "slow_store", "store_away", "answers_lost")
        )
        start = draw.uniform(0, horizon)
        end = start + draw.choice((1.0, 5.0, 20.0, 60.0)) * draw.uniform(0.5, 1)
        whom: int | None = draw.randrange(validators if kind in ("partition", "loss") else nodes)
        if kind == "outage" or (kind == "store_away" and draw.random() < 0.5):
            whom = None
        troubles.append(Trouble(kind, start, end, whom, draw.choice(_READ_TIMES)))
    return tuple(sorted(troubles, key=lambda trouble: trouble.start))


def _draw_actions(
    draw: random.Random, horizon: float, nodes: int, validators: int
) -> tuple[Action, ...]:
    kinds = ["revoke_token", "revoke_client"]
    kinds += draw.choices(("revoke_token", "revoke_client", "suspend", "restore"), k=6)
    actions = [
        Action(kind, draw.uniform(0, horizon), draw.randrange(nodes), draw.randrange(1000))
        for kind in kinds
    ]
    if draw.random() < 0.5:
        moment = draw.uniform(FETCH_TIMEOUT, horizon)
        actions.append(Action("restart_validator", moment, draw.randrange(validators)))
    return tuple(sorted(actions, key=lambda action: action.at))
