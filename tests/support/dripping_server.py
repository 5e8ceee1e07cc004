"""A server on a real socket that sends its answer byte by byte, and never ends it."""

import contextlib
import socket
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def dripping_server(start: bytes) -> Iterator[str]:
    """Answer every connection with `start` and then one letter after another; gives the URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    stopped = threading.Event()

    def drip(peer: socket.socket) -> None:
        with peer, contextlib.suppress(OSError):
            peer.recv(65_536)
            peer.sendall(start)
            while not stopped.wait(0.02):
                peer.sendall(b"a")

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=drip, args=(listener.accept()[0],), daemon=True).start()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        stopped.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
