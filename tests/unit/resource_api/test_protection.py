"""What protects an API without any framework: issuers, authentication, refusals."""

import asyncio
import inspect
import json
from contextlib import nullcontext
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.trace import StatusCode

from keys import jwt as our_jwt
from keys.events import ignore_event
from keys.remote.answer import Fetched
from keys.remote.jwks_client import JwksClient
from resource_api import BearerMiddleware, ResourcePolicy, status_lists
from resource_api import protection as protection_module
from resource_api.errors import (
    InsufficientScope,
    InvalidToken,
    Reason,
    ResourceError,
    StatusUnavailable,
)
from resource_api.protection import Protection, ProtectionSettings
from resource_api.status_list import MEDIA_TYPE
from resource_api.validator import TrustedIssuer
from tests.support.keys import rsa_key
from tests.support.protected_api import ProtectedApi, PublishedKeySet, ask, bearer
from tests.support.telemetry import Telemetry
from watchword.testing.clock import Clock
from watchword.testing.forge import DROP, ISSUER, NOW, RESOURCE, TokenForge
from watchword.testing.status_lists import list_token, status

OTHER = "https://other.example"


def protect(api: ProtectedApi, **settings: Any) -> Protection:
    """Make a protection that has the keys of a test's issuer."""
    settings = {"issuer": ISSUER, "jwks": api.jwks} | settings
    return Protection(resource=RESOURCE, clock=Clock(NOW), on_event=api.record, **settings)


def test_its_keywords_are_named_once() -> None:
    """What takes the same keywords takes them all, under the same names."""
    keywords = inspect.signature(Protection).parameters.keys()
    assert keywords == ProtectionSettings.__annotations__.keys()


async def test_a_request_is_authenticated_by_its_headers() -> None:
    """The token comes back; the second time from memory, without the signature being verified."""
    api = ProtectedApi()
    protection, sent = protect(api), api.forge.token()
    assert protection.cached(sent) is None
    token = await protection.authenticate([(b"accept", b"*/*"), bearer(sent)])
    assert (token.issuer, token.scopes) == (ISSUER, {"read", "write"})
    assert protection.cached(sent) is token
    assert await protection.authenticate([bearer(sent)]) is token


async def test_a_token_is_remembered_for_as_long_as_it_is_good() -> None:
    """Up to the last moment that the leeway of its issuer allows."""
    api = ProtectedApi()
    protection, sent = api.app.protection, api.forge.token()
    token = await protection.validate(sent)
    api.clock.advance(token.expires_at - NOW + protection.policy.leeway - 0.5)
    assert protection.cached(sent) is token
    api.clock.advance(0.5)
    assert protection.cached(sent) is None


@pytest.mark.parametrize("root_path", ["", "/v1"])
async def test_a_refusal_is_the_one_of_the_middleware(root_path: str) -> None:
    """Whatever serves the API, a caller gets the same status, headers and body, to the byte."""
    api = ProtectedApi()
    protection = protect(api)

    async def mounted(scope: Any, receive: Any, send: Any) -> None:
        await api.app({**scope, "root_path": root_path}, receive, send)

    for lines in ([], [bearer(b"no token")], [bearer(b"a.b.c")]):
        with pytest.raises(ResourceError) as caught:
            await protection.authenticate(lines)
        status, headers, body = protection.refusal(caught.value, root_path=root_path)
        answer = await ask(mounted, "GET", f"{root_path}/read", *lines)
        assert (status, headers, body) == (answer.status, answer.lines, answer.body)


async def test_a_thread_without_an_event_loop_may_ask_whether_it_is_ready() -> None:
    """Such as that of a `def` route: with keys that are due, which cannot be fetched from there."""
    api, time = ProtectedApi(), Clock(NOW)
    fetched = PublishedKeySet(api.forge.jwks_document)
    keys = JwksClient(fetched, clock=time, on_event=ignore_event)
    protection = protect(api, jwks=keys)
    assert not await asyncio.to_thread(lambda: protection.ready)
    assert await protection.warm()
    time.advance(keys.status().next_check)
    assert await asyncio.to_thread(lambda: protection.ready)
    assert (await asyncio.to_thread(protection.readiness))[0] == 200
    await protection.aclose()


async def test_a_refusal_is_reported_with_what_is_known_of_the_token() -> None:
    """The client of a token that was valid; of another one its key, if that is a harmless text."""
    api = ProtectedApi()
    protection = protect(api)
    token = await protection.authenticate([bearer(api.forge.token())])
    protection.report(InsufficientScope(("write",)), token)
    assert api.events[-1] == (
        "request.refused",
        {"reason": "insufficient_scope", "status": 403, "client_id": token.client_id},
    )
    for kid, told in (("a-key", {"kid": "a-key"}), ("line\nbreak", {})):
        protection.report(InvalidToken(Reason.UNKNOWN_KEY, kid=kid))
        fields = {"reason": "unknown_key", "status": 401, **told}
        assert api.events[-1] == ("request.refused", fields)


