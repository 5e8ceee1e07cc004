"""A console over a registry of its own, in this process."""

import pytest

from tests.support.console import opened_console


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
async def console():
    """Give a console on loopback."""
    async with opened_console() as opened:
        yield opened
