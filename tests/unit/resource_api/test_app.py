"""The demo API, and the ways to keep its one value."""

import os

import pytest

from keys.remote.jwks_client import JwksClient
from resource_api.demo.app import MAX_BODY, create_demo_api
from resource_api.demo.values import MemoryValue, ResourceValue, SharedValue
from tests.support.protected_api import Answer, PublishedKeySet, ask, bearer
from watchword.testing.clock import Clock
from watchword.testing.forge import ISSUER, RESOURCE, TokenForge

FORGE = TokenForge()


class Demo:
    """A demo API and the tokens to use it."""

    def __init__(self, value: ResourceValue | None = None) -> None:
        """Build it as a provider would."""
        self.app = create_demo_api(
            issuer=ISSUER,
            resource=RESOURCE,
            jwks=JwksClient(PublishedKeySet(FORGE.jwks_document)),
            value=value,
            clock=Clock(),
        )

    async def read(self, scope: str = "read") -> Answer:
        """Read the resource."""
        return await ask(self.app, "GET", "/read-resource", bearer(FORGE.token(scope=scope)))

    async def write(self, body: bytes, scope: str = "write") -> Answer:
        """Write the resource."""
        token = bearer(FORGE.token(scope=scope))
        return await ask(self.app, "POST", "/write-resource", token, body=body)


async def test_story() -> None:
    """Open route, empty resource, write, read."""
    demo = Demo()
    assert (await ask(demo.app, "GET", "/public")).body == b"moo"
    assert (await demo.read()).body == b'{"resource":null}'
    assert (await demo.write(b'{"value": "foo-bar-moo"}')).json == {"message": "resource created"}
    assert (await demo.read()).body == b'{"resource":"foo-bar-moo"}'


@pytest.mark.attack("V29")
async def test_each_route_has_its_scope() -> None:
    """Reading needs `read`, writing `write`; one does not include the other."""
    demo = Demo()
    assert (await demo.read(scope="write")).status == 403
    refused = await demo.write(b'{"value":1}', scope="read")
    assert (refused.status, refused.json["error"]) == (403, "insufficient_scope")
    assert 'scope="write"' in (refused.challenge or "")


@pytest.mark.parametrize(
    "body", [b"", b"x", b"[]", b"{}", b'{"value":1,"value":2}', b'{"value":"\\ud800"}', b"\xff"]
)
async def test_bad_body_is_a_problem(body: bytes) -> None:
    """What is not a JSON object with a value is 400, and changes nothing."""
    demo = Demo()
    answer = await demo.write(body)
    assert (answer.status, answer.header("content-type")) == (400, "application/problem+json")
    assert (await demo.read()).json == {"resource": None}


async def test_long_body_is_refused() -> None:
    """A body above the cap is 413."""
    assert (await Demo().write(b" " * (MAX_BODY + 1))).status == 413


def test_memory_value() -> None:
    """A value in memory is the one last set."""
    value = MemoryValue()
    value.set(b"1")
    assert value.get() == b"1"


def test_shared_value_crosses_a_fork() -> None:
    """A value that a child process sets is the one that the parent reads, longer or shorter."""
    value = SharedValue()
    assert value.get() == b"null"
    for text in (b'"a longer value"', b"1"):
        child = os.fork()
        if child == 0:
            value.set(text)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert value.get() == text
    value.close()


async def test_demo_over_a_shared_value() -> None:
    """The demo API does not care where its value is kept."""
    value = SharedValue()
    demo = Demo(value)
    await demo.write(b'{"value":{"a":[1,2]}}')
    assert (await demo.read()).json == {"resource": {"a": [1, 2]}}
    value.close()
