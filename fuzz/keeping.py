"""Keep of the inputs that a fuzzer found those few that reach what no kept one reaches."""

import hashlib
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import FrameType
from typing import Any

from fuzz.target import Finding, Target, try_input

ROOT = Path(__file__).resolve().parent.parent
_PRODUCT = tuple(
    f"{ROOT / name}/" for name in ("keys", "issuer", "resource_api", "consumer", "watchword")
)

Step = tuple[str, int, int]
"""A file, a line of it, and the line that came after."""


def kept_inputs(folder: Path) -> list[Path]:
    """Return the files of a corpus, the shortest first; none if there is no such folder."""
    files = [path for path in folder.glob("*") if path.is_file()] if folder.is_dir() else []
    return sorted(files, key=lambda path: (path.stat().st_size, path.name))


def keep(target: Target, found: Iterable[Path], folder: Path) -> list[Path]:
    """Write the inputs that reach new steps of the product into a corpus; return their files.

    Args:
        target: the parser that they are for.
        found: files with inputs, the shortest first.
        folder: of the kept corpus, which is read first.
    """
    reached: set[Step] = set()
    for path in kept_inputs(folder):
        reached |= steps_of(target, path.read_bytes())
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for path in found:
        data = path.read_bytes()
        steps = steps_of(target, data)
        if steps <= reached or len(data) > target.length:
            continue
        reached |= steps
        kept = folder / hashlib.sha256(data).hexdigest()[:16]
        kept.write_bytes(data)
        written.append(kept)
    return written


def steps_of(target: Target, data: bytes) -> set[Step]:
    """Return from which lines to which an input leads in the code of the product."""
    steps: set[Step] = set()

    def enter(frame: FrameType, event: str, argument: object) -> Callable[..., Any] | None:
        name = frame.f_code.co_filename
        if not name.startswith(_PRODUCT):
            return None
        last = 0

        def follow(inner: FrameType, event: str, argument: object) -> Callable[..., Any]:
            nonlocal last
            if event == "line":
                steps.add((name, last, inner.f_lineno))
                last = inner.f_lineno
            return follow

        return follow

    before = sys.gettrace()  # such as the one that measures the coverage of tests
    sys.settrace(enter)
    try:
        try_input(target, data)
    except Finding:
        return set()
    finally:
        sys.settrace(before)
    return steps
