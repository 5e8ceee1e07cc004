"""Write the files, or tell which of them are not what would be written."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from tests.signature_vectors import ecdsa, ed25519, jws, mac, ml_dsa, rsa
from tests.signature_vectors.suite import Json

FOLDER = Path(__file__).resolve().parent.parent / "vectors" / "signatures"
SUITES: dict[str, Callable[[], Json]] = {
    **{alg: partial(rsa.pkcs1_suite, alg) for alg in ("RS256", "RS384", "RS512")},
    **{alg: partial(rsa.pss_suite, alg) for alg in ("PS256", "PS384", "PS512")},
    **{alg: partial(ecdsa.suite, alg) for alg in ecdsa.CURVES},
    **{alg: partial(ed25519.suite, alg) for alg in ("EdDSA", "Ed25519")},
    "HS256": mac.suite,
    "JWS": jws.suite,
}
RANDOMISED: dict[str, Callable[[], Json]] = {
    alg: partial(ml_dsa.suite, alg) for alg in ml_dsa.PARAMETERS
}


def path_of(name: str) -> Path:
    """Return where a suite is kept."""
    return FOLDER / f"{name.lower()}.json"


def written(suite: Json) -> str:
    """Write a suite as it is kept."""
    return json.dumps(suite, indent=1) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(
        prog="scripts/vectors",
        description="Write tests/vectors/signatures. The files are the same each time, but for "
        "ML-DSA, whose signatures are randomised.",
    )
    parser.add_argument("--check", action="store_true", help="only tell which files would differ")
    parser.add_argument("suite", nargs="*", help="the suites; all by default")
    options = parser.parse_args(arguments)
    known = SUITES if options.check else SUITES | RANDOMISED
    if unknown := set(options.suite) - known.keys():
        parser.error(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(known)}")
    different = []
    for name in options.suite or known:
        text = written(known[name]())
        if not options.check:
            path_of(name).write_text(text)
        elif path_of(name).read_text() != text:
            different.append(name)
    if different:
        print(f"scripts/vectors would write others: {', '.join(different)}", file=sys.stderr)
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
