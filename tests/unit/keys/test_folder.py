"""The key store in a folder: what it writes, and every state of the folder that it refuses."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from keys.errors import KeyStoreError, UnknownAlgorithm
from keys.lifecycle import plan_upkeep, plan_withdrawal
from keys.ring import KeyState, RingPolicy, derive_ring, signing_keys
from keys.stores.folder import KeyFolder
from keys.stores.store import KeyStore
from tests.support.keys import key_file, public_rsa_jwk, refusal_of, stored_key, write_key_file

POLICY = RingPolicy()
PASSPHRASE = b"correct horse battery staple"
NOW = 1_800_000_000


def test_an_absent_folder_is_an_empty_store(folder):
    """Looking does not make anything."""
    store = KeyStore(KeyFolder(folder))

    assert store.records() == ()
    assert store.stamp() == ()
    assert not folder.exists()


def test_a_new_key_is_written_for_its_owner_alone(folder):
    """0600 in a folder of 0700, whatever the umask, and nothing unfinished stays behind."""
    old = os.umask(0)
    try:
        stored = KeyStore(KeyFolder(folder)).generate(alg="RS256", now=NOW, policy=POLICY)
    finally:
        os.umask(old)
    path = folder / f"{stored.kid}.pem"

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(folder.parent.stat().st_mode) == 0o700
    assert {each.name for each in folder.iterdir()} == {path.name, ".lock"}


def test_a_new_key_can_be_read_back(folder):
    """The store returns what it reads later, and the private key fits."""
    store = KeyStore(KeyFolder(folder))
    stored = store.generate(alg="RS256", now=NOW, policy=POLICY)

    assert store.records() == (stored,)
    assert store.signer(stored.kid).kid == stored.kid
    exported = load_pem_private_key(store.export_private(stored.kid), None)
    assert exported.public_key() == stored.jwk.key


@pytest.mark.rfc("roll-1")
def test_the_first_key_signs_at_once_and_the_next_waits(folder):
    """Later keys are published for max-age and slack first, or as long as the caller says."""
    store = KeyStore(KeyFolder(folder))
    first = store.generate(alg="RS256", now=NOW, policy=POLICY).ring_key
    second = store.generate(alg="RS256", now=NOW, policy=POLICY).ring_key
    third = store.generate(alg="RS256", now=NOW, policy=POLICY, activate_in=5).ring_key

    assert [first.signs_from, second.signs_from, third.signs_from] == [NOW, NOW + 360, NOW + 5]


@pytest.mark.rfc("roll-3")
def test_every_key_has_a_kid_of_its_own(folder):
    """A kid is computed from the key and never used again."""
    store = KeyStore(KeyFolder(folder))
    kids = {store.generate(alg="RS256", now=NOW, policy=POLICY).kid for _ in range(3)}

    assert len(kids) == 3


def test_an_encrypted_store_lists_without_and_loads_with_its_passphrase(folder):
    """Publishing needs no secret; signing does."""
    locked = KeyStore(KeyFolder(folder), passphrase=PASSPHRASE)
    stored = locked.generate(alg="RS256", now=NOW, policy=POLICY)

    assert KeyStore(KeyFolder(folder)).records() == (stored,)
    assert locked.signer(stored.kid).kid == stored.kid
    assert locked.export_private(stored.kid).startswith(b"-----BEGIN PRIVATE KEY-----")
    with pytest.raises(KeyStoreError, match="WATCHWORD_KEY_PASSPHRASE"):
        KeyStore(KeyFolder(folder)).signer(stored.kid)
    with pytest.raises(KeyStoreError, match="WATCHWORD_KEY_PASSPHRASE"):
        KeyStore(KeyFolder(folder), passphrase=b"wrong").signer(stored.kid)


@pytest.mark.parametrize(
    ("passphrase", "why"),
    [(b"wrong", "does not open with this passphrase"), (None, "set WATCHWORD_KEY_PASSPHRASE")],
)
def test_no_key_is_made_beside_keys_of_another_passphrase(folder, passphrase, why):
    """A store with two passphrases could not be used at all; a withdrawal stands all the same."""
    store = KeyStore(KeyFolder(folder), passphrase=PASSPHRASE)
    first = store.generate(alg="RS256", now=NOW, policy=POLICY)
    store.apply(lambda ring: plan_upkeep(ring, NOW, POLICY, ["RS256"]), now=NOW, policy=POLICY)
    known = {each.kid for each in store.records()}
    other = KeyStore(KeyFolder(folder), passphrase=passphrase)

    with pytest.raises(KeyStoreError, match=why):
        other.generate(alg="RS256", now=NOW, policy=POLICY)
    done = other.apply(
        lambda ring: plan_withdrawal(ring, first.kid, NOW, POLICY), now=NOW, policy=POLICY
    )

    assert [each.event for each in done] == ["key.scheduled", "key.revoked"]
    assert {each.kid for each in store.records()} == known


def test_an_empty_passphrase_is_refused(folder):
    """It would look like encryption and be none."""
    with pytest.raises(KeyStoreError, match="empty"):
        KeyStore(KeyFolder(folder), passphrase=b"")


def test_the_repr_shows_no_passphrase(folder):
    """A store in a log line names its folder alone."""
    assert "horse" not in repr(KeyStore(KeyFolder(folder), passphrase=PASSPHRASE))
    assert str(folder) in repr(KeyStore(KeyFolder(folder)))


def test_a_folder_that_its_owner_cannot_write_takes_no_key(folder):
    """The refusal comes before any key is made, with the mend."""
    folder.mkdir(parents=True)
    folder.chmod(0o500)

    with pytest.raises(KeyStoreError, match=f"chmod 700 {folder}"):
        KeyStore(KeyFolder(folder)).generate(alg="RS256", now=NOW, policy=POLICY)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(b"", "is empty", id="empty"),
        pytest.param(key_file()[:900], "half written", id="half written"),
        pytest.param(b"hello", "half written", id="foreign"),
        pytest.param(b"x" * 70_000, "too large", id="large"),
    ],
)
def test_a_damaged_file_is_refused_with_its_name(folder, content, reason):
    """One bad file refuses the store: a key left out silently would orphan its tokens."""
    write_key_file(folder, key_file(1), n=1)
    path = write_key_file(folder, content)

    assert reason in refusal_of(folder)
    assert str(path) in refusal_of(folder)


def test_a_file_under_another_name_is_refused(folder):
    """The name of a file is the kid in it."""
    path = write_key_file(folder, key_file())
    path.rename(folder / "mine.pem")

    assert f"must be named {public_rsa_jwk().kid}.pem" in refusal_of(folder)


def test_what_is_not_a_regular_file_is_refused(folder):
    """A pipe would wait for ever, and a link may lead nowhere."""
    path = write_key_file(folder, key_file())
    path.unlink()
    path.symlink_to("missing.pem")
    assert str(path) in refusal_of(folder)

    path.unlink()
    os.mkfifo(path, 0o600)
    assert "not a regular file" in refusal_of(folder)


def test_a_file_in_place_of_the_folder_is_refused(folder):
    """Nothing is overwritten."""
    folder.parent.mkdir()
    folder.write_text("precious")

    assert "is not a folder" in refusal_of(folder)
    with pytest.raises(KeyStoreError, match="is not a folder"):
        KeyStore(KeyFolder(folder)).generate(alg="RS256", now=NOW, policy=POLICY)
    assert folder.read_text() == "precious"


def test_a_folder_that_cannot_be_made_is_refused(folder):
    """A file higher up stands in the way: one line, for reading and for making."""
    folder.parent.write_text("a file")
    store = KeyStore(KeyFolder(folder))

    for attempt in (
        store.records,
        store.stamp,
        lambda: store.generate(alg="RS256", now=NOW, policy=POLICY),
    ):
        with pytest.raises(KeyStoreError, match="not a directory"):
            attempt()


@pytest.mark.parametrize("kid", ["", "unknown", "../../etc/passwd", "a" * 43, "a" * 42 + "\n"])
def test_an_unknown_kid_has_no_private_key(folder, kid):
    """A kid is looked up among the files there are, and never becomes a path."""
    write_key_file(folder, key_file())
    with pytest.raises(KeyStoreError, match="no such key"):
        KeyStore(KeyFolder(folder)).signer(kid)


def test_other_files_are_left_alone(folder):
    """Unfinished files of a crash, notes and hidden files are not keys."""
    write_key_file(folder, key_file())
    for name in (".0a1b.unfinished", "notes.txt", ".hidden.pem", "key.pem.bak"):
        (folder / name).write_text("half")

    assert KeyStore(KeyFolder(folder)).records() == (stored_key(),)


def test_the_next_writer_removes_what_a_crash_left(folder):
    """Leftovers hold private keys; under the lock they are nobody's work in progress."""
    write_key_file(folder, key_file())
    (folder / ".0a1b.unfinished").write_text("half a key")
    KeyStore(KeyFolder(folder)).generate(alg="RS256", now=NOW, policy=POLICY)

    assert not (folder / ".0a1b.unfinished").exists()


