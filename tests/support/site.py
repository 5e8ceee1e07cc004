"""The documentation site, built once for all tests that look at it."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

from tests.support.pages import ROOT

VERSION = "1.2.3"


def built_site(own_folder: Path) -> Path:
    """Build the site, or find it built by another worker of this run of the tests.

    Args:
        own_folder: where pytest keeps the temporary folders of this worker.

    Returns:
        The folder that a server of the site serves.
    """
    shared = own_folder.parent if "PYTEST_XDIST_WORKER" in os.environ else own_folder
    site = shared / "site"
    with (shared / "site.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (site / "index.html").exists():
            command = [sys.executable, "-m", "scripts.site_versions"]
            arguments = ["--version", VERSION, "--output", str(site)]
            done = subprocess.run(
                [*command, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stdout + done.stderr
    return site
