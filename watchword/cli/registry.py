"""What the commands on the registry share: opening it, pages, the log, questions, warnings."""

import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from keys.pasted_token import read_pasted_token
from watchword.ambient import wall_clock
from watchword.cli.output import CommandFailed, Mistakes, WrongUsage, printable, say

if TYPE_CHECKING:
    from issuer.administration.local import Administration
    from issuer.events import EventSink
    from issuer.registry.audit import Actor
    from issuer.registry.resource import Resource
    from issuer.storage.edit import RegistryEdit
    from issuer.storage.registry import Registry
    from keys.stores.store import KeyChange
    from watchword.remote_administration import RemoteAdministration
    from watchword.settings import Settings

    Operations = Administration | RemoteAdministration

T = TypeVar("T")

_LONGEST_LINE = 4096
_LONGEST_TOKEN = 65_536
_ATTEMPTS = 5
YesFlag = Annotated[bool, typer.Option("--yes", help="Do it without asking.")]
ServerOption = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Ask the provider there, as the client in WATCHWORD_CLIENT_ID and"
        " WATCHWORD_CLIENT_SECRET, instead of the database.",
    ),
]


@contextmanager
def administration(
    server: str | None,
    mistakes: Mistakes | None = None,
    *,
    by_file: bool = False,
    reading: bool = False,
) -> "Iterator[Operations]":
    """Open the way to the registry for the length of a command.

    Args:
        server: the provider to ask; None for the database that the settings name.
        mistakes: what is wrong with the command line so far; the settings' mistakes are added.
        by_file: a file says what is done.
        reading: nothing is changed; the database is not even made.

    Raises:
        WrongUsage: there are mistakes, or the registry refuses a document; its mistakes then name
            options as `mistakes` labels them.
    """
    from watchword.settings import load_settings

    opened: AbstractContextManager[Operations]
    wrong = Mistakes() if mistakes is None else mistakes  # no mistakes yet is false too
    with wrong.gathered():
        settings = load_settings()
        if server is None:
            opened = _reading(settings) if reading else at_hand(settings, by_file=by_file)
        else:
            opened = closing(_remote(server, settings))
    wrong.refuse()  # so from here on there is something to open
    with opened as operations, wrong.labelled(), _suggesting(operations):
        yield operations


@contextmanager
def _suggesting(operations: "Operations") -> "Iterator[None]":
    """Add the name that was probably meant to a refusal of one that there is not."""
    from issuer.registry.errors import RegistryError, UnknownClient, UnknownResource, UnknownScope
    from issuer.registry.mistakes import suggest

    try:
        yield
    except (UnknownClient, UnknownResource, UnknownScope) as error:
        said, _, name = str(error).rpartition(": ")  # as a server says it, too
        known: list[str] = []
        with suppress(RegistryError):  # who may not read names is told none
            if isinstance(error, UnknownClient):
                known = compared_clients(operations, near=name)
            elif isinstance(error, UnknownResource):
                known = [each["resource"] for each in operations.list_resources()]
            elif said.startswith("no such scope"):  # and not a type of authorization details
                known = _scopes_on(said.replace(",", "").split(), operations)
        raise type(error)(f"{error}{suggest(name, known)}") from None


def _scopes_on(resources: Collection[str], operations: "Operations") -> list[str]:
    listed = operations.list_resources()
    return [scope for each in listed if each["resource"] in resources for scope in each["scopes"]]


def compared_clients(operations: "Operations", *, near: str = "") -> list[str]:
    """List the clients with which a mistyped one is compared; none if they cannot be read.

    Args:
        operations: where they are.
        near: what was typed; of many clients, those behind its first character are listed.
    """
    from issuer.registry.errors import RegistryError
    from issuer.registry.mistakes import COMPARED

    try:
        items = operations.list_clients(limit=COMPARED).items
        if near and len(items) == COMPARED:
            items = operations.list_clients(after=near[0], limit=COMPARED).items
    except RegistryError:
        return []
    return [each["client_id"] for each in items]


