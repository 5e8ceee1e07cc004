"""How long a program waits for the libraries: `import` of both in the light install.

What the light install does not have is hidden from the interpreter that is measured; httpx loads
it where it is there.

Usage: bench/imports.py [--quick]. The last line is a JSON object; exit 1 if the bar is missed.
"""

import json
import statistics
import subprocess
import sys

LIMIT = 0.25
_HIDDEN = ("click", "pygments", "rich", "starlette", "uvicorn", "trio", "h2", "brotli", "zstandard")
_MEASURE = """
import resource, sys
{before}
begun = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
{imports}
print(sum(resource.getrusage(resource.RUSAGE_SELF)[:2]) - begun, len(sys.modules))
"""
_IMPORTS = {
    "both": "from resource_api import BearerMiddleware; from consumer import ClientCredentials",
    "resource_api": "from resource_api import BearerMiddleware",
    "consumer": "from consumer import ClientCredentials",
    "httpx": "import httpx",
}


def seconds(imports: str, *, rounds: int) -> float:
    """Return the CPU seconds of an import in a new interpreter, the median of some."""
    before = f"for name in {_HIDDEN!r}: sys.modules[name] = None"
    program = _MEASURE.format(before=before, imports=imports)
    taken = []
    for _ in range(rounds):
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        )
        taken.append(float(done.stdout.split()[0]))
    return statistics.median(taken)


def main() -> int:
    """Measure, print, and tell by the exit code whether the bar was met."""
    rounds = 7 if "--quick" in sys.argv[1:] else 21
    found = {name: seconds(imports, rounds=rounds) for name, imports in _IMPORTS.items()}
    result = {
        "name": "imports",
        "ratio": round(found["both"] / LIMIT, 3),
        "against": f"{LIMIT} s of CPU time for the import of resource_api and consumer",
        "limit": 1.0,
        "details": {name: round(taken, 3) for name, taken in found.items()},
    }
    print(json.dumps(result))
    return 1 if found["both"] > LIMIT else 0


if __name__ == "__main__":
    sys.exit(main())
