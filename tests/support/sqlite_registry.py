"""A registry in a SQLite file, here or in a fresh interpreter."""

import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

from issuer.storage.registry import Registry
from tests.support.registry import NOW, RegistryHarness

ROOT = Path(__file__).parents[2]


@contextmanager
def open_registry(path, **options):
    """Open the registry in a file."""
    registry = Registry.open(f"sqlite:///{path}", now=lambda: NOW, **options)
    try:
        yield RegistryHarness(registry)
    finally:
        registry.close()


def run_python(code, *arguments, **options):
    """Run code in a fresh interpreter and return what it printed."""
    ran = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **options,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()