def test_a_store_with_a_damaged_file_takes_no_new_key(folder):
    """The ring must be known before a key can be placed in it; nothing is left behind."""
    path = write_key_file(folder, b"")
    with pytest.raises(KeyStoreError, match="is empty"):
        KeyStore(KeyFolder(folder)).generate(alg="RS256", now=NOW, policy=POLICY)

    assert {each.name for each in folder.iterdir()} == {path.name, ".lock"}


def test_a_lock_that_cannot_be_opened_is_one_line(folder):
    """Something stands where the lock file goes."""
    folder.mkdir(parents=True, mode=0o700)
    (folder / ".lock").mkdir()
    with pytest.raises(KeyStoreError, match="cannot write"):
        KeyStore(KeyFolder(folder)).generate(alg="RS256", now=NOW, policy=POLICY)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"alg": "HS256"}, UnknownAlgorithm),
        ({"bits": 1024}, ValueError),
        ({"activate_in": -1}, ValueError),
        ({"activate_in": 10**10}, ValueError),
    ],
)
def test_wrong_wishes_make_no_key(folder, options, error):
    """What cannot be is refused before anything is written."""
    with pytest.raises(error):
        KeyStore(KeyFolder(folder)).generate(now=NOW, policy=POLICY, **{"alg": "RS256", **options})

    assert KeyStore(KeyFolder(folder)).records() == ()


