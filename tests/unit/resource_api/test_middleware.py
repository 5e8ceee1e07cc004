"""The gate: settings, lifespan, and what an application gets to see."""

import asyncio
from typing import Any

import pytest

import resource_api
from resource_api import BearerMiddleware, ResourcePolicy
from resource_api.jwks_client import ignore_event
from tests.support.forge import ISSUER, RESOURCE, TokenForge
from tests.support.gate import Gate, ask, bearer


async def never(scope: Any, receive: Any, send: Any) -> None:
    """Be an application that is not reached."""
    raise AssertionError


def test_three_settings_are_enough() -> None:
    """An application, its issuer and its own name; keys are found over HTTP."""
    gate = BearerMiddleware(never, issuer=ISSUER, resource=RESOURCE)
    assert gate.policy == ResourcePolicy(issuer=ISSUER, resource=RESOURCE)
    assert not gate.jwks.ready


def test_policy_must_be_for_this_resource() -> None:
    """Settings that contradict each other are refused."""
    policy = ResourcePolicy(issuer=ISSUER, resource="https://other.example")
    with pytest.raises(ValueError):
        BearerMiddleware(never, issuer=ISSUER, resource=RESOURCE, policy=policy)


async def test_lifespan_starts_the_first_fetch_and_ends_it() -> None:
    """Readiness needs no request: the keys are fetched while the application starts."""
    gate = Gate()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for _ in range(10):
            await asyncio.sleep(0)
        assert gate.jwks.ready

    gate.app.app = app
    await gate.app({"type": "lifespan"}, never, never)
    assert gate.issuer.asked == [None]


async def test_event_sink_may_be_left_out() -> None:
    """Without a place for events nothing is reported, and refusals work all the same."""
    gate = BearerMiddleware(never, issuer=ISSUER, resource=RESOURCE)
    assert (await ask(gate)).status == 401
    assert ignore_event("request.refused") is None


async def test_open_route_with_characters_beyond_ascii() -> None:
    """An open path is compared as browsers send it, and where a server keeps no raw path."""
    forge = TokenForge()
    gate = Gate(forge)
    app = BearerMiddleware(
        gate.protected, issuer=ISSUER, resource=RESOURCE, open_routes=[("GET", "/öffen tlich")]
    )
    sent = b"/%C3%B6ffen%20tlich"
    assert (await ask(app, "GET", "/öffen tlich", raw_path=sent)).status == 200
    assert (await ask(app, "GET", "/öffen tlich", raw_path=sent.lower())).status == 401


async def test_application_sees_the_token() -> None:
    """What was proven is in the ASGI scope, under one name."""
    gate = Gate()
    await ask(gate.app, "GET", "/read", bearer(gate.forge.token()))
    assert gate.reached[0]["access_token"].subject == "svc-a"


def test_public_surface() -> None:
    """Twelve names, each of which exists; anything else does not."""
    assert len(resource_api.__all__) == 12
    assert all(getattr(resource_api, name) for name in resource_api.__all__)
    with pytest.raises(AttributeError):
        resource_api.nothing  # noqa: B018
