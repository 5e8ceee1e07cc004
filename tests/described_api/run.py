"""Serve a provider and have schemathesis call all that it describes."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.provider import Place, make_place, running
from watchword.registry import ADMIN_SCOPES

HERE = Path(__file__).resolve().parent
DAY = 86_400


@contextmanager
def called_provider(folder: Path) -> Iterator[tuple[Place, dict[str, str]]]:
    """Serve a provider with everything on.

    Yields:
        The provider, and the credentials that `schemathesis.toml` refers to.
    """
    place = make_place(
        folder,
        WATCHWORD_AUTHORIZATION_ENDPOINT="true",
        # A long run has one token; and guesses are what it is made of.
        WATCHWORD_TOKEN_TTL=str(DAY),
        WATCHWORD_FAILED_AUTH_LIMIT="0",
    )
    place.add_key()
    administration = f"{place.url}/admin/api/v1 {' '.join(ADMIN_SCOPES)}"
    administrator = place.json("clients", "create", "administrator", "--grant", administration)
    caller = place.json("clients", "create", "caller", "--all-scopes", "--introspects", place.url)
    registration = place.json("registration-tokens", "create", "--grant", f"{place.url} read")
    with running(place):
        yield (
            place,
            {
                "DESCRIBED_API_HOOKS": str(HERE / "hooks.py"),
                "DESCRIBED_API_SECRET": caller["client_secret"],
                "DESCRIBED_API_REGISTRATION": registration["token"],
                "DESCRIBED_API_ADMINISTRATION": place.ask(administrator).json()["access_token"],
                "DESCRIBED_API_TOKEN": place.ask(caller).json()["access_token"],
            },
        )


def call_all(place: Place, credentials: dict[str, str], *arguments: str) -> tuple[int, str]:
    """Call everything that a provider describes.

    Args:
        place: the provider.
        credentials: as `called_provider` gave them.
        arguments: of `schemathesis run`.

    Returns:
        The exit code of schemathesis, and what it printed.
    """
    program = Path(sys.executable).with_name("schemathesis")
    command = [program, "--config-file", HERE / "schemathesis.toml", "--no-color", "run"]
    done = subprocess.run(
        [*command, f"{place.url}/openapi.json", "--checks", "all", *arguments],
        cwd=place.folder,
        env=os.environ | credentials,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    # Else most calls would have been refused for no reason but that.
    for path, name in (("/admin/api/v1/clients", "ADMINISTRATION"), ("/read-resource", "TOKEN")):
        bearer = f"Bearer {credentials[f'DESCRIBED_API_{name}']}"
        answer = place.get(path, headers={"Authorization": bearer})
        assert answer.status_code == 200, (answer.status_code, answer.text, done.stdout)
    return done.returncode, done.stdout
