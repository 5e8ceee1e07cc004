"""A Flask API: whoever calls needs a token, and each view says with which scope."""

import os

from flask import Flask, request

from resource_api import AccessToken, ResourceError, require
from resource_api.wsgi import ENVIRON_KEY, BearerWsgiMiddleware

app = Flask(__name__)
app.wsgi_app = BearerWsgiMiddleware(  # type: ignore[method-assign]  # as Flask wants it
    app.wsgi_app,
    issuer=os.environ["ISSUER"],
    resource="https://orders.example.com",
    open_routes=[("GET", "/health")],
    readiness_path="/readyz",
)

orders = ["tea", "coffee"]


@app.get("/health")
def health() -> str:
    """Answer a caller without a token."""
    return "ok"


@app.get("/orders")
@require("orders:read")
def read() -> dict[str, object]:
    """Give the orders."""
    token: AccessToken = request.environ[ENVIRON_KEY]
    return {"orders": orders, "for": token.client_id}


@app.delete("/orders/<int:number>")
@require("orders:write")
def delete(number: int) -> dict[str, str]:
    """Remove an order."""
    return {"deleted": orders.pop(number)}


@app.errorhandler(ResourceError)
def refused(error: ResourceError) -> tuple[str, int]:
    """Keep Flask from logging a refusal as a fault; the middleware answers."""
    return "", error.status
