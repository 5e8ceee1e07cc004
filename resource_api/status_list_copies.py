"""Copies on disk of an issuer's status lists, for a start of an API while the issuer is away.

One file for each list, as the issuer signed it, in a folder beside the copy of the key set. What is
read is judged as a list from the network is. The names of files are digests of the lists' URIs.
"""

import re
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Final

from keys.errors import CopyRefused
from keys.remote.kept_file import KeptFile
from resource_api.status_list import MAX_LIST_BYTES

MAXIMUM_FILES: Final = 64
MAXIMUM_BYTES: Final = 32 * 2**20
"""The most bytes that the files take together."""
KEPT_FOR: Final = 86_400
"""Seconds after which a file that was not written again is removed."""

# What a process that was killed left half written, too.
_OURS = re.compile(r"[0-9a-f]{64}\.jwt|\.[0-9a-f]{64}\.jwt\..+")


class StatusListCopies:
    """The folder with the copies; all calls block, so make them off the event loop."""

    def __init__(self, folder: Path) -> None:
        """Name the folder, which is made with mode 0700; nothing is read or written yet."""
        self._folder = folder

    def load(self, uri: str) -> bytes | None:
        """Read a list as it was received, not judged yet; None if there is no copy.

        Raises:
            CopyRefused: it cannot be read, or another account could change it.
        """
        return self._file(uri).read(MAX_LIST_BYTES + 1)

    def save(self, uri: str, body: bytes) -> None:
        """Write a list that was judged, and remove the copies that are too old or too many.

        Raises:
            CopyRefused: it cannot be written, or another account could change it.
        """
        file = self._file(uri)
        file.write(body)
        try:
            self._remove_old(file.path.stat().st_mtime - KEPT_FOR)
        except OSError as error:
            raise CopyRefused(f"{self._folder} cannot be tidied: {error.strerror}") from None

    def _file(self, uri: str) -> KeptFile:
        return KeptFile(self._folder / f"{sha256(uri.encode()).hexdigest()}.jwt")

    def _remove_old(self, oldest: float) -> None:
        found = []
        for path in self._folder.iterdir():
            # Another process of this API may remove files at the same time.
            with suppress(FileNotFoundError):
                if _OURS.fullmatch(path.name):
                    facts = path.lstat()
                    found.append((facts.st_mtime, facts.st_size, path))
        taken = 0
        for number, (written_at, size, path) in enumerate(sorted(found, reverse=True)):
            taken += size
            if number >= MAXIMUM_FILES or taken > MAXIMUM_BYTES or written_at < oldest:
                path.unlink(missing_ok=True)
