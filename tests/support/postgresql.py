"""A real PostgreSQL server of the tests' own: its own data, its own port, gone with the tests."""

import itertools
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from tests.support.provider import PATIENCE, eventually

PROGRAMS = ("initdb", "pg_basebackup", "pg_ctl", "postgres", "psql")
ROLE = "watchword"

_SIGNALS = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT}

# No test cuts the power. What is committed is with the kernel and outlives a server that is killed,
# as long as `synchronous_commit` stays on.
_CONFIGURATION = """
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = '{folder}'
fsync = off
full_page_writes = off
"""

# Reads until the tests close the pipe or end, however they end; then nothing is to be left.
_GUARD = 'cat >/dev/null; "$1/pg_ctl" stop -s -m immediate -D "$2/data"; rm -rf "$2"'


class NoPostgres(LookupError):
    """There is no PostgreSQL server on this machine."""


class PostgresServer:
    """A running server; it can be stopped and started again, and is removed by `close`.

    The superuser is the account that the server runs as, over a socket that nobody else can reach.
    Tests get a role with a password: to trust all of the loopback would let any user of the machine
    run commands as this one. The role owns its databases and nothing else, as in production.
    """

    def __init__(self, standby_of: "PostgresServer | None" = None) -> None:
        """Make the data and start.

        Args:
            standby_of: the server to follow; None for one of its own.

        Raises:
            NoPostgres: if the server's programs are not on this machine.
        """
        self._programs = find_programs()
        self._account = _account()
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count(1)
        self._password = standby_of._password if standby_of else secrets.token_hex(16)
        self.port = 0
        # Root's own TMPDIR may be closed to the account that the server runs as.
        shared = "/tmp" if self._account and tempfile.gettempdir() != "/dev/shm" else None
        self.folder = Path(tempfile.mkdtemp(prefix="watchword-postgresql-", dir=shared))
        self._guard = self._start_guard()
        try:
            if standby_of is not None:
                self._copy(standby_of)
                self.start()
                return
            self._initialise()
            self.start()
            self.run_sql(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{self._password}'")
        except BaseException:
            self.close()
            raise

    def start(self) -> None:
        """Start, on the same port with the same data, unless it runs; wait until it is ready."""
        if self.is_running():
            return
        with open(self.folder / "log", "ab") as log:
            command = [self._programs / "postgres", "-D", self.folder / "data"]
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the tests, which then stop the server
                **self._options(),
            )
        eventually(lambda: self._is_ready() or not self.is_running())
        assert self._is_ready(), (self.folder / "log").read_text()

    def stop(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Stop: `fast` breaks off the sessions, `immediate` is a crash to recover from."""
        if self._process is not None:
            self._process.send_signal(_SIGNALS[mode])
            self._process.wait(timeout=PATIENCE)

    def freeze(self) -> None:
        """Hold every process of the server, sessions included, where it is."""
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let them go on."""
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, number: signal.Signals) -> None:
        # Sessions are children of the server, each in a process group of its own.
        assert self._process is not None
        server = self._process.pid
        children = Path(f"/proc/{server}/task/{server}/children").read_text().split()
        for pid in [server, *map(int, children)]:
            os.kill(pid, number)

    def is_running(self) -> bool:
        """Tell whether the server's process is there."""
        return self._process is not None and self._process.poll() is None

    def new_database(self, like: str | None = None) -> str:
        """Create a database, empty or like another that nobody is using, and return its URL."""
        name = f"test_{next(self._numbers)}"
        template = "" if like is None else f" TEMPLATE {like.rpartition('/')[2]}"
        self.run_sql(f"CREATE DATABASE {name} OWNER {ROLE}{template}")
        return self.url_of(name)

    def url_of(self, database: str) -> str:
        """Return the URL by which tests reach a database."""
        return f"postgresql://{ROLE}:{self._password}@127.0.0.1:{self.port}/{database}"

    def url_after(self, first: "PostgresServer", database: str) -> str:
        """Return the URL of a database that two servers have, the other of which is tried first."""
        login, _, place = self.url_of(database).partition("@")
        return f"{login}@127.0.0.1:{first.port},{place}"

    def fall_behind(self, primary: "PostgresServer") -> None:
        """Have all that the primary has by now, and nothing that it writes from now on."""
        written = primary.run_sql("SELECT pg_current_wal_lsn()")
        has_it = f"SELECT pg_last_wal_replay_lsn() >= '{written}'"
        assert eventually(lambda: self.run_sql(has_it) == "t")
        self.run_sql("ALTER SYSTEM SET primary_conninfo = ''")
        self.run_sql("SELECT pg_reload_conf()")
        assert eventually(lambda: not primary.run_sql("SELECT pid FROM pg_stat_replication"))

    def promote(self) -> None:
        """Make a primary of a standby, and wait until it is one."""
        self._run("pg_ctl", "promote", "-s", "-w", "-D", str(self.folder / "data"))

    def drop_database(self, url: str) -> None:
        """Remove a database, breaking off its sessions."""
        self.run_sql(f"DROP DATABASE {url.rpartition('/')[2]} WITH (FORCE)")

    def run_sql(self, statements: str, database: str = "postgres") -> str:
        """Run statements as the superuser and return what they select, `|` between columns."""
        psql = ["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-h", str(self.folder)]
        return self._run(*psql, "-p", str(self.port), "-d", database, stdin=statements)

    def close(self) -> None:
        """Stop the server and remove all that was its own."""
        if self.is_running():
            self.stop("immediate")
        self._guard.communicate()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start_guard(self) -> subprocess.Popen[bytes]:
        if self._account:
            os.chown(self.folder, self._account["user"], self._account["group"])
        return subprocess.Popen(
            ["sh", "-c", _GUARD, "guard", self._programs, self.folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            **self._options(),
        )

    def _initialise(self) -> None:
        options = ("--locale=C", "--encoding=UTF8", "--no-sync")
        access = ("--auth-local=peer", "--auth-host=scram-sha-256")
        self._run("initdb", *options, *access, "-D", str(self.folder / "data"))
        rules = self.folder / "data" / "pg_hba.conf"  # the first that matches counts
        rules.write_text(f"local all {ROLE} scram-sha-256\n" + rules.read_text())
        self._configure()

    def _copy(self, primary: "PostgresServer") -> None:
        source = ("-h", str(primary.folder), "-p", str(primary.port))
        options = ("-R", "-X", "stream", "-c", "fast", "--no-sync")
        self._run("pg_basebackup", *source, *options, "-D", str(self.folder / "data"))
        self._configure()

    def _configure(self) -> None:
        self.port = _lasting_port()
        with open(self.folder / "data" / "postgresql.conf", "a") as configuration:
            configuration.write(_CONFIGURATION.format(port=self.port, folder=self.folder))

    def _is_ready(self) -> bool:
        try:
            words = (self.folder / "data" / "postmaster.pid").read_text().split()
        except FileNotFoundError:
            return False
        # The file may still be that of a server that was killed.
        mine = self._process is not None and words[:1] == [str(self._process.pid)]
        return mine and words[-1] == "ready"

    def _run(self, program: str, *arguments: str, stdin: str = "") -> str:
        ran = subprocess.run(
            [self._programs / program, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
            **self._options(),
        )
        assert ran.returncode == 0, f"{program}: {ran.stderr}"
        return ran.stdout.strip()

    def _options(self) -> dict[str, Any]:
        # Nothing that the developer has set for servers of his own, PGHOST and the like.
        environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
        return {"cwd": self.folder, "env": environment, **self._account}


def find_programs() -> Path:
    """Find the folder of the newest version, else of what is on the PATH.

    Raises:
        NoPostgres: if no folder has all of the programs.
    """
    packaged = Path("/usr/lib/postgresql").glob("[0-9]*/bin")
    folders = sorted(packaged, key=lambda folder: float(folder.parent.name), reverse=True)
    if on_path := shutil.which("initdb"):
        folders.append(Path(on_path).parent)
    for folder in folders:
        if all(os.access(folder / program, os.X_OK) for program in PROGRAMS):
            return folder
    raise NoPostgres("no PostgreSQL server on this machine: run scripts/postgresql")


def _account() -> dict[str, Any]:
    """Choose whom to run as: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    entry = names.get("postgres") or names["nobody"]
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _lasting_port() -> int:
    """Find a free port that nobody is given by chance while the server is stopped.

    Kernels choose ports from 32768 upwards, for listeners on port 0 and for whoever connects.
    """
    while True:
        port = 20_000 + secrets.randbelow(12_000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return port
