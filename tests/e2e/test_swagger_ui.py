"""The page on which FastAPI shows an API, in a real browser: it gets a token, and calls the API."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import pytest
import uvicorn
from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

from resource_api import AccessToken
from resource_api.fastapi import Bearer
from tests.support.chromium import NoChromium, Page, chromium
from tests.support.provider import free_port, make_place, running

ORDERS = "https://orders.example.com"
SECRET = "only-for-development"
REGISTRY = f"""
resources:
  - resource: {ORDERS}
    scopes: [orders:read, orders:write]
clients:
  - client_id: billing
    secrets: [{{env: BILLING_SECRET}}]
    grants:
      - resource: {ORDERS}
        scope: orders:read
"""
PAGE = Path(__file__).parents[1] / "support" / "swagger_ui" / "node_modules" / "swagger-ui-dist"
ANSWER = ".live-responses-table tbody "


def orders_api(issuer: str) -> FastAPI:
    """Make an API as the how-to has it, but for where the page's own files are."""
    bearer = Bearer(issuer=issuer, resource=ORDERS)
    app = FastAPI(docs_url=None, lifespan=bearer.lifespan)
    bearer.publish(app)
    app.mount("/page", StaticFiles(directory=PAGE))

    @app.get("/docs", include_in_schema=False)
    def docs() -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url="/openapi.json",
            title="Orders",
            swagger_js_url="/page/swagger-ui-bundle.js",
            swagger_css_url="/page/swagger-ui.css",
            swagger_favicon_url="/page/favicon-32x32.png",
        )

    @app.get("/orders")
    def orders(token: Annotated[AccessToken, bearer.protected("orders:read")]) -> dict[str, str]:
        return {"for": token.client_id}

    return app


@asynccontextmanager
async def served(app: FastAPI, port: int) -> AsyncIterator[None]:
    """Serve an application in this event loop."""
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error"))
    serving = asyncio.create_task(server.serve())
    try:
        async with asyncio.timeout(20):
            while not server.started:
                await asyncio.sleep(0.01)
        yield
    finally:
        server.should_exit = True
        await serving


async def authorize(page: Page, secret: str) -> None:
    """Fill in what "Authorize" asks for, all scopes wanted."""
    await page.click(".auth-wrapper .btn.authorize")
    await page.type('.auth-container input[data-name="clientId"]', "billing")
    await page.type('.auth-container input[data-name="clientSecret"]', secret)
    await page.click(".auth-container .scopes a")  # "select all"
    await page.click(".auth-container .auth-btn-wrapper .authorize")


async def test_authorize_gets_a_token_and_try_it_out_is_answered(tmp_path: Path) -> None:
    """The issuer is of another origin, and lets this page ask it (CORS)."""
    port = free_port()
    origin = f"http://127.0.0.1:{port}"
    (tmp_path / "registry.yaml").write_text(REGISTRY)
    place = make_place(tmp_path, WATCHWORD_TOKEN_CORS_ORIGINS=origin)
    development = ("--dev", "--apply", "registry.yaml", "--dev-secret", SECRET)
    try:
        if not PAGE.is_dir():
            raise NoChromium(f"no Swagger UI: npm ci --prefix {PAGE.parents[1]}")
        with running(place, *development):
            async with served(orders_api(place.url), port), chromium(f"{origin}/docs") as page:
                await authorize(page, SECRET)
                assert "Authorized" in await page.text(".auth-container h6")
                await page.click(".auth-container .btn-done")
                await page.click(".opblock-summary-control")
                await page.click(".try-out__btn")
                await page.click(".execute")
                assert await page.text(ANSWER + ".response-col_status") == "200"
                assert "billing" in await page.text(ANSWER + ".microlight")
    except NoChromium as missing:
        if "CI" in os.environ:
            raise
        pytest.skip(str(missing))
