"""Run many scenarios; print the first in which a promise is not kept, with seed and timeline."""

import argparse
import sys
import time
from collections.abc import Sequence

from tests.simulation.faults import FAULTS
from tests.simulation.rotation import find_counterexample
from tests.simulation.world import Parts


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; return 1 if a promise was not kept."""
    parser = argparse.ArgumentParser(
        prog="scripts/simulate",
        description="Run issuer nodes, validators and consumers under a virtual clock and a seeded "
        "random network, and judge every token by what is promised. A counterexample is printed "
        "with its seed and timeline; the exit code is then 1.",
    )
    parser.add_argument("subject", choices=["rotation"], help="what is simulated")
    parser.add_argument("--seed", type=int, default=0, help="the seed of the first run (0)")
    parser.add_argument("--runs", type=_count, default=1000, help="how many runs (1000)")
    parser.add_argument("--fault", choices=sorted(FAULTS), help="plant this fault, to see it found")
    options = parser.parse_args(arguments)
    parts = FAULTS[options.fault] if options.fault else Parts()
    begun = time.process_time()
    found = find_counterexample(range(options.seed, options.seed + options.runs), parts)
    if found is not None:
        print(found.written(f" --fault {options.fault}" if options.fault else ""))
        return 1
    rate = options.runs / (time.process_time() - begun)
    print(
        f"{options.runs} runs from seed {options.seed}: every promise kept "
        f"({rate:.0f} runs per second of CPU)"
    )
    return 0


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("must be a whole number, at least 1")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
