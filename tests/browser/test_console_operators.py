"""An operator's tasks in the console, by keyboard alone, on a running provider."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.support.browser import Watch, assert_accessible, press_tab_to
from tests.support.provider import Place, eventually, make_place, running

ORDERS = "https://orders.example.com"
HTML = "<img src=x onerror=alert(1)>"
SECTIONS = ("resources", "keys", "tokens", "usage", "audit", "health")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Place, dict[str, Any]]]:
    """Serve a provider with the console on, an API, and a client of it."""
    place = make_place(tmp_path_factory.mktemp("console"), WATCHWORD_CONSOLE="on")
    place.add_key()
    place.json("resources", "create", ORDERS, "--scope", "orders:read", "--scope", "orders:pay")
    grant = f"{ORDERS} orders:read"
    place.json("clients", "create", "till", "--name", HTML, "--grant", grant)
    caller = place.json("clients", "create", "caller", "--all-scopes")
    with running(place):
        yield place, caller


@pytest.fixture
def place(served: tuple[Place, dict[str, Any]]) -> Place:
    """Give the running provider."""
    return served[0]


@pytest.fixture
def operator(place: Place, watch: Watch) -> Callable[..., Awaitable[Page]]:
    """Give a function that signs an operator in and opens a page of the console."""

    async def open_as(path: str = "", **options: Any) -> Page:
        page = await watch.open(**options)
        link = await asyncio.to_thread(place.json, "console", "--no-open")
        await page.goto(link["url"])
        await expect(page.get_by_role("heading", name="Overview")).to_be_visible()
        await page.goto(f"{place.url}/console{path}")
        return page

    return open_as


async def go(page: Page, name: str) -> None:
    """Follow the link, or press the button, of this name by keyboard."""
    await press_tab_to(page, name, most=90)
    async with page.expect_navigation():
        await page.keyboard.press("Enter")


async def test_a_key_is_rotated_and_then_withdrawn(
    operator: Callable[..., Awaitable[Page]], place: Place
) -> None:
    """In this order: for a minute after a withdrawal no key may be rotated.

    The operator reads what will happen and when, confirms it, and sees it drawn.
    """
    page = await operator()
    await go(page, "Keys")
    await assert_accessible(page)
    await expect(page.locator("svg.timeline rect.bar.active").first).to_be_visible()
    await go(page, "Rotate RS256")
    await expect(page.get_by_text("What will happen, and when")).to_be_visible()
    await assert_accessible(page)
    await go(page, "Rotate the key")
    await expect(page.locator("main").get_by_role("status")).to_contain_text(
        "rotation is under way"
    )
    await assert_accessible(page)
    listed = await asyncio.to_thread(place.json, "keys", "list")
    assert sum(key["signs_from"] is not None for key in listed["keys"]) >= 2
    await withdraw_a_key(page, place)


async def withdraw_a_key(page: Page, place: Place) -> None:
    """Withdraw the key that signs: its successor does, and the trail says by whom."""
    await page.goto(f"{place.url}/console/keys")
    listed = await asyncio.to_thread(place.json, "keys", "list")
    kid = next(key["kid"] for key in listed["keys"] if key["state"] == "active")
    await go(page, f"Withdraw {kid}")
    await expect(page.get_by_text("This cannot be undone.")).to_be_visible()
    await assert_accessible(page)
    await go(page, "Withdraw the key")
    await expect(page.locator("main").get_by_role("status")).to_contain_text(
        "The key was withdrawn"
    )
    row = page.get_by_role("row").filter(has_text=kid)
    await expect(row.locator(".badge")).to_have_text("withdrawn")
    entries = await asyncio.to_thread(place.json, "audit", "list", "--action", "key.revoked")
    assert [entry["via"] for entry in entries["entries"]] == ["console"]


async def test_it_is_found_who_uses_a_scope(operator: Callable[..., Awaitable[Page]]) -> None:
    """The filter works as it is typed, and each client leads on."""
    page = await operator()
    await go(page, "Usage")
    await press_tab_to(page, "Scope optional")
    await page.keyboard.type("orders:read")
    rows = page.locator("#found tbody tr")
    await expect(rows).to_have_count(1)
    await expect(rows).to_contain_text("till")
    await expect(rows).to_contain_text("never")
    await assert_accessible(page)


async def test_filters_are_in_the_address(operator: Callable[..., Awaitable[Page]]) -> None:
    """Going back shows what was found, and what was found can be sent to a colleague."""
    for path, label, found in (("/usage", "Scope", "scope"), ("/audit", "Of what", "target")):
        page = await operator(path)
        await page.get_by_label(label).fill("nothing:like-that")
        await page.wait_for_url(f"**{found}=nothing%3Alike-that*")
        await page.goto("about:blank")
        await page.go_back()
        await expect(page.get_by_label(label)).to_have_value("nothing:like-that")
        await expect(page.get_by_text("Nothing found")).to_be_visible()


async def test_filters_work_without_script(operator: Callable[..., Awaitable[Page]]) -> None:
    """The same by plain forms: signed in by pasting the code."""
    page = await operator("/usage?scope=orders%3Aread")
    state = await page.context.storage_state()
    browser = page.context.browser
    assert browser is not None
    plain = await browser.new_context(storage_state=state, java_script_enabled=False)
    try:
        bare = await plain.new_page()
        await bare.goto(page.url)
        await bare.get_by_label("Scope").fill("held:by-nobody")
        await bare.get_by_role("button", name="Find").click()
        await bare.wait_for_url("**scope=held*")
        await expect(bare.get_by_text("Nothing found")).to_be_visible()
    finally:
        await plain.close()


async def test_a_leaked_token_is_revoked(
    operator: Callable[..., Awaitable[Page]], served: tuple[Place, dict[str, Any]]
) -> None:
    """What it is, is shown before; the demo API refuses it once the page has said from when on."""
    place, caller = served
    token = (await asyncio.to_thread(place.ask, caller)).json()["access_token"]
    page = await operator()
    await go(page, "Tokens")
    await assert_accessible(page)
    await press_tab_to(page, "Token or its id")
    await page.keyboard.insert_text(token)
    await go(page, "Look at the token")
    await expect(page.get_by_role("heading", name="Revoke this token?")).to_be_visible()
    await expect(page.locator("main")).to_contain_text("caller")
    assert token not in await page.content()
    await assert_accessible(page)
    await go(page, "Revoke the token")
    await expect(page.locator("main").get_by_role("status")).to_contain_text(
        "This token is revoked."
    )
    await expect(page.locator("main").get_by_role("status")).to_contain_text("In force")
    await assert_accessible(page)
    shown = {"authorization": f"Bearer {token}"}

    def is_refused() -> bool:
        return place.get("/read-resource", headers=shown).status_code == 401

    assert await asyncio.to_thread(eventually, is_refused)


async def test_it_is_found_who_changed_what(
    operator: Callable[..., Awaitable[Page]], place: Place
) -> None:
    """By the filters to the entry, with both versions side by side; HTML in a name is text."""
    await asyncio.to_thread(
        place.json, "clients", "update", "till", "--resource", ORDERS, "--add-scope", "orders:pay"
    )
    page = await operator()
    await go(page, "Audit")
    await press_tab_to(page, "Of what optional")
    await page.keyboard.type("till")
    rows = page.locator("#found tbody tr")
    await expect(rows.filter(has_text="resource.created")).to_have_count(0)
    updated = rows.filter(has_text="client.updated").first
    label = await updated.get_by_role("link").get_attribute("aria-label")
    assert label is not None
    await assert_accessible(page)
    await go(page, label)
    await expect(page.locator("ins")).to_contain_text("orders:pay")
    await expect(page.locator("main")).to_contain_text("at the command line")
    await expect(page.locator("main")).to_contain_text(HTML)
    assert await page.locator("main img").count() == 0
    await assert_accessible(page)


async def test_a_resource_is_changed_while_another_operator_does(
    operator: Callable[..., Awaitable[Page]], place: Place, watch: Watch
) -> None:
    """Both versions are shown to the second one, who saves on top of the first."""
    watch.expect_status(412)
    change = f"/resources/{ORDERS.replace(':', '%3A').replace('/', '%2F')}/change"
    first, second = await operator(change), await operator(change)
    for page, life in ((first, "300"), (second, "")):
        await press_tab_to(page, "Scopes")
        await page.keyboard.press("Control+End")
        await page.keyboard.type("\norders:" + ("first" if life else "second"))
        if life:
            await press_tab_to(page, "Life of tokens optional")
            await page.keyboard.type(life)
        await go(page, "Save")
    await expect(first.locator("main").get_by_role("status")).to_contain_text(
        "The resource was changed"
    )
    await expect(second.get_by_role("alert")).to_contain_text("Nothing of yours was saved")
    await expect(second.locator("ins").first).to_have_text("orders:first")
    await assert_accessible(second)
    await go(second, "Save")
    await expect(second.locator("main").get_by_role("status")).to_contain_text(
        "The resource was changed"
    )
    shown = await asyncio.to_thread(place.json, "resources", "show", ORDERS)
    assert ("orders:second" in shown["scopes"], shown["token_ttl"]) == (True, 300)


async def test_a_scope_taken_away_stops_the_next_click(
    operator: Callable[..., Awaitable[Page]], place: Place, watch: Watch
) -> None:
    """A client that signed in: the page that it had open does nothing, and is offered no more."""
    watch.expect_status(403)
    admin = f"{place.url}/admin/api/v1"
    reads, writes = "watchword:keys:read", "watchword:keys:write"
    client = await asyncio.to_thread(
        place.json, "clients", "create", "keeper", "--grant", f"{admin} {reads} {writes}"
    )
    page = await watch.open()
    await page.goto(f"{place.url}/console")
    await page.get_by_label("Client id").fill("keeper")
    await page.get_by_label("Client secret").fill(client["client_secret"])
    await page.get_by_role("button", name="Sign in", exact=True).click()
    await page.goto(f"{place.url}/console/keys")
    await expect(page.get_by_role("link", name="Tokens")).to_have_count(0)
    kid = (await asyncio.to_thread(place.json, "keys", "list"))["keys"][-1]["kid"]
    await page.goto(f"{place.url}/console/keys/withdraw/{kid}")
    await asyncio.to_thread(
        place.json, "clients", "update", "keeper", "--resource", admin, "--remove-scope", writes
    )
    await page.get_by_role("button", name="Withdraw the key").click()
    await expect(page.get_by_text(writes)).to_be_visible()
    await page.goto(f"{place.url}/console/keys")
    await expect(page.get_by_role("link", name="Withdraw")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_page_is_accessible_wide_and_narrow_and_fast(
    operator: Callable[..., Awaitable[Page]], place: Place, scheme: str
) -> None:
    """axe finds nothing, nothing is wider than the screen, and the best of three loads is fast."""
    page = await operator(color_scheme=scheme, viewport={"width": 1280, "height": 800})
    for width in (1280, 360):
        await page.set_viewport_size({"width": width, "height": 800})
        for section in SECTIONS:
            times = []
            for _ in range(3):
                await page.goto(f"{place.url}/console/{section}")
                timing = "performance.getEntriesByType('navigation')[0].duration"
                times.append(await page.evaluate(timing))
            # Of a machine that has more to do than it can, a time tells nothing of the page.
            if os.getloadavg()[0] <= (os.cpu_count() or 1):
                assert min(times) < 1_000, (section, times)
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (
                section
            )
            assert await page.locator("time:not([datetime])").count() == 0
            await assert_accessible(page)
