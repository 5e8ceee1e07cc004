"""Unit tests of `issuer.registration.service`, beside its contract on every engine."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from issuer.errors import Reason, TemporarilyUnavailable
from issuer.registration import service as registrar
from issuer.registration.metadata import parse_registration
from issuer.registration.request import InvalidToken
from issuer.registry.credentials import SecretHash
from tests.support.registration import open_reception


async def test_a_step_that_does_not_get_its_turn_is_given_up_unbegun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody who holds up the registry holds up nobody's answer; what has begun goes on."""
    with open_reception(tmp_path) as reception, closing(sqlite3.connect(reception.path)) as other:
        harness, text = reception.registrar, reception.token(uses=1)
        token = await harness.admit(text)
        monkeypatch.setattr(registrar, "QUEUE_SECONDS", 0.5)
        other.isolation_level = None
        other.execute("BEGIN IMMEDIATE")
        begun = asyncio.create_task(
            harness.register(parse_registration({}), token, request_id=None)
        )
        await asyncio.sleep(0)  # let it take the thread
        with pytest.raises(TemporarilyUnavailable) as refused:
            await harness.admit(text)
        other.execute("ROLLBACK")
        registered = await begun
        assert refused.value.reason is Reason.OVERLOADED
        assert reception.registry.list_clients() == [registered.client]


@pytest.mark.rfc("6749-2.3.1-4")
async def test_what_is_unknown_costs_as_much_as_what_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One hash for each guess, so that time does not tell which ids exist."""
    verified: list[SecretHash] = []
    verify = SecretHash.verify

    def counted(secret_hash: SecretHash, secret: str) -> bool:
        verified.append(secret_hash)
        return verify(secret_hash, secret)

    with open_reception(tmp_path) as reception:
        known = reception.token()
        client_id = (await reception.register(known)).json["client_id"]
        monkeypatch.setattr(SecretHash, "verify", counted)
        wrong, access = known[:21] + "x" * 43, "wwa_" + "x" * 43
        harness = reception.registrar
        for guess in (
            harness.admit(wrong),
            harness.admit("wwr_" + "0" * 16 + "_" + "x" * 43),
            harness.find(client_id, access),
            harness.find("dyn-" + "0" * 32, access),
        ):
            before = len(verified)
            with pytest.raises(InvalidToken):
                await guess
            assert len(verified) == before + 1
