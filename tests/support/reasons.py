"""Tables of refused requests, each with its cause and the reason that the log has."""

from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple


class Row(NamedTuple):
    """A request that is refused.

    Args:
        reason: the code.
        cause: what is wrong with the request, or with what answers it.
        ask: sends it, and returns the reason that was logged.
    """

    reason: StrEnum
    cause: str
    ask: Callable[[], Awaitable[object]]


def check_table(
    rows: Sequence[Row], reasons: Collection[StrEnum], shared: Mapping[StrEnum, str], where: str
) -> None:
    """Check that every reason has a request, and one cause unless more are said to share it.

    Args:
        rows: the table.
        reasons: all codes that there are.
        shared: why one code is enough for several causes, by the code.
        where: the file that has the table, for the message.
    """
    counted = Counter(row.reason for row in rows)
    missing = sorted(set(reasons) - counted.keys())
    assert not missing, f"{where}: add to ROWS a request that is refused as {', '.join(missing)}"
    several = sorted(reason for reason, count in counted.items() if count > 1)
    unsaid = [reason for reason in several if reason not in shared]
    assert not unsaid, (
        f"{where}: several causes have the code {', '.join(unsaid)}: give each a code of its own, "
        "or say in SHARED why one is enough"
    )
    assert sorted(shared) == several, f"{where}: SHARED names codes of a single cause"
    causes = [row.cause for row in rows]
    assert len(set(causes)) == len(causes), f"{where}: a cause is there twice"
