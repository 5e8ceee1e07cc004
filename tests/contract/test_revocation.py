"""`/revoke` and `/introspect` of a whole issuer, on every engine: what was revoked is inactive."""

import asyncio
import io
import json
from contextlib import asynccontextmanager
from urllib.parse import urlencode

import anyio
import pytest

from issuer.registry.client import ClientRegistration
from issuer.registry.credentials import NewSecret, hash_secret
from issuer.registry.permission import ResourcePermission
from issuer.status.positions import Position, bucket_for, new_jti, status_claim
from tests.contract.test_hot_store import outage
from tests.support.issuer import FORM, SECRET, basic, call
from tests.support.keys import key_file, rsa_key, write_key_file
from tests.support.registry import TESTER
from watchword.ambient import wall_clock
from watchword.logging import Events
from watchword.provider.issuer import IssuerApp
from watchword.settings import load_settings
from watchword.testing.forge import TokenForge

TILL, GATEWAY, OPERATOR = "till", "gateway", "operator"


@pytest.fixture
def settings(database_url, tmp_path, monkeypatch):
    """Give the settings of an issuer in a database of its own, with a key to sign with."""
    monkeypatch.chdir(tmp_path)
    loaded = load_settings(database_url=database_url)
    write_key_file(loaded.data_dir / "keys", key_file())
    return loaded


def register(app, settings):
    """Register a client that gets tokens, a gateway, and an operator of tokens."""
    clients = (
        ClientRegistration(client_id=TILL),
        ClientRegistration(client_id=GATEWAY, introspects=(settings.default_resource,)),
        ClientRegistration(
            client_id=OPERATOR,
            grants=(
                ResourcePermission(
                    resource=settings.administration, scopes=("watchword:tokens:write",)
                ),
            ),
        ),
    )

    def work(edit):
        for client in clients:
            edit.create_client(client, [NewSecret(hash=hash_secret(SECRET, bytes))])

    app.registry.change(work, by=TESTER)


class Service:
    """An issuer that serves, tokens of it, and its log."""

    def __init__(self, app, settings, log):
        self.app, self.settings, self._log = app, settings, log
        self.routes = app.routes()
        self.forge = TokenForge(
            rsa_key(),
            issuer=settings.issuer,
            resource=settings.default_resource,
            now=wall_clock(),
        )
        self.bucket = bucket_for(wall_clock(), 300)

    async def token(self):
        """Give a token of the till, on a place of its own, and its id."""
        index = await self.app.writes.reserve(f"status:{self.bucket}", 1)
        position = Position(self.bucket, index)
        jti = new_jti(position, bytes)
        said = {"client_id": TILL, "sub": TILL, "jti": jti}
        claim = status_claim(position, self.settings.issuer)
        return self.forge.token(**said, status=claim).decode(), jti

    async def post(self, path, client_id, **form):
        """Post a form as a client."""
        headers = [(b"content-type", FORM.encode()), (b"authorization", basic(client_id, SECRET))]
        return await call(self.routes[path], "POST", path, headers, urlencode(form).encode())

    async def is_active(self, token):
        """Introspect a token."""
        return (await self.post("/introspect", GATEWAY, token=token)).json["active"]

    def logged(self, event):
        """List the events of a name."""
        lines = map(json.loads, self._log.getvalue().splitlines())
        return [line for line in lines if line["event"] == event]


@asynccontextmanager
async def serving(settings, *, new=True):
    """Serve an issuer until the block ends."""
    log = io.StringIO()
    app = IssuerApp(settings, Events(form="json", stream=log), started=wall_clock())
    if new:
        register(app, settings)
    app.start()
    try:
        with anyio.fail_after(30):
            while app.statuses.lists.as_of is None:
                await asyncio.sleep(0.01)
        yield Service(app, settings, log)
    finally:
        await app.stop()


async def ends(service, token):
    """Wait until a token is inactive."""
    with anyio.fail_after(10):
        while await service.is_active(token):
            await asyncio.sleep(0.02)


@pytest.mark.attack("V40")
@pytest.mark.rfc("7009-2-1", "7662-2-1")
async def test_what_one_node_revokes_is_inactive_on_every_node(settings):
    """And stays so: a node that starts afterwards knows."""
    async with serving(settings) as one, serving(settings, new=False) as two:
        token, jti = await one.token()
        other, _ = await one.token()
        assert await one.is_active(token)
        assert await two.is_active(token)
        answer = await one.post("/revoke", TILL, token=token)
        assert (answer.status, answer.body) == (200, b"{}")
        await ends(one, token)
        await ends(two, token)
        assert await one.is_active(other)
        assert await two.is_active(other)
        [told] = one.logged("token.revoked")
        assert (told["client_id"], told["jti"]) == (TILL, jti)
        assert not two.logged("token.revoked")
    async with serving(settings, new=False) as later:
        assert not await later.is_active(token)
        assert await later.is_active(other)


@pytest.mark.rfc("7009-2.1-1")
async def test_an_operator_revokes_on_record_and_nobody_else_the_tokens_of_others(settings):
    """One entry in the audit trail with the change, and none for a second time."""
    async with serving(settings) as service:
        token, jti = await service.token()
        assert (await service.post("/revoke", GATEWAY, token=token)).status == 400
        assert await service.is_active(token)
        for _ in range(2):
            assert (await service.post("/revoke", OPERATOR, token=token)).status == 200
        await ends(service, token)
        entries = service.app.registry.read(lambda reading: reading.list_audit())
        [entry] = [each for each in entries if each.action == "token.revoked"]
        assert (entry.actor.name, entry.target) == (OPERATOR, jti)
        assert [told["actor"] for told in service.logged("token.revoked")] == [OPERATOR]


@pytest.mark.rfc("7009-2-1")
async def test_without_the_database_a_token_is_not_revoked_yet(settings, database_url, request):
    """503 says so; asked again afterwards, it is."""
    async with serving(settings) as service:
        token, _ = await service.token()
        for client_id in (TILL, OPERATOR):  # known, so that only the write is missing
            await service.post("/revoke", client_id, token="x")
        break_it, mend = outage(database_url, request)
        break_it()
        for client_id in (TILL, OPERATOR):
            answer = await service.post("/revoke", client_id, token=token)
            assert (answer.status, answer.header("retry-after")) == (503, "1")
            assert answer.json["error_description"] == "the token is not revoked yet"
        mend()
        with anyio.fail_after(30):
            while (await service.post("/revoke", TILL, token=token)).status != 200:
                await asyncio.sleep(0.05)
        await ends(service, token)
