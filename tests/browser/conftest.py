"""Pages in a browser; without Chromium these tests are skipped, and in CI they fail."""

import os
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from tests.support.browser import OPTIONS, PATIENCE, NoBrowser, Watch, chromium_path

expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    """Give Chromium, started once a module."""
    try:
        command = chromium_path()
    except NoBrowser as missing:
        if "CI" in os.environ:
            raise
        pytest.skip(str(missing))
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=command, args=OPTIONS)
        yield chromium
        await chromium.close()


@pytest.fixture
async def watch(browser: Browser) -> AsyncIterator[Watch]:
    """Give what opens pages, and fails the test for what goes wrong in them."""
    watch = Watch(browser)
    yield watch
    await watch.close()
    watch.check()


@pytest.fixture
async def page(watch: Watch) -> Page:
    """Give an empty page in a context of its own."""
    return await watch.open()
