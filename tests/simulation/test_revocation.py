"""Revocations in the short form: a few dozen runs, and planted faults."""

import ast
from pathlib import Path

import pytest

from tests.simulation import revocation_oracle
from tests.simulation.__main__ import main
from tests.simulation.counterexample import find_counterexample, judge
from tests.simulation.revocation import REVOCATION
from tests.simulation.revocation_scenario import draw_scenario
from tests.simulation.revocation_world import Parts, run

RUNS = 10
RUNS_UNTIL_FOUND = 20
"""Within so many runs each planted fault is found."""


@pytest.mark.rfc("tsl-8.3-1", "tsl-13.7-1")
@pytest.mark.parametrize("first", range(0, 2 * RUNS, RUNS))
def test_every_promise_is_kept(first):
    """No revoked token is accepted after its bound, no other is refused, no place given twice."""
    found = find_counterexample(REVOCATION, range(first, first + RUNS))

    assert found is None, found.written()


@pytest.mark.parametrize("fault", REVOCATION.faults)
def test_a_planted_fault_is_found(fault):
    """A simulation that finds nothing proves something only if it finds what is there."""
    tried = (judge(REVOCATION, draw_scenario(seed), fault) for seed in range(RUNS_UNTIL_FOUND))

    assert any(tried)


def test_a_counterexample_is_printed_with_its_seed_and_timeline(capsys):
    """The command says how to see it again, and what happened until the promise was broken."""
    assert main(["revocation", "--fault", "index-twice", "--runs", "5"]) == 1
    lines = capsys.readouterr().out.splitlines()

    seed = lines[0].split()[1].rstrip(":")
    assert "a place is given once" in lines[0]
    assert (
        lines[1] == f"again: scripts/simulate revocation --seed {seed} --runs 1 --fault index-twice"
    )
    assert any(" stopped " in line for line in lines)


def test_faults_belong_to_what_is_simulated(capsys):
    """Those of one subject are none of the other."""
    with pytest.raises(SystemExit):
        main(["rotation", "--fault", "index-twice", "--runs", "1"])
    assert "--fault: must be one of both-rotate, cache-404" in capsys.readouterr().err


def test_a_seed_is_the_same_run_every_time():
    """So a counterexample can be looked at again."""
    first, second = (run(draw_scenario(7), Parts()) for _ in range(2))

    assert [str(seen) for seen in first.seen] == [str(seen) for seen in second.seen]


def test_the_oracle_knows_no_code_of_the_product():
    """What judges the product must not share a mistake with it."""
    tree = ast.parse(Path(revocation_oracle.__file__).read_text(encoding="utf-8"))
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}

    assert imported <= {
        "collections",
        "collections.abc",
        "dataclasses",
        "tests.simulation.revocation_scenario",
        "tests.simulation.scenario",
        "tests.simulation.trace",
    }
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Import)]
