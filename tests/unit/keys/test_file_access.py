"""Which owners and modes of files and folders are accepted, the platforms' own included."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from keys import file_access
from keys.file_access import file_fault, folder_fault

ME = os.geteuid()
OTHER = 4_242 if ME != 4_242 else 4_243
FS_GROUP = 3_141_592
"""A group of no account, as the fsGroup of a pod is."""


def facts(mode: int, *, owner: int = ME, group: int = FS_GROUP) -> os.stat_result:
    """Give what stat says of a file of this mode and owner."""
    return os.stat_result((mode, 0, 0, 1, owner, group, 0, 0, 0, 0))


def shared_group() -> int:
    """Find a group that has an account other than root and this one."""
    for line in Path("/etc/passwd").read_text().splitlines():
        _, _, user, group, *_ = line.split(":")
        if int(user) not in (0, ME):
            return int(group)
    raise AssertionError("this machine has no other account")


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o660, 0o440, 0o640])
def test_a_file_of_this_user_or_of_root_that_no_other_account_can_open_is_accepted(tmp_path, mode):
    """fsGroup adds the bits of a group that only the pod has; Secrets belong to root."""
    for owner in (ME, 0):
        assert file_fault(tmp_path, facts(mode, owner=owner)) is None


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o666, 0o644, 0o601])
def test_a_file_that_the_world_can_open_is_refused(tmp_path, mode):
    """Whoever owns it; for another owner the remedy needs root, or the platform's setting."""
    assert f"run: chmod 600 {tmp_path}" in str(file_fault(tmp_path, facts(mode)))


def test_a_file_of_root_that_the_world_can_read_names_the_setting_of_the_platform(
    tmp_path, monkeypatch
):
    """The service cannot change the mode itself."""
    monkeypatch.setattr(os, "geteuid", lambda: OTHER)
    fault = str(file_fault(tmp_path, facts(0o644, owner=0)))

    assert "as root, run: chmod 600" in fault
    assert "defaultMode: 0440" in fault


@pytest.mark.parametrize("mode", [0o640, 0o620, 0o660, 0o610])
def test_a_file_that_a_group_of_other_accounts_can_open_is_refused(tmp_path, mode):
    """A group is as good as its members."""
    fault = file_fault(tmp_path, facts(mode, group=shared_group()))

    assert "open to others" in str(fault)


def test_a_group_is_shared_by_its_listed_members_too(tmp_path, monkeypatch):
    """Not only by the accounts whose primary group it is."""
    group = SimpleNamespace(gr_mem=["root", "somebody"])
    monkeypatch.setattr(file_access.grp, "getgrgid", lambda _: group)
    assert file_fault(tmp_path, facts(0o640)) is not None

    group.gr_mem = ["root"]
    assert file_fault(tmp_path, facts(0o640)) is None


@pytest.mark.parametrize(
    ("user", "remedy"), [(0, "sudo -u '#4244'"), (OTHER, f"chown '#{OTHER}' ")]
)
def test_what_belongs_to_another_user_is_refused(tmp_path, monkeypatch, user, remedy):
    """Its owner could change it; root is told whom to be."""
    monkeypatch.setattr(os, "geteuid", lambda: user)
    foreign = facts(0o600, owner=4_244)

    for fault in (
        file_fault(tmp_path, foreign),
        folder_fault(tmp_path, foreign, private=True),
        folder_fault(tmp_path, foreign, private=False),
    ):
        assert "belongs to the user #4244" in str(fault)
        assert remedy in str(fault)


@pytest.mark.parametrize(
    ("mode", "private", "accepted"),
    [
        (0o700, True, True),
        (0o2770, True, True),
        (0o750, True, True),
        (0o701, True, False),
        (0o705, True, False),
        (0o755, False, True),
        (0o2775, False, True),
        (0o777, False, False),
        (0o1777, False, False),
    ],
)
def test_a_folder_is_judged_by_who_else_can_change_it(tmp_path, mode, private, accepted):
    """A private one also by who else can see what is in it."""
    fault = folder_fault(tmp_path, facts(mode), private=private)

    assert (fault is None) is accepted
    assert accepted or f"run: chmod 700 {tmp_path}" in str(fault)


def test_a_folder_of_the_platform_may_be_listed_but_not_written_by_others(tmp_path, monkeypatch):
    """The service cannot set the mode of a mount point; what is in it is judged by itself."""
    monkeypatch.setattr(os, "geteuid", lambda: OTHER)

    assert folder_fault(tmp_path, facts(0o2775, owner=0), private=True) is None
    fault = folder_fault(tmp_path, facts(0o2777, owner=0), private=True)
    assert "use a folder inside it" in str(fault)


@pytest.fixture
def read_only_mount(tmp_path: Path) -> Iterator[Path]:
    """Mount a folder of mode 1777 read-only, as the kubelet mounts a Secret."""
    folder = tmp_path / "secret"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "ro,mode=1777", "tmpfs", str(folder)]
    if ME != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("only root, with the right to mount, can make a read-only mount")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_folder_that_is_mounted_read_only_is_accepted_whatever_its_mode(read_only_mount):
    """No account can write there."""
    assert folder_fault(read_only_mount, read_only_mount.stat(), private=True) is None
