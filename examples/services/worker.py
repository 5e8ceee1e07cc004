"""The worker: looks what there is, and orders it."""

import os

import httpx

from consumer import ClientCredentials

ISSUER, SECRET = os.environ["ISSUER"], os.environ["CLIENT_SECRET"]

stock = httpx.Client(
    base_url=os.environ["STOCK"],
    auth=ClientCredentials(ISSUER, "worker", SECRET, resource="https://stock.example.com"),
)
orders = httpx.Client(
    base_url=os.environ["ORDERS"],
    auth=ClientCredentials(ISSUER, "worker", SECRET, resource="https://orders.example.com"),
)


def main() -> None:
    """Order tea."""
    left = stock.get("/items/tea").raise_for_status().json()
    print(f"stock says to the worker: {left}")
    order = orders.post("/orders/tea").raise_for_status().json()
    print(f"orders says to the worker: {order}")
    refused = stock.post("/items/tea/reservations")
    print(f"stock does not let the worker reserve by itself: {refused.status_code}")
    if order["reserved_for"] != "worker" or refused.status_code != httpx.codes.FORBIDDEN:
        raise SystemExit("this was not expected")


if __name__ == "__main__":
    main()
