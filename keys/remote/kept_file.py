"""A file in which an API keeps what its issuer published, for a start while the issuer is away.

Nothing in such files is secret; an account that could change them could have tokens accepted that
are not to be, so owner and mode are judged as those of private keys are.
"""

import os
import stat
import tempfile
from pathlib import Path

from keys.errors import CopyRefused
from keys.file_access import file_fault, folder_fault, folders_above


class KeptFile:
    """One such file; reading and writing block, so call them off the event loop."""

    def __init__(self, path: Path) -> None:
        """Name the file; nothing is read or written yet."""
        self.path = path

    def read(self, maximum: int) -> bytes | None:
        """Read up to `maximum` bytes; None if there is no such file.

        Raises:
            CopyRefused: it cannot be read, or another account could change it.
        """
        try:
            self._check_folders()
            # A pipe in its place must not keep the thread for ever.
            flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
            with os.fdopen(os.open(self.path, flags), "rb") as file:
                facts = os.fstat(file.fileno())
                fault = file_fault(self.path, facts)
                if not stat.S_ISREG(facts.st_mode):
                    fault = f"{self.path} is not a regular file; remove it"
                if fault is not None:
                    raise CopyRefused(fault)
                return file.read(maximum)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise CopyRefused(f"{self.path} cannot be read: {error.strerror}") from None

    def write(self, content: bytes) -> None:
        """Write the file, all of it or nothing; a folder that does not exist is made.

        Raises:
            CopyRefused: it cannot be written, or another account could change it.
        """
        try:
            folder = self._folders()[-1]
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._check_folders()
            self._replace(folder, content)
        except OSError as error:
            raise CopyRefused(f"{self.path} cannot be written: {error.strerror}") from None

    def _replace(self, folder: Path, content: bytes) -> None:
        descriptor, name = tempfile.mkstemp(dir=folder, prefix=f".{self.path.name}.")  # mode 0600
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(self.path.resolve())
        except BaseException:
            Path(name).unlink()
            raise

    def _check_folders(self) -> None:
        for folder in self._folders():
            fault = folder_fault(folder, folder.stat(), private=False)
            if fault is not None:
                raise CopyRefused(fault)

    def _folders(self) -> list[Path]:
        try:
            return folders_above(self.path)
        except OSError:
            raise CopyRefused(f"{self.path} is a link to itself; remove it") from None
