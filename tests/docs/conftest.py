"""An issuer and an API on loopback, for pages whose programs send requests over sockets."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from wsgiref.simple_server import WSGIRequestHandler, make_server
from wsgiref.types import WSGIApplication

import pytest
from flask import Flask

from resource_api.wsgi import BearerWsgiMiddleware
from watchword.testing import Issuer, listening

ORDERS = "https://orders.example.com"


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    """Give an issuer that any program reaches over a socket."""
    with listening(audience=ORDERS) as issuer:
        yield issuer


class _Silent(WSGIRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


@contextmanager
def serving(app: WSGIApplication) -> Iterator[str]:
    """Serve an API on a port of this machine."""
    with make_server("127.0.0.1", 0, app, handler_class=_Silent) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def orders_api(issuer: Issuer) -> Iterator[str]:
    """Give the address of an API that gives its orders to any client of the issuer."""
    app = Flask("orders")
    app.get("/orders")(lambda: {"orders": []})
    protected = BearerWsgiMiddleware(app.wsgi_app, issuer=issuer.url, resource=ORDERS)
    with serving(protected) as address:
        yield address
    protected.protection.close()
