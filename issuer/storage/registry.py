"""The registry in a database: read it, change it, follow it; one transaction a call."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Self, TypeVar

from issuer.events import Event, EventSink, ignore_event
from issuer.ports import Changes
from issuer.profile import OPEN, Rules
from issuer.registry.audit import SYSTEM, Actor, AuditEntry
from issuer.registry.client import Client
from issuer.registry.errors import IssuerMismatch, StoreUnavailable
from issuer.registry.resource import Resource
from issuer.registry.secret_seal import SecretSeal
from issuer.registry.usage import UsageBatch
from issuer.status.positions import Position
from issuer.storage import statements
from issuer.storage.database_url import DatabasePlace, open_database
from issuer.storage.engines.database import Database, Rows, Statement
from issuer.storage.hot import BatchedWrites, open_hot_store
from issuer.storage.key_records import KeyRecords
from issuer.storage.schema import HEAD, mismatch, read_revision, upgrade_schema
from issuer.storage.statements import find_client
from issuer.storage.status import StatusNews, prune_status, read_news, revoke_again

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from issuer.storage.edit import RegistryEdit
    from issuer.storage.reading import RegistryReading

T = TypeVar("T")

TIMEOUT = 5.0
"""Seconds to wait for another process's transaction, or for an answer, before giving up."""

MIGRATION_TIMEOUT = 600.0
"""Seconds that a migration of a large database may take."""

_READ_CONCURRENCY = 4


