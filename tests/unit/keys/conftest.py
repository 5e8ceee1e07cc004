"""What tests of key stores share."""

from pathlib import Path

import pytest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder of a store that does not exist yet."""
    return tmp_path / "data" / "keys"
