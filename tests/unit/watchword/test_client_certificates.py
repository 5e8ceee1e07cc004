"""Which certificate of a client an application is told of: in TLS itself, and behind a proxy."""

import socket
import ssl
from base64 import b64encode
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from cryptography import x509
from uvicorn.config import Config

from keys.client_cert import Chain, read_tls_extension
from tests.support.certificates import (
    FOR_CLIENTS,
    FOR_SERVERS,
    IS_AUTHORITY,
    Authority,
    self_signed,
)
from tests.support.certificates import Certificate as Files
from tests.support.http_server import Served, read_all, read_answer, served
from tests.support.provider import eventually
from watchword.client_authorities import ClientAuthorities
from watchword.process.addresses import parse_networks
from watchword.process.tls import Certificate, load_context
from watchword.settings import SettingsError

GET = b"GET /echo HTTP/1.1\r\nHost: x\r\n\r\n"
DER = b"\x30\x82\x01\x2c" + bytes(300)
OTHER = b"\x30\x82\x01\x2c" + bytes(299) + b"x"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Give one that knows the server and its clients."""
    return Authority(tmp_path)


@pytest.fixture(params=["asyncio", "uvloop"])
def server(
    tmp_path: Path,
    authority: Authority,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Served]:
    """Serve TLS in each event loop, and ask clients for certificates."""
    monkeypatch.setattr("watchword.process.server.Config", partial(Config, loop=request.param))
    own = authority.issue("own")
    certificate = Certificate(own.file, own.key_file, lambda *_, **__: None, authority.file)
    with served(certificate=certificate, client_certificates=True) as running:
        yield running


def connect(
    server: Served, authority: Authority, shown: Files | None, **options: ssl.TLSVersion
) -> ssl.SSLSocket:
    """Open a connection and show a certificate."""
    context = authority.trusting()
    for name, value in options.items():
        setattr(context, name, value)
    if shown is not None:
        context.load_cert_chain(shown.file, shown.key_file)
    return context.wrap_socket(server.connect(), server_hostname="localhost")


def ask(peer: socket.socket, request: bytes = GET) -> int:
    """Send a request; return the status."""
    peer.sendall(request)
    return read_answer(peer)[0]


def field(name: str, *certificates: bytes) -> bytes:
    """Write a header line with certificates."""
    values = b", ".join(b":" + b64encode(der) + b":" for der in certificates)
    return name.encode() + b": " + values + b"\r\n"


def with_fields(*lines: bytes) -> bytes:
    """Write a request with header lines."""
    return GET[:-2] + b"".join(lines) + b"\r\n"


def chains(server: Served) -> list[Chain]:
    """Return what the application was told, request by request."""
    return [read_tls_extension(scope) for scope in server.scopes]


# In TLS itself


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_the_chain_of_a_client_reaches_the_application(
    server: Served, authority: Authority, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    """The client's own certificate first, then those above it, with every request."""
    shown = Authority(tmp_path, "Below", above=authority).issue("svc", FOR_CLIENTS)
    assert len(shown.chain) == 2
    with connect(server, authority, shown, maximum_version=version) as peer:
        assert [ask(peer), ask(peer)] == [200, 200]
    assert chains(server) == [shown.chain, shown.chain]


def test_a_client_without_a_certificate_is_served(server: Served, authority: Authority) -> None:
    """Clients with secrets need none, nor do those that fetch keys."""
    with connect(server, authority, None) as peer:
        assert ask(peer) == 200
    assert chains(server) == [()]
    assert "extensions" not in server.scopes[0]


