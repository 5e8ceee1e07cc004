"""Report what the tests noticed: the share of changes caught in each module, and what survived.

A change is caught if a test fails, or takes far longer than without it.

Not counted are the wording of messages, and changes that make no difference: names of codecs and
digests in the other case, and those that `tests/mutation.toml` lists with the reason. Exits 1 if
less than 95 % of the rest is caught, if a trial went wrong, or if not all were tried.
"""

import json
import re
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator

from mutmut.mutation.diff_apply import get_diff_for_mutant

from scripts.mutation_run import (
    EQUIVALENTS,
    FAILED,
    NO_TEST,
    RESULTS,
    SURVIVED,
    TOO_LONG,
    changes,
)

ENOUGH = 0.95
_NOT_NOTICED = (SURVIVED, NO_TEST)
_SENTENCE = re.compile(r"""f?"[^"]* [^"]*"$""")
_CODEC = re.compile(r'"(?:ASCII|LATIN-1|SHA256|UTF-8)"')


def main(patterns: list[str]) -> int:
    """Print the report; return the exit code."""
    equivalents = tomllib.loads(EQUIVALENTS.read_text(encoding="utf-8"))["equivalent"]
    known = {(each["module"], each["was"], each["is"]) for each in equivalents}
    good, tried = True, 0
    for module, results in run_results(patterns):
        tried += len(results)
        for name, code in results.items():
            if code not in (FAILED, TOO_LONG, *_NOT_NOTICED):
                print(f"went wrong, with exit code {code}: {name}")
                good = False
        survivors = [show(name) for name, code in results.items() if code in _NOT_NOTICED]
        unknown = [
            (was, now)
            for was, now in survivors
            if (module, was, now) not in known and not is_harmless(was, now)
        ]
        counted = len(results) - len(survivors) + len(unknown)
        caught = 1 - len(unknown) / max(counted, 1)
        print(f"{caught:7.1%} of {counted:4} caught, {len(unknown):3} survived: {module}")
        for was, now in unknown:
            print(f"        - {was}\n        + {now}")
        good &= caught >= ENOUGH
    made = len(list(changes(patterns)))
    print(f"{tried} of {made} changes were tried")
    return 0 if good and tried == made else 1


def run_results(patterns: list[str]) -> Iterator[tuple[str, dict[str, int]]]:
    """Yield each module with the exit codes of its changes that were tried."""
    codes = dict(json.loads(line) for line in RESULTS.read_text(encoding="utf-8").splitlines())
    modules: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for name in changes(patterns):
        if name in codes:
            modules[name.rpartition(".")[0]][name] = codes[name]
    yield from modules.items()


def show(name: str) -> tuple[str, str]:
    """Give the lines of code that a change replaces, and the lines that it puts there."""
    # The command `mutmut show` says the same, and takes seconds to start each time.
    text = get_diff_for_mutant(name)
    lines = [line for line in text.splitlines() if not line.startswith(("---", "+++"))]
    return tuple(  # type: ignore[return-value]
        " ".join(line[1:].strip() for line in lines if line.startswith(sign)) for sign in "-+"
    )


def is_harmless(was: str, now: str) -> bool:
    """Tell whether a change is one of those that never count."""
    same_codec = _CODEC.sub(lambda name: name[0].lower(), now) == was
    return same_codec or is_wording(was, now)


def is_wording(was: str, now: str) -> bool:
    """Tell whether a change is within a string that is a sentence, so a message for a person."""
    before, after = (re.findall(r'f?"[^"]*"|[^"]+', text) for text in (was, now))
    changed = [(old, new) for old, new in zip(before, after, strict=False) if old != new]
    return (
        len(before) == len(after)
        and bool(changed)
        and all(_SENTENCE.match(old) and new.startswith(('"', 'f"')) for old, new in changed)
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
