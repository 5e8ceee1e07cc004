"""A caller of the workload, which looks at its probes as well."""

import os
from pathlib import Path

import httpx

from consumer import ClientCredentials

SECRET = Path(os.environ["CLIENT_SECRET_FILE"]).read_text().strip()


def main() -> None:
    """Ask for invoices."""
    auth = ClientCredentials(os.environ["ISSUER"], "billing", SECRET)
    with httpx.Client(base_url=os.environ["INVOICES"]) as invoices:
        for probe in ("/livez", "/readyz"):
            print(f"{probe}: {invoices.get(probe).raise_for_status().status_code}")
        answer = invoices.get("/invoices", auth=auth).raise_for_status().json()
        print(f"invoices says: {answer}")
        if answer["for"] != "billing":
            raise SystemExit("this was not expected")


if __name__ == "__main__":
    main()
