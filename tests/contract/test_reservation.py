"""Numbers that are reserved on a server, whichever server it is after a failover."""

import asyncio

import pytest

from issuer.storage.registry import Registry
from issuer.storage.reservation import GAP
from tests.contract.test_hot_store import opened


@pytest.mark.postgresql
async def test_another_run_of_the_server_leaves_out_what_it_may_have_lost(postgres_url):
    """Of every counter, those made on the run before included; once, whoever notices first."""
    Registry.open(postgres_url, now=lambda: 0, upgrade=True).close()
    async with opened(postgres_url) as (one, database), opened(postgres_url) as (two, _):

        def begin_run(number):
            rows = [(number,)]
            database.write_many(("UPDATE counters SET next = $1 WHERE name = 'server-run'", rows))

        assert await one.reserve("status:1", 8) == 0
        for run in range(1, 16):
            begin_run(run)
            calls = [store.reserve("status:1", 8) for store in (one, two)]
            assert sorted(await asyncio.gather(*calls)) == [
                GAP * run + 8 * (2 * run - 1),
                GAP * run + 16 * run,
            ]
            assert await two.reserve(f"status:{run + 1}", 8) == GAP * run
        begin_run(17)
        assert await one.reserve("status:99", 8) == 0
