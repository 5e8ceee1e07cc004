"""What a token exchange costs: server CPU time through the real HTTP stack over one bare signature.

One worker as shipped, 32 kept-alive connections, client_secret_basic. 64 tokens of a caller, each
on a status list, are exchanged in turn; a worker verifies the signature of each once, and looks at
key, times and status each time. Each round measures the bare RSA-2048 signature just before and
just after its load, so that only ratios count. `first` is the same with 2,500 tokens in turn, more
than a worker remembers: each exchange verifies one signature and makes another.
"""

# ruff: noqa: E402
import sys

sys.path[0] = sys.path[0].removesuffix("/bench")  # else bench/token.py hides the standard `token`

import argparse
import http.client
import json
from contextlib import closing
from urllib.parse import urlencode

from bench.loadgen import build_request
from bench.served import (
    OPERATOR,
    RESOURCE,
    SCOPES,
    Prepared,
    new_secret,
    prepared,
    provider,
)
from bench.token import measure
from consumer.client_auth import ClientSecretBasic
from issuer.grants.token_exchange import ACCESS_TOKEN
from issuer.own_tokens import REMEMBERED
from issuer.registry.client import ClientRegistration
from issuer.registry.grant_types import TOKEN_EXCHANGE
from issuer.registry.permission import ExchangePermission
from issuer.registry.resource import Resource

LIMIT = 1.6
TOKENS = 64
"""Tokens that are exchanged in turn."""
SERVICE = "bench-service"
NEXT = "https://next.example"


def let_exchange(data: Prepared) -> None:
    """Register a service that may exchange the tokens of the client."""
    permission = ExchangePermission(
        subject_resource=RESOURCE, resource=NEXT, subjects=(data.client_id,)
    )
    with closing(data.open_registry()) as registry:
        registry.change(
            lambda edit: edit.create_resource(Resource(resource=NEXT, scopes=SCOPES)), by=OPERATOR
        )
        registry.change(
            lambda edit: edit.create_client(
                ClientRegistration(
                    client_id=SERVICE,
                    grant_types=(TOKEN_EXCHANGE,),
                    grants=edit.grants_for([NEXT], SCOPES),
                    token_exchange=(permission,),
                ),
                [new_secret(data.client_secret)],
            ),
            by=OPERATOR,
        )


def get_tokens(data: Prepared, count: int) -> list[str]:
    """Have tokens issued to the client."""
    head, _, body = data.token_request().partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    tokens = []
    with provider(data) as server:
        connection = http.client.HTTPConnection(*server.address, timeout=10)
        for _ in range(count):
            connection.request("POST", "/token", body, headers)
            tokens.append(json.loads(connection.getresponse().read())["access_token"])
        connection.close()
    return tokens


def exchange_request(data: Prepared, token: str) -> bytes:
    """Return the exchange of a token, ready to be sent."""
    headers = {"content-type": "application/x-www-form-urlencoded"}
    ClientSecretBasic(SERVICE, data.client_secret).apply({}, headers, audience="", now=0.0)
    form = {
        "grant_type": TOKEN_EXCHANGE,
        "subject_token": token,
        "subject_token_type": ACCESS_TOKEN,
        "resource": NEXT,
    }
    return build_request("POST", "/token", headers, urlencode(form).encode())


def main() -> int:
    """Measure, print, and tell by the exit code whether the bar was met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="within 45 s on two cores")
    quick = parser.parse_args().quick
    rounds, tokens = (3, 2_000) if quick else (9, 4_000)
    with prepared() as data:
        let_exchange(data)
        sent = [exchange_request(data, each) for each in get_tokens(data, REMEMBERED + 452)]
        issued = measure(data, 1, 3 if quick else 5, 2_000)
        exchanged = measure(data, 1, rounds, tokens, sent[:TOKENS])
        first = measure(data, 1, 3 if quick else 5, 2 * len(sent), sent)
    missed = [] if exchanged["cpu"] <= LIMIT else ["cpu"]
    print(f"client credentials: {issued}\nexchanged: {exchanged}\nfirst: {first}")
    result = {
        "name": "exchange",
        "ratio": exchanged["cpu"],
        "against": "CPU time of one RSA-2048 signature",
        "limit": LIMIT,
        "details": {
            "client_credentials": issued,
            "exchanged": exchanged,
            "first": first,
            "missed": missed,
        },
    }
    print(json.dumps(result))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
