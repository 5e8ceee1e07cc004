"""Two callers: one has moved, one still has its tokens from Keycloak."""

import os

import httpx

from consumer import ClientCredentials

ISSUER, KEYCLOAK = os.environ["ISSUER"], f"{os.environ['KEYCLOAK']}/realms/shop"
SECRET = os.environ["CLIENT_SECRET"]


def main() -> None:
    """Call with a token of each issuer."""
    with httpx.Client(base_url=os.environ["ORDERS"]) as orders:
        for issuer, client_id in ((ISSUER, "billing"), (KEYCLOAK, "shipping")):
            auth = ClientCredentials(issuer, client_id, SECRET, scope="orders:read")
            answer = orders.get("/orders", auth=auth).raise_for_status().json()
            print(f"orders says to {client_id}: {answer}")
            if answer != {"for": client_id, "by": issuer}:
                raise SystemExit("this was not expected")


if __name__ == "__main__":
    main()
