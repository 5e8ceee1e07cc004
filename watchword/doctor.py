"""What can be wrong with an installation: each check takes facts and gives findings with remedies.

Pure; `watchword.cli.doctor` gathers the facts.
"""

import stat
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from issuer.profile import Registered, SecurityProfile
from issuer.registry.resource import Resource
from keys.ring import KeyState, RingEntry, RingPolicy

LARGEST_SKEW = 5
"""Seconds that two clocks may differ before it is a finding."""

LEAST_FREE = 200 * 1024 * 1024
"""Bytes that shall be free in the data folder."""


class Finding(NamedTuple):
    """Something that is not as it should be.

    Args:
        check: which check found it.
        found: what is so.
        remedy: what mends it.
    """

    check: str
    found: str
    remedy: str


class Folder(NamedTuple):
    """A folder or file of the installation, as the file system has it.

    Args:
        path: where.
        mode: its type and permissions.
        owner: the number of the user that it belongs to.
    """

    path: str
    mode: int
    owner: int


def check_folder(folder: Folder, *, user: int, user_name: str) -> Iterator[Finding]:
    """Check that others cannot read a folder or file, and that one user owns everything.

    Args:
        folder: what is looked at.
        user: the number of the user that owns the data folder.
        user_name: that user's name.
    """
    if folder.mode & 0o077:
        least = "0700" if stat.S_ISDIR(folder.mode) else "0600"
        mode = f"{stat.S_IMODE(folder.mode):04o}"
        found = f"{folder.path} has mode {mode}: other users may use it"
        yield Finding("folders", found, f"chmod {least} {folder.path}")
    if folder.owner != user:
        found = f"{folder.path} belongs to user {folder.owner}, the data folder to {user_name}"
        yield Finding("folders", found, f"chown {user_name} {folder.path}")


def check_space(free: int, path: str) -> Iterator[Finding]:
    """Check that there is room for the database and its copies, given the free bytes."""
    if free < LEAST_FREE:
        found = f"{free // 1_048_576} MB are free in {path}"
        yield Finding("disk", found, "free some space, or move WATCHWORD_DATA_DIR")


def check_clock(here: int, there: int) -> Iterator[Finding]:
    """Compare the clock of this machine with that of the database, both in seconds."""
    if abs(here - there) > LARGEST_SKEW:
        found = f"this machine's clock is {here - there:+} seconds from the database's"
        yield Finding("clock", found, "set both by NTP, such as with chrony")


def check_schema(current: str | None, head: str) -> Iterator[Finding]:
    """Check that the database has the schema of this version."""
    if current != head:
        found = f"the schema of the registry is {current or 'missing'}, this version's is {head}"
        yield Finding("schema", found, "run: watchword db upgrade")


def check_method(client_id: str, method: str, missing: str | None) -> Iterator[Finding]:
    """Check that the method of a client is switched on.

    Args:
        client_id: the client.
        method: the one that it is registered for.
        missing: the setting without which it is off; None if it is on.
    """
    if missing is not None:
        found = f"{client_id} cannot authenticate: {method} is switched off"
        remedy = f"set {missing}, or run: watchword clients update {client_id} --auth METHOD"
        yield Finding("clients", found, remedy)


def check_profile(profile: SecurityProfile, name: str, known: Registered) -> Iterator[Finding]:
    """Check that the issuer's security profile allows a client or a resource.

    Args:
        profile: of the issuer.
        name: the id of the client, or the identifier of the resource.
        known: the client or the resource.
    """
    is_resource = isinstance(known, Resource)
    for fault in profile.faults(known):
        if is_resource:
            found, mend = f"there are no tokens for {name}", f"resources update {name} --alg ALG"
        else:
            found, mend = f"{name} gets no tokens", f"clients update {name} --auth METHOD"
        found += f": the profile {profile.name} forbids {fault}"
        yield Finding("profile", found, f"run: watchword {mend}; see the how-to on FAPI 2.0")


def check_keys(states: Collection[KeyState]) -> Iterator[Finding]:
    """Check that a key signs now, given the states of all keys."""
    if KeyState.ACTIVE not in states:
        remedy = "run: watchword keys generate"
        yield Finding("keys", "no key signs now, so no token is issued", remedy)


def check_successors(ring: Sequence[RingEntry], now: int, policy: RingPolicy) -> Iterator[Finding]:
    """Check that each key whose time is up has a successor that validators know already.

    Args:
        ring: all keys with their states.
        now: seconds since the epoch.
        policy: the rollover rule.
    """
    if not policy.rotate_every:
        return
    for key in (entry.key for entry in ring if entry.state is KeyState.ACTIVE):
        ends = (key.signs_from or now) + policy.rotate_every
        coming = any(each.state is KeyState.PENDING and each.key.alg == key.alg for each in ring)
        if ends <= now + policy.publish_ahead and not coming:
            found = f"{key.kid} has signed for as long as it shall, and has no successor"
            remedy = "start the server, which makes one, or run: watchword keys generate"
            yield Finding("keys", found, remedy)


def check_published(here: Collection[str], there: Collection[str]) -> Iterator[Finding]:
    """Compare the keys that this installation publishes with those that its issuer's URL serves."""
    missing, strange = set(here) - set(there), set(there) - set(here)
    if missing:
        found = f"the issuer does not publish {', '.join(sorted(missing))}"
        yield Finding("issuer", found, "restart the server, or wait: caches in between may be old")
    if strange:
        found = f"the issuer publishes {', '.join(sorted(strange))}, which this key store lacks"
        remedy = "have all nodes use one key store, and WATCHWORD_ISSUER name this installation"
        yield Finding("issuer", found, remedy)


def describe_limit(connections: int, most: int) -> str | None:
    """Say how many connections a worker started from here takes, if that is not the most.

    It is no finding: a service has its own limit of open files, and this is the shell's.

    Args:
        connections: those that the open-file limit of this process allows.
        most: those that a worker takes at the most.
    """
    if connections >= most:
        return None
    return (
        f"A server started from this shell takes {connections} of {most} connections a worker, by"
        " its open-file limit; a service has its own, such as LimitNOFILE=65536 of the unit."
    )
