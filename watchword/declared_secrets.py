"""Find the secrets that a declaration refers to, and write those that are made for it.

A secret is written before the registry learns it, so that a process which is killed in between
loses nothing: the next one finds the file and uses it.
"""

import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from issuer.administration.declaration.document import (
    ClientInFile,
    DeclarationFile,
    SecretReference,
)
from issuer.registry.credentials import check_secret, decode_secret, generate_secret
from issuer.registry.errors import (
    AccessRefused,
    InvalidDocument,
    InvalidValue,
    RegistryError,
    StoreUnavailable,
)
from issuer.registry.mistakes import Mistake
from issuer.registry.schema import Json
from keys.file_access import sync_folder
from watchword.errors import ProviderError

_MAXIMUM_FILE_BYTES = 4096


class SecretFileError(ProviderError):
    """A generated secret cannot be written."""


class DeclaredSecrets:
    """The secrets that a declaration refers to.

    Args:
        declaration: what refers to them; its references get the secrets that are found.
        folder: what relative paths start from.
        environment: the variables of the process.
        random_bytes: the operating system's randomness.
    """

    def __init__(
        self,
        declaration: DeclarationFile,
        *,
        folder: Path,
        environment: Mapping[str, str],
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._clients = declaration.clients
        self._folder = folder
        self._environment = environment
        self._random_bytes = random_bytes

    def load(self) -> None:
        """Read every secret that is there.

        Raises:
            InvalidDocument: naming every reference that leads to no good secret.
        """
        mistakes: list[Mistake] = []
        for number, client in enumerate(self._clients):
            for index, reference in enumerate(client.secrets or ()):
                try:
                    if (text := self._find(reference)) is not None:
                        _take(client, reference, text)
                except (ValueError, InvalidValue) as error:
                    why = f"{reference.source} of client {client.client_id}: {error}"
                    mistakes.append(Mistake(("clients", number, "secrets", index), why))
        if mistakes:
            raise InvalidDocument(mistakes)

    @contextmanager
    def generated(self, outcome: Json) -> Iterator[Mapping[Path, str]]:
        """Make the secrets that a declaration needs and write them, before it is carried out.

        If it is refused, the files are removed. If it is not known whether it was, they stay: a
        file too many does no harm, one too few is a client that can never authenticate again.

        Args:
            outcome: of a dry run, which tells the secrets that are still to be made.

        Yields:
            The files that were written, and the client that each is for.

        Raises:
            SecretFileError: a file cannot be written.
        """
        clients = {client.client_id: client for client in self._clients}
        written: dict[Path, str] = {}
        try:
            for change in outcome["changes"]:
                if change.get("generate"):
                    self._generate(clients[change["client_id"]], change["source"], written)
            yield written
        except (StoreUnavailable, AccessRefused):  # or an answer from whatever is in between
            raise
        except (RegistryError, SecretFileError):
            for path in written:
                with suppress(OSError):
                    path.unlink()
            raise

    def _find(self, reference: SecretReference) -> str | None:
        """Read a secret; None if it is still to be generated."""
        if reference.env is not None:
            text = self._environment.get(reference.env)
            if text is None:
                raise ValueError("it is not set")
            return text.strip()  # a line end is as easily set as written
        if reference.file is not None:
            return read_secret_file(self._folder / reference.file)
        path = self._folder / str(reference.generate_to)
        if path.exists():
            return read_secret_file(path)
        if not path.parent.is_dir():
            raise ValueError(f"there is no folder {path.parent}; make it first")
        return None

    def _generate(self, client: ClientInFile, source: str, written: dict[Path, str]) -> None:
        reference = next(each for each in client.secrets or () if each.source == source)
        path = self._folder / str(reference.generate_to)
        text = generate_secret(self._random_bytes)
        try:
            if _write_new(path, text.encode() + b"\n", suffix=self._random_bytes(8).hex()):
                written[path] = client.client_id
            else:
                text = read_secret_file(path)  # another process that applies the same file made it
            _take(client, reference, text)
        except (OSError, ValueError, InvalidValue) as error:
            why = _reason(error) if isinstance(error, OSError) else str(error)
            raise SecretFileError(f"cannot write the secret to {path}: {why}") from None


def _take(client: ClientInFile, reference: SecretReference, text: str) -> None:
    """Give a reference the secret that it leads to."""
    if not text:
        raise ValueError("it is empty")
    check_secret(text)
    others = (each.value for each in client.secrets or () if each is not reference)
    if any(other is not None and other.reveal() == text for other in others):
        raise ValueError("it is the same secret as another of the client")
    reference.found(text)


def read_secret_file(path: Path) -> str:
    """Read a secret from a file, less what editors leave around it.

    Raises:
        ValueError, InvalidValue: it cannot be read, or holds no text.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MAXIMUM_FILE_BYTES + 1)
    except OSError as error:
        raise ValueError(f"it cannot be read: {_reason(error)}") from None
    if len(content) > _MAXIMUM_FILE_BYTES:
        raise ValueError("it is too large to be a secret")
    return decode_secret(content)


def _write_new(path: Path, content: bytes, *, suffix: str) -> bool:
    """Write a file that only its owner can read, whole or not at all; tell if it was not there."""
    unfinished = path.with_name(f".{path.name}.{suffix}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(unfinished, flags, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        # Unlike a rename, a link never takes the place of a file that has come meanwhile.
        path.hardlink_to(unfinished)
    except FileExistsError:
        return False
    finally:
        unfinished.unlink(missing_ok=True)
    sync_folder(path.parent)
    return True


def _reason(error: OSError) -> str:
    return (error.strerror or "input/output error").lower()
