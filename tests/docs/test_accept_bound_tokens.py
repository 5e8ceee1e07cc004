"""The snippets of the page on bound tokens are run, with the proofs of our own client."""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from consumer.dpop import DpopKey
from tests.support.protected_api import Answer, ask
from watchword.testing import Issuer

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "accept-bound-tokens.md"
BASE_URL, REQUIRED, SHARED, NONCES, PROXIES, BY_HAND = map(
    dedent, re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
)
URL, AUDIENCE = "https://auth.example.com", "https://orders.example.com"
KEY = DpopKey()


async def api(scope: Any, receive: Any, send: Any) -> None:
    """Answer any request."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"in"})


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    """The issuer of the page."""
    with Issuer(URL, audience=AUDIENCE).serving() as issuer:
        yield issuer


def headers_for(url: str, token: str, nonce: str | None = None) -> list[tuple[bytes, bytes]]:
    """Write the header fields of a request as a client does."""
    proof = KEY.prove("GET", url, now=time.time(), token=token, nonce=nonce)
    return [(b"authorization", f"DPoP {token}".encode()), (b"dpop", proof.encode())]


async def test_the_snippets(issuer: Issuer) -> None:
    """Each lets the holder of the key in, by the URL that it is about."""
    names: dict[str, Any] = {"api": api}
    bound = issuer.token(claims={"cnf": {"jkt": KEY.thumbprint}})

    async def answer(url: str, token: str = bound, nonce: str | None = None) -> Answer:
        return await ask(names["app"], "GET", "/read", *headers_for(url, token, nonce))

    exec(BASE_URL, names)
    assert (await answer("https://front.example.com/orders/read")).status == 200
    assert (await answer(f"{AUDIENCE}/read")).json["error"] == "invalid_dpop_proof"
    exec(REQUIRED, names)
    assert (await answer(f"{AUDIENCE}/read")).status == 200
    bearer = (b"authorization", f"Bearer {issuer.token()}".encode())
    refused = await ask(names["app"], "GET", "/read", bearer)
    assert (refused.challenge or "").startswith("DPoP realm=")
    exec(BY_HAND, names)
    token = await names["authenticate"]("GET", "/a", headers_for(f"{AUDIENCE}/a", bound))
    assert token.confirmation == {"jkt": KEY.thumbprint}


async def test_the_nonces(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that is asked for a nonce gets in with it."""
    monkeypatch.setenv("ORDERS_NONCE_KEY", "5a" * 32)
    names: dict[str, Any] = {"api": api}
    exec(BASE_URL + NONCES, names)
    app = names["BearerMiddleware"](api, issuer=URL, resource=AUDIENCE, binding=names["binding"])
    bound = issuer.token(claims={"cnf": {"jkt": KEY.thumbprint}})
    asked = await ask(app, "GET", "/read", *headers_for(f"{AUDIENCE}/read", bound))
    assert asked.json["error"] == "use_dpop_nonce"
    nonce = asked.header("dpop-nonce")
    again = await ask(app, "GET", "/read", *headers_for(f"{AUDIENCE}/read", bound, nonce))
    assert again.status == 200
    exec(PROXIES, names)
    assert len(names["binding"].networks) == 2
    exec(SHARED, names)
    assert names["binding"].replays is names["replays"]
    await names["replays"].close()
