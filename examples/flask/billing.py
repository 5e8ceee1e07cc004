"""A caller that uses requests."""

import os

import requests

from consumer import TokenSource
from consumer.requests_auth import TokenAuth

ORDERS = os.environ["ORDERS"]

session = requests.Session()
session.auth = TokenAuth(
    TokenSource(os.environ["ISSUER"], "billing", os.environ["CLIENT_SECRET"], scope="orders:read")
)


def main() -> None:
    """Read orders, and try what is not allowed."""
    unknown = requests.get(f"{ORDERS}/orders", timeout=10)
    print(f"without a token: {unknown.status_code}")
    response = session.get(f"{ORDERS}/orders", timeout=10)
    response.raise_for_status()
    print(f"with a token: {response.json()}")
    refused = session.delete(f"{ORDERS}/orders/0", timeout=10)
    print(f"without the scope: {refused.status_code} {refused.json()['error']}")
    if (unknown.status_code, refused.status_code) != (401, 403):
        raise SystemExit("this was not expected")


if __name__ == "__main__":
    main()
