"""Run `watchword` as it is, and write down every statement that its SQLite connections run.

What bench/statements.py starts instead of the command: SQLite has no log of its own. One line a
statement, transactions and pragmas included, in `statements.log` of the data folder.
"""

# ruff: noqa: E402
import sys

sys.path[0] = sys.path[0].removesuffix("/bench")  # else bench/token.py hides the standard `token`

import os
import sqlite3
from typing import Any

from watchword.__main__ import main

_LOG = os.open(
    os.path.join(os.environ["WATCHWORD_DATA_DIR"], "statements.log"),
    os.O_WRONLY | os.O_CREAT | os.O_APPEND,
    0o600,
)


def note(statement: str) -> None:
    """Write a statement down, on one line."""
    os.write(_LOG, " ".join(statement.split()).encode() + b"\n")


connect = sqlite3.connect


def connect_and_listen(*arguments: Any, **options: Any) -> sqlite3.Connection:
    """Have SQLite itself tell of each statement of a new connection."""
    connection = connect(*arguments, **options)
    connection.set_trace_callback(note)
    return connection


sqlite3.connect = connect_and_listen  # type: ignore[assignment]
sys.exit(main())