async def test_an_issuer_may_be_named_by_its_policy_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its keys and lists are found over HTTP, as for the only issuer."""
    api, forge = ProtectedApi(), TokenForge(issuer=OTHER)
    monkeypatch.setattr(protection_module, "HttpJwks", lambda *_, **__: api.issuer)
    policy = ResourcePolicy(issuer=ISSUER, resource=RESOURCE)
    known = TrustedIssuer(ResourcePolicy(issuer=OTHER, resource=RESOURCE), api.jwks)
    protection = Protection(
        resource=RESOURCE, issuers=[policy, known], clock=Clock(NOW), on_event=api.record
    )
    assert (await protection.authenticate([bearer(api.forge.token())])).issuer == ISSUER
    assert [name for name, _ in api.events] == ["jwks.refreshed"]
    assert [each.policy.issuer for each in protection.issuers] == [ISSUER, OTHER]
    assert all(each.statuses is not None for each in protection.issuers)
    assert json.loads(protection.metadata_answer()[2])["authorization_servers"] == [ISSUER, OTHER]
    token = await protection.authenticate([bearer(forge.token())])
    assert token.issuer == OTHER
    await protection.aclose()


async def test_an_api_may_have_another_identifier_at_another_issuer() -> None:
    """What it publishes and says in challenges has its own, wherever that policy stands."""
    api, forge = ProtectedApi(), TokenForge(issuer=OTHER)
    plain = ResourcePolicy(issuer=OTHER, resource="orders-api", profile="keycloak")
    own = ResourcePolicy(issuer=ISSUER, resource=RESOURCE, realm="orders")
    protection = Protection(
        resource=RESOURCE,
        issuers=[TrustedIssuer(each, api.jwks) for each in (plain, own)],
        clock=Clock(NOW),
        on_event=api.record,
    )
    assert protection.policy == own
    document = json.loads(protection.metadata_answer()[2])
    assert (document["resource"], document["authorization_servers"]) == (RESOURCE, [OTHER, ISSUER])
    assert (await protection.authenticate([bearer(api.forge.token())])).issuer == ISSUER
    foreign = forge.token(aud="orders-api", azp="till", client_id=DROP, typ="Bearer")
    assert (await protection.authenticate([bearer(foreign)])).client_id == "till"
    with pytest.raises(InvalidToken) as caught:
        await protection.authenticate([bearer(api.forge.token(aud="orders-api"))])
    assert caught.value.reason is Reason.WRONG_AUDIENCE
    (*_, challenge), _ = protection.refusal(caught.value)[1:]
    assert challenge[1].startswith(b'Bearer realm="orders"')
    assert f'="{RESOURCE}/.well-known/oauth-protected-resource"'.encode() in challenge[1]


async def test_what_becomes_of_status_lists_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where all else is; and the lists are judged by the same clock as the tokens."""
    api, uri = ProtectedApi(), f"{ISSUER}/lists/1"

    async def fetch(asked: str, headers: Any) -> Fetched:
        if asked != uri:
            raise ConnectionError
        body = list_token(api.forge, uri)
        return Fetched(status=200, headers={"content-type": MEDIA_TYPE}, body=body)

    monkeypatch.setattr(status_lists, "HttpGet", lambda **_: fetch)
    protection = protect(api)
    assert await protection.authenticate([bearer(api.forge.token(status=status(uri)))])
    with pytest.raises(StatusUnavailable):
        await protection.authenticate([bearer(api.forge.token(status=status(f"{uri}0")))])
    told = {"uri": f"{uri}0", "reason": "ConnectionError", "failures": 1}
    assert ("status_list.stale", told) in api.events
    await protection.aclose()


def test_an_issuer_is_no_text() -> None:
    """What was meant cannot be told: its tokens may be for the API under another name."""
    with pytest.raises(TypeError, match="policies"):
        Protection(resource=RESOURCE, issuers=[ISSUER])  # type: ignore[list-item]


