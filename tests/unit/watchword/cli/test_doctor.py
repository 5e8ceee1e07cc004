"""What `watchword doctor` says of a part that cannot be read."""

import pytest

from issuer.registry.errors import StoreUnavailable
from keys.errors import KeyStoreError, SignerUnavailable
from watchword.cli.doctor import _unreadable


@pytest.mark.parametrize(
    ("cause", "said", "remedy"),
    [
        (None, "folder x is open to others; chmod 700 x", "chmod 700 x"),
        (None, "x is no folder", "check WATCHWORD_DATA_DIR"),
        (OSError("disk"), "x cannot be read", "check WATCHWORD_DATA_DIR"),
        (StoreUnavailable("away"), "it is full; nothing was changed", "start the database"),
        (SignerUnavailable("no answer"), "no answer", "start what WATCHWORD_KEY_SIGNER names"),
    ],
)
def test_keys_that_cannot_be_read_have_the_remedy_of_what_failed(cause, said, remedy):
    """Their own where the fault names one; else that of the part, the database or the signer."""
    error = KeyStoreError(said)
    error.__cause__ = cause
    found = _unreadable("keys", error)
    assert found.check == "keys"
    assert found.remedy.startswith(remedy)


def test_a_registry_that_cannot_be_read_has_the_remedy_of_the_database():
    """Whichever part reads it."""
    assert _unreadable("profile", StoreUnavailable("away")).remedy.startswith("start the database")