class Registry:
    """Clients and resources in a database. May be used by several threads.

    Args:
        database: where they are; None until `attach`, when it could not be opened.
        now: the clock, seconds since the epoch.
        announce: where changes are told as log events, once they are committed.

    Raises:
        StoreUnavailable: from each method, when the database cannot answer; nothing is half done.
    """

    def __init__(
        self,
        database: Database | None,
        *,
        now: Callable[[], int],
        announce: EventSink = ignore_event,
    ) -> None:
        self._opened = database
        self._now = now
        self._announce = announce
        self.seal: SecretSeal | None = None
        """Seals the secrets of client_secret_jwt; None while that is switched off."""
        self.profile = OPEN

    @classmethod
    def open(
        cls,
        place: DatabasePlace | str,
        *,
        now: Callable[[], int],
        announce: EventSink = ignore_event,
        upgrade: bool | None = None,
        reading: bool = False,
        timeout: float = TIMEOUT,
    ) -> Self:
        """Open the registry at `place`.

        Args:
            place: where it is, or the URL that names it: `sqlite:///PATH` (four slashes for an
                absolute path) or `postgresql://…`.
            now: the clock, seconds since the epoch.
            announce: where changes are told as log events, once they are committed.
            upgrade: bring the schema up to date, or leave it as it is; None makes a database that
                is embedded if there is none, and refuses one whose schema is not up to date.
            reading: nothing is made or changed, not even by mistake.
            timeout: seconds to wait for other processes' transactions, and for an answer.

        Raises:
            InvalidValue: the URL is not understood or its engine is not installed.
            SchemaMismatch: the schema is not the one that this version works with.
            StoreUnavailable: the database cannot be opened.
        """
        database = open_database(place, timeout=timeout, reading=reading)
        registry = cls(database, now=now, announce=announce)
        try:
            registry._settle_schema(upgrade, reading=reading)
        except BaseException:
            registry.close()
            raise
        return registry

    def close(self) -> None:
        """Give back connections and file handles."""
        if self._opened is not None:
            self._opened.close()

    @property
    def is_open(self) -> bool:
        """Whether there is a database, be it that it does not answer now."""
        return self._opened is not None

    def attach(self, opened: "Registry") -> None:
        """Have the database of a registry that was opened since, which is not used any more."""
        self._opened, self.seal, self.profile = opened._database, opened.seal, opened.profile

    @property
    def _database(self) -> Database:
        if self._opened is None:
            raise StoreUnavailable("the registry database has not answered since the start")
        return self._opened

    @property
    def read_concurrency(self) -> int:
        """How many look-ups at once are worth while, with any engine if it is not open."""
        return self._opened.read_concurrency if self._opened else _READ_CONCURRENCY

    def schema_revision(self) -> str | None:
        """Tell which schema the database has; None if it is empty, or there is none."""
        database = self._database
        if not database.exists() or not self._ask(statements.HAS_SCHEMA[database.dialect]):
            return None
        rows = self._ask("SELECT version_num FROM alembic_version")
        return str(rows[0]["version_num"]) if rows else None

    def upgrade_schema(self) -> None:
        """Bring the schema up to date; two processes may do it at once.

        Of an embedded database a copy of the old one is kept beside it.

        Raises:
            SchemaMismatch: the database is from a newer version, or is not a registry.
        """
        if self.schema_revision() != HEAD:
            before, copy = self._database.change(self._upgrade)
            if before is not None:
                self._announce(Event.REGISTRY_UPGRADED, schema=HEAD, before=before, copy=copy)

    def _upgrade(self, connection: "Connection") -> tuple[str | None, str | None]:
        before = read_revision(connection)
        copy = None
        if before not in (None, HEAD) and self._database.auto_migrate:
            copy = self._database.keep_copy(f"schema-{before}")
        upgrade_schema(connection, before)
        return (before if before != HEAD else None), copy

    def read(self, work: Callable[["RegistryReading"], T]) -> T:
        """Read in one transaction, which sees one state of the registry."""
        from issuer.storage.reading import RegistryReading  # with SQLAlchemy, slow to import

        return self._database.read(lambda connection: work(RegistryReading(connection)))

    def change(self, work: Callable[["RegistryEdit"], T], *, by: Actor) -> T:
        """Change the registry: all that `work` does counts, or nothing if it raises.

        Args:
            work: what to do; without any effect but its edits.
            by: who does it, for the audit trail.
        """
        from issuer.storage.edit import RegistryEdit

        def run(connection: "Connection") -> tuple[T, list[AuditEntry]]:
            rules = Rules(self.seal, self.profile)
            edit = RegistryEdit(connection, by=by, now=self._now(), rules=rules)
            return work(edit), edit.entries

        result, entries = self._database.change(run)
        for entry in entries:
            self._announce(entry.action.value, **entry.event_fields())
        return result

    def copy_to(self, place: DatabasePlace) -> None:
        """Copy all of it, as it is at one moment, to a database that is made for it."""
        from issuer.storage.copying import copy_rows

        with closing(Registry.open(place, now=self._now)) as copy:
            self._database.read(
                lambda source: copy._database.change(lambda target: copy_rows(source, target))
            )

    def restore_from(
        self, backup: "Registry", *, replace: bool, finish: Callable[["Connection"], None]
    ) -> None:
        """Have the content of a backup instead of its own, all of it or nothing.

        Args:
            backup: a registry in an SQLite file.
            replace: give up the content that is there.
            finish: what belongs to it; called last in the transaction, of which nothing counts
                if it raises.

        Raises:
            RegistryNotEmpty: there is content that is not to be given up, or a server uses it.
            StoreUnavailable: the backup is damaged.
        """
        from issuer.storage.copying import begin_anew, copy_whole, refuse_to_replace

        def restore(target: "Connection") -> None:
            if not replace:
                refuse_to_replace(target)
            backup._database.read(lambda source: copy_whole(source, target))
            begin_anew(target)
            finish(target)

        self._database.change(restore)

    def key_records(self, place: str) -> KeyRecords:
        """Return the rows of signing keys, for a store that errors call `place`."""
        return KeyRecords(lambda: self._database, place)

    def ensure_resources(self, *wanted: Resource) -> None:
        """Make resources unless their identifiers exist; one that exists is left as it is."""
        if missing := [
            each
            for each in wanted
            if not self._ask("SELECT 1 FROM resources WHERE identifier = $1", each.resource)
        ]:

            def ensure(edit: "RegistryEdit") -> None:
                for resource in missing:
                    if edit.find_resource(resource.resource) is None:
                        edit.create_resource(resource)

            self.change(ensure, by=SYSTEM)

    def settle_issuer(self, issuer: str, *, own: str, serving: bool) -> None:
        """Refuse an issuer that the registry does not belong to; a new registry takes it.

        A registry of an older version has content and does not say whose it is: it takes the issuer
        only when it is served, and until then its own resource tells.

        Args:
            issuer: the issuer identifier that the settings name.
            own: the resource that every registry of this issuer has.
            serving: the registry is opened to be served.

        Raises:
            IssuerMismatch: it belongs to another issuer.
        """

        def settle(edit: "RegistryEdit") -> None:
            if serving or not (edit.list_resources() or edit.list_clients(limit=1)):
                edit.adopt_issuer(issuer)
            elif edit.identity().issuer is None and edit.find_resource(own) is None:
                raise IssuerMismatch(
                    f"the registry does not say which issuer it belongs to, and has nothing of"
                    f" {issuer}; start the server once, or run: watchword db set-issuer {issuer}"
                )

        if self._known_issuer() is None:
            self.change(settle, by=SYSTEM)
        self.check_issuer(issuer)

    def check_issuer(self, issuer: str) -> None:
        """Refuse an issuer that the registry does not belong to; one without an issuer takes any.

        Raises:
            IssuerMismatch: it belongs to another issuer.
        """
        known = self._known_issuer()
        if known not in (None, issuer):
            raise IssuerMismatch(
                f"the registry belongs to {known}, but WATCHWORD_ISSUER is {issuer}; set"
                f" WATCHWORD_ISSUER={known}, or change it: watchword db set-issuer {issuer}"
            )

    def find_client(self, client_id: str) -> Client | None:
        """Read one client, or None if there is no such id."""
        return find_client(self._database.read_one, client_id)

    def find_changed_client(self, client_id: str) -> Client | None:
        """Read one client as `find_client` does, on the connection that follows the changes."""
        return find_client(self._database.follow_one, client_id)

    def list_scopes(self) -> set[str]:
        """List the scopes of all resources."""
        rows = self._ask("SELECT DISTINCT scope FROM resource_scopes")
        return {str(row["scope"]) for row in rows}

    def list_signing_algs(self) -> set[str]:
        """List the algorithms that resources name."""
        rows = self._ask(statements.SIGNING_ALGS[self._database.dialect])
        return {str(row["alg"]) for row in rows if row["alg"] is not None}

    def list_details_types(self) -> set[str]:
        """List the types of authorization details of all resources."""
        rows = self._ask(statements.DETAILS_TYPES[self._database.dialect])
        return {str(row["type"]) for row in rows}

    def record_once(self, entries: Sequence[AuditEntry]) -> None:
        """Append entries to the audit trail, but none whose action its target has had already.

        So of several processes that notice the same thing, one records it.
        """
        statements.record_once(self._database, entries)

    def record_usage(self, batch: UsageBatch) -> None:
        """Write when secrets and scopes were last used."""
        if batch:
            statements.write_usage(self._database, batch)

    def announce_expiring(self, *, within: int, started: int) -> None:
        """Announce the secrets that end soon: each once a day, and once after every start.

        Of all the processes that look, one announces it. It ends when the secret ends or is gone.

        Args:
            within: seconds before its end that a secret is announced.
            started: when the caller's server was started, the same for all of its workers; what
                was announced before is announced again.
        """
        now = self._now()
        due = statements.claim_expiring(
            self._database, now=now, until=now + within, started=started
        )
        for client_id, secret_id, at in due:
            self._announce(
                Event.SECRET_EXPIRING, client_id=client_id, secret_id=secret_id, expires_in=at - now
            )

    def count_ending(self, *, within: int) -> int:
        """Count the secrets that end within so many seconds, up to 10,000."""
        return statements.count_ending(self._database, now=self._now(), within=within)

    def open_hot_store(self, *, timeout: float) -> BatchedWrites:
        """Give the writes of the serving loop, to be used and closed on one event loop.

        They are refused while the registry is not open.

        Args:
            timeout: seconds to wait for other processes' transactions, and for an answer.
        """
        return open_hot_store(lambda: self._database, timeout=timeout, now=self._now)

    def prune_status(self, *, ended_by: int) -> None:
        """Remove what is known of tokens that had all expired by then; see `prune_status`."""
        prune_status(self._database, ended_by=ended_by)

    def status_news(self, cursor: int) -> StatusNews:
        """Read the changes of the status of tokens after a number; 0 is the beginning."""
        return read_news(self._database, cursor)

    def revoke_again(self, ranges: Iterable[tuple[Position, int]]) -> None:
        """Write what was revoked to a registry that has lost it; see `revoke_again`."""
        revoke_again(self._database, ranges)

    def changes_since(self, cursor: int) -> Changes:
        """Read the change feed after `cursor`; 0 is the beginning."""
        return statements.read_changes(self._database, cursor)

    def version(self) -> object:
        """Give a value that differs after every change, by this process or another."""
        return self._database.version()

    def watch(self, on_change: Callable[[], None]) -> None:
        """Call `on_change`, on any thread, as soon as the registry has changed; only a hint."""
        self._database.watch(on_change)

    def _known_issuer(self) -> str | None:
        """Read which issuer the registry belongs to; None until it is first served or written."""
        rows = self._ask("SELECT value FROM registry_identity WHERE name = 'issuer'")
        return str(rows[0]["value"]) if rows else None

    def _ask(self, sql: str, *arguments: object) -> Rows:
        return self._database.read_one(Statement(sql, arguments))

    def _settle_schema(self, upgrade: bool | None, *, reading: bool) -> None:
        if upgrade:
            self.upgrade_schema()
        if upgrade is not None or (current := self.schema_revision()) == HEAD:
            return
        if current is None and self._database.auto_migrate and not reading:
            self.upgrade_schema()
        else:
            raise mismatch(current)


def inspect_schema(place: DatabasePlace | str) -> str | None:
    """Tell which schema a database has, None if it is empty; one that does not exist stays so.

    Raises:
        InvalidValue: the URL is not understood or its engine is not installed.
        StoreUnavailable: the database cannot be read.
    """
    with closing(Registry.open(place, now=lambda: 0, upgrade=False, reading=True)) as registry:
        return registry.schema_revision()
