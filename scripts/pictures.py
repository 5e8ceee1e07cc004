"""Make the pictures of the documentation: pages in Chromium, and the scenario on a terminal."""

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from playwright.async_api import Browser, async_playwright

from scripts.scenario_picture import draw_scenario

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
LARGEST = 150_000  # bytes
_SECRET = "only-for-development"
_PATIENCE = 180.0  # seconds until the provider serves


def main() -> int:
    """Make all pictures; return the exit code."""
    IMAGES.mkdir(exist_ok=True)
    with _provider() as url:
        asyncio.run(_photograph(url))
    printed = subprocess.run(
        [ROOT / "scripts" / "demo"], capture_output=True, text=True, check=True
    ).stdout
    (IMAGES / "scenario.svg").write_text(draw_scenario(printed), encoding="utf-8")
    for path in sorted(IMAGES.iterdir()):
        print(f"{path.relative_to(ROOT)}: {path.stat().st_size} bytes")
        if path.stat().st_size > LARGEST:
            print(f"{path.name} is larger than {LARGEST} bytes", file=sys.stderr)
            return 1
    return 0


@contextmanager
def _provider() -> Iterator[str]:
    """Serve a provider with throw-away data; give its URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    own = {name: value for name, value in os.environ.items() if not name.startswith("WATCHWORD_")}
    command = [sys.executable, "-m", "watchword", "serve", "--port", str(port)]
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [*command, "--dev", "--dev-secret", _SECRET],
            cwd=folder,
            env=own | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            url = f"http://localhost:{port}"
            _await_ready(url)
            yield url
        finally:
            process.terminate()
            process.wait()


def _await_ready(url: str) -> None:
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            if httpx.get(f"{url}/readyz", trust_env=False).is_success:
                return
        except httpx.TransportError:
            pass
        if time.monotonic() > end:
            raise SystemExit("pictures: the provider does not serve")
        time.sleep(0.1)


async def _photograph(url: str) -> None:
    chromium = shutil.which("chromium")
    if chromium is None:
        raise SystemExit("pictures: no chromium: apt-get install --no-install-recommends chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--no-proxy-server"]
        )
        await _inspector(browser, url)
        await browser.close()


async def _inspector(browser: Browser, url: str) -> None:
    """Photograph the inspector with a token that is for another API."""
    answer = httpx.post(
        f"{url}/token",
        auth=("demo", _SECRET),
        data={"grant_type": "client_credentials"},
        trust_env=False,
        timeout=_PATIENCE,
    )
    token = answer.raise_for_status().json()["access_token"]
    page = await browser.new_page(
        viewport={"width": 1100, "height": 780}, locale="en-GB", timezone_id="Europe/Berlin"
    )
    await page.goto(f"{url}/inspect")
    await page.get_by_label("Access token").fill(token)
    await page.get_by_text("Issuer, API and keys", exact=True).click()
    await page.get_by_label("API (audience)").fill("https://orders.example.com")
    await page.get_by_text("Refused: wrong_audience").wait_for()
    await page.get_by_label("API (audience)").blur()
    await page.screenshot(path=IMAGES / "inspector.png")


if __name__ == "__main__":
    sys.exit(main())
