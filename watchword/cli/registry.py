"""What the commands on the registry share: the way to it, scopes, a last question."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from watchword.cli.errors import CommandFailed, WrongUsage
from watchword.cli.mistakes import Mistakes
from watchword.cli.output import printable, say
from watchword.clock import wall_clock

if TYPE_CHECKING:
    from issuer.administration.operations import Operations
    from issuer.events import EventSink
    from issuer.registry.audit import Actor
    from issuer.registry.mistakes import Mistake
    from issuer.registry.resource import Resource
    from issuer.storage.registry import Registry
    from watchword.remote_administration import RemoteAdministration
    from watchword.settings import Settings

T = TypeVar("T")

_LONGEST_LINE = 4096
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
        mistakes: what is wrong with the command line so far, told together with the settings'.
        by_file: what is done is what a file says.
        reading: nothing is changed; the database is not even made.

    Raises:
        WrongUsage: there are mistakes.
    """
    from watchword.settings import load_settings

    opened: AbstractContextManager[Operations]
    wrong = mistakes or Mistakes()
    with wrong.gathered():
        settings = load_settings()
        if server is None:
            opened = _reading(settings) if reading else _local(settings, by_file=by_file)
        else:
            opened = closing(_remote(server, settings))
    wrong.refuse()  # so from here on there is something to open
    with opened as operations:
        yield operations


@contextmanager
def _local(settings: "Settings", *, by_file: bool) -> "Iterator[Operations]":
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


def _administer(registry: "Registry", settings: "Settings", *, by_file: bool) -> "Operations":
    import secrets

    from issuer.administration.local import Administration
    from watchword.registry import own_resources

    return Administration(
        registry,
        by=operator(by_file=by_file),
        now=wall_clock,
        random_bytes=secrets.token_bytes,
        default_resource=settings.default_resource,
        kept_resources=[each.resource for each in own_resources(settings)],
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

    client_id, secret = client_credentials(settings)
    try:
        return RemoteAdministration(
            server, client_id=client_id, client_secret=secret, resource=settings.admin_resource
        )
    except (ConsumerError, InvalidValue) as error:
        raise WrongUsage(f"--server: {error}") from None


def resource_finder(operations: "Operations") -> "Callable[[str], Resource]":
    """Return a function that looks up what scopes a resource has."""
    from issuer.registry.resource import Resource

    def find(identifier: str) -> Resource:
        found = operations.show_resource(identifier).document
        return Resource(resource=identifier, scopes=tuple(found["scopes"]))

    return find


def again_after_conflict(work: Callable[[], T]) -> T:
    """Do what reads and then changes; if somebody else changed it meanwhile, do it anew."""
    from issuer.registry.errors import RevisionConflict

    for _ in range(_ATTEMPTS - 1):
        with suppress(RevisionConflict):
            return work()
    return work()


@contextmanager
def labelled(labels: Mapping[str, str]) -> Iterator[None]:
    """Tell what is wrong with a document by the options that its members were typed as."""
    from issuer.administration.errors import InvalidDocument

    try:
        yield
    except InvalidDocument as error:
        raise WrongUsage(*(_labelled(each, labels) for each in error.mistakes)) from None


def _labelled(mistake: "Mistake", labels: Mapping[str, str]) -> str:
    if not mistake.path:
        return mistake.why
    member = str(mistake.path[0])
    return f"{labels.get(member, member)}: {mistake.why}"


class ChangeLog:
    """Logs changes on standard error, unless a person is watching who has the command's own words.

    What opening the registry makes by itself is not logged: the command has not begun.
    """

    def __init__(self, settings: "Settings", opened: bool = False) -> None:
        self.opened = opened
        self._form = settings.log_format
        self._events: EventSink | None = None

    def __call__(self, event: str, /, **fields: object) -> None:
        """Log one event, if anybody reads the log."""
        if not self.opened or (self._form is None and sys.stderr.isatty()):
            return
        if self._events is None:
            from watchword.logging import Events  # dear to import, and most commands change nothing

            self._events = Events(form=self._form or "json", stream=sys.stderr)
        self._events(event, **fields)


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
    """Ask before something is lost, unless the answer was given with `--yes`.

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


def read_secret() -> str:
    """Read a secret from standard input, less white space around it.

    On a terminal it is asked for and not shown.

    Raises:
        InvalidValue: it cannot be a secret.
    """
    from issuer.registry.secret_hash import check_secret, decode_secret

    if sys.stdin is not None and sys.stdin.isatty():
        from getpass import getpass

        try:
            secret = getpass("Secret: ").strip()
        except EOFError:
            secret = ""
    else:
        secret = decode_secret(read_line())
    check_secret(secret)
    return secret
