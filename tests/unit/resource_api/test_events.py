"""The default log of an API: why it refuses, and faults of configuration aloud."""

import logging

import pytest

from resource_api import BearerMiddleware, HttpJwks, JwksClient
from resource_api.config import ResourcePolicy
from resource_api.events import Event, log_events
from resource_api.validator import TrustedIssuer
from tests.support.protected_api import ProtectedApi, ask, bearer
from watchword.testing.clock import Clock
from watchword.testing.forge import ISSUER, RESOURCE, TokenForge

LOGGER = "watchword.resource_api"
FORGE = TokenForge()


def build(forge: TokenForge = FORGE, *, resource: str = RESOURCE) -> BearerMiddleware:
    """Protect an application without naming a place for events."""
    api = ProtectedApi(forge)
    return BearerMiddleware(
        api.protected, issuer=ISSUER, resource=resource, jwks=api.jwks, clock=api.clock
    )


async def test_every_refusal_has_its_reason(caplog: pytest.LogCaptureFixture) -> None:
    """A refusal is logged with its stable reason, as info: a caller alone caused it."""
    caplog.set_level(logging.INFO, LOGGER)
    await ask(build(), "GET", "/read")
    await ask(build(), "GET", "/read", bearer(b"secret.secret.secret"))
    assert [(r.name, r.levelname) for r in caplog.records] == [(LOGGER, "INFO")] * 2
    assert "request.refused reason='no_credentials' status=401" in caplog.messages[0]
    assert "reason='malformed_token'" in caplog.messages[1]
    assert "secret" not in caplog.text


async def test_wrong_resource_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """A slash too many in `resource` is named where it can be seen, once a minute."""
    app = build(resource=RESOURCE + "/")
    token = FORGE.token()
    for _ in range(20):
        assert (await ask(app, "GET", "/read", bearer(token))).status == 401
    (warning,) = [r for r in caplog.records if r.levelno >= logging.WARNING]
    assert "reason='wrong_audience'" in warning.getMessage()
    assert f"resource='{RESOURCE}/'" in warning.getMessage()
    assert token.decode() not in caplog.text


async def test_flood_of_bad_tokens_warns_of_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """What needs no token of the issuer cannot fill the log of warnings."""
    stranger = TokenForge()
    app = build()
    for token in (b"x", b"a.b.c", stranger.token(), FORGE.token(exp=1, iat=0)):
        for _ in range(5):
            await ask(app, "GET", "/read", bearer(token))
    assert [r for r in caplog.records if r.levelno >= logging.WARNING] == []


async def test_unreachable_issuer_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """Keys that cannot be had are named with the reason, and the requests refused for it."""
    app = BearerMiddleware(ProtectedApi().protected, issuer="http://127.0.0.1:9", resource=RESOURCE)
    for _ in range(3):
        assert (await ask(app, "GET", "/read", bearer(FORGE.token()))).status == 503
    warnings = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert [text.partition(" ")[0] for text in warnings] == ["jwks.stale", "request.refused"]
    assert "reason='ConnectError'" in warnings[0]
    assert "issuer='http://127.0.0.1:9'" in warnings[0]
    caplog.clear()
    assert not await JwksClient(HttpJwks("http://127.0.0.1:9")).warm()
    assert "jwks.stale" in caplog.messages[0]


async def test_trusted_issuers_are_named_in_warnings(caplog: pytest.LogCaptureFixture) -> None:
    """As the one issuer of the shorthand is."""
    api, resource = ProtectedApi(FORGE), RESOURCE + "/"
    trusted = TrustedIssuer(ResourcePolicy(issuer=ISSUER, resource=resource), api.jwks)
    app = BearerMiddleware(api.protected, issuers=[trusted], resource=resource, clock=api.clock)
    assert (await ask(app, "GET", "/read", bearer(FORGE.token()))).status == 401
    assert f"(issuer='{ISSUER}', resource='{resource}')" in caplog.text


def test_warnings_come_again_after_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    """Each kind of warning has its own minute; in between the events are info."""
    clock = Clock(0)
    log = log_events(clock=clock)
    for now, name in ((0, "jwks.stale"), (59, "jwks.stale"), (60, "jwks.stale")):
        clock.now = now
        log(name, reason="status 500")
    log("request.refused", reason="no_keys")
    log("request.refused", reason="wrong_issuer")
    assert [r.levelname for r in caplog.records] == ["WARNING"] * 4


def test_text_of_others_stays_in_its_line(caplog: pytest.LogCaptureFixture) -> None:
    """A client's identifier cannot add a line to the log."""
    caplog.set_level(logging.INFO, LOGGER)
    log_events(clock=Clock(0))(Event.REQUEST_REFUSED, reason="insufficient_scope", client_id="a\nb")
    assert "\n" not in caplog.messages[0]


async def test_a_forgotten_profile_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """Each token of another vendor is refused for its type; the log says what to set, once."""
    app = build()
    for _ in range(20):
        await ask(app, "GET", "/read", bearer(FORGE.token(header={"typ": "JWT"})))
    (warning,) = [r for r in caplog.records if r.levelno >= logging.WARNING]
    assert "reason='wrong_type'" in warning.getMessage()
    assert 'set its profile, such as `profile="keycloak"`' in warning.getMessage()
    assert f"issuer='{ISSUER}'" in warning.getMessage()
