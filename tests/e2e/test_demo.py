"""The demo as a newcomer runs it: from any folder, on a busy machine, leaving nothing behind."""

import os
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.skipif(
    not (ROOT / ".venv" / ".installed-dev").exists() or Path(sys.prefix) != ROOT / ".venv",
    reason="the environment was not made by scripts/environment",
)
def test_the_demo_tells_its_story_and_leaves_nothing(tmp_path: Path) -> None:
    """With the default port taken and foreign settings, it prints the story and exits 0."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    environment = os.environ | {
        "TMPDIR": str(scratch),
        "WATCHWORD_ISSUER": "https://elsewhere.example",
        "CLIENT_SECRET": "not-the-demo's",
    }
    with socket.socket() as occupant:
        with suppress(OSError):  # taken already: just as good
            occupant.bind(("127.0.0.1", 8080))
            occupant.listen()
        done = subprocess.run(
            [ROOT / "scripts" / "demo"],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("[Consumer]:") >= 10
    assert "=> response: 200 OK moo" in done.stdout
    assert done.stdout.count("[Operator]: watchword keys rotate => key ") == 1
    assert "read with the token from before => response: 200 OK" in done.stdout
    assert list(scratch.iterdir()) == []
    assert sorted(tmp_path.iterdir()) == [scratch]
