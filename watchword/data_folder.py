"""The data folder: keys and the SQLite database, for the owner's eyes only."""

import os
from pathlib import Path

from watchword.errors import DataFolderError


def make_data_folder(folder: Path) -> Path:
    """Make the folder with mode 0700 unless it exists, and check that it can be written to.

    Raises:
        DataFolderError: it cannot be made, is not a folder, or cannot be written to.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise DataFolderError(_explain(folder, (error.strerror or str(error)).lower())) from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise DataFolderError(_explain(folder, "it is not writable"))
    return folder


def _explain(folder: Path, why: str) -> str:
    return f"cannot use the data folder {folder}: {why}; set WATCHWORD_DATA_DIR to another"
