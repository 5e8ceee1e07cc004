"""`watchword` for a shell: one command of the warm interpreter, with this process's own streams.

Run as `python -I -S attached_command.py SOCKET MODULE ARGUMENTS…`, which starts in a few
milliseconds. The exit code is that of the command.
"""

import json
import os
import socket
import sys


def main() -> int:
    """Have the command run, and wait for it."""
    address, module, *arguments = sys.argv[1:]
    umask = os.umask(0o022)
    request = {
        "module": module,
        "arguments": arguments,
        "attached": True,
        "cwd": os.getcwd(),
        "env": dict(os.environ),
        "umask": umask,
        "new_session": False,
    }
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(address)
        text = json.dumps(request).encode()
        sent = socket.send_fds(connection, [text], [0, 1, 2])
        connection.sendall(text[sent:])
        connection.shutdown(socket.SHUT_WR)
        for stream in (0, 1, 2):
            os.close(
                stream
            )  # the command's alone: a reader that waits for its end waits for no more
        _, status = connection.makefile().read().split()
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
