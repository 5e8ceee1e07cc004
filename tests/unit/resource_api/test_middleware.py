"""The middleware: settings, lifespan, and what an application gets to see."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from typing import Any

import pytest

import resource_api
from keys.events import ignore_event
from keys.remote.jwks_client import JwksClient
from resource_api import BearerMiddleware, ResourcePolicy, middleware, protection, require
from resource_api.middleware import presented_by
from resource_api.possession import Presented
from resource_api.validator import TrustedIssuer
from tests.support.keys import rsa_key
from tests.support.protected_api import ProtectedApi, PublishedKeySet, ask, bearer
from watchword.testing.clock import Clock
from watchword.testing.forge import ISSUER, NOW, RESOURCE, TokenForge

OTHER = "https://other.example"


async def never(*call: Any) -> None:
    """Be an application that is not reached."""
    raise AssertionError


def test_three_settings_are_enough() -> None:
    """An application, its issuer and its own name; keys are found over HTTP."""
    api = BearerMiddleware(never, issuer=ISSUER, resource=RESOURCE)
    (trusted,) = api.protection.issuers
    assert trusted.policy == ResourcePolicy(issuer=ISSUER, resource=RESOURCE)
    assert not trusted.keys.ready


@pytest.mark.parametrize(
    ("told", "presented"),
    [
        ({"raw_path": b"/a%2Fb"}, Presented("PUT", "/a%2Fb")),
        ({}, Presented("PUT", "/a/b%20c")),
        ({"raw_path": None}, Presented("PUT", "/a/b%20c")),
        ({"raw_path": b"/x", "client": ("10.0.0.1", 5)}, Presented("PUT", "/x", peer="10.0.0.1")),
        (
            {"raw_path": b"/x", "extensions": {"tls": {"client_cert_chain": ["PEM", "CA"]}}},
            Presented("PUT", "/x", certificate="PEM"),
        ),
        ({"raw_path": b"/x", "extensions": {"tls": None}}, Presented("PUT", "/x")),
    ],
)
def test_a_proof_is_for_the_path_as_it_was_sent(told: Any, presented: Presented) -> None:
    """RFC 9449 §4.3; servers that do not tell it have the decoded one, encoded as clients do."""
    assert presented_by({"method": "PUT", "path": "/a/b c", **told}) == presented


def test_policy_must_be_for_this_resource() -> None:
    """Settings that contradict each other are refused."""
    policy = ResourcePolicy(issuer=ISSUER, resource="https://other.example")
    with pytest.raises(ValueError, match="no policy is for the resource"):
        BearerMiddleware(never, issuer=ISSUER, resource=RESOURCE, policy=policy)


@pytest.mark.parametrize("jwks_uri", [None, "https://keys.example/jwks"])
async def test_keys_are_fetched_over_http_and_the_fetch_is_reported(
    monkeypatch: pytest.MonkeyPatch, jwks_uri: str | None
) -> None:
    """From the issuer's metadata, or the address that was given; both by the one event sink."""
    forge, clock, asked, events = TokenForge(), Clock(NOW), [], []

    def http_jwks(issuer: str, *, jwks_uri: str | None, **others: object) -> PublishedKeySet:
        asked.append((issuer, jwks_uri))
        return PublishedKeySet(forge.jwks_document)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})

    monkeypatch.setattr(protection, "HttpJwks", http_jwks)
    api = BearerMiddleware(
        app,
        issuer=ISSUER,
        resource=RESOURCE,
        jwks_uri=jwks_uri,
        clock=clock,
        on_event=lambda name, /, **fields: events.append(name),
    )
    assert (await ask(api, "GET", "/", bearer(forge.token()))).status == 200
    assert (asked, events) == ([(ISSUER, jwks_uri)], ["jwks.refreshed"])


