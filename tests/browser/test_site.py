"""The documentation site in a browser, as a reader uses it."""

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.support.browser import Watch, assert_accessible
from tests.support.site import VERSION, built_site


class _Silent(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder of the site."""
    return built_site(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="module")
def site(folder: Path) -> Iterator[str]:
    """Serve the site; give its address."""
    handler = partial(_Silent, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


async def search(page: Page, words: str) -> None:
    """Search as a reader does: by keyboard, from any page."""
    await page.wait_for_load_state()  # of the page that the first address leads to
    await page.keyboard.press("Control+k")
    field = page.locator("#pst-search-dialog input[name=q]")
    await expect(field).to_be_focused()
    await page.keyboard.type(words)
    await expect(field).to_have_value(words)
    await page.keyboard.press("Enter")
    # What is found is waited for afterwards, and it comes later than the page.
    await page.wait_for_url("**/search.html?*", wait_until="commit")


async def test_a_reason_is_found_from_the_first_page(page: Page, site: str) -> None:
    """The first address leads to the first page; the search leads to the row of the code."""
    await page.goto(site)
    await expect(page.get_by_role("heading", name="Choose your path")).to_be_visible()
    await search(page, "binding_required")
    await page.locator("#search-results a", has_text="binding_required").first.click()
    await page.wait_for_url("**/docs/reference/reasons.html*#binding_required")
    row = page.locator("tr", has=page.locator("[id='binding_required']"))
    await expect(row).to_contain_text("Have the client get bound tokens")
    await expect(row).to_be_in_viewport()


async def test_a_name_of_python_is_found(page: Page, site: str) -> None:
    """The search knows the classes and methods of the reference."""
    await page.goto(f"{site}{VERSION}/docs/how-to/call-an-api.html")
    await search(page, "ClientCredentials")
    await page.locator("#search-results a", has_text="consumer.ClientCredentials").first.click()
    await page.wait_for_url("**/docs/reference/python-api.html*#consumer.ClientCredentials")


async def test_versions_can_be_chosen(page: Page, site: str) -> None:
    """The pages know which version they are of, and offer those that are there."""
    await page.goto(f"{site}latest/")
    button = page.locator(".version-switcher__button").first
    await expect(button).to_have_text(f"{VERSION} (latest)")
    await button.click()
    await expect(page.get_by_role("option", name=f"{VERSION} (latest)").first).to_be_visible()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 360)])
@pytest.mark.parametrize(
    "name", ["docs/README", "docs/reference/reasons", "docs/how-to/call-an-api"]
)
async def test_pages_are_accessible(
    watch: Watch, site: str, name: str, scheme: str, width: int
) -> None:
    """In both modes, on a wide and on a narrow screen; the page as a whole scrolls down alone."""
    page = await watch.open(color_scheme=scheme, viewport={"width": width, "height": 800})
    await page.goto(f"{site}{VERSION}/{name}.html")
    await assert_accessible(page)
    wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    assert not await page.evaluate(wide)


async def test_pages_can_be_read_as_files(watch: Watch, folder: Path) -> None:
    """Without a server there is everything but the list of versions and excerpts in results."""
    for words in ("Access to fetch at 'file:", "net::ERR_FAILED", "Failed to fetch"):
        watch.tolerate(words)
    page = await watch.open()
    await page.goto((folder / "index.html").as_uri())
    await expect(page.get_by_role("heading", name="Choose your path")).to_be_visible()
    await search(page, "token_revoked")
    await page.locator("#search-results a", has_text="token_revoked").first.click()
    await page.wait_for_url("file:**/reasons.html*#token_revoked")
