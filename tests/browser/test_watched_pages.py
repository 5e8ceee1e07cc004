"""The watch over pages notices what must not happen, or the tests of this folder prove nothing."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.async_api import Browser

from tests.support.browser import Watch, assert_accessible, press_tab_to

POLICY = "default-src 'none'; script-src 'sha256-{}'"
GOOD = """<!doctype html><html lang="en"><title>Orders</title><link rel="icon" href="data:,">
<main><h1>Orders</h1><button>First</button><button>Second</button></main></html>"""
LOW_CONTRAST = GOOD.replace("<h1>", '<h1 style="color: #999; background: #888">')


@contextmanager
def served(body: str, **headers: str) -> Iterator[str]:
    """Serve one page at `/`, and 404 everywhere else; give the page's URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/" else 404)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(body.encode() if self.path == "/" else b"")

        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


async def mistakes_on(browser: Browser, body: str, *statuses: int, **headers: str) -> str:
    """Load a page, and return what the watch fails with; "" if it does not."""
    watch = Watch(browser)
    watch.expect_status(*statuses)
    page = await watch.open()
    with served(body, **headers) as url:
        await page.goto(url)
    await watch.close()
    try:
        watch.check()
    except AssertionError as error:
        return str(error)
    return ""


async def test_a_page_without_fault_is_passed(browser: Browser) -> None:
    """Nothing is reported, and the accessibility checker finds nothing."""
    assert await mistakes_on(browser, GOOD) == ""


@pytest.mark.parametrize(
    ("script", "headers", "words"),
    [
        ("console.error('lost')", {}, "console: lost"),
        ("throw new Error('broken')", {}, "uncaught error: broken"),
        ("document.body.append(new Image()); lost.x = 1", {}, "lost is not defined"),
        ("", {"Content_Security_Policy": POLICY.format("AAAA")}, "Content Security Policy"),
    ],
    ids=["console", "thrown", "undefined", "policy"],
)
async def test_a_fault_of_a_page_is_reported(
    browser: Browser, script: str, headers: dict[str, str], words: str
) -> None:
    """Messages of level "error", uncaught errors and breaches of the page's policy."""
    body = GOOD.replace("</main>", f"</main><script>{script};</script>")
    assert words in await mistakes_on(browser, body, **headers)


async def test_a_request_to_another_origin_is_reported(browser: Browser) -> None:
    """Another port is another origin."""
    with served("") as other:
        body = GOOD.replace("</main>", f'</main><img alt="" src="{other}">')
        found = await mistakes_on(browser, body)
    assert found == f"request to another origin: GET {other}"


async def test_a_refusal_is_reported_unless_it_was_expected(browser: Browser) -> None:
    """An expected one that does not come is reported too."""
    body = GOOD.replace("</main>", '</main><img alt="" src="/missing">')
    assert "status 404: GET http://127.0.0.1" in await mistakes_on(browser, body)
    assert await mistakes_on(browser, body, 404) == ""
    assert await mistakes_on(browser, body, 404, 412) == "no answer had status 412"


async def test_the_accessibility_checker_names_the_rule_and_the_place(watch: Watch) -> None:
    """A page may forbid all scripts: the checker runs nevertheless."""
    page = await watch.open()
    with served(LOW_CONTRAST, Content_Security_Policy="style-src 'unsafe-inline'") as url:
        await page.goto(url)
    with pytest.raises(AssertionError, match=r"color-contrast: .*h1"):
        await assert_accessible(page)


async def test_an_element_gets_the_focus_by_the_tabulator_key(watch: Watch) -> None:
    """What the key does not reach fails the test."""
    page = await watch.open()
    with served(GOOD) as url:
        await page.goto(url)
    await press_tab_to(page, "Second")
    with pytest.raises(AssertionError, match="'Third' does not get the focus"):
        await press_tab_to(page, "Third", most=3)
