"""`scripts/walk`: it measures the code that the main operations really go through."""

import json
import subprocess
import sys

import pytest

from tests.support.command import ROOT, clean_environment


@pytest.fixture(scope="module")
def walks():
    """Measure every operation once."""
    done = subprocess.run(
        [sys.executable, "-m", "scripts.call_paths", "--json"],
        cwd=ROOT,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("token", "parse_token_request"),
        ("protected-first", "parse_token"),
        ("protected-next", "BearerMiddleware.__call__"),
        ("consumer-first", "build_token_request"),
        ("consumer-next", "TokenFlow.fresh_attempt"),
        ("create", "run"),
        ("create-remote", "run"),
        ("create-server", "BearerMiddleware.__call__"),
        ("apply", "run"),
    ],
)
def test_the_operation_is_the_real_one(walks, name, function):
    """Each walk enters what the operation cannot do without, exactly once."""
    entered = [calls for file in walks[name]["functions"].values() for calls in file.items()]
    assert (function, 1) in entered


def test_figures_are_those_of_the_functions_listed(walks):
    """Files, functions and calls are counts of what is printed beside them."""
    for walk in walks.values():
        functions = [calls for file in walk["functions"].values() for calls in file.values()]
        assert walk["figures"]["files"] == len(walk["functions"])
        assert walk["figures"]["functions"] == len(functions)
        assert walk["figures"]["calls"] == sum(functions)


@pytest.mark.parametrize(
    ("name", "most"), [("token", 29), ("protected-next", 15), ("create", 49), ("apply", 48)]
)
def test_an_operation_goes_through_a_bounded_number_of_files(walks, name, most):
    """Each further file is one more to read for a change of the operation."""
    assert walks[name]["figures"]["files"] <= most


def test_only_administration_runs_statements(walks):
    """A token and a protected request cost no statement; a new client is inserted once."""
    assert not walks["token"]["statements"] + walks["protected-first"]["statements"]
    inserted = [each for each in walks["create"]["statements"] if "INTO clients " in each]
    assert len(inserted) == 1
