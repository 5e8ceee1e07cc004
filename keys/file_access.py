"""Whether a file or folder may be trusted with keys or the registry: its owner and its mode.

Two rules. The owner is the user of this process or root: any other owner could change the content.
Accounts that are neither have no access. What container platforms do without asking is allowed:
Kubernetes gives the files of a volume to root, adds the bits of a group that only this pod has
(`fsGroup`), and mounts Secrets read-only in a folder whose mode cannot be set.
"""

import errno
import grp
import os
import pwd
import stat
from pathlib import Path
from shlex import quote

_READ_ONLY_MOUNT = os.ST_RDONLY


def file_fault(path: Path, facts: os.stat_result) -> str | None:
    """Judge a file that holds private keys, hashes of secrets, or what tokens are made from.

    Args:
        path: how to name it in the answer.
        facts: of the opened file, so that what is judged is what is read.

    Returns:
        What is wrong and the remedy, in one line; None if nothing is.
    """
    fault = _foreign_owner(path, facts)
    if fault is None and _others(facts, stat.S_IRWXO, stat.S_IRWXG):
        fault = f"{path} is open to others; {_remedy(path, facts, '600', 'defaultMode: 0440')}"
    return fault


def folder_fault(path: Path, facts: os.stat_result, *, private: bool) -> str | None:
    """Judge a folder: an account that can write there can replace what is in it.

    Args:
        path: how to name it in the answer, and where to look for a read-only mount.
        facts: of the folder.
        private: whether the names in it are private too.

    Returns:
        What is wrong and the remedy, in one line; None if nothing is.
    """
    fault = _foreign_owner(path, facts)
    if fault is not None:
        return fault
    bits = stat.S_IRWXO if private else stat.S_IWOTH
    group = stat.S_IRWXG if private else stat.S_IWGRP
    # The mode of a folder that the platform made cannot be set by this user.
    is_platform_made = facts.st_uid != os.geteuid()
    if is_platform_made:
        bits, group = stat.S_IWOTH, stat.S_IWGRP
    if not _others(facts, bits, group) or _is_mounted_read_only(path):
        return None
    within = "use a folder inside it, which is then made with mode 0700"
    return f"{path} is open to others; {_remedy(path, facts, '700', within)}"


def folders_above(path: Path) -> list[Path]:
    """Give the folder of a path and, if a link leads to another one, that one too.

    An account that can write in either can replace what is read, or put files beside it.

    Args:
        path: of a file or folder, which need not exist.

    Raises:
        OSError: a link leads to itself.
    """
    try:
        resolved = path.resolve()
    except RuntimeError:  # up to Python 3.12; as of 3.13 a link is what is left
        resolved = path
    if resolved.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    return list(dict.fromkeys((path.absolute().parent, resolved.parent)))


def _foreign_owner(path: Path, facts: os.stat_result) -> str | None:
    user = os.geteuid()
    if facts.st_uid in (user, 0):
        return None
    owner = _user_name(facts.st_uid)
    if user == 0:
        return (
            f"{path} belongs to the user {owner}; repeat the command with: sudo -u {quote(owner)}"
        )
    return (
        f"{path} belongs to the user {owner}; run as that user, or as root: "
        f"chown {quote(_user_name(user))} {path}"
    )


def _others(facts: os.stat_result, world: int, group: int) -> bool:
    """Tell whether an account other than the owner and root has one of these kinds of access."""
    mode = stat.S_IMODE(facts.st_mode)
    return bool(mode & world or (mode & group and _is_shared(facts.st_gid)))


def _is_shared(group: int) -> bool:
    """Tell whether an account other than this one and root is in the group."""
    try:
        members = set(grp.getgrgid(group).gr_mem)
    except KeyError:
        return (
            False  # a bare number, as the fsGroup of a pod is: the platform grants it to us alone
        )
    user = os.geteuid()
    others = {
        each.pw_name for each in pwd.getpwall() if each.pw_gid == group and each.pw_uid != user
    }
    return bool((members | others) - {"root", _user_name(user)})


def _is_mounted_read_only(path: Path) -> bool:
    return bool(os.statvfs(path).f_flag & _READ_ONLY_MOUNT)


def _remedy(path: Path, facts: os.stat_result, mode: str, platform: str) -> str:
    if facts.st_uid == os.geteuid():
        return f"run: chmod {mode} {path}"
    return f"as root, run: chmod {mode} {path} (in a Kubernetes volume, {platform})"


def _user_name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"#{user}"  # as sudo and chown take a number


def sync_folder(folder: Path) -> None:
    """Wait until the disk has the names in a folder, so that a crash loses no new file.

    Raises:
        OSError: the folder cannot be opened, or the disk fails.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
