"""The first two tutorials can be typed as they stand, and print what they say."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent

import pytest

from tests.docs.test_operations import commands
from tests.support.command import run_shell
from tests.support.pages import ROOT, blocks
from tests.support.provider import Place, eventually, free_port, make_place, running

TUTORIAL = ROOT / "docs" / "tutorial"
TOKEN_PAGE = TUTORIAL / "first-token.md"
ROUTE_PAGE = TUTORIAL / "first-protected-route.md"

pytestmark = pytest.mark.skipif(
    shutil.which("curl") is None and "CI" not in os.environ, reason="the pages use curl"
)


class Desk:
    """A checkout with an environment, whose servers listen on free ports instead of the pages'."""

    def __init__(self, folder: Path) -> None:
        self.place: Place = make_place(folder)
        self.api_port = free_port()
        self.started = ""
        (folder / "scripts").mkdir()
        (folder / ".venv" / "bin").mkdir(parents=True)
        # Both are there already; installing is no part of these tests.
        (folder / "scripts" / "environment").write_text("#!/bin/sh\n")
        (folder / "scripts" / "environment").chmod(0o755)
        (folder / ".venv" / "bin" / "activate").write_text("pip() { :; }\n")

    def localized(self, text: str) -> str:
        """Put this test's ports in the place of the page's."""
        moved = text.replace("http://localhost:8080", self.place.url)
        return moved.replace("http://localhost:8000", f"http://127.0.0.1:{self.api_port}")

    def type_in(self, script: str) -> str:
        """Type lines into one shell; return what they print."""
        lines = f"set -e\ncurl() {{ command curl -s --noproxy '*' \"$@\"; }}\n{script}"
        done = run_shell(self.place.folder, self.localized(lines), **self.place.own_settings())
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @contextmanager
    def serving(self, block: str) -> Iterator[None]:
        """Type a block that ends with the start of the issuer; the rest runs before."""
        *before, serve = block.strip().splitlines()
        self.type_in("\n".join(before))
        assert serve.startswith("watchword serve --dev ")
        with running(self.place, *serve.split()[2:]) as process:
            assert process.stdout is not None
            self.started = "".join(next(process.stdout) for _ in range(3))
            yield

    @contextmanager
    def serving_api(self, command: str) -> Iterator[Path]:
        """Type the start of `orders.py`; give the file that its log goes to."""
        program, *arguments = command.split()
        assert program == "uvicorn"
        own = ["--port", str(self.api_port), "--log-level", "warning"]
        folder = self.place.folder
        environment = os.environ | {"PYTHONPATH": f"{ROOT}:{folder}", "NO_PROXY": "*"}
        log = folder / "api.log"
        with (
            log.open("w") as output,
            subprocess.Popen(
                [sys.executable, "-m", program, *arguments, *own],
                cwd=folder,
                env=environment,
                stderr=output,
            ) as server,
        ):
            try:
                probe = f"command curl -s --noproxy '*' -o {folder}/out http://localhost:8000/docs"
                up = f"{probe} && echo up || echo down"
                assert eventually(lambda: self.type_in(up) == "up\n"), log.read_text()
                yield log
            finally:
                server.terminate()


def code(page: Path, language: str) -> list[str]:
    """List the blocks of a page in a language."""
    return [dedent(block.code) for block in blocks(page) if block.language == language]


def check(desk: Desk, page: Path, before: str) -> None:
    """Type the console blocks of a page into one shell; each line prints what the page shows."""
    typed = commands(page.read_text(encoding="utf-8"))
    mark = "---- next"
    script = "\n".join(f"echo; echo '{mark}'\n{line}" for line, _ in typed)
    printed = desk.type_in(f"{before}\n{script}").split(f"{mark}\n")[1:]
    for (line, shown), said in zip(typed, printed, strict=True):
        pattern = re.escape(desk.localized(shown).strip()).replace("…", ".*")
        assert re.fullmatch(pattern, said.strip()), (line, said)


def test_the_first_token(tmp_path: Path) -> None:
    """From an empty folder to a token that an API takes, and its answers as shown."""
    desk = Desk(tmp_path)
    install, use = code(TOKEN_PAGE, "sh")
    (shown,) = code(TOKEN_PAGE, "text")
    with desk.serving(install):
        assert desk.started == desk.localized(shown)
        assert "client_id  demo" in desk.type_in(use)
        check(desk, TOKEN_PAGE, use)


def test_the_first_protected_route(tmp_path: Path) -> None:
    """The files as they stand, the servers as they are started, the answers as shown."""
    desk = Desk(tmp_path)
    install, issuer, api = code(ROUTE_PAGE, "sh")
    for name, (block,) in {
        "orders.py": code(ROUTE_PAGE, "python"),
        "registry.yaml": code(ROUTE_PAGE, "yaml"),
    }.items():
        (tmp_path / name).write_text(desk.localized(block))
    (logged,) = code(ROUTE_PAGE, "text")
    desk.type_in(install)
    with desk.serving(issuer), desk.serving_api(api) as log:
        check(desk, ROUTE_PAGE, "")
        assert eventually(lambda: logged in log.read_text()), log.read_text()
