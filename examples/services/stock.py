"""The stock service: counts goods, and reserves them for callers and for those who act for them."""

import os
from typing import Annotated

from fastapi import Depends, FastAPI

from resource_api import AccessToken
from resource_api.fastapi import Bearer

bearer = Bearer(issuer=os.environ["ISSUER"], resource="https://stock.example.com")
app = FastAPI(dependencies=[Depends(bearer)], lifespan=bearer.lifespan)
bearer.publish(app, readiness_path="/readyz")

left = {"tea": 10, "coffee": 3}


@app.get("/items/{item}")
async def count(
    item: str, token: Annotated[AccessToken, bearer.protected("stock:read")]
) -> dict[str, int]:
    """Say how much is left."""
    return {"left": left.get(item, 0)}


@app.post("/items/{item}/reservations")
async def reserve(
    item: str, token: Annotated[AccessToken, bearer.protected("stock:reserve")]
) -> dict[str, str]:
    """Reserve one; the subject is who wants it, the actor is who asks in its name."""
    left[item] = left.get(item, 0) - 1
    actor = token.claims.get("act", {})
    return {"reserved_for": token.subject, "asked_by": actor.get("sub", token.client_id)}
