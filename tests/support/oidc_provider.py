"""A real issuer of another make, node-oidc-provider, as a process of its own on loopback."""

import json
import select
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CLIENT_ID = "billing"
CLIENT_SECRET = "s3cret-of-the-foreign-issuer"
_PATIENCE = 60.0
_FOLDER = Path(__file__).parent / "oidc_provider"


class NoOidcProvider(LookupError):
    """It is not installed on this machine."""


@contextmanager
def oidc_provider() -> Iterator[str]:
    """Serve a foreign issuer; give its identifier.

    Raises:
        NoOidcProvider: a part is not installed; the text says how to have it.
    """
    if shutil.which("node") is None or not (_FOLDER / "node_modules").is_dir():
        raise NoOidcProvider(f"oidc-provider is missing: npm ci --prefix {_FOLDER} (needs nodejs)")
    command = ["node", str(_FOLDER / "server.mjs"), CLIENT_ID, CLIENT_SECRET]
    # It ends with its input, so that it does not outlive a test run that was killed.
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            ready, _, _ = select.select([process.stdout], [], [], _PATIENCE)
            line = process.stdout.readline() if ready else b""
            assert line, "the foreign issuer did not start"
            yield json.loads(line)["issuer"]
        finally:
            process.kill()
