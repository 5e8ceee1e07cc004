"""A page in a real browser: Chromium without a window, driven by its debugging protocol."""

import json
import re
import shutil
import tempfile
from asyncio import create_subprocess_exec, timeout
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from subprocess import DEVNULL, PIPE
from typing import Any

import aiohttp

_PATIENCE = 60.0
_OPTIONS = (
    "--headless=new",
    "--no-sandbox",  # tests run as root, and the pages are ours
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--no-first-run",
    "--no-proxy-server",
    "--remote-debugging-port=0",
)
_SOON = """new Promise(done => {{
  const look = () => {{ const found = {look}; found ? done(found) : setTimeout(look, 20); }};
  look();
}})"""


class NoChromium(LookupError):
    """It is not installed on this machine."""


class Page:
    """One page, on which an element is named by a CSS selector."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = count(1)

    async def command(self, method: str, **parameters: Any) -> Any:
        """Send a command of the protocol, and give its result."""
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        while True:
            answer = json.loads(await self._socket.receive_str(timeout=_PATIENCE))
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer["result"]

    async def soon(self, look: str) -> Any:
        """Give the value of an expression as soon as it is a true one."""
        wanted = {"expression": _SOON.format(look=look), "awaitPromise": True}
        async with timeout(_PATIENCE):
            answer = await self.command("Runtime.evaluate", returnByValue=True, **wanted)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def click(self, selector: str) -> None:
        """Click an element once it is there."""
        found = f"document.querySelector({json.dumps(selector)})"
        await self.soon(f"{found} && ({found}.click(), true)")

    async def type(self, selector: str, text: str) -> None:
        """Type into a field once it is there."""
        found = f"document.querySelector({json.dumps(selector)})"
        await self.soon(f"{found} && ({found}.focus(), true)")
        await self.command("Input.insertText", text=text)

    async def text(self, selector: str) -> str:
        """Give the text of an element once it has one."""
        found = f"document.querySelector({json.dumps(selector)})"
        return str(await self.soon(f"{found} && {found}.textContent"))


@asynccontextmanager
async def chromium(url: str) -> AsyncIterator[Page]:
    """Open a page in a browser of its own.

    Raises:
        NoChromium: it is not installed; the text says how to have it.
    """
    command = shutil.which("chromium")
    if command is None:
        raise NoChromium("no chromium: apt-get install --no-install-recommends chromium")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = (*_OPTIONS, f"--user-data-dir={profile}")
        process = await create_subprocess_exec(command, *options, stdout=DEVNULL, stderr=PIPE)
        try:
            assert process.stderr is not None
            address = ""
            async with timeout(_PATIENCE):
                while not (found := re.search(rb"listening on ws://([^/]+)", address.encode())):
                    line = await process.stderr.readline()
                    assert line, "chromium did not start"
                    address = line.decode(errors="replace")
            async with aiohttp.ClientSession() as session:
                async with session.get(f"http://{found[1].decode()}/json/list") as answer:
                    pages = [each for each in await answer.json() if each["type"] == "page"]
                way = pages[0]["webSocketDebuggerUrl"]
                async with session.ws_connect(way, max_msg_size=0) as socket:
                    page = Page(socket)
                    await page.command("Page.navigate", url=url)
                    yield page
        finally:
            process.kill()
            await process.wait()