@pytest.mark.parametrize(("size", "remembered"), [(0, False), (16, True)])
async def test_the_number_of_remembered_tokens_is_a_setting(
    monkeypatch: pytest.MonkeyPatch, size: int, remembered: bool
) -> None:
    """0 for none: each has its signature verified; one that is remembered costs no await."""
    api = ProtectedApi(cache_size=size)
    token = api.forge.token()
    assert (await api.ask(token)).status == 200
    assert (api.app.protection.cached(token) is not None) == remembered
    monkeypatch.setattr(middleware, "authenticate_once", never)
    with nullcontext() if remembered else pytest.raises(AssertionError):
        assert (await api.ask(token)).status == 200


async def test_lifespan_starts_the_first_fetch_and_ends_it() -> None:
    """Readiness needs no request: the keys are fetched while the application starts."""
    api = ProtectedApi()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for _ in range(10):
            await asyncio.sleep(0)
        assert api.jwks.ready

    api.app.app = app
    await api.app({"type": "lifespan"}, never, never)
    assert api.issuer.asked == [None]


@pytest.mark.rfc("roll-8")
async def test_keys_may_be_had_before_there_is_traffic() -> None:
    """`warm` gets the keys of every issuer, and says whether they are there."""
    sources = [PublishedKeySet(TokenForge().jwks_document) for _ in range(2)]
    clients = [JwksClient(each, clock=Clock(0)) for each in sources]
    issuers = [
        TrustedIssuer(ResourcePolicy(issuer=issuer, resource=RESOURCE), keys)
        for issuer, keys in zip((ISSUER, OTHER), clients, strict=True)
    ]
    app = BearerMiddleware(never, resource=RESOURCE, issuers=issuers)
    sources[1].status = 503
    assert not await app.warm()
    assert [len(each.asked) for each in sources] == [1, 1]
    assert not app.ready
    sources[1].status = 200
    assert await clients[1].refresh()
    assert (await app.warm(), app.ready) == (True, True)
    assert [len(each.asked) for each in sources] == [1, 2]


@pytest.mark.rfc("roll-8", "ops-1")
async def test_a_probe_asks_whether_there_are_keys() -> None:
    """503 until the set is there, and again once it is too old; a probe alone gets it there."""
    api = ProtectedApi(readiness_path="/readyz")
    answer = await ask(api.app, path="/readyz")
    assert (answer.status, answer.json["failing"]) == (503, ["jwks"])
    assert (answer.header("retry-after"), answer.header("cache-control")) == ("1", "no-store")
    for _ in range(10):
        await asyncio.sleep(0)
    answer = await ask(api.app, path="/readyz")
    assert (answer.status, answer.json) == (200, {"status": "ok"})
    head = await ask(api.app, "HEAD", "/readyz")
    assert (head.status, head.body) == (200, b"")
    api.issuer.status = 503
    api.monotonic.advance(3900)
    assert (await ask(api.app, path="/readyz")).status == 503
    assert (await ask(api.app, "POST", "/readyz")).status == 401
    assert api.reached == []


@pytest.mark.parametrize("path", ["readyz", "/ready/*", "", "/a/../b", "/%72eady"])
def test_a_probe_has_one_path(path: str) -> None:
    """As a platform asks for it."""
    with pytest.raises(ValueError, match=r"readiness_path must|open_routes: "):
        BearerMiddleware(never, issuer=ISSUER, resource=RESOURCE, readiness_path=path)


async def test_event_sink_may_be_left_out() -> None:
    """Without a place for events nothing is reported, and refusals work all the same."""
    api = BearerMiddleware(never, issuer=ISSUER, resource=RESOURCE)
    assert (await ask(api)).status == 401
    assert ignore_event("request.refused") is None


async def test_open_route_with_characters_beyond_ascii() -> None:
    """An open path is compared as browsers send it, and where a server keeps no raw path."""
    forge = TokenForge()
    api = ProtectedApi(forge)
    app = BearerMiddleware(
        api.protected, issuer=ISSUER, resource=RESOURCE, open_routes=[("GET", "/öffen tlich")]
    )
    sent = b"/%C3%B6ffen%20tlich"
    assert (await ask(app, "GET", "/öffen tlich", raw_path=sent)).status == 200
    assert (await ask(app, "GET", "/öffen tlich", raw_path=sent.lower())).status == 401


