"""Find the secrets that a declaration refers to, and write those that are made for it.

A secret is written before the registry learns it, so that a process which is killed in between
loses nothing: the next one finds the file and uses it.
"""

import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from issuer.administration.declaration.document import Declaration, SecretReference
from issuer.administration.declaration.errors import InvalidDeclaration, KeyPath, Mistake
from issuer.administration.declaration.resolved import SecretPlace, SecretValue
from issuer.administration.errors import AccessRefused
from issuer.registry.client_secret import MAXIMUM_SECRETS
from issuer.registry.errors import InvalidValue, RegistryError, StoreUnavailable
from issuer.registry.secret_hash import SALT_BYTES, check_secret, decode_secret, generate_secret
from watchword.errors import ProviderError

_MAXIMUM_FILE_BYTES = 4096


class SecretFileError(ProviderError):
    """A generated secret cannot be written."""


class DeclaredSecrets:
    """The secrets of one declaration, as far as they are there.

    Args:
        declaration: what refers to them.
        folder: what relative paths start from.
        environment: the variables of the process.
        random_bytes: the operating system's randomness.
    """

    def __init__(
        self,
        declaration: Declaration,
        *,
        folder: Path,
        environment: Mapping[str, str],
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self.values: dict[SecretPlace, SecretValue] = {}
        self._folder = folder
        self._environment = environment
        self._random_bytes = random_bytes
        self._references = dict(_references(declaration))

    def load(self) -> None:
        """Read every secret that is there.

        Raises:
            InvalidDeclaration: naming every reference that leads to no good secret.
        """
        mistakes: list[Mistake] = []
        for place, (path, reference) in self._references.items():
            try:
                if (text := self._find(reference)) is not None:
                    self._take(place, text)
            except (ValueError, InvalidValue) as error:
                why = f"{reference.source} of client {place[0]}: {error}"
                mistakes.append(Mistake(why=why, path=path))
        if mistakes:
            raise InvalidDeclaration(mistakes)

    @contextmanager
    def generated(self, places: Iterable[SecretPlace]) -> Iterator[Mapping[SecretPlace, Path]]:
        """Make secrets and write them, for a transaction that is to follow; yields where they are.

        If it is refused, the files are removed. If nobody knows whether it was, they stay: a file
        too many does no harm, one too few is a client that nobody can be any more.

        Raises:
            SecretFileError: a file cannot be written.
        """
        written: dict[SecretPlace, Path] = {}
        try:
            for place in places:
                self._generate(place, written)
            yield written
        except (StoreUnavailable, AccessRefused):  # or an answer from whatever is in between
            raise
        except (RegistryError, SecretFileError):
            for path in written.values():
                with suppress(OSError):
                    path.unlink()
            raise

    def _find(self, reference: SecretReference) -> str | None:
        """Read a secret; None if it is still to be generated."""
        if reference.env is not None:
            text = self._environment.get(reference.env)
            if text is None:
                raise ValueError("it is not set")
            text = text.strip()  # a line end is as easily set as written
        elif reference.file is not None:
            text = _read_secret(self._folder / reference.file)
        else:
            text = self._find_generated(self._folder / str(reference.generate_to))
        return text

    def _find_generated(self, path: Path) -> str | None:
        if path.exists():
            return _read_secret(path)
        if not path.parent.is_dir():
            raise ValueError(f"there is no folder {path.parent}; make it first")
        return None

    def _take(self, place: SecretPlace, text: str) -> None:
        if not text:
            raise ValueError("it is empty")
        check_secret(text)
        value = SecretValue(text, salt=self._random_bytes(SALT_BYTES))
        others = (self.values.get((place[0], index)) for index in range(MAXIMUM_SECRETS))
        if any(other is not None and value.is_same(other) for other in others):
            raise ValueError("it is the same secret as another of the client")
        self.values[place] = value

    def _generate(self, place: SecretPlace, written: dict[SecretPlace, Path]) -> None:
        path = self._folder / str(self._references[place][1].generate_to)
        text = generate_secret(self._random_bytes)
        try:
            if _write_new(path, text.encode() + b"\n", suffix=self._random_bytes(8).hex()):
                written[place] = path
            else:
                text = _read_secret(path)  # somebody else who applies the same file has made it
        except (OSError, ValueError) as error:
            why = _reason(error) if isinstance(error, OSError) else str(error)
            raise SecretFileError(f"cannot write the secret to {path}: {why}") from None
        self._take(place, text)


def _references(
    declaration: Declaration,
) -> Iterator[tuple[SecretPlace, tuple[KeyPath, SecretReference]]]:
    for number, client in enumerate(declaration.clients):
        for index, reference in enumerate(client.secrets or ()):
            path = ("clients", number, "secrets", index)
            yield (client.client_id, index), (path, reference)


def _read_secret(path: Path) -> str:
    """Read a secret from a file, less what editors leave around it."""
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
    _sync_folder(path.parent)
    return True


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _reason(error: OSError) -> str:
    return (error.strerror or "input/output error").lower()
