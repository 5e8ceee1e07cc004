"""RFC 8725 §3.10: which `jwks_uri` a client may register, without anything being fetched."""

import json

import pytest

from tests.support.registration import (
    JSON,
    BoundedBody,
    assert_refused,
    open_reception,
)


@pytest.fixture
def reception(tmp_path):
    """Open `/register`."""
    with open_reception(tmp_path) as opened:
        yield opened


PRIVATE_PLACES = [
    "http://keys.client.example/jwks",
    "https://127.0.0.1/jwks",
    "https://[::1]/jwks",
    "https://[::ffff:127.0.0.1]/jwks",
    "https://[::ffff:7f00:1]/jwks",
    "https://2130706433/jwks",
    "https://0x7f000001/jwks",
    "https://0177.0.0.1/jwks",
    "https://127.1/jwks",
    "https://0x7f.1/jwks",
    "https://localhost/jwks",
    "https://LOCALHOST/jwks",
    "https://localhost./jwks",
    "https://keys.client.example./jwks",
    "https://keys.localhost/jwks",
    "https://keys.local/jwks",
    "https://keys.internal/jwks",
    "https://metadata.google.internal/jwks",
    "https://keys/jwks",
    "https://user@keys.client.example/jwks",
    "https://keys.client.example@127.0.0.1/jwks",
    "https://keys.client.example:8443/jwks",
    "https://keys.client.example:x/jwks",
    "https://keys.client.example\\@127.0.0.1/jwks",
    "https://keys.client.example/jwks#x",
    "https://[keys.client.example/jwks",
    "https://ke\u0443s.client.example/jwks",
    "https://\u2488\u2488.client.example/jwks",
    "https://keys.client.example/jw ks",
    "https://keys.client.example/\njwks",
    "https:keys.client.example",
    "https:///jwks",
    "file:///etc/passwd",
    "ftp://keys.client.example/jwks",
    "keys.client.example",
    "https://keys.client.example/" + "x" * 2048,
]  # fmt: skip


@pytest.mark.rfc("8725-3.10-1")
@pytest.mark.parametrize("uri", PRIVATE_PLACES)
async def test_a_jwks_uri_that_looks_private_is_refused_unseen(
    reception: BoundedBody, uri: str
) -> None:
    """Not even a name is resolved for what its text gives away."""
    answer = await reception.register(token_endpoint_auth_method="private_key_jwt", jwks_uri=uri)
    assert_refused(answer, 400, "invalid_client_metadata")
    assert "jwks_uri" in answer.json["error_description"]
    assert reception.looked_at == []


@pytest.mark.rfc("8725-3.10-1")
@pytest.mark.parametrize(
    ("uri", "host"),
    [
        ("https://keys.client.example/jwks", "keys.client.example"),
        ("https://KEYS.client.example:443", "keys.client.example"),
        ("https://xn--80ak6aa92e.example/", "xn--80ak6aa92e.example"),
    ],
)
async def test_the_addresses_behind_a_jwks_uri_are_looked_at(
    reception: BoundedBody, uri: str, host: str
) -> None:
    """A name that leads to a private address, or nowhere, is refused; nothing is fetched."""
    metadata = {"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": uri}
    reception.public = False
    assert_refused(await reception.register(**metadata), 400, "invalid_client_metadata")
    reception.public = True
    assert (await reception.register(**metadata)).status == 201
    assert reception.looked_at == [host, host]


@pytest.mark.rfc("8725-3.10-1")
async def test_strangers_have_no_name_resolved(reception: BoundedBody) -> None:
    """Without a good token nobody makes us ask a name server."""
    metadata = {"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "https://a.b.example"}
    body = json.dumps(metadata).encode()
    assert (await reception.send(JSON, body=body)).status == 401
    assert (await reception.register("wwr_" + "0" * 16 + "_" + "x" * 43, **metadata)).status == 401
    assert reception.looked_at == []
