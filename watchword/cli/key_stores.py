"""The `watchword keys` commands that change how every key is kept: move and passphrase."""

import sys
from contextlib import closing
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from watchword.ambient import wall_clock
from watchword.cli.output import WrongUsage, say
from watchword.cli.printing import TABLE, Output, prints
from watchword.cli.registry import read_line, record_key_changes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from keys.events import KeyEvent
    from keys.stores.key_file import StoredKey
    from watchword.settings import Settings

_LONGEST_PASSPHRASE = 1024
_WAYS = "--new-passphrase-stdin, --new-passphrase-file or --remove"


class KeyPlace(StrEnum):
    """Where keys can be kept."""

    FILES = "files"
    DATABASE = "database"


@prints
def move(
    to: Annotated[KeyPlace, typer.Option(help="Where the keys go: `files` or `database`.")],
    output: Output = TABLE,
) -> None:
    """Move every key to the other key store, gone and revoked ones too, in one step.

    Then set WATCHWORD_KEY_STORE, and restart every node: until then it signs as before.

    Example: watchword keys move --to database
    """
    from keys.events import KeyEvent
    from keys.stores.transfer import move_keys
    from watchword.key_store import open_key_place
    from watchword.registry import open_registry
    from watchword.settings import load_settings

    settings = load_settings()
    if settings.passphrase is None:
        raise WrongUsage("keys in the database are sealed: set WATCHWORD_KEY_PASSPHRASE")
    source = KeyPlace.FILES if to is KeyPlace.DATABASE else KeyPlace.DATABASE
    with closing(open_registry(settings, now=wall_clock)) as registry:
        first, second = (
            open_key_place(settings.model_copy(update={"key_store": place.value}), registry)
            for place in (source, to)
        )
        moved = move_keys(first, second, passphrase=settings.passphrase)
    _record(settings, KeyEvent.MOVED, moved)
    if output.is_document:
        output.document({"moved": sorted(each.kid for each in moved), "key_store": to.value})
        return
    say(
        f"{second.place} has the keys now, {len(moved)} in all; set WATCHWORD_KEY_STORE={to.value} "
        "and restart every node"
    )


@prints
def passphrase(
    new_passphrase_stdin: Annotated[
        bool,
        typer.Option("--new-passphrase-stdin", help="Read the new one from standard input."),
    ] = False,
    new_passphrase_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Read the new one from a file.")
    ] = None,
    remove: Annotated[
        bool, typer.Option("--remove", help="Leave the private keys in the clear; files only.")
    ] = False,
    output: Output = TABLE,
) -> None:
    """Encrypt every private key with another passphrase: all of them, or none if one fails.

    Secrets of client_secret_jwt are under it as well then.

    WATCHWORD_KEY_PASSPHRASE is the present one. Then set it to the new one, and restart every node.

    Example: watchword keys passphrase --new-passphrase-file new-passphrase.txt
    """
    from pydantic import SecretStr

    from keys.events import KeyEvent
    from keys.stores.transfer import change_passphrase
    from watchword.client_seal import seal_key_under
    from watchword.key_store import open_key_places, opened_registry_of_keys
    from watchword.settings import load_settings

    if [new_passphrase_stdin, new_passphrase_file is not None, remove].count(True) != 1:
        raise WrongUsage(f"choose one of {_WAYS}")
    settings = load_settings()
    if remove:
        if settings.key_store == "database":
            raise WrongUsage("--remove: keys in the database are always encrypted")
        new = None
    elif new_passphrase_file is not None:
        new = _check("--new-passphrase-file", _read_file(new_passphrase_file))
    else:
        new = _check("--new-passphrase-stdin", _read_stdin())
    # The registry first: it is opened with the present passphrase.
    with opened_registry_of_keys(settings) as registry, seal_key_under(settings, new):
        before, after = open_key_places(settings, registry, settings.passphrase, new)
        known = change_passphrase(before, after, old=settings.passphrase, new=new)
    next_settings = settings.model_copy(
        update={"key_passphrase": None if new is None else SecretStr(new.decode())}
    )
    _record(next_settings, KeyEvent.DECRYPTED if remove else KeyEvent.ENCRYPTED, known)
    clear = sorted(each.kid for each in known if not each.encrypted and each.reference is None)
    _tell(settings, [each.kid for each in known], clear, new=new, output=output)


def _record(settings: "Settings", event: "KeyEvent", keys: "Iterable[StoredKey]") -> None:
    from keys.stores.store import KeyChange

    same = [each.ring_key for each in keys]
    record_key_changes(settings, [KeyChange(event=event, before=k, after=k) for k in same])


def _tell(
    settings: "Settings", kids: list[str], clear: list[str], *, new: bytes | None, output: Output
) -> None:
    if output.is_document:
        output.document(
            {"keys": sorted(kids), "were_in_the_clear": clear, "encrypted": new is not None}
        )
        return
    for kid in clear:
        say(f"{kid} was in the clear")
    if new is None:
        say(f"{len(kids)} keys are in the clear now; unset WATCHWORD_KEY_PASSPHRASE")
        return
    say(
        f"{len(kids)} keys are encrypted with the new passphrase; set WATCHWORD_KEY_PASSPHRASE to "
        "it and restart every node"
    )


def _read_stdin() -> bytes:
    """Read the new passphrase; on a terminal it is asked for and not shown."""
    if sys.stdin is None or not sys.stdin.isatty():
        return read_line()
    from getpass import getpass

    try:
        return getpass("New passphrase: ").encode()
    except EOFError:
        return b""


def _read_file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_LONGEST_PASSPHRASE + 2)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise WrongUsage(f"--new-passphrase-file: {path} cannot be read: {why.lower()}") from None


def _check(label: str, content: bytes) -> bytes:
    """Refuse what could not be given as a setting later, without showing it."""
    line = content.removesuffix(b"\n").removesuffix(b"\r")
    try:
        text = line.decode()
    except UnicodeDecodeError:
        raise WrongUsage(f"{label}: the new passphrase must be UTF-8 text") from None
    if (
        not text
        or len(line) > _LONGEST_PASSPHRASE
        or not text.isprintable()
        or text != text.strip()
    ):
        raise WrongUsage(
            f"{label}: the new passphrase must be one line of 1 to {_LONGEST_PASSPHRASE} bytes, "
            "without white space around it"
        )
    return line
