"""Fuzz the parsers; `scripts/fuzz` says how it is called."""

import argparse
import os
import re
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr
from functools import partial
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, NoReturn

if TYPE_CHECKING:
    from fuzz.target import Target

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / "fuzz" / "corpus"

# Instrumented code takes longer, and so does every code on a busy machine.
_SLOWER = 5.0
_PATIENCE = 120  # wall seconds after which an input is given up
_INSTRUMENTED = ["keys", "issuer", "resource_api", "consumer", "watchword", "tomllib", "email"]
_EXECUTED = re.compile(r"stat::number_of_executed_units: (\d+)")


class Outcome(NamedTuple):
    """What a run of one target came to."""

    name: str
    seconds: float
    processor: float
    executed: int
    findings: list[Path]

    def __str__(self) -> str:
        """Say it in one line."""
        state = f"{len(self.findings)} findings" if self.findings else "no finding"
        state = state if self.executed else "stopped"
        took = f"{self.seconds:.0f} s ({self.processor:.0f} s of processor time)"
        return f"{self.name}: {self.executed} inputs in {took}, {state}"


def main(arguments: Sequence[str]) -> int:
    """Run what the command line says; return the exit code."""
    options = _parser().parse_args(arguments)
    targets = _targets(instrumented=options.input is None and not options.list)
    unknown = [name for name in options.target if name not in targets]
    if unknown or (options.input is not None and len(options.target) != 1):
        why = f"there is no target {unknown[0]}" if unknown else "--input needs one target"
        print(f"fuzz: {why}; see scripts/fuzz --list", file=sys.stderr)
        return 2
    if options.list:
        print("\n".join(targets))
        return 0
    if options.input is not None:
        return _replay(targets[options.target[0]], options.input)
    chosen = {name: targets[name] for name in options.target or targets}
    return _fuzz_all(chosen, options.work.resolve(), options.seconds, keeping=options.keep)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description="Fuzz the parsers.")
    parser.add_argument("target", nargs="*", help="a parser; all of them if none is named")
    parser.add_argument("--seconds", type=int, default=60, help="for each target (60)")
    parser.add_argument("--keep", action="store_true", help="add what is new to fuzz/corpus")
    parser.add_argument("--input", type=Path, help="try this file alone, with one target")
    parser.add_argument("--list", action="store_true", help="list the targets")
    parser.add_argument(
        "--work", type=Path, default=ROOT / ".fuzz", help="what runs find; the next one goes on"
    )
    return parser


def _targets(*, instrumented: bool) -> Mapping[str, "Target"]:
    """Import the targets, and with them all of the product that they need."""
    if not instrumented:
        from fuzz.targets import TARGETS

        return TARGETS
    import atheris  # what only replays inputs works without it

    # Nothing of the product may be imported before, or it is not instrumented.
    with redirect_stderr(StringIO()), atheris.instrument_imports(include=_INSTRUMENTED):
        from fuzz.targets import TARGETS
    return TARGETS


def _replay(target: "Target", path: Path) -> int:
    from fuzz.target import Finding, measure_memory, try_within_bounds

    data = path.read_bytes()
    try:
        accepted = try_within_bounds(target, data)
        measure_memory(target, data)
    except Finding as finding:
        print(f"finding: {finding}")
        return 1
    print("accepted" if accepted else "refused")
    return 0


def _fuzz_all(targets: Mapping[str, "Target"], work: Path, seconds: int, *, keeping: bool) -> int:
    outcomes = []
    for name, target in targets.items():
        outcomes.append(_fuzz(name, target, work, seconds))
        print(outcomes[-1], flush=True)
    for outcome in outcomes:
        for path in outcome.findings:
            print(f"finding: scripts/fuzz {outcome.name} --input {path}")
        if not outcome.executed:
            print(f"stopped: see {work / outcome.name}.log")
    if keeping:
        from fuzz.keeping import keep, kept_inputs

        for name, target in targets.items():
            kept = keep(target, kept_inputs(work / "corpus" / name), KEPT / name)
            print(f"{name}: {len(kept)} inputs kept", flush=True)
    return 1 if any(each.findings or not each.executed for each in outcomes) else 0


def _fuzz(name: str, target: "Target", work: Path, seconds: int) -> Outcome:
    """Fuzz one target in a process of its own, which a finding ends."""
    findings, corpus, log = work / "findings", work / "corpus" / name, work / f"{name}.log"
    for folder in (findings, corpus, KEPT / name):
        folder.mkdir(parents=True, exist_ok=True)
    words = work / f"{name}.dict"
    words.write_text("".join(f'"{_escape(each)}"\n' for each in target.words or ("\n",)))
    options = [
        f"-max_total_time={seconds}",
        f"-max_len={target.length}",
        f"-timeout={_PATIENCE}",
        f"-report_slow_units={_PATIENCE}",  # processor time is bounded by the target
        f"-artifact_prefix={findings / name}-",
        f"-dict={words}",
        "-print_final_stats=1",
        "-use_value_profile=1",
    ]
    before, began = set(findings.glob(f"{name}-*")), time.monotonic()
    process = os.fork()
    if process == 0:
        _run(target, ["fuzz", *options, str(corpus), str(KEPT / name)], log)
    usage = os.wait4(process, 0)[2]
    executed = _EXECUTED.search(log.read_text(encoding="utf-8", errors="replace"))
    new = sorted(set(findings.glob(f"{name}-*")) - before)
    return Outcome(
        name=name,
        seconds=time.monotonic() - began,
        processor=usage.ru_utime + usage.ru_stime,
        executed=int(executed[1]) if executed else 0,
        findings=new,
    )


def _run(target: "Target", arguments: list[str], log: Path) -> NoReturn:
    import atheris

    from fuzz.target import try_within_bounds

    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    atheris.Setup(arguments, partial(try_within_bounds, target, slower=_SLOWER))
    atheris.Fuzz()
    os._exit(0)


def _escape(word: str) -> str:
    """Write a word as a dictionary of libFuzzer has it."""
    return "".join(
        chr(each) if 32 <= each < 127 and each not in b'"\\' else f"\\x{each:02x}"
        for each in word.encode("utf-8")
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
