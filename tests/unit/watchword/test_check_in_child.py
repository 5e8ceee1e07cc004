"""`watchword.process.serving`: what a child process tried counts as if tried here."""

import os
import threading

import pytest

from issuer.registry.errors import StoreUnavailable
from watchword.errors import ProviderError
from watchword.process.serving import check_in_child


def test_what_goes_well_is_over(tmp_path):
    """The work is done, in another process."""
    file = tmp_path / "by"
    check_in_child(lambda: file.write_text(str(os.getpid())) and None)
    assert file.read_text() != str(os.getpid())


def test_what_fails_there_is_raised_here():
    """An operator reads the same line as if nothing had been forked."""

    def fail():
        raise StoreUnavailable("the registry database is away")

    with pytest.raises(StoreUnavailable, match=r"^the registry database is away$"):
        check_in_child(fail)


def test_a_child_that_dies_is_told_of():
    """No word is not a good word."""
    with pytest.raises(ProviderError, match="ended with 3"):
        check_in_child(lambda: os._exit(3))


def test_threads_stay_in_the_child():
    """Whoever forks next is as much alone as before."""
    before = threading.active_count()
    check_in_child(lambda: threading.Thread(target=threading.Event().wait, daemon=True).start())
    assert threading.active_count() == before