async def test_plain_http_inside_a_network_is_allowed_aloud(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A warning names the issuer, whether one is given or several; public hosts need their name."""
    inside = "http://keycloak:8080/realms/demo"
    Protection(issuer=inside, resource=RESOURCE, allow_insecure_http=True)
    policy = ResourcePolicy(issuer=inside, resource=RESOURCE, allow_insecure_http=True)
    Protection(issuers=[policy], resource=RESOURCE)
    warnings = [each.getMessage() for each in caplog.records]
    assert len(warnings) == 2
    assert all(f"insecure_http.allowed issuer='{inside}': a machine" in text for text in warnings)
    with pytest.raises(ValueError, match="loopback hosts only"):
        Protection(issuer=inside, resource=RESOURCE)
    with pytest.raises(ValueError, match="name this host"):
        Protection(issuer="http://as.example", resource=RESOURCE, allow_insecure_http=True)


@pytest.mark.parametrize("named", [{"issuer": ISSUER}, {}])
def test_a_policy_says_itself_whether_plain_http_is_allowed(named: dict[str, str]) -> None:
    """Said beside it, it would count for one issuer of several, or for none."""
    policy = ResourcePolicy(issuer=ISSUER, resource=RESOURCE)
    settings: dict[str, Any] = {"policy": policy, **named} if named else {"issuers": [policy]}
    with pytest.raises(ValueError, match=r"in the policy|issuers alone"):
        Protection(resource=RESOURCE, allow_insecure_http=True, **settings)


async def test_a_middleware_takes_a_protection_or_makes_one() -> None:
    """One protection may serve several front ends; both ways at once contradict each other."""
    api = ProtectedApi()
    protection = protect(api)
    app = BearerMiddleware(api.protected, protection=protection)
    assert app.protection is protection
    assert (await ask(app, "GET", "/read", bearer(api.forge.token()))).status == 200
    with pytest.raises(TypeError, match="give protection, or what one is made of: issuer"):
        BearerMiddleware(api.protected, protection=protection, issuer=ISSUER)
    with pytest.raises(TypeError, match="resource"):
        BearerMiddleware(api.protected)


TRACEPARENT = (b"traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")


async def test_a_validation_has_a_span_and_a_token_that_is_remembered_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Below the span that the request names; what it fetches is below it in turn."""
    telemetry, api = Telemetry(monkeypatch), ProtectedApi()
    fetching: list[Any] = []
    fetch = api.issuer.__call__

    async def note_span(etag: str | None) -> Any:
        fetching.append(trace.get_current_span().get_span_context())
        return await fetch(etag)

    jwks = JwksClient(note_span, clock=api.monotonic, on_event=api.record)
    protection, sent = protect(api, jwks=jwks), api.forge.token()
    for _ in range(2):
        await protection.authenticate(line for line in (bearer(sent), TRACEPARENT))
    [span] = telemetry.spans
    assert span.name == "validate access token"
    assert f"{span.parent.span_id:016x}" == "b7ad6b7169203331"
    assert [each.span_id for each in fetching] == [span.context.span_id]
    assert sent.decode() not in span.to_json()


async def test_the_span_of_a_refusal_has_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing of the token; a request without one has none, since nothing is validated."""
    telemetry, api = Telemetry(monkeypatch), ProtectedApi()
    for sent in (b"s3cret!", b"a.s3cret.c", api.forge.token(aud="https://s3cret.example")):
        with pytest.raises(ResourceError) as caught:
            await protect(api).authenticate([bearer(sent)])
        span = telemetry.spans[-1]
        assert span.attributes is not None
        assert dict(span.attributes) == {"error.type": caught.value.reason.value}
        assert span.status.status_code is StatusCode.ERROR
        assert "s3cret" not in span.to_json()
    with pytest.raises(ResourceError):
        await protect(api).authenticate([TRACEPARENT])
    assert len(telemetry.spans) == 3


@pytest.mark.parametrize("end", ["it expires", "its key is withdrawn"])
@pytest.mark.parametrize("cache_size", [0, 4096])
async def test_a_token_is_looked_at_once_more_where_it_took_long(
    monkeypatch: pytest.MonkeyPatch, end: str, cache_size: int
) -> None:
    """Whether it is remembered or not; one that still counts passes without a word."""
    api = ProtectedApi(cache_size=cache_size)
    protection = api.app.protection
    token = await protection.validate(api.forge.token())
    await protection.recheck(token)
    with monkeypatch.context() as patched:
        patched.setattr(our_jwt, "verifier", None)  # a call of it fails
        with nullcontext() if cache_size else pytest.raises(InvalidToken):
            await protection.recheck(token)
    if end == "it expires":
        api.clock.advance(token.expires_at - NOW + 60)
    else:
        api.issuer.body = TokenForge(rsa_key(1)).jwks_document
        api.monotonic.advance(100_000)
    with pytest.raises(InvalidToken) as refusal:
        await protection.recheck(token)
    expected = Reason.EXPIRED if end == "it expires" else Reason.UNKNOWN_KEY
    assert refusal.value.reason is expected