@contextmanager
def at_hand(settings: "Settings", *, by_file: bool) -> "Iterator[Administration]":
    """Open the registry that the settings name, made first if it is not there."""
    from watchword.registry import open_registry

    log = ChangeLog(settings)
    with closing(open_registry(settings, now=wall_clock, announce=log)) as registry:
        log.opened = True
        yield _administer(registry, settings, by_file=by_file)


@contextmanager
def _reading(settings: "Settings") -> "Iterator[Operations]":
    from watchword.registry import is_missing, read_registry

    missing = is_missing(settings)
    with closing(read_registry(settings, now=wall_clock)) as registry:
        yield _administer(registry, settings, by_file=False)
    if missing:
        say(f"There is no registry yet: {settings.database.shown} is made by the first change.")


def require_registry(settings: "Settings") -> None:
    """Refuse a command that is of no use where no server has a registry yet.

    Raises:
        CommandFailed: the registry is a file that is not there.
    """
    from watchword.registry import is_missing

    if not is_missing(settings):
        return
    place, variable = settings.database.shown, "WATCHWORD_DATABASE_URL"
    if settings.database_url is None:
        place, variable = str(settings.data_dir.absolute()), "WATCHWORD_DATA_DIR"
    raise CommandFailed(
        f"there is no registry yet: {place}; set {variable} to that of the server, or start the"
        " server first"
    )


def _administer(registry: "Registry", settings: "Settings", *, by_file: bool) -> "Administration":
    import secrets

    from issuer.administration.local import Administration

    return Administration(
        registry,
        by=operator(by_file=by_file),
        now=wall_clock,
        random_bytes=secrets.token_bytes,
        default_resource=settings.default_resource,
        kept_resources=(settings.default_resource, settings.administration),
    )


def _remote(server: str, settings: "Settings") -> "RemoteAdministration":
    """Choose the server to ask; nothing is asked yet.

    Raises:
        WrongUsage: it cannot be asked, or id or secret of the client are not set.
    """
    from consumer.errors import ConsumerError
    from issuer.registry.errors import InvalidValue
    from watchword.cli.token import client_credentials
    from watchword.remote_administration import RemoteAdministration
    from watchword.setting_mistakes import name_settings

    client_id, secret = client_credentials(settings)
    try:
        return RemoteAdministration(
            server,
            client_id=client_id,
            client_secret=secret,
            resource=settings.admin_resource,
            allow_insecure_http=settings.allow_insecure_http,
        )
    except (ConsumerError, InvalidValue) as error:
        raise WrongUsage(f"--server: {name_settings(str(error))}") from None


def resource_finder(operations: "Operations") -> "Callable[[str], Resource]":
    """Return a function that looks up what scopes and types a resource has."""
    from issuer.registry.authorization_details import DetailsType
    from issuer.registry.resource import Resource

    def find(identifier: str) -> Resource:
        found = operations.show_resource(identifier).document
        types = found.get("authorization_details_types", ())
        return Resource(
            resource=identifier,
            scopes=tuple(found["scopes"]),
            authorization_details_types=tuple(DetailsType(**each) for each in types),
        )

    return find


def why_nothing(operations: "Operations", *, resource: str | None, scope: str | None) -> str:
    """Say which name in a filter that found nothing is mistyped, as the end of a sentence.

    It is the full stop alone if none is, or if the caller may not read resources.
    """
    from issuer.administration.queries import find_unknown_name
    from issuer.registry.errors import RegistryError

    if resource is None and scope is None:
        return "."
    try:
        found = find_unknown_name(operations.list_resources(), resource=resource, scope=scope)
    except RegistryError:
        found = None
    return f": {found}" if found else "."


def again_after_conflict(work: Callable[[], T]) -> T:
    """Do work that reads and then changes; repeat it if there was another change in between."""
    from issuer.registry.errors import RevisionConflict

    for _ in range(_ATTEMPTS - 1):
        with suppress(RevisionConflict):
            return work()
    return work()


