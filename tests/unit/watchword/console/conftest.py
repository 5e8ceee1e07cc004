"""A console over a registry of its own, in this process."""

from functools import cache

import pytest

from tests.support.console import opened_console
from watchword.console import app

# Templates take a tenth of a second to compile: once for all workers with the same settings.
_renderer = cache(app.Renderer)


@pytest.fixture(autouse=True)
def _own_folder_and_one_renderer(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(app, "Renderer", _renderer)


@pytest.fixture
async def console():
    """Give a console on loopback."""
    async with opened_console() as opened:
        yield opened
