"""Clients and their secrets in a browser: by keyboard, two at once, and what it leaves behind."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.support.browser import Watch, assert_accessible, press_tab_to
from tests.support.provider import Place, make_place, running

ORDERS = "https://orders.example.com"
SCHEMES = (
    {"color_scheme": "light"},
    {"color_scheme": "dark"},
    {"viewport": {"width": 360, "height": 640}},
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Serve a provider with the console and a resource."""
    place = make_place(tmp_path_factory.mktemp("console"), WATCHWORD_CONSOLE="on")
    place.add_key()
    place.json("resources", "create", ORDERS, "--scope", "orders:read", "--scope", "orders:write")
    with running(place):
        yield place


async def signed_in(watch: Watch, place: Place, **options: Any) -> Page:
    """Open a page and sign in by a link."""
    page = await watch.open(**options)
    await page.goto(str(place.json("console", "--no-open")["url"]))
    await page.wait_for_url(f"{place.url}/console")
    return page


def register(place: Place, client_id: str, *more: str) -> dict[str, Any]:
    """Register a client."""
    grant = ("--resource", ORDERS, "--scope", "orders:read")
    return dict(place.json("clients", "create", client_id, *grant, *more))


async def follow(page: Page) -> None:
    """Press Enter, and wait for the page that it leads to."""
    async with page.expect_navigation():
        await page.keyboard.press("Enter")


async def test_a_client_is_registered_by_keyboard(watch: Watch, place: Place) -> None:
    """Its secret is on one page, which leaves nothing in the browser; the secret works."""
    page = await signed_in(watch, place)
    await press_tab_to(page, "Clients")
    await follow(page)
    await press_tab_to(page, "New client")
    await follow(page)
    await expect(page.get_by_label("Client id")).to_be_focused()
    await page.keyboard.type("till")
    await press_tab_to(page, "orders:read")
    await page.keyboard.press("Space")
    await press_tab_to(page, "Register")
    await follow(page)
    await expect(page.get_by_role("heading", name="The client is registered")).to_be_visible()
    secret = await page.locator(".secret code").inner_text()
    await assert_accessible(page)
    made = {"client_id": "till", "client_secret": secret}
    assert place.ask(made, resource=ORDERS).status_code == 200
    assert secret not in page.url
    kept = "JSON.stringify({...localStorage, ...sessionStorage, state: history.state})"
    assert secret not in await page.evaluate(kept)
    await press_tab_to(page, "Done")
    await follow(page)
    await expect(page.get_by_role("heading", name="till")).to_be_visible()
    assert secret not in await page.content()


async def test_a_secret_is_renewed_by_keyboard(watch: Watch, place: Place) -> None:
    """One more, then the end of the old one, which is refused at once."""
    old = register(place, "renewed")
    page = await signed_in(watch, place)
    await page.goto(f"{place.url}/console/clients/renewed")
    await press_tab_to(page, "Make a secret")
    await follow(page)
    secret = await page.locator(".secret code").inner_text()
    await press_tab_to(page, "Done")
    await follow(page)
    await press_tab_to(page, f"End secret {old['secret_id']}")
    await follow(page)
    await assert_accessible(page)
    await press_tab_to(page, "End it now")
    await follow(page)
    await expect(page.locator(".notice")).to_contain_text("The secret has ended.")
    assert place.ask(old, resource=ORDERS).status_code == 401
    assert place.ask(old | {"client_secret": secret}, resource=ORDERS).status_code == 200


async def test_two_operators_at_once(watch: Watch, place: Place) -> None:
    """The second one sees both versions, and saves over the first only by saying so."""
    register(place, "shared", "--name", "Before")
    first, second = await signed_in(watch, place), await signed_in(watch, place)
    for page in (first, second):
        await page.goto(f"{place.url}/console/clients/shared/edit")
    await first.get_by_label("Name").fill("Of the first")
    await first.get_by_role("button", name="Save").click()
    await expect(first.locator(".notice")).to_contain_text("The client is changed.")
    watch.expect_status(412)
    await second.get_by_label("Name").fill("Of the second")
    await second.get_by_role("button", name="Save").click()
    table = second.get_by_role("region", name="Both versions")
    for words in ("Before", "Of the first", "Of the second", "both changed it"):
        await expect(table).to_contain_text(words)
    await assert_accessible(second)
    assert place.json("clients", "show", "shared")["client_name"] == "Of the first"
    await second.get_by_role("button", name="Save").click()
    await expect(second.get_by_role("heading", name="shared")).to_be_visible()
    assert place.json("clients", "show", "shared")["client_name"] == "Of the second"


async def test_a_client_is_stopped_and_deleted_by_keyboard(watch: Watch, place: Place) -> None:
    """The button waits for the id to be typed."""
    register(place, "leaving")
    page = await signed_in(watch, place)
    await page.goto(f"{place.url}/console/clients/leaving")
    await press_tab_to(page, "Disable")
    await follow(page)
    await expect(page.locator(".notice")).to_contain_text("disabled")
    await press_tab_to(page, "Delete…")
    await follow(page)
    button = page.get_by_role("button", name="Delete")
    await expect(button).to_be_disabled()
    await expect(page.locator("#typed")).to_be_focused()
    await page.keyboard.type("leaving")
    await expect(button).to_be_enabled()
    await assert_accessible(page)
    await follow(page)
    await expect(page.locator(".notice")).to_contain_text("The client is deleted.")


async def test_the_list_is_narrowed_without_a_new_page(watch: Watch, place: Place) -> None:
    """htmx replaces the list and the address; the policy allows it what it does."""
    register(place, "kept-on")
    register(place, "kept-off", "--disabled")
    page = await signed_in(watch, place)
    await page.goto(f"{place.url}/console/clients")
    await page.evaluate("window.same = true")
    await page.get_by_label("State").select_option("disabled")
    await expect(page.get_by_role("link", name="kept-on")).to_have_count(0)
    await expect(page.get_by_role("link", name="kept-off")).to_be_visible()
    assert await page.evaluate("window.same")
    assert "state=disabled" in page.url
    await page.reload()
    await expect(page.get_by_label("State")).to_have_value("disabled")


@pytest.mark.parametrize("options", SCHEMES, ids=str)
async def test_the_pages_are_accessible(
    watch: Watch, place: Place, options: dict[str, Any]
) -> None:
    """Light, dark and narrow, where nothing is wider than the screen."""
    register(place, f"seen-{len(str(options))}", "--name", "A name for people")
    page = await signed_in(watch, place, **options)
    client = f"/console/clients/seen-{len(str(options))}"
    watch.expect_status(422)
    for path in ("/console/clients", client, f"{client}/edit", f"{client}/delete"):
        await page.goto(place.url + path)
        await assert_accessible(page)
        wide = await page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert wide <= 0, path
    await page.goto(f"{place.url}/console/new-client")
    await page.get_by_label("Client id").fill("a b")
    await page.get_by_role("button", name="Register").click()
    await expect(page.get_by_role("alert")).to_contain_text("Nothing was changed.")
    await assert_accessible(page)
