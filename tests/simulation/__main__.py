"""Run many scenarios; print the first in which a promise is not kept, with seed and timeline."""

import argparse
import sys
import time
from collections.abc import Sequence

from tests.simulation.counterexample import find_counterexample
from tests.simulation.revocation import REVOCATION
from tests.simulation.rotation import ROTATION

SUBJECTS = {each.name: each for each in (ROTATION, REVOCATION)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; return 1 if a promise was not kept."""
    parser = argparse.ArgumentParser(
        prog="scripts/simulate",
        description="Run issuer nodes, validators and consumers under a virtual clock and a seeded "
        "random network, and judge every token by what is promised. A counterexample is printed "
        "with its seed and timeline; the exit code is then 1.",
    )
    parser.add_argument("subject", choices=[*SUBJECTS], help="what is simulated")
    parser.add_argument("--seed", type=int, default=0, help="the seed of the first run (0)")
    parser.add_argument("--runs", type=_count, default=1000, help="how many runs (1000)")
    parser.add_argument("--fault", metavar="NAME", help="plant this fault, to see it found")
    options = parser.parse_args(arguments)
    subject, fault = SUBJECTS[options.subject], options.fault
    if fault not in (None, *subject.faults):
        parser.error(f"--fault: must be one of {', '.join(sorted(subject.faults))}")
    begun = time.process_time()
    found = find_counterexample(subject, range(options.seed, options.seed + options.runs), fault)
    if found is not None:
        print(found.written(f" --fault {fault}" if fault else ""))
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
