"""`watchword.process.tls`: what is served, when it is loaded anew, and what handshakes may take."""

import os
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from functools import partial
from math import inf
from pathlib import Path

import pytest
from uvicorn.config import Config

from tests.support import certificates
from tests.support.certificates import Authority
from tests.support.http_server import PATIENCE, Served, read_all, read_answer, served
from tests.support.provider import eventually
from watchword.process.connections import Limits, Phase
from watchword.process.tls import Certificate, load_context
from watchword.settings import SettingsError

GET = b"GET /echo HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Give one that issues certificates."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def files(tmp_path: Path, authority: Authority) -> certificates.Certificate:
    """Give a certificate in files of the test's own."""
    return authority.issue("own").moved(tmp_path)


@pytest.fixture(params=["asyncio", "uvloop"])
def either_loop(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have servers run in each event loop that they may run in."""
    monkeypatch.setattr("watchword.process.server.Config", partial(Config, loop=request.param))


def secured(server: Served, context: ssl.SSLContext) -> ssl.SSLSocket:
    """Open a connection and secure it."""
    return context.wrap_socket(server.connect(), server_hostname="localhost")


def limits(*, connections: int = 64, **seconds: float) -> Limits:
    """Make limits that end nothing but the phases named."""
    return Limits(
        connections=connections,
        for_probes=2,
        seconds={phase: seconds.get(phase.name.lower(), inf) for phase in Phase},
        patience_seconds=0.05,
        sweep_seconds=0.02,
    )


@pytest.fixture
def certificate(files: certificates.Certificate) -> Certificate:
    """Give a certificate to serve."""
    return Certificate(files.file, files.key_file, lambda *_, **__: None)


@pytest.fixture
def server(certificate: Certificate, either_loop: None) -> Iterator[Served]:
    """Serve with it."""
    with served(limits(), certificate=certificate) as running:
        yield running


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_requests_are_read_as_on_plain_http(
    server: Served, authority: Authority, version: ssl.TLSVersion
) -> None:
    """Several on one connection, bodies and answers that take many records, and the close."""
    context = authority.trusting()
    context.minimum_version = context.maximum_version = version
    with secured(server, context) as peer:
        for _ in range(2):
            peer.sendall(GET)
            assert read_answer(peer)[0] == 200
        body = 500_000 * b"x"
        peer.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 500000\r\n\r\n" + body)
        assert read_answer(peer)[1]["body"] == body.decode()
        peer.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert len(read_all(peer)) > 8_000_000
    assert {each["scheme"] for each in server.scopes} == {"https"}
    assert {each["client"][0] for each in server.scopes} == {"127.0.0.1"}


def test_a_request_that_comes_with_the_end_of_the_handshake_is_read(
    server: Served, authority: Authority
) -> None:
    """A client of TLS 1.3 may send both in one packet."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = authority.trusting().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with server.connect() as peer:
        while True:
            try:
                client.do_handshake()
                break
            except ssl.SSLWantReadError:
                peer.sendall(outgoing.read())
                incoming.write(peer.recv(65_536))
        client.write(GET)
        peer.sendall(outgoing.read())
        answer = b""
        while b"\r\n\r\n" not in answer:
            try:
                answer += client.read(65_536)
            except ssl.SSLWantReadError:
                incoming.write(peer.recv(65_536))
    assert answer.startswith(b"HTTP/1.1 200 ")


def test_a_refused_request_gets_its_answer(server: Served, authority: Authority) -> None:
    """TLS has no half-closed connection: the answer and the end come after each other."""
    with secured(server, authority.trusting()) as peer:
        peer.sendall(b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n")
        assert read_all(peer).startswith(b"HTTP/1.1 400 ")


@pytest.mark.filterwarnings("ignore:.*TLSv1_1 is deprecated:DeprecationWarning")
def test_older_versions_are_refused(server: Served, authority: Authority) -> None:
    """TLS 1.0 and 1.1 are not to be used (RFC 8996)."""
    context = authority.trusting()
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError):
        secured(server, context)
    assert eventually(lambda: server.reasons() == {"handshake_failed": 1})


def test_plain_http_is_no_handshake(server: Served) -> None:
    """The connection ends, and the log counts it."""
    with server.connect() as peer:
        peer.sendall(GET)
        assert not read_all(peer).startswith(b"HTTP")
    assert eventually(lambda: server.reasons() == {"handshake_failed": 1})
    assert server.scopes == []


def test_a_probe_of_the_port_is_no_refusal(server: Served, authority: Authority) -> None:
    """A balancer that only connects, and goes, is not reported every second."""
    server.connect().close()
    with secured(server, authority.trusting()) as peer:
        peer.sendall(GET)
        assert read_answer(peer)[0] == 200
    assert server.reasons() == {}


@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01", b"\x16\x03\x01\x01\x00\x01"])
@pytest.mark.usefixtures("either_loop")
def test_a_handshake_that_does_not_end_is_ended(certificate: Certificate, sent: bytes) -> None:
    """It has as long as a request head has, and holds nothing afterwards."""
    with (
        served(limits(handshake=0.3), certificate=certificate) as server,
        server.connect() as peer,
    ):
        began = time.monotonic()
        peer.sendall(sent)
        assert read_all(peer) == b""
        assert 0.2 < time.monotonic() - began < PATIENCE
        assert eventually(lambda: server.reasons() == {"handshake_timeout": 1})
        assert eventually(lambda: not server.server.server_state.connections)


@pytest.mark.usefixtures("either_loop")
def test_handshakes_count_as_connections(certificate: Certificate, authority: Authority) -> None:
    """Silent ones in any number make room for a client that speaks."""
    with served(limits(connections=6), certificate=certificate) as server, ExitStack() as silent:
        for _ in range(10):
            silent.enter_context(server.connect())

        def is_served() -> bool:
            # Refused while none of the silent ones has had its patience.
            with suppress(OSError), secured(server, authority.trusting()) as peer:
                peer.sendall(GET)
                return read_answer(peer)[0] == 200
            return False

        assert eventually(is_served)
        assert len(server.server.server_state.connections) <= 6
        assert eventually(lambda: server.reasons().get("closed_for_another", 0) >= 1)


def test_a_handshake_does_not_hold_up_the_end(certificate: Certificate, either_loop: None) -> None:
    """A server that stops waits for requests, and there is none."""
    with served(limits(), certificate=certificate) as server, server.connect() as peer:
        assert eventually(lambda: len(server.server.server_state.connections) == 1)
        server.server.should_exit = True
        assert read_all(peer) == b""
        server.thread.join(PATIENCE)
        assert not server.thread.is_alive()


# The files


class Watched:
    """A certificate in files, and what is reported of it."""

    def __init__(self, files: certificates.Certificate) -> None:
        self.files = files
        self.events: list[tuple[str, dict]] = []
        self.certificate = Certificate(
            files.file, files.key_file, lambda event, **fields: self.events.append((event, fields))
        )

    def look(self, times: int = 2) -> list[str]:
        """Look so often; return the names of the events so far."""
        for _ in range(times):
            self.certificate.look()
        return [name for name, _ in self.events]

    def serial(self) -> int:
        """Give the serial number that a client sees."""
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        return served_serial(self.certificate.context, incoming, outgoing)


def served_serial(context: ssl.SSLContext, up: ssl.MemoryBIO, down: ssl.MemoryBIO) -> int:
    """Shake hands in memory; return the serial number of the certificate."""
    trusting = ssl.create_default_context()
    trusting.check_hostname = False
    trusting.verify_mode = ssl.CERT_NONE
    client = trusting.wrap_bio(down, up)
    server = context.wrap_bio(up, down, server_side=True)
    for side in (client, server, client):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    found = client.getpeercert(binary_form=True)
    assert found is not None
    return certificates.serial_of(found)


@pytest.fixture
def watched(files: certificates.Certificate) -> Watched:
    """Give a certificate that is looked at by the test."""
    return Watched(files)


def test_files_that_stay_are_not_loaded_again(watched: Watched) -> None:
    """Nor when one was only read."""
    context = watched.certificate.context
    assert watched.look(5) == []
    assert watched.certificate.context is context


def test_a_new_pair_is_loaded_once_it_stays(watched: Watched, authority: Authority) -> None:
    """Not at the look that finds it: it may still be written."""
    new = authority.issue("new")
    watched.files.file.write_bytes(new.file.read_bytes())
    assert watched.look(1) == []
    watched.files.key_file.write_bytes(new.key_file.read_bytes())
    assert watched.look(1) == []
    assert watched.serial() == watched.files.serial
    assert watched.look(1) == ["certificate.reloaded"]
    assert watched.serial() == new.serial
    assert watched.look(3) == ["certificate.reloaded"]


def test_a_pair_that_is_renamed_into_place_is_new(watched: Watched, authority: Authority) -> None:
    """As Kubernetes and certbot replace links; size and time may be the same."""
    new = authority.issue("renamed")
    new.file.replace(watched.files.file)
    new.key_file.replace(watched.files.key_file)
    assert watched.look() == ["certificate.reloaded"]
    assert watched.serial() == new.serial


@pytest.mark.parametrize("part", [0, 1, 60, 400])
def test_a_half_written_certificate_is_not_served(
    watched: Watched, authority: Authority, part: int
) -> None:
    """It is reported once, the one before stays, and the whole one is taken when it is there."""
    new = authority.issue("halves")
    whole = new.file.read_bytes()
    watched.files.file.write_bytes(whole[:part])
    watched.files.key_file.write_bytes(new.key_file.read_bytes())
    assert watched.look(5) == ["certificate.reload_failed"]
    assert "must be a certificate and its key" in watched.events[0][1]["reason"]
    assert watched.serial() == watched.files.serial
    watched.files.file.write_bytes(whole)
    assert watched.look() == ["certificate.reload_failed", "certificate.reloaded"]
    assert watched.serial() == new.serial


def test_half_a_pair_is_not_served(watched: Watched, authority: Authority) -> None:
    """A certificate without its key would fail every handshake."""
    new = authority.issue("other")
    watched.files.file.write_bytes(new.file.read_bytes())
    assert watched.look() == ["certificate.reload_failed"]
    assert "is not the key of the certificate in" in watched.events[0][1]["reason"]
    assert watched.serial() == watched.files.serial


def test_files_that_are_gone_change_nothing(watched: Watched) -> None:
    """Those that come back unchanged are loaded, which does no harm."""
    kept = watched.files.key_file.read_bytes()
    watched.files.key_file.unlink()
    assert watched.look() == ["certificate.reload_failed"]
    assert "WATCHWORD_TLS_KEY: " in watched.events[0][1]["reason"]
    watched.files.key_file.write_bytes(kept)
    assert watched.look() == ["certificate.reload_failed", "certificate.reloaded"]


def test_a_file_that_goes_while_it_is_loaded_is_reported(
    watched: Watched, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look is a part of the server's own loop: what it raised would end the server."""
    read = Path.read_bytes

    def read_and_remove(file: Path) -> bytes:
        content = read(file)
        if file == watched.files.key_file:
            file.unlink()
        return content

    watched.files.file.write_bytes(authority.issue("going").file.read_bytes())
    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_bytes", read_and_remove)
        assert watched.look() == ["certificate.reload_failed"]
    assert "cannot be read: no such file or directory" in watched.events[0][1]["reason"]
    assert watched.serial() == watched.files.serial


def test_a_connection_outlives_the_certificate_that_it_began_with(
    files: certificates.Certificate, authority: Authority
) -> None:
    """New ones get the new one, by the server's own looks, and none is dropped."""
    certificate = Certificate(files.file, files.key_file, lambda *_, **__: None)
    with served(certificate=certificate) as server:
        context = authority.trusting()

        def serial() -> int:
            with secured(server, context) as peer:
                return certificates.serial_of(peer.getpeercert(binary_form=True) or b"")

        with secured(server, context) as first:
            first.sendall(GET)
            assert read_answer(first)[0] == 200
            new = authority.issue("successor")
            files.file.write_bytes(new.file.read_bytes())
            files.key_file.write_bytes(new.key_file.read_bytes())
            assert eventually(lambda: serial() == new.serial)
            first.sendall(GET)
            assert read_answer(first)[0] == 200


def test_what_cannot_be_loaded_is_told_in_one_line(
    files: certificates.Certificate, authority: Authority, tmp_path: Path
) -> None:
    """With the setting, the file, the fault and the mend, and nothing of a key."""
    other, locked = authority.issue("another"), authority.issue("locked", password=b"words")
    empty = tmp_path / "empty"
    empty.touch()
    os.mkfifo(pipe := tmp_path / "pipe")
    for pair, words in (
        ((tmp_path / "none", files.key_file), f"WATCHWORD_TLS_CERT: {tmp_path}/none cannot be"),
        ((files.file, tmp_path), f"WATCHWORD_TLS_KEY: {tmp_path} cannot be read: is a directory"),
        ((pipe, files.key_file), f"WATCHWORD_TLS_CERT: {pipe} cannot be read: is a pipe"),
        ((files.file, other.key_file), "WATCHWORD_TLS_KEY: "),
        ((locked.file, locked.key_file), f"{locked.key_file} is encrypted; decrypt it"),
        ((empty, files.key_file), "must be a certificate and its key, both as PEM"),
        ((files.file, files.file), "must be a certificate and its key, both as PEM"),
    ):
        with pytest.raises(SettingsError) as caught:
            load_context(*pair)
        (line,) = caught.value.lines
        assert words in line
        assert "PRIVATE" not in line
