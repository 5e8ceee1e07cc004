"""Reserve numbers on a PostgreSQL server, none of them twice, though a standby takes over.

With asynchronous replication a standby lacks what the primary wrote last: it would reserve numbers
again that were handed out already. So whenever another run of a server is in charge, be it a
standby that was promoted, data that were put back or only a restart, every counter leaves out a
gap.
"""

from collections.abc import Mapping
from typing import Any

from issuer.storage.engines.database import SERVER_RUN

GAP = 2**20
"""Numbers left out, of each counter: more than are reserved while a standby lags."""

_ROUND = 16 * GAP

# The run of the server that reserved last, and with which number a new counter begins: the one that
# was made on the run before may have been lost as a whole.
_RUN, _BEGIN = "server-run", "server-begin"

_STATE = f"""
SELECT hashtextextended({SERVER_RUN}, 0) AS run,
  (SELECT next FROM counters WHERE name = '{_RUN}') AS known,
  coalesce((SELECT next FROM counters WHERE name = '{_BEGIN}'), 0) AS begin
"""  # noqa: S608 - no input
# Of several sessions that find a new run, the others wait for the first, and get no row.
_NOTE_RUN = f"""
INSERT INTO counters (name, next) VALUES ('{_RUN}', $1)
ON CONFLICT (name) DO UPDATE SET next = excluded.next WHERE counters.next <> excluded.next
RETURNING next
"""  # noqa: S608 - no input
_LEAVE_GAP = f"UPDATE counters SET next = next + {GAP} WHERE name NOT IN ('{_RUN}', '{_BEGIN}')"  # noqa: S608
_BEGIN_LATER = f"""
INSERT INTO counters (name, next) VALUES ('{_BEGIN}', {GAP})
ON CONFLICT (name) DO UPDATE SET next = (counters.next + {GAP}) % {_ROUND}
"""  # noqa: S608 - no input

# In one order, so that two sessions never wait for each other in a circle.
_RESERVE = """
INSERT INTO counters (name, next)
SELECT name, $3 + size FROM unnest($1::text[], $2::bigint[]) AS block (name, size) ORDER BY name
ON CONFLICT (name) DO UPDATE SET next = counters.next + excluded.next - $3 RETURNING name, next
"""


async def reserve_on_server(connection: Any, blocks: Mapping[str, int]) -> dict[str, int]:  # noqa: ANN401
    """Reserve blocks of numbers, in a transaction.

    Args:
        connection: has begun the transaction.
        blocks: how many numbers, by the name of the counter.

    Returns:
        The first number of each block.
    """
    if not blocks:
        return {}
    state = await connection.fetchrow(_STATE)
    if state["known"] != state["run"]:
        first = await connection.fetchval(_NOTE_RUN, state["run"])
        if first is not None and state["known"] is not None:
            await connection.execute(_LEAVE_GAP)
            await connection.execute(_BEGIN_LATER)
        state = await connection.fetchrow(_STATE)
    rows = await connection.fetch(_RESERVE, list(blocks), list(blocks.values()), state["begin"])
    return {row["name"]: row["next"] - blocks[row["name"]] for row in rows}
