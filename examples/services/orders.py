"""The orders service: takes an order, and reserves goods at the stock service for the caller."""

import os
from typing import Annotated

import httpx
from fastapi import Depends, FastAPI, HTTPException

from consumer import TokenExchange, TokenRequestRefused
from resource_api import AccessToken
from resource_api.fastapi import Bearer

ISSUER = os.environ["ISSUER"]

bearer = Bearer(issuer=ISSUER, resource="https://orders.example.com")
app = FastAPI(dependencies=[Depends(bearer)], lifespan=bearer.lifespan)
bearer.publish(app, readiness_path="/readyz")

exchange = TokenExchange(
    ISSUER, "orders", os.environ["CLIENT_SECRET"], resource="https://stock.example.com"
)
stock = httpx.AsyncClient(base_url=os.environ["STOCK"])


@app.post("/orders/{item}")
async def place(
    item: str, token: Annotated[AccessToken, bearer.protected("orders:write")]
) -> dict[str, str]:
    """Place an order, with a token that was given in exchange for the caller's."""
    try:
        response = await stock.post(f"/items/{item}/reservations", auth=exchange.for_caller(token))
    except TokenRequestRefused as refusal:
        raise HTTPException(403, f"no order in your name: {refusal.code}") from refusal
    response.raise_for_status()
    reservation: dict[str, str] = response.json()
    return {"item": item, **reservation}
