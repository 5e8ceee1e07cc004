"""The token inspector: where it is served, its policy, and what it tells of keys."""

import base64
import hashlib
import io
import json
import re
from contextlib import asynccontextmanager

import httpx
import pytest

from keys.ring import RingKey, RingPolicy, derive_ring
from resource_api.demo.values import MemoryValue
from resource_api.reasons import DIAGNOSES
from tests.support.keys import key_file, write_key_file
from watchword.logging import Events
from watchword.metrics import Metrics
from watchword.process.dev_mode import throw_away
from watchword.provider.app import Provider
from watchword.provider.inspector import build_page, write_key_times
from watchword.settings import Settings, load_settings

NOW = 1_800_000_000
PUBLIC_ISSUER = "https://auth.example"


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@asynccontextmanager
async def serving(*, only=None, **settings):
    """Yield a client of a provider with these settings."""
    loaded = load_settings(**settings)
    write_key_file(loaded.data_dir / "keys", key_file())
    events = Events(form="json", stream=io.StringIO())
    made = Provider(loaded, Metrics(events), value=MemoryValue(), started=NOW, only=only)
    transport = httpx.ASGITransport(app=made)
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            yield client
    finally:
        for part in (made._issuer, *made._lazy, made._api):
            if part is not None:
                await part.stop()


@pytest.mark.parametrize(
    ("settings", "served"),
    [
        ({}, True),
        ({"inspector": "off"}, False),
        ({"demo_api": "off"}, False),
        ({"demo_api": "off", "inspector": "on"}, True),
        ({"issuer": PUBLIC_ISSUER}, False),
        ({"issuer": PUBLIC_ISSUER, "demo_api": "on"}, True),
        ({"issuer": PUBLIC_ISSUER, "inspector": "on"}, True),
        ({"only": "issuer"}, False),
        ({"only": "api", "inspector": "on"}, False),
    ],
    ids=str,
)
async def test_the_inspector_is_served_where_it_belongs(settings, served):
    """With the demo API beside the issuer, or as the setting says; the documents say which."""
    async with serving(**settings) as client:
        answers = [await client.get(path) for path in ("/inspect", "/inspect/keys")]
        index = (await client.get("/")).json()
        described = (await client.get("/openapi.json")).json()
    for answer in answers:
        if served:
            assert answer.status_code == 200
        else:
            assert (answer.status_code, answer.json()) == (404, {"error": "not_found"})
    assert ("inspector" in index["links"]) is served
    assert ("/inspect" in described["paths"]) is served


def test_a_throw_away_provider_has_it_unless_it_was_switched_off():
    """`serve --dev` with a public issuer, which has no demo API."""
    for wanted, made in (("auto", "on"), ("off", "off")):
        settings = load_settings(issuer=PUBLIC_ISSUER, inspector=wanted, signing_alg="EdDSA")
        with throw_away(settings, port=1, secret="only-for-development") as (own, _):
            assert own.inspector == made


async def test_the_page_may_run_its_own_script_and_ask_its_own_origin_alone():
    """The policy names the one script and the one style by their hashes."""
    async with serving() as client:
        plain = {"accept-encoding": "identity"}
        answer = await client.get("/inspect", headers=plain)
        packed = await client.get("/inspect")
        known = await client.get("/inspect", headers={"if-none-match": answer.headers["etag"]})
        refused = await client.post("/inspect")
        head = await client.head("/inspect", headers=plain)
    [style] = re.findall(r"<style>(.*?)</style>", answer.text, re.DOTALL)
    [script] = re.findall(r"<script>(.*?)</script>", answer.text, re.DOTALL)
    hashes = [
        base64.b64encode(hashlib.sha256(each.encode()).digest()).decode()
        for each in (script, style)
    ]
    policy = (
        f"default-src 'none'; script-src 'sha256-{hashes[0]}'; style-src 'sha256-{hashes[1]}'; "
        "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'"
    )
    assert answer.headers["content-security-policy"] == f"{policy}; frame-ancestors 'none'"
    assert f'content="{policy}"'.replace("'", "&#x27;") in answer.text  # where it is saved
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "access-control-allow-origin" not in answer.headers
    assert not re.search(r"""(?:src|href)=["'](?!data:)""", answer.text)
    assert (known.status_code, known.content) == (304, b"")
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(answer.content))
    assert packed.content == answer.content
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < len(answer.content) / 2
    assert answer.headers["vary"] == packed.headers["vary"] == "Accept-Encoding"


def test_the_page_explains_each_reason_that_it_can_give():
    """Its codes are those of validation."""
    page = build_page(Settings())[0].decode()
    [facts] = re.findall(r'id="facts">(.*?)</script>', page, re.DOTALL)
    assert "<" not in facts  # which could end the element
    told = json.loads(facts)["reasons"]
    assert told == {reason: list(DIAGNOSES[reason]) for reason in DIAGNOSES if reason in told}
    given = re.findall(r'(?:refuse\(|note\([^;]*?, (?:FAILED|NOT_TRIED), )"([a-z_]+)"', page)
    assert len(set(given)) > 15
    assert set(given) <= told.keys()


def ring_of(*keys):
    """Derive the ring of keys of one algorithm."""
    made = [
        RingKey(kid=kid, alg="RS256", published_at=published, signs_from=signs, withdrawn_at=gone)
        for kid, published, signs, gone in keys
    ]
    policy = RingPolicy(longest_token=3600)
    return lambda now: derive_ring(made, now, policy)


def test_of_each_published_key_it_is_told_what_has_happened():
    """What is to come is not told, nor anything of a key that is not published."""
    entries = ring_of(
        ("old", NOW - 900, NOW - 800, None),
        ("new", NOW - 700, NOW - 100, None),
        ("next", NOW - 50, NOW + 500, None),
        ("leaked", NOW - 900, NOW - 850, NOW - 840),
    )
    told = json.loads(write_key_times(entries, NOW))["keys"]
    assert [(each["kid"], each["state"]) for each in told] == [
        ("old", "retiring"),
        ("new", "active"),
        ("next", "pending"),
    ]
    times = [(each["published_at"], each["signs_from"], each["superseded_at"]) for each in told]
    assert times == [
        (NOW - 900, NOW - 800, NOW - 100),
        (NOW - 700, NOW - 100, None),
        (NOW - 50, None, None),
    ]
