"""A real PgBouncer between a client and a PostgreSQL server."""

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.fronts import find_program, running_front
from tests.support.postgresql import PostgresServer
from tests.support.provider import free_port

_CONFIGURATION = """
[databases]
* = host=127.0.0.1 port={server}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder}/users
pool_mode = {mode}
"""


@contextmanager
def pooled(server: PostgresServer, url: str, mode: str) -> Iterator[str]:
    """Run one; give the URL by which it leads to the database of a URL.

    Args:
        server: what it connects to.
        url: a database of the server.
        mode: for how long a client has a session: `session`, `transaction` or `statement`.
    """
    program, port = find_program("pgbouncer"), free_port()
    folder = server.folder / f"pgbouncer-{port}"  # which the server's account can read
    folder.mkdir()
    user, _, password = url.partition("//")[2].partition("@")[0].partition(":")
    (folder / "users").write_text(f'"{user}" "{password}"\n')
    configuration = folder / "pgbouncer.ini"
    configuration.write_text(
        _CONFIGURATION.format(server=server.port, port=port, folder=folder, mode=mode)
    )
    account = pwd.getpwuid(server.folder.stat().st_uid).pw_name
    as_account = ("-u", account) if os.geteuid() == 0 else ()
    with running_front([program, *as_account, str(configuration)], port=port, log=folder / "log"):
        yield url.replace(f":{server.port}/", f":{port}/")
