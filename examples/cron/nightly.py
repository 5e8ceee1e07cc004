"""A script that cron runs: it reads an API and ends; the next run goes on with the same token."""

import logging
import os
import sys

import httpx

from consumer import ClientCredentials
from consumer.token_files import TokenFiles

logging.basicConfig(format="%(name)s: %(message)s", stream=sys.stdout)
logging.getLogger("watchword.consumer").setLevel(logging.INFO)

auth = ClientCredentials(
    os.environ["ISSUER"],
    "demo",
    os.environ["CLIENT_SECRET"],
    scope="read",
    store=TokenFiles(os.environ["TOKENS"]),
)


def main() -> None:
    """Read what there is."""
    with httpx.Client(base_url=os.environ["API"], auth=auth) as client:
        answer = client.get("/read-resource").raise_for_status().json()
        print(f"the API says: {answer}")


if __name__ == "__main__":
    main()