async def test_application_sees_the_token() -> None:
    """What was proven is in the ASGI scope, under one name."""
    api = ProtectedApi()
    await ask(api.app, "GET", "/read", bearer(api.forge.token()))
    assert api.reached[0]["access_token"].subject == "svc-a"


def test_public_surface() -> None:
    """Twelve names, each of which exists; anything else does not."""
    assert len(resource_api.__all__) == 12
    assert all(getattr(resource_api, name) for name in resource_api.__all__)
    with pytest.raises(AttributeError):
        resource_api.nothing  # noqa: B018


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Be an application that sends back what it read."""
    message = await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": message["body"]})


async def test_an_application_reads_its_request_wherever_it_is_let_in() -> None:
    """Open, spelled so that it is not open, or guarded: the application is called as by itself."""
    api = ProtectedApi(app=echo)
    line = bearer(api.forge.token())
    for asked in (
        ask(api.app, "GET", "/public", body=b"sent"),
        ask(api.app, "GET", "/public", line, raw_path=b"/%70ublic", body=b"sent"),
        ask(api.app, "GET", "/read", line, body=b"sent"),
    ):
        answer = await asked
        assert (answer.status, answer.body) == (200, b"sent")


async def test_lifespan_reaches_the_application_as_it_came() -> None:
    """Start and stop are between the server and the application."""
    seen: list[Any] = []
    api = ProtectedApi()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.extend((scope["type"], receive, send))

    async def receive() -> Any: ...

    async def send(message: Any) -> None: ...

    api.app.app = app
    await api.app({"type": "lifespan"}, receive, send)
    assert seen == ["lifespan", receive, send]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"iss": "https://other.example"}, "wrong_issuer"),
        ({"aud": "https://other.example"}, "wrong_audience"),
        ({"exp": NOW - 60}, "expired"),
        ({"jti": ""}, "invalid_identity"),
        ({"header": {"kid": "other"}}, "unknown_key"),
        ({"header": {"typ": "JWT"}}, "wrong_type"),
    ],
)
async def test_a_token_with_one_thing_wrong_is_refused_after_the_right_one(
    changed: dict[str, Any], reason: str
) -> None:
    """What is remembered of a good token, of its header and of the keys helps no other token."""
    api = ProtectedApi()
    bad = api.forge.token(**changed)
    for _ in range(2):
        assert (await api.ask(api.forge.token())).status == 200
        assert (await api.ask(bad)).status == 401
        assert api.reason == reason
        assert (await api.ask(api.forge.token()[:-4] + b"AAAA")).status == 401


async def test_metadata_says_how_long_it_is_and_how_long_it_lasts() -> None:
    """RFC 9110 §8.6, RFC 9111 §5.2: a cache may keep it for five minutes."""
    answer = await ask(ProtectedApi().app, "GET", "/.well-known/oauth-protected-resource")
    assert (answer.status, answer.header("content-type")) == (200, "application/json")
    assert answer.header("content-length") == str(len(answer.body))
    assert answer.header("cache-control") == "public, max-age=300"
    assert answer.header("access-control-allow-origin") == "*"


async def test_the_report_of_a_refusal_says_who_and_why() -> None:
    """The client once its token is proven, and a kid if it is a harmless word."""
    api = ProtectedApi(app=require("admin").app(never))
    await ask(api.app)
    await api.ask(api.forge.token())
    for kid in ("k" * 64, "k" * 65, "a b", "k\n"):
        await api.ask(api.forge.token(header={"kid": kid}))
    reports = [fields for name, fields in api.events if name == "request.refused"]
    unknown = {"reason": "unknown_key", "status": 401}
    assert reports == [
        {"reason": "no_credentials", "status": 401},
        {"reason": "insufficient_scope", "status": 403, "client_id": "svc-a"},
        {**unknown, "kid": "k" * 64},
        *[unknown] * 3,
    ]


async def test_a_websocket_is_closed_or_answered_instead_of_being_accepted() -> None:
    """1008 is a violated policy (RFC 6455 §7.4.1); a server that can answers with 401."""
    api = ProtectedApi()
    assert (await ask(api.app, kind="websocket")).status == 1008
    answer = await ask(api.app, kind="websocket", extensions={"websocket.http.response": {}})
    assert (answer.status, api.reason) == (401, "no_credentials")
    assert answer.challenge
    line = bearer(api.forge.token())
    assert (await ask(api.app, "GET", "/public", line, kind="websocket")).status == 101
    assert (await ask(api.app, "GET", "/public", kind="websocket")).status == 1008


def two_issuers() -> tuple[list[TrustedIssuer], TokenForge]:
    """Trust two issuers, each with a key of its own; give the forge of the second."""
    forges = {ISSUER: TokenForge(), OTHER: TokenForge(rsa_key(1))}
    trusted = [
        TrustedIssuer(
            ResourcePolicy(issuer=issuer, resource=RESOURCE),
            JwksClient(PublishedKeySet(forge.jwks_document), on_event=ignore_event),
        )
        for issuer, forge in forges.items()
    ]
    return trusted, forges[OTHER]


async def test_several_issuers_can_be_trusted() -> None:
    """Each is named in the metadata, has its keys fetched at start, and its tokens accepted."""
    issuers, forge = two_issuers()
    app = BearerMiddleware(
        ProtectedApi().protected,
        resource=RESOURCE,
        issuers=issuers,
        clock=Clock(NOW),
        on_event=ignore_event,
    )
    line = bearer(forge.token(iss=OTHER))
    assert [(await ask(app, "GET", "/read", line)).status for _ in range(2)] == [200, 200]
    assert (await ask(app, "GET", "/read", bearer(forge.token()))).status == 401
    document = await ask(app, "GET", "/.well-known/oauth-protected-resource")
    assert document.json["authorization_servers"] == [ISSUER, OTHER]
    kept = [(each.policy, each.keys) for each in app.protection.issuers]
    assert kept == [(each.policy, each.keys) for each in issuers]


async def test_the_keys_of_every_issuer_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever closing another one raises."""
    issuers, _ = two_issuers()
    closed: list[str] = []

    def closing(name: str) -> Callable[[], Awaitable[None]]:
        async def aclose() -> None:
            closed.append(name)
            raise RuntimeError(name)

        return aclose

    async def app(scope: Any, receive: Any, send: Any) -> None:
        return None

    for each in issuers:
        monkeypatch.setattr(each.keys, "current", lambda: None)
        monkeypatch.setattr(each.keys, "aclose", closing(each.policy.issuer))
    api = BearerMiddleware(app, resource=RESOURCE, issuers=issuers)
    for trusted in api.protection.issuers:
        monkeypatch.setattr(
            trusted.statuses, "aclose", closing(f"lists of {trusted.policy.issuer}")
        )
    with pytest.raises(RuntimeError):
        await api({"type": "lifespan"}, never, never)
    assert sorted(closed) == sorted([ISSUER, OTHER, f"lists of {ISSUER}", f"lists of {OTHER}"])


def test_the_issuers_are_for_this_resource() -> None:
    """Settings that contradict each other, or name no issuer, are refused."""
    issuers, _ = two_issuers()
    elsewhere = ResourcePolicy(issuer=ISSUER, resource="urn:a")
    for settings, fault in (
        ({"issuers": issuers, "resource": "urn:a"}, "the resource 'urn:a', letter by letter"),
        (
            {"issuer": ISSUER, "policy": elsewhere, "resource": "urn:b"},
            f"the resource 'urn:b' and the issuer '{ISSUER}', letter by letter",
        ),
        ({"issuers": issuers, "issuer": ISSUER, "resource": RESOURCE}, "name whom to trust"),
        (
            {"issuers": issuers, "policy": issuers[0].policy, "resource": RESOURCE},
            "name whom to trust",
        ),
        (
            {"issuers": issuers, "jwks_uri": "https://a.example/jwks", "resource": RESOURCE},
            "name whom to trust",
        ),
        ({"issuers": [], "issuer": ISSUER, "resource": RESOURCE}, "name whom to trust"),
        ({"resource": RESOURCE}, "name whom to trust"),
    ):
        with pytest.raises(ValueError, match=fault):
            BearerMiddleware(never, **settings)