@pytest.mark.rfc("8705-2-1")
@pytest.mark.parametrize("fault", ["self-made", "expired", "purpose", "foreign"])
def test_a_certificate_that_cannot_be_trusted_ends_the_handshake(
    server: Served, authority: Authority, tmp_path: Path, fault: str
) -> None:
    """And the log counts it under a reason of its own."""
    (tmp_path / "other").mkdir()
    shown = {
        "self-made": lambda: self_signed(tmp_path / "svc", FOR_CLIENTS),
        "expired": lambda: authority.issue("svc", FOR_CLIENTS, ends_in=timedelta(hours=-1)),
        "purpose": lambda: authority.issue("svc", FOR_SERVERS),
        "foreign": lambda: Authority(tmp_path / "other").issue("svc", FOR_CLIENTS),
    }[fault]()
    # In TLS 1.3 a client has ended its handshake before the server looks at its certificate.
    with suppress(OSError), connect(server, authority, shown) as peer:
        peer.sendall(GET)
        assert read_all(peer) == b""
    assert eventually(lambda: server.reasons() == {"bad_client_cert": 1})
    assert server.scopes == []


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_session_that_is_resumed_keeps_the_whole_chain(
    server: Served, authority: Authority, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    """It is not in tickets, so that there are none."""
    shown = Authority(tmp_path, "Below", above=authority).issue("svc", FOR_CLIENTS)
    context = authority.trusting()
    context.maximum_version = version
    context.load_cert_chain(shown.file, shown.key_file)
    session = None
    for _ in range(2):
        bare = server.connect()
        with context.wrap_socket(bare, server_hostname="localhost", session=session) as peer:
            assert ask(peer) == 200
            session = peer.session
    assert chains(server) == [shown.chain, shown.chain]
    assert session is None or not session.has_ticket


@pytest.mark.attack("V38")
def test_header_fields_of_a_client_say_nothing(server: Served, authority: Authority) -> None:
    """Neither beside a certificate nor in place of one."""
    shown = authority.issue("svc", FOR_CLIENTS)
    for own, expected in ((shown, shown.chain), (None, ())):
        with connect(server, authority, own) as peer:
            assert ask(peer, with_fields(field("Client-Cert", DER))) == 200
        # OpenSSL adds the authority to what a client shows, if it trusts it for servers as well.
        assert chains(server)[-1][:1] == expected


def test_certificates_count_only_where_that_is_set(tmp_path: Path, authority: Authority) -> None:
    """A server that is not to ask for them asks for none."""
    own, shown = authority.issue("own"), authority.issue("svc", FOR_CLIENTS)
    certificate = Certificate(own.file, own.key_file, lambda *_, **__: None)
    with served(certificate=certificate) as server, connect(server, authority, shown) as peer:
        assert ask(peer) == 200
        assert chains(server) == [()]


# Behind a proxy


@pytest.fixture
def node() -> Iterator[Served]:
    """Serve behind a proxy on this machine that is trusted."""
    proxies = parse_networks("127.0.0.1")
    with served(proxies=proxies, client_certificates=True) as running:
        yield running


@pytest.mark.rfc("9440-2-1")
def test_a_trusted_proxy_names_the_certificate(node: Served) -> None:
    """That of each request, since connections of a proxy serve many clients."""
    with node.connect() as peer:
        both = field("Client-Cert", DER), field("Client-Cert-Chain", OTHER, DER)
        for request in (with_fields(*both), GET, with_fields(field("Client-Cert", OTHER))):
            assert ask(peer, request) == 200
    assert chains(node) == [(DER, OTHER, DER), (), (OTHER,)]


@pytest.mark.rfc("9440-2-1")
@pytest.mark.parametrize(
    "lines",
    [
        [field("Client-Cert", DER), field("Client-Cert", DER)],
        [field("Client-Cert", DER, OTHER)],
        [b"Client-Cert: -----BEGIN CERTIFICATE-----\r\n"],
        [b"Client-Cert:\r\n"],
        [field("Client-Cert-Chain", DER)],
    ],
)
def test_other_fields_of_a_trusted_proxy_are_refused(node: Served, lines: list[bytes]) -> None:
    """One of them may be the client's, which the proxy passed on."""
    answer = node.ask(with_fields(*lines))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"Client-Cert is not one certificate" in answer
    assert node.scopes == []
    assert eventually(lambda: node.reasons() == {"bad_client_cert": 1})


@pytest.mark.rfc("9440-2.4-1")
@pytest.mark.attack("V38")
def test_any_other_peer_names_none() -> None:
    """Its fields are not even read, so that they may be anything."""
    with (
        served(proxies=parse_networks("127.0.0.2"), client_certificates=True) as node,
        node.connect() as peer,
    ):
        assert ask(peer, with_fields(field("Client-Cert", DER))) == 200
        assert ask(peer, with_fields(b"Client-Cert: x\r\n")) == 200
    assert chains(node) == [(), ()]


@pytest.mark.rfc("9440-2.4-1")
def test_a_proxy_that_was_not_told_of_certificates_names_none() -> None:
    """It may pass on what clients write: the fields count only where certificates do."""
    with served(proxies=parse_networks("127.0.0.1")) as node, node.connect() as peer:
        assert ask(peer, with_fields(field("Client-Cert", DER))) == 200
    assert chains(node) == [()]


@pytest.mark.rfc("9440-2.4-1")
def test_the_certificate_of_a_trusted_proxy_is_not_the_client_s(authority: Authority) -> None:
    """It may have one for its own connection to the server."""
    own, shown = authority.issue("own"), authority.issue("proxy", FOR_CLIENTS)
    certificate = Certificate(own.file, own.key_file, lambda *_, **__: None, authority.file)
    options = {"proxies": parse_networks("127.0.0.1"), "client_certificates": True}
    with (
        served(certificate=certificate, **options) as node,
        connect(node, authority, shown) as peer,
    ):
        assert ask(peer) == 200
        assert ask(peer, with_fields(field("Client-Cert", DER))) == 200
    assert chains(node) == [(), (DER,)]


# The files


def test_new_authorities_count_once_their_file_stays(tmp_path: Path, authority: Authority) -> None:
    """Of TLS and of the issuer; a file that cannot be used changes nothing."""
    events: list[str] = []

    def record(event: str, /, **_: object) -> None:
        events.append(event)

    own = authority.issue("own")
    file = tmp_path / "clients.pem"
    file.write_bytes(authority.file.read_bytes())
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other", "Another")
    watching = (
        ClientAuthorities(file, record),
        Certificate(own.file, own.key_file, record, file),
    )

    def trusted() -> list[set[str]]:
        of_tls = watching[1].context.get_ca_certs(binary_form=True)
        of_issuer = [each.subject for each in watching[0].certificates]
        return [
            {x509.load_der_x509_certificate(der).subject.rfc4514_string() for der in of_tls},
            {subject.rfc4514_string() for subject in of_issuer},
        ]

    def look() -> list[str]:
        events.clear()
        for _ in range(3):
            for each in watching:
                each.look()
        return events

    assert look() == []
    file.write_bytes(file.read_bytes() + other.file.read_bytes())
    assert look() == ["client_ca.reloaded", "certificate.reloaded"]
    both = {"CN=Authority of a test", "CN=Another"}
    assert trusted() == [both, both]
    file.write_bytes(b"-----BEGIN")
    assert look() == ["client_ca.reload_failed", "certificate.reload_failed"]
    assert trusted() == [both, both]


def test_authorities_that_cannot_be_loaded_are_told_in_one_line(
    tmp_path: Path, authority: Authority
) -> None:
    """With the setting, the file and the fault."""
    own = authority.issue("own")
    for file, words in (
        (tmp_path / "none", "cannot be read: no such file or directory"),
        (tmp_path, "cannot be read: is a directory"),
        (own.key_file, "must hold certificates as PEM, one or more"),
    ):
        with pytest.raises(SettingsError) as caught:
            load_context(own.file, own.key_file, file)
        assert caught.value.lines == [f"WATCHWORD_TLS_CLIENT_CA: {file} {words}"]


@pytest.mark.rfc("8705-2-1")
def test_a_client_s_own_certificate_is_not_taken_for_an_authority(tmp_path: Path) -> None:
    """The line says where it belongs."""
    own = self_signed(tmp_path / "svc", FOR_CLIENTS)
    with pytest.raises(SettingsError) as caught:
        ClientAuthorities(own.file, lambda *_, **__: None)
    assert caught.value.lines == [
        f"WATCHWORD_TLS_CLIENT_CA: {own.file} has the certificate of 'CN=svc', which is no"
        " authority (CA:TRUE); put a client's own into WATCHWORD_TLS_CLIENT_CERTS"
    ]


@pytest.mark.parametrize("alone", [True, False])
def test_a_self_signed_certificate_passes_the_handshake_by_a_file_of_its_own(
    tmp_path: Path, authority: Authority, alone: bool
) -> None:
    """With authorities or without, and whatever `openssl req -x509` made it."""
    own = authority.issue("own")
    listed = self_signed(tmp_path / "listed", IS_AUTHORITY)
    named = None if alone else authority.file
    certificate = Certificate(own.file, own.key_file, lambda *_, **__: None, named, listed.file)
    with served(certificate=certificate, client_certificates=True) as server:
        with connect(server, authority, listed) as peer:
            assert ask(peer) == 200
        other = self_signed(tmp_path / "other")
        with suppress(OSError), connect(server, authority, other) as peer:
            peer.sendall(GET)
            assert read_all(peer) == b""
        assert chains(server) == [listed.chain]
    with pytest.raises(SettingsError) as caught:
        load_context(own.file, own.key_file, client_certs=own.key_file)
    assert caught.value.lines == [
        f"WATCHWORD_TLS_CLIENT_CERTS: {own.key_file} must hold certificates as PEM, one or more"
    ]


def test_without_a_file_no_authority_is_trusted() -> None:
    """A proxy passes on certificates that only their own clients vouch for."""
    none = ClientAuthorities(None, lambda *_, **__: None)
    none.look()
    assert none.certificates == ()
