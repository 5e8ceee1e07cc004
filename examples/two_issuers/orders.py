"""An API that trusts two issuers: ours, and a Keycloak that its callers are moving away from."""

import os
from typing import Annotated

from fastapi import Depends, FastAPI

from resource_api import AccessToken, ResourcePolicy
from resource_api.fastapi import Bearer

RESOURCE = "https://orders.example.com"

bearer = Bearer(
    resource=RESOURCE,
    issuers=[
        ResourcePolicy(issuer=os.environ["ISSUER"], resource=RESOURCE),
        ResourcePolicy(
            issuer=f"{os.environ['KEYCLOAK']}/realms/shop",
            resource="orders-api",
            profile="keycloak",
        ),
    ],
)
app = FastAPI(dependencies=[Depends(bearer)], lifespan=bearer.lifespan)
bearer.publish(app, readiness_path="/readyz")


@app.get("/orders")
async def read(token: Annotated[AccessToken, bearer.protected("orders:read")]) -> dict[str, str]:
    """Say who calls, and whose token it was."""
    return {"for": token.client_id, "by": token.issuer}
