"""Where a token stands on a status list: its bucket, its index, and what names both.

Pure. All tokens that end by the same half hour are of one bucket, which is numbered by its end; in
it each has an index of its own. A list is a part of a bucket and always has its full length, so no
index is out of its range and its URI follows from the position alone (Token Status List §4, §6.1).
"""

import re
import zlib
from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import Any, NamedTuple

from keys.encoding import decode_base64url, encode_base64url

BUCKET = 1_800
"""Seconds from the end of one bucket to the end of the next."""

WINDOW = 900
"""Seconds during which a block of indexes is used; so exact is "issued before"."""

PART = 2**20
"""Indexes of one list."""

LISTS_PATH = "/status-lists"

COUNTER = "status:"
"""Begins the name of the counter of a bucket's indexes, which ends in the bucket's number."""

MAX_BUCKET = 2**32 - 1
MAX_INDEX = 2**32 - 1

_JTI_BYTES = 16
_JTI_LENGTH = 22  # characters
_DIGEST_BYTES = 4
_LIST_ID = re.compile(r"(0|[1-9][0-9]{0,9})-(0|[1-9][0-9]{0,3})", re.ASCII)


class Status(IntEnum):
    """The status of a token (Token Status List §7.1); only one that is VALID may be used."""

    VALID = 0
    INVALID = 1
    SUSPENDED = 2


class Position(NamedTuple):
    """The place of one token.

    Args:
        bucket: the number of the half hour by whose end the token has expired.
        index: counted from 0 in the bucket.
    """

    bucket: int
    index: int  # type: ignore[assignment] # nobody calls the method of tuples that it hides


class StatusBlock(NamedTuple):
    """Indexes of one bucket that tokens of one client, subject and resource are given.

    Args:
        bucket: whose indexes they are.
        first: the first index.
        size: how many there are.
        client_id: whom the tokens are issued to.
        subject: their `sub`.
        resource: their audience; of several, `join_resources` makes one text.
        reserved_at: seconds since the epoch; no token of the block is issued before it, nor
            `WINDOW` seconds after it.
    """

    bucket: int
    first: int
    size: int
    client_id: str
    subject: str
    resource: str
    reserved_at: int


class StatusChange(NamedTuple):
    """Indexes whose status was changed.

    Args:
        number: of the change, in the order in which they were committed.
        bucket: whose indexes they are.
        first: the first index.
        size: how many there are.
        status: what was asked for; VALID restores what was suspended.
    """

    number: int
    bucket: int
    first: int
    size: int
    status: Status


def bucket_for(now: int, ttl: int) -> int:
    """Return the bucket of a block that is reserved now, for tokens that live `ttl` seconds.

    It ends when the last token of the block has expired, or later.
    """
    return -(-(now + ttl + WINDOW) // BUCKET)


def bucket_end(bucket: int) -> int:
    """Return when the last token of a bucket has expired, in seconds since the epoch."""
    return bucket * BUCKET


def join_resources(resources: tuple[str, ...]) -> str:
    """Write the audiences of a token as one text; no URI has a space (RFC 3986 §2)."""
    return resources[0] if len(resources) == 1 else " ".join(resources)


def status_claim(position: Position, base: str) -> dict[str, object]:
    """Build the claim `status` of a token (Token Status List §6.1).

    Args:
        position: where the token stands.
        base: the issuer identifier without a final slash.
    """
    bucket, index = position
    uri = f"{base}{LISTS_PATH}/{bucket}-{index // PART}"
    return {"status_list": {"idx": index % PART, "uri": uri}}


def position_of(claims: Mapping[str, Any], base: str) -> Position | None:
    """Return where a token of this issuer stands, by its claims; None if it is on no list.

    Args:
        claims: of a token whose signature was verified.
        base: the issuer identifier without a final slash.

    Raises:
        ValueError: there is a claim `status` that this issuer does not write.
    """
    if "status" not in claims:
        return None
    match claims["status"]:
        case {"status_list": {"idx": int(offset), "uri": str(uri)}} if type(offset) is int:
            head, _, list_id = uri.rpartition("/")
            found = parse_list_id(list_id)
            if found is not None and head == base + LISTS_PATH and 0 <= offset < PART:
                bucket, part = found
                return Position(bucket, part * PART + offset)
    raise ValueError("the claim status names no list of this issuer")


def parse_list_id(text: str) -> tuple[int, int] | None:
    """Return the bucket and the part that the id of a list names; None if it cannot be an id."""
    found = _LIST_ID.fullmatch(text)
    if found is None:
        return None
    bucket, part = map(int, found.groups())
    return (bucket, part) if bucket <= MAX_BUCKET and part * PART <= MAX_INDEX else None


def new_jti(position: Position | None, random_bytes: Callable[[int], bytes]) -> str:
    """Make the id of a token, which tells where the token stands.

    Args:
        position: no other token has it, so no other has the id; None for a token that is on no
            list, whose id is random.
        random_bytes: returns so many of them; they make an id that was not seen hard to guess.
    """
    if position is None:
        return encode_base64url(random_bytes(_JTI_BYTES))
    head = position.bucket.to_bytes(4) + position.index.to_bytes(4) + random_bytes(4)
    return encode_base64url(head + _digest(head))


def read_jti(text: str) -> Position | None:
    """Return the position that an id made by `new_jti` names; None if it is not such an id."""
    if len(text) != _JTI_LENGTH:
        return None
    try:
        raw = decode_base64url(text)
    except ValueError:
        return None
    head, digest = raw[:-_DIGEST_BYTES], raw[-_DIGEST_BYTES:]
    if digest != _digest(head):
        return None
    return Position(int.from_bytes(head[:4]), int.from_bytes(head[4:8]))


def _digest(head: bytes) -> bytes:
    # Against typing errors, not against peers: CRC-32, in the order of its bits, finds every error
    # in up to four characters in a row, and costs a tenth of a hash.
    return zlib.crc32(head).to_bytes(_DIGEST_BYTES, "little")
