"""Processes that share a token through `TokenFiles`: over real sockets, files and locks."""

import errno
import fcntl
import os
import pickle
import stat
import threading
from contextlib import suppress

import anyio
import pytest

from consumer import auth
from consumer.client_auth import ClientSecretPost
from consumer.token_files import TokenFiles
from tests.support.local_issuer import served_issuer

PROCESSES = 8
NAME = "0" * 32

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")


@pytest.fixture
def issuer():
    """A real issuer on a local socket."""
    with served_issuer() as issuer:
        yield issuer


@pytest.fixture
def folder(tmp_path):
    """Where the tokens are kept."""
    return tmp_path / "tokens"


def make(issuer, folder, **options):
    """Make a source that no other object of this process shares."""
    store = TokenFiles(folder)
    return auth.TokenSource(issuer.url, "id", "s3cret", store=store, **options)


def test_many_processes_ask_once(issuer, folder):
    """All start without a token, at the same moment."""
    issuer.token_waiting_time = 0.3
    reading, writing = os.pipe()
    children = []
    for _ in range(PROCESSES):
        child = os.fork()
        if not child:
            try:
                os.write(writing, make(issuer, folder).token().value.encode())
            finally:
                os._exit(0)
        children.append(child)
    os.close(writing)
    for child in children:
        os.waitpid(child, 0)
    with os.fdopen(reading, "rb") as pipe:
        assert pipe.read() == b"t1" * PROCESSES
    assert issuer.requests["/token"] == 1


def test_a_token_of_another_process_is_told_as_such(issuer, folder):
    """Counting `token.renewed` counts what the issuer was asked for."""
    told = []
    for _ in range(2):
        source = make(issuer, folder, on_event=lambda event, **fields: told.append((event, fields)))
        source.token()
        del source
    (first, _), (second, fields) = told
    assert (first, second) == ("token.renewed", "token.shared")
    assert {"issuer", "seconds", "lifetime"} == set(fields)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_tasks_share_it_too(issuer, folder, backend):
    """On an event loop, which the files do not hold up."""
    assert make(issuer, folder).token().value == "t1"
    assert anyio.run(make(issuer, folder).atoken, backend=backend).value == "t1"
    assert issuer.requests["/token"] == 1


def test_a_rejected_token_is_replaced_for_all(issuer, folder):
    """The process that meets the 401 asks; the others find its token."""
    import httpx

    sources = [
        auth.ClientCredentials(issuer.url, "id", "s3cret", store=TokenFiles(folder))
        for _ in range(2)
    ]
    for source in sources:
        assert source.token().value == "t1"
    issuer.revoked = {"t1"}
    for source in sources:
        with httpx.Client(auth=source) as client:
            assert client.get(f"{issuer.url}/api").json() == {"seen": "t2"}
    assert issuer.requests["/token"] == 2


def test_files_are_this_accounts_alone(issuer, folder):
    """0700 and 0600, and no token in the clear."""
    make(issuer, folder).token()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    kept = list(folder.iterdir())
    assert len(kept) == 2
    for file in kept:
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert b"t1" not in file.read_bytes()


def test_a_folder_of_others_is_refused(folder):
    """Whoever may write there could keep all processes waiting."""
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(ValueError, match="0700"):
        TokenFiles(folder)


def test_a_folder_behind_a_link_is_refused(folder):
    """Whoever owns the link can lead it elsewhere once the folder was judged."""
    (folder.parent / "own").mkdir(mode=0o700)
    folder.symlink_to(folder.parent / "own")
    with pytest.raises(ValueError, match="no link"):
        TokenFiles(folder)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        (f"{NAME}.{os.getpid()}", lambda store: store.save(NAME, b"sealed", 60.0)),
        (f"{NAME}.lock", lambda store: store.lock(NAME, 60.0)),
    ],
    ids=["save", "lock"],
)
def test_no_link_leads_to_a_file_that_is_written(folder, name, write):
    """Whoever got a folder in place of ours must not choose what we overwrite."""
    store, precious = TokenFiles(folder), folder.parent / "precious"
    precious.write_text("kept")
    missing = folder.parent / "missing"
    for target in (precious, missing):
        (folder / name).symlink_to(target)
        with pytest.raises(OSError, match="symbolic links"):
            write(store)
        (folder / name).unlink()
    assert precious.read_text() == "kept"
    assert not missing.exists()


