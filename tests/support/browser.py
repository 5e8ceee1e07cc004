"""Pages in Chromium, driven by Playwright, and watched for what must not happen in any."""

import json
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    Response,
)

PATIENCE = 20_000  # milliseconds that Playwright waits for what a test expects
_AXE = Path(__file__).parent / "axe" / "node_modules" / "axe-core" / "axe.min.js"
OPTIONS = (  # of Chromium
    "--no-sandbox",  # tests run as root, and the pages are ours
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-proxy-server",
)
# Chromium writes this beside each answer of 400 and above, which are judged by their status.
_REFUSED_LOAD = "Failed to load resource: the server responded with a status of"


class NoBrowser(LookupError):
    """What drives or checks pages is not installed; the text says how to have it."""


def chromium_path() -> str:
    """Find the system's Chromium, and see that the accessibility checker is there.

    Raises:
        NoBrowser: one of them is not installed.
    """
    command = shutil.which("chromium")
    if command is None:
        raise NoBrowser("no chromium: apt-get install --no-install-recommends chromium")
    if not _AXE.is_file():
        prefix = "tests/support/axe"
        raise NoBrowser(f"no axe-core: npm ci --ignore-scripts --prefix {prefix}")
    return command


class Watch:
    """What happened in the pages of one test, and opens further pages.

    A mistake is every answer of 400 and above, message of the console at level "error" or "warning"
    (such as of a breach of the Content-Security-Policy), uncaught error, and request to an origin
    other than the first one; `check` fails with all of them. What a test wants it says before.

    Args:
        browser: makes the pages.
    """

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._contexts: list[BrowserContext] = []
        self._mistakes: list[str] = []
        self._refusals: list[int] = []
        self._expected: list[int] = []
        self._origins: set[str] = set()
        self._tolerated: list[str] = []

    async def open(self, **options: Any) -> Page:
        """Open an empty page in a context of its own: without the cookies of any other page.

        Args:
            options: of Playwright's `Browser.new_context`, such as `color_scheme="dark"`,
                `viewport={"width": 360, "height": 640}`, `java_script_enabled=False`.
        """
        chosen = {"locale": "en-GB", "timezone_id": "Europe/Berlin"} | options
        context = await self._browser.new_context(**chosen)
        self._contexts.append(context)
        context.set_default_timeout(PATIENCE)
        context.on("page", self._watch)
        return await context.new_page()

    def expect_status(self, *statuses: int) -> None:
        """Say that answers with these refusal statuses come, each at least once, in any order."""
        self._expected.extend(statuses)

    def trust(self, *origins: str) -> None:
        """Say that pages may ask these origins too, such as `http://127.0.0.1:8081`."""
        self._origins.update(origins)

    def tolerate(self, words: str) -> None:
        """Say that messages with these words are wanted, such as of a breach on purpose."""
        self._tolerated.append(words)

    def _watch(self, page: Page) -> None:
        page.on("console", self._console)
        page.on("pageerror", lambda error: self._note(f"uncaught error: {error}"))
        page.on("request", self._request)
        page.on("response", self._response)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(_REFUSED_LOAD):
            self._note(f"console: {message.text}")

    def _request(self, request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme in ("about", "blob", "data"):
            return
        origin = f"{address.scheme}://{address.netloc}"
        if not self._origins:
            self._origins.add(origin)
        elif origin not in self._origins:
            self._note(f"request to another origin: {request.method} {request.url[:200]}")

    def _response(self, response: Response) -> None:
        if response.status >= 400:
            self._refusals.append(response.status)
            if response.status not in self._expected:
                self._note(f"status {response.status}: {response.request.method} {response.url}")

    def _note(self, mistake: str) -> None:
        if not any(words in mistake for words in self._tolerated):
            self._mistakes.append(mistake)

    async def close(self) -> None:
        """Close all pages."""
        for context in self._contexts:
            await context.close()

    def check(self) -> None:
        """Fail with everything that went wrong, and with what was expected and did not come."""
        missing = sorted(set(self._expected) - set(self._refusals))
        mistakes = [*self._mistakes, *(f"no answer had status {each}" for each in missing)]
        assert not mistakes, "\n".join(mistakes)


async def assert_accessible(page: Page) -> None:
    """Have axe-core check the page as it is now; fail with each rule that it breaks, and where."""
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(_AXE.read_text(encoding="utf-8") + "; undefined")
    found = await page.evaluate("axe.run({ resultTypes: ['violations'] })")
    breaches = [
        f"{each['id']}: {each['help']}: {json.dumps([node['target'] for node in each['nodes']])}"
        for each in found["violations"]
    ]
    assert not breaches, "\n".join(breaches)
    assert found["passes"], "axe-core checked nothing"


async def press_tab_to(page: Page, name: str, *, most: int = 60) -> None:
    """Press the tabulator key until the element with this accessible name has the focus.

    Args:
        page: where.
        name: its label or text, whole.
        most: how often at the most, before the test fails.
    """
    for _ in range(most):
        await page.keyboard.press("Tab")
        if await page.evaluate(_NAME_OF_FOCUSED) == name:
            return
    raise AssertionError(f"{name!r} does not get the focus within {most} presses of Tab")


_NAME_OF_FOCUSED = """() => {
  const at = document.activeElement;
  const named = at.getAttribute("aria-label") ?? at.labels?.[0]?.textContent ?? at.textContent;
  return named.replace(/\\s+/g, " ").trim();
}"""