def test_the_stamp_moves_with_every_change(folder):
    """Added, replaced, re-moded and removed files show; a look does not."""
    store = KeyStore(KeyFolder(folder))
    stamps = [store.stamp()]
    path = write_key_file(folder, key_file())
    stamps.append(store.stamp())
    path.chmod(0o400)
    stamps.append(store.stamp())
    path.unlink()
    write_key_file(folder, key_file(1), n=1)
    stamps.append(store.stamp())

    assert len(set(stamps)) == 4
    store.records()
    assert store.stamp() == stamps[-1]


def run_store(script: str, *arguments: str) -> subprocess.Popen[str]:
    """Start a process that has ``store``, ``policy`` and the arguments, and runs the script."""
    prelude = (
        "import os, resource, signal, sys\n"
        "from pathlib import Path\n"
        "from keys.errors import KeyStoreError\n"
        "from keys.ring import RingPolicy\n"
        "from keys.stores.folder import KeyFolder\n"
        "from keys.stores.store import KeyStore\n"
        "store, policy = KeyStore(KeyFolder(Path(sys.argv[1]))), RingPolicy()\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", prelude + script, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    )


def test_of_two_first_keys_made_at_once_one_signs_at_once(folder):
    """Four processes start together on a fresh store: one first key, three successors."""
    generate = f"store.generate(alg='RS256', now={NOW}, policy=policy)"
    script = f"print('ready', flush=True); input(); {generate}"
    processes = [run_store(script, str(folder)) for _ in range(4)]
    assert [each.stdout.readline() for each in processes] == ["ready\n"] * 4
    for each in processes:
        each.stdin.write("go\n")
        each.stdin.flush()
    outcomes = [each.communicate(timeout=60) for each in processes]

    assert [each.returncode for each in processes] == [0] * 4, outcomes
    ring = [stored.ring_key for stored in KeyStore(KeyFolder(folder)).records()]
    assert len(ring) == 4
    assert [key.signs_from == NOW for key in ring].count(True) == 1
    assert all(key.signs_from in (NOW, *range(NOW + 360, NOW + 363)) for key in ring)
    entries = derive_ring(ring, NOW, POLICY)
    assert [entry.state for entry in entries] == [KeyState.ACTIVE] + [KeyState.PENDING] * 3
    assert signing_keys(entries)["RS256"].signs_from == NOW


def test_a_full_disk_leaves_nothing_half_written(folder):
    """The write fails in the middle: one line, no key file, no leftovers, the old key intact."""
    KeyStore(KeyFolder(folder)).generate(alg="RS256", now=NOW, policy=POLICY)
    before = KeyStore(KeyFolder(folder)).records()
    script = (
        "was = resource.getrlimit(resource.RLIMIT_FSIZE)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (500, was[1]))\n"
        "try:\n"
        f"    store.generate(alg='RS256', now={NOW}, policy=policy)\n"
        "except KeyStoreError as error:\n"
        "    print(error)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, was)\n"
    )
    out, err = run_store(script, str(folder)).communicate(timeout=60)

    assert out.startswith(f"cannot write {folder}")
    assert out.count("\n") == 1
    assert err == ""
    assert KeyStore(KeyFolder(folder)).records() == before
    assert len(list(folder.iterdir())) == 2


def test_a_writer_that_is_killed_locks_nobody_out(folder):
    """The lock ends with its process, and its unfinished file is not a key."""
    KeyStore(KeyFolder(folder)).generate(alg="RS256", now=NOW, policy=POLICY)
    script = (
        "import keys.stores.folder\n"
        "def die(*_): os.kill(os.getpid(), signal.SIGKILL)\n"
        "keys.stores.folder.os.fsync = die\n"
        f"store.generate(alg='RS256', now={NOW}, policy=policy)\n"
    )
    process = run_store(script, str(folder))
    process.communicate(timeout=60)

    assert process.returncode == -signal.SIGKILL
    assert len(list(folder.glob("*.unfinished"))) == 1
    assert len(KeyStore(KeyFolder(folder)).records()) == 1
    KeyStore(KeyFolder(folder)).generate(alg="RS256", now=NOW, policy=POLICY)
    assert len(KeyStore(KeyFolder(folder)).records()) == 2
    assert list(folder.glob("*.unfinished")) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is closed to root")
def test_a_folder_that_cannot_be_read_is_one_line(folder):
    """The line names the folder and what to check."""
    folder.mkdir(parents=True, mode=0o700)
    folder.chmod(0o300)
    try:
        assert "permission denied" in refusal_of(folder)
    finally:
        folder.chmod(0o700)
