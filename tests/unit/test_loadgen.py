"""Unit tests of `bench.loadgen`."""

import socket
from threading import Thread

import pytest

from bench.loadgen import ask

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n"


def answer_in(pieces: list[bytes]) -> bytes:
    """Ask a server that sends these pieces and closes."""
    ours, theirs = socket.socketpair()

    def serve() -> None:
        with theirs:
            theirs.recv(100)
            for piece in pieces:
                theirs.sendall(piece)

    server = Thread(target=serve)
    server.start()
    try:
        with ours:
            return ask(ours, b"GET / HTTP/1.1\r\n\r\n")
    finally:
        server.join()


def test_an_answer_is_whole_however_it_arrives() -> None:
    """A head and a body may come in any number of pieces."""
    whole = HEAD + b"abcdef"
    assert answer_in([whole]) == whole
    assert answer_in([whole[n : n + 1] for n in range(len(whole))]) == whole


@pytest.mark.parametrize("pieces", [[], [HEAD[:9]], [HEAD, b"abc"]])
def test_an_answer_that_is_cut_off_is_a_lost_connection(pieces: list[bytes]) -> None:
    """Else a killed worker would look like one that answers wrongly."""
    with pytest.raises(ConnectionError):
        answer_in(pieces)
