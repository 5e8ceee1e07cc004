"""The pages of the console over the administration API in a file, without sign-in and network."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from issuer.client_auth.methods import METHODS
from issuer.endpoints.asgi import Receive, Scope, Send
from issuer.registry.audit import Via
from tests.support.administration_api import Api, opened_api
from tests.support.registry import NOW
from watchword.console.api import AdministrationClient
from watchword.console.guard import SignedIn
from watchword.console.rendering import Frame, Renderer
from watchword.console.request import ConsoleRequest, Form, Page, Redirect
from watchword.console.routes import find_routes
from watchword.console.sessions import Session
from watchword.provider.admin import Administrator
from watchword.registry import ADMIN_SCOPES

SESSION = Session(
    ends=NOW + 900, began=NOW, id="s", name="operator", credential_id=None, csrf="csrf-token"
)
_HIDDEN = re.compile(r'<input type="hidden" name="([^"]*)" value="([^"]*)">')


class Pages:
    """Asks pages as one operator."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.scopes = frozenset(ADMIN_SCOPES)
        self._renderer = Renderer("/console", issuer="https://auth.example", withdrawal_seconds=15)

    async def ask(self, method: str, url: str, **fields: Any) -> tuple[int, str]:
        """Ask for a page below the console's path.

        Returns:
            Status and HTML; of a redirect 303 and its path with the notice.
        """
        path, query = urlsplit(url).path, urlsplit(url).query
        route, names = find_routes(path)[method]
        administrator = Administrator(
            name="operator", via=Via.CONSOLE, scopes=self.scopes, since=NOW
        )
        result = await route.show(
            ConsoleRequest(
                method=method,
                path=path,
                names=names,
                query=Form.parse(query.encode()),
                form=Form.parse(urlencode(fields, doseq=True).encode()),
                session=SESSION,
                administrator=administrator,
                api=AdministrationClient(self._serve, administrator),
                methods=tuple(METHODS),
                now=NOW,
            )
        )
        if isinstance(result, Redirect):
            return 303, f"{result.path} {result.notice}"
        frame = Frame(
            path=path,
            signed_in=SignedIn(SESSION, administrator),
            notice="",
            now=NOW,
            request_id="r",
        )
        return result.status, self.render(result, frame)

    def render(self, page: Page, frame: Frame) -> str:
        """Write a page."""
        return self._renderer.render(page, frame).decode()

    async def _serve(
        self, administrator: Administrator, scope: Scope, receive: Receive, send: Send
    ) -> None:
        await self.api.endpoint(scope, receive, send)


def hidden_fields(html: str) -> dict[str, str]:
    """Return the hidden fields of a page's last form, as a browser sends them."""
    form = html.rpartition("<form")[2]
    return {name: unescape(value) for name, value in _HIDDEN.findall(form)}


@asynccontextmanager
async def opened_pages(folder: Path) -> AsyncIterator[Pages]:
    """Open the pages over a new registry with one resource."""
    async with opened_api(folder) as api:
        yield Pages(api)
