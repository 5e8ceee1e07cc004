"""A workload of Kubernetes: a protected service that calls another API with a token of its own."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, TypedDict

import httpx
from fastapi import FastAPI, Request

from consumer import ClientCredentials
from resource_api import AccessToken
from resource_api.fastapi import Bearer

ISSUER, STOCK = os.environ["ISSUER"], os.environ["STOCK"]
SECRET = Path(os.environ["CLIENT_SECRET_FILE"]).read_text().strip()

bearer = Bearer(issuer=ISSUER, resource=os.environ["RESOURCE"])


class State(TypedDict):
    """What lives as long as the process."""

    stock: httpx.AsyncClient


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[State]:
    """Begin with the issuer's keys; after SIGTERM and the last request, close what is open."""
    auth = ClientCredentials(ISSUER, os.environ["CLIENT_ID"], SECRET, scope="read")
    async with bearer.lifespan(app), httpx.AsyncClient(base_url=STOCK, auth=auth) as stock:
        yield {"stock": stock}


app = FastAPI(lifespan=lifespan)
bearer.publish(app, readiness_path="/readyz")


@app.get("/livez")
async def live() -> str:
    """Answer the liveness probe: the event loop runs, whatever the issuer does."""
    return "ok"


@app.get("/invoices")
async def read(
    request: Request, token: Annotated[AccessToken, bearer.protected("invoices:read")]
) -> dict[str, object]:
    """Say who asks, and what the other API has."""
    answer = await request.state.stock.get("/read-resource")
    answer.raise_for_status()
    return {"for": token.client_id, "stock": answer.json()["resource"]}
