"""Indexes of status lists as clients were given them, without tokens on them."""

import asyncio
from typing import Any

from issuer.status.positions import COUNTER, Position, StatusBlock, new_jti
from issuer.storage.hot import open_hot_store

SIZE = 16
"""Indexes of each block."""


def give_blocks(database: Any, now: int, *blocks: StatusBlock) -> None:
    """Write who owns blocks, and count their indexes as handed out."""

    async def write() -> None:
        hot = open_hot_store(lambda: database, timeout=5, now=lambda: now)
        try:
            for block in blocks:
                await hot.reserve(f"{COUNTER}{block.bucket}", block.size)
                await hot.own(block)
        finally:
            await hot.close()

    asyncio.run(write())


def jti_of(bucket: int, index: int) -> str:
    """Return the id of the token at a position."""
    return new_jti(Position(bucket, index), bytes)
