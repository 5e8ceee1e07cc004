"""Ways into the console in a browser, and out of it: by keyboard, by link and without script."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.support.browser import Watch, assert_accessible, press_tab_to
from tests.support.provider import Place, make_place, running

MOST_BYTES = 120 * 1024
MOST_SECONDS = 1.0
SCHEMES = (
    {"color_scheme": "light"},
    {"color_scheme": "dark"},
    {"viewport": {"width": 360, "height": 640}},
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Serve a provider with the console."""
    place = make_place(tmp_path_factory.mktemp("console"), WATCHWORD_CONSOLE="on")
    place.add_key()
    with running(place):
        yield place


@pytest.fixture(scope="module")
def anna(place: Place) -> dict[str, Any]:
    """Register a client that may read clients."""
    scopes = ("--scope", "watchword:clients:read", "--scope", "watchword:audit:read")
    resource = ("--resource", f"{place.url}/admin/api/v1")
    return dict(place.json("clients", "create", "anna", *resource, *scopes))


def make_link(place: Place) -> str:
    """Ask the command for a link."""
    return str(place.json("console", "--no-open")["url"])


async def follow(page: Page) -> None:
    """Press Enter, and wait for the page that it leads to."""
    async with page.expect_navigation():
        await page.keyboard.press("Enter")


async def test_a_link_signs_in_at_once_and_only_once(watch: Watch, place: Place) -> None:
    """The code leaves the address; the same link used again says what to do."""
    link = make_link(place)
    page = await watch.open()
    await page.goto(link)
    await page.wait_for_url(f"{place.url}/console")
    await expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    await assert_accessible(page)
    cookies = await page.context.cookies()
    assert [each["sameSite"] for each in cookies if each["httpOnly"]] == ["Strict"] * len(cookies)
    assert await page.evaluate("document.cookie") == ""
    watch.expect_status(403)
    other = await watch.open()
    await other.goto(link)
    await expect(other.get_by_role("alert")).to_contain_text("used before")
    assert "#" not in other.url


async def test_a_link_is_taken_where_the_page_is_open_already(watch: Watch, place: Place) -> None:
    """Only what follows `#` changes then, and no page is loaded."""
    page = await watch.open()
    await page.goto(f"{place.url}/console/sign-in")
    await page.goto(make_link(place))
    await page.wait_for_url(f"{place.url}/console")
    await expect(page.get_by_role("button", name="Sign out")).to_be_visible()


async def test_a_link_is_taken_by_one_who_is_signed_in_as_somebody_else(
    watch: Watch, place: Place, anna: dict[str, Any]
) -> None:
    """It counts, and its code stays neither in the address nor for somebody else."""
    page = await watch.open()
    await page.goto(f"{place.url}/console/sign-in")
    await page.fill("#client_id", "anna")
    await page.fill("#client_secret", anna["client_secret"])
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"{place.url}/console")
    link = make_link(place)
    await page.goto(link)
    await page.wait_for_url(f"{place.url}/console")
    await expect(page.get_by_text("user of the machine", exact=True)).to_be_visible()
    watch.expect_status(403)
    other = await watch.open()
    await other.goto(link)
    await expect(other.get_by_role("alert")).to_contain_text("used before")


async def test_a_client_signs_in_and_out_by_keyboard(
    watch: Watch, place: Place, anna: dict[str, Any]
) -> None:
    """From the page that was asked for, by way of the form and a wrong secret, back to it."""
    page = await watch.open()
    watch.expect_status(401)
    await page.goto(f"{place.url}/console/clients?state=enabled")
    await expect(page.locator("#client_id")).to_be_focused()
    await page.keyboard.type("anna")
    await press_tab_to(page, "Client secret")
    await page.keyboard.type("not the secret")
    await follow(page)
    await expect(page.get_by_role("alert")).to_contain_text("another secret")
    await expect(page.locator("#client_secret")).to_be_focused()  # the id is still there
    await page.keyboard.type(anna["client_secret"])
    await follow(page)
    await page.wait_for_url(f"{place.url}/console/clients?state=enabled")
    await press_tab_to(page, "Sign out")
    await follow(page)
    await expect(page.locator(".notice")).to_have_text("You are signed out.")
    await page.go_back()  # nothing is shown from the browser's memory
    await page.wait_for_url("**/console/sign-in?**")


@pytest.mark.parametrize("options", SCHEMES, ids=str)
async def test_the_way_in_is_accessible(
    watch: Watch, place: Place, anna: dict[str, Any], options: dict[str, Any]
) -> None:
    """Light, dark and narrow: the sign-in page, a refusal, the overview, a page of an error."""
    page = await watch.open(**options)
    watch.expect_status(401, 404)
    await page.goto(f"{place.url}/console")
    await assert_accessible(page)
    for secret in ("wrong", anna["client_secret"]):
        await page.get_by_label("Client id").fill("anna")
        await page.get_by_label("Client secret").fill(secret)
        await page.get_by_role("button", name="Sign in", exact=True).click()
        await assert_accessible(page)
    await expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    wide = await page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert wide <= 0
    await page.goto(f"{place.url}/console/nowhere")
    await assert_accessible(page)


async def test_without_script_the_code_is_pasted(watch: Watch, place: Place) -> None:
    """Every page works by plain forms."""
    page = await watch.open(java_script_enabled=False)
    await page.goto(f"{place.url}/console")
    await page.get_by_label("Code of a one-time link").fill(make_link(place).partition("#")[2])
    await page.get_by_role("button", name="Sign in with the code").click()
    await page.wait_for_url(f"{place.url}/console")
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.locator(".notice")).to_have_text("You are signed out.")


async def test_the_first_load_is_small_and_pages_come_soon(watch: Watch, place: Place) -> None:
    """Below 120 KB with style and script, and below a second, the best of three."""
    page = await watch.open()
    await page.goto(make_link(place))
    await page.wait_for_url(f"{place.url}/console")
    entries = await page.evaluate(
        "JSON.stringify(performance.getEntriesByType('navigation')"
        ".concat(performance.getEntriesByType('resource')).map(each => each.decodedBodySize))"
    )
    total = sum(json.loads(entries))
    assert 0 < total < MOST_BYTES
    for path in ("/console", "/console/clients", "/console/new-client"):
        times = []
        for _ in range(3):
            await page.goto(place.url + path)
            times.append(
                await page.evaluate("performance.getEntriesByType('navigation')[0].duration")
            )
        assert min(times) < MOST_SECONDS * 1000, (path, times)
