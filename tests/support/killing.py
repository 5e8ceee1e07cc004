"""Run one command again and again, each time killed some statements later, until it gets through.

Run as a program of its own: `python -m tests.support.killing COMMAND…`, with the settings in the
environment. Prints one JSON document: how often the command was killed, and after how many of the
kills the registry was neither as before nor as after.
"""

import json
import os
import signal
import sys
from contextlib import closing, redirect_stdout

from sqlalchemy import Engine, event

from issuer.registry.audit import describe_entry
from issuer.registry.client_description import describe_client
from issuer.registry.resource import describe_resource
from issuer.storage.registry import Registry
from tests.support.registry import RegistryHarness
from watchword.cli import run
from watchword.settings import load_settings

MAXIMUM_KILLS = 200


def die_at(number):
    """Kill this process, as `kill -9` does, before its statement or commit of this number."""
    seen = 0

    def count(*_):
        nonlocal seen
        seen += 1
        if seen == number:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, "before_cursor_execute", count)
    event.listen(Engine, "commit", count)


def in_child(work):
    """Run work in a fork of this process and return its wait status."""
    pid = os.fork()
    if pid:
        return os.waitpid(pid, 0)[1]
    code = 1
    try:
        silence = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(silence, descriptor)
        code = work()
    finally:
        os._exit(code)


def read_state(url):
    """Read all that the registry holds, as text."""
    reader, writer = os.pipe()

    def work():
        with closing(Registry.open(url, now=lambda: 0)) as registry:
            state = {
                "clients": [
                    describe_client(each, 0) | {"secrets": repr(each.secrets)}
                    for each in RegistryHarness(registry).list_clients()
                ],
                "resources": [
                    describe_resource(e.resource)
                    for e in RegistryHarness(registry).list_resources()
                ],
                "trail": [
                    describe_entry(each)
                    for each in RegistryHarness(registry).list_audit(limit=1000)
                ],
            }
        with open(writer, "w") as pipe:
            json.dump(state, pipe)
        return 0

    pid = os.fork()
    if not pid:
        try:
            work()
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader) as pipe:
        text = pipe.read()
    os.waitpid(pid, 0)
    return text


def main(command):
    """Kill the command before each of its statements in turn."""
    url = load_settings().database
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
        run(["clients", "list"])  # loads most of what the children need, once for all
    states = [read_state(url)]
    number = 0
    while number < MAXIMUM_KILLS:
        number += 1 + number // 12  # of a long command, not every statement
        status = in_child(lambda number=number: die_at(number) or run(command))
        states.append(read_state(url))
        if not os.WIFSIGNALED(status):
            break
    before, after = states[0], states[-1]
    print(
        json.dumps(
            {
                "exit": os.waitstatus_to_exitcode(status),
                "kills": len(states) - 2,
                "changed": before != after,
                "broken": sum(state not in (before, after) for state in states),
            }
        )
    )


if __name__ == "__main__":
    main(sys.argv[1:])
