"""Rotations, withdrawals and outages in the short form: a few hundred runs, and planted faults."""

import ast
from pathlib import Path

import pytest

from tests.simulation import oracle
from tests.simulation.__main__ import main
from tests.simulation.counterexample import find_counterexample, judge
from tests.simulation.rotation import ROTATION
from tests.simulation.scenario import draw_scenario
from tests.simulation.world import Parts, run

RUNS = 50
RUNS_UNTIL_FOUND = 30
"""Within so many runs each planted fault is found."""


@pytest.mark.rfc("roll-1", "roll-2", "roll-4")
@pytest.mark.parametrize("first", range(0, 4 * RUNS, RUNS))
def test_every_promise_is_kept(first):
    """No good token is refused, no withdrawn key believed too long, no node without a signer."""
    found = find_counterexample(ROTATION, range(first, first + RUNS))

    assert found is None, found.written()


@pytest.mark.parametrize("fault", ROTATION.faults)
def test_a_planted_fault_is_found(fault):
    """A simulation that finds nothing proves something only if it finds what is there."""
    tried = (judge(ROTATION, draw_scenario(seed), fault) for seed in range(RUNS_UNTIL_FOUND))

    assert any(tried)


def test_a_counterexample_is_printed_with_its_seed_and_timeline(capsys):
    """The command says how to see it again, and what happened until the promise was broken."""
    assert main(["rotation", "--fault", "sign-at-once", "--runs", str(RUNS_UNTIL_FOUND)]) == 1
    lines = capsys.readouterr().out.splitlines()

    seed = lines[0].split()[1].rstrip(":")
    assert "a good token is accepted" in lines[0]
    assert (
        lines[1] == f"again: scripts/simulate rotation --seed {seed} --runs 1 --fault sign-at-once"
    )
    assert any(" stored " in line for line in lines)
    assert "unknown_key" in lines[-1]


def test_a_seed_is_the_same_run_every_time():
    """So a counterexample can be looked at again."""
    first, second = (run(draw_scenario(7), Parts()) for _ in range(2))

    assert [str(seen) for seen in first.seen] == [str(seen) for seen in second.seen]


def test_the_oracle_knows_no_code_of_the_product():
    """What judges the product must not share a mistake with it."""
    tree = ast.parse(Path(oracle.__file__).read_text(encoding="utf-8"))
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}

    assert imported <= {
        "collections",
        "collections.abc",
        "dataclasses",
        "typing",
        "tests.simulation.scenario",
        "tests.simulation.trace",
    }
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Import)]