class ChangeLog:
    """Logs changes on standard error, unless that is a terminal and the log format is not set.

    What opening the registry makes by itself is not logged: the command has not begun.
    """

    def __init__(self, settings: "Settings", opened: bool = False) -> None:
        self.opened = opened
        self._form = settings.log_format
        self._events: EventSink | None = None

    def __call__(self, event: str, /, **fields: object) -> None:
        """Log one event, unless a person sees the command's own messages."""
        if not self.opened or (self._form is None and sys.stderr.isatty()):
            return
        if self._events is None:
            from watchword.logging import Events  # slow to import, and only changes need it

            self._events = Events(form=self._form or "json", stream=sys.stderr)
        self._events(event, **fields)


def record_key_changes(
    settings: "Settings",
    changes: "Iterable[KeyChange]",
    *,
    required: bool = False,
) -> None:
    """Write changes of signing keys to the log and the audit trail.

    A key that must not be used any more is withdrawn whatever state the registry is in: where the
    trail cannot be written, a line on standard error says so.

    Args:
        settings: which registry; one that is not there yet has no trail, and is made if required.
        changes: what happened.
        required: make the registry if it is not there, and fail if the trail cannot be written.

    Raises:
        RegistryError, DataFolderError: the trail cannot be written, and has to be.
    """
    from issuer.registry.audit import Action
    from issuer.registry.errors import RegistryError
    from watchword.errors import DataFolderError
    from watchword.provider.key_ring import describe_key
    from watchword.registry import is_missing, open_registry

    done = tuple(changes)

    def record(edit: "RegistryEdit") -> None:
        for change in done:
            edit.record_key(
                Action(change.event.value),
                change.key.kid,
                None if change.before is None else describe_key(change.before),
                None if change.after is None else describe_key(change.after),
            )

    log = ChangeLog(settings)
    try:
        if required or not is_missing(settings):
            with closing(open_registry(settings, now=wall_clock, announce=log)) as registry:
                log.opened = True
                registry.change(record, by=operator())
            return
    except (RegistryError, DataFolderError) as error:
        if required:
            raise
        say(f"warning: the audit trail does not have what was done: {error}")
    log.opened = True
    by = operator()
    for change in done:
        log(change.event, kid=change.key.kid, actor=by.name, via=by.via.value)


def operator(*, by_file: bool = False) -> "Actor":
    """Name who runs the command, by what the system says and not the environment."""
    import os
    import pwd

    from issuer.registry.audit import Actor, Via

    uid = os.getuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:  # a container often has users without a name
        name = f"uid {uid}"
    return Actor(name=name, via=Via.FILE if by_file else Via.CLI)


def require_yes(question: str, *, yes: bool) -> None:
    """Ask before something is deleted, unless the answer was given with `--yes`.

    Raises:
        CommandFailed: the answer was not yes.
    """
    if yes:
        return
    sys.stderr.write(f"{printable(question)} [y/N] ")
    sys.stderr.flush()
    answer = read_line()
    if not answer.endswith(b"\n"):
        say("")
    if answer.strip().lower() not in (b"y", b"yes"):
        raise CommandFailed("nothing was changed; answer y, or say --yes")


def read_line() -> bytes:
    """Read one line of standard input; nothing if there is no standard input."""
    return b"" if sys.stdin is None else sys.stdin.buffer.readline(_LONGEST_LINE)


def read_token(given: str, *, whole: bool = False) -> str:
    """Return the token that a command was given, without what `read_pasted_token` takes off.

    Args:
        given: the argument; `-` for the first line of standard input.
        whole: read all lines, to tell of a token that was broken into several; of a terminal, one.
    """
    text = given
    if given == "-":
        source = sys.stdin
        if source is None:
            text = ""
        else:
            read = source.read if whole and not source.isatty() else source.readline
            text = read(_LONGEST_TOKEN)
    return read_pasted_token(text)


def read_secret() -> str:
    """Read a secret from standard input, without white space around it; the schema checks it.

    On a terminal it is asked for and not shown.

    Raises:
        InvalidValue: it is no text.
    """
    from issuer.registry.credentials import decode_secret

    if sys.stdin is None or not sys.stdin.isatty():
        return decode_secret(read_line())
    from getpass import getpass

    try:
        return getpass("Secret: ").strip()
    except EOFError:
        return ""