def test_a_lock_is_held_once_and_given_back(folder):
    """By one of two stores; a child that was forked meanwhile does not keep it."""
    first, second = TokenFiles(folder), pickle.loads(pickle.dumps(TokenFiles(folder)))
    assert first.lock(NAME, 60.0)
    assert not second.lock(NAME, 60.0)
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.close(writing)
            os.read(reading, 1)
        finally:
            os._exit(0)
    first.unlock(NAME)
    assert second.lock(NAME, 60.0)
    second.unlock(NAME)
    os.close(writing)
    os.waitpid(child, 0)


def test_where_there_are_no_locks_no_file_is_left_open(folder, monkeypatch):
    """As on a network file system; each attempt would keep one more."""

    def refuse(descriptor, operation):
        opened.append(descriptor)
        raise OSError(errno.ENOLCK, "No locks available")

    opened = []
    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(OSError, match="No locks"):
        TokenFiles(folder).lock(NAME, 60.0)
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(opened[0])


def test_a_client_without_a_secret_has_no_key_for_a_store(issuer, folder):
    """It is refused where it is given."""

    class Method:
        def apply(self, form, headers, *, audience, now):
            """Add nothing."""

        def redact(self, text):
            return text

    with pytest.raises(ValueError, match="secret"):
        auth.TokenSource(issuer.url, Method(), store=TokenFiles(folder))
    auth.TokenSource(issuer.url, ClientSecretPost("id", "s3cret"), store=TokenFiles(folder))


def test_a_lock_ends_with_its_process_though_a_child_lives_on(folder):
    """The child was forked while the lock was held; the process that could give it back is gone."""
    store, (reading, writing), (told, telling) = TokenFiles(folder), os.pipe(), os.pipe()
    holder = os.fork()
    if not holder:
        store.lock(NAME, 60.0)
        if not os.fork():
            os.close(writing)
            os.write(telling, b"begun")
            os.read(reading, 1)  # lives until the test ends
        os._exit(0)
    os.waitpid(holder, 0)
    with os.fdopen(writing, "wb"):
        assert os.read(told, 5) == b"begun"
        assert store.lock(NAME, 60.0)
    for descriptor in (reading, told, telling):
        os.close(descriptor)


def test_a_child_does_not_give_back_the_lock_of_its_parent(folder):
    """Such as when it drops the token request that only its parent carries out."""
    store, other = TokenFiles(folder), TokenFiles(folder)
    assert store.lock(NAME, 60.0)
    child = os.fork()
    if not child:
        with suppress(KeyError):
            store.unlock(NAME)
        os._exit(0)
    os.waitpid(child, 0)
    assert not other.lock(NAME, 60.0)
    store.unlock(NAME)
    assert other.lock(NAME, 60.0)


def test_a_folder_that_is_gone_is_done_without(issuer, folder, caplog):
    """Each process has a token of its own then."""
    source = make(issuer, folder)
    folder.rmdir()
    assert source.token().value == "t1"
    assert "the token store is out of order" in caplog.text


def test_a_token_is_renewed_once_for_threads_of_several_objects(issuer, folder):
    """Objects with stores of their own share no flow, and still one token."""
    sources = [make(issuer, folder) for _ in range(4)]
    seen = []
    threads = [
        threading.Thread(target=lambda each: seen.append(each.token().value), args=(source,))
        for source in sources
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == ["t1"] * 4
    assert issuer.requests["/token"] == 1
