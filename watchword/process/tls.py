"""Serve TLS: a certificate that is loaded again when its files change, and handshakes in bounds.

A connection counts from its first packet, as one on plain http does: its handshake is a phase of
its own (`watchword.process.connections`), and only what comes out of it is read as HTTP.
"""

import asyncio
import ssl
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, NoReturn

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from keys.events import EventSink
from watchword.client_authorities import load_authorities, load_certificates
from watchword.process.connections import Admission, Connections, Phase
from watchword.settings import Settings, SettingsError
from watchword.watched_files import WatchedFiles

_FAREWELL_SECONDS = 2.0
"""How long a peer has to answer that this side closes (RFC 8446 section 6.1)."""


def load_context(
    certificate: Path, key: Path, client_ca: Path | None = None, client_certs: Path | None = None
) -> ssl.SSLContext:
    """Load a certificate chain and its key, and what clients' certificates are verified by.

    Args:
        certificate: the chain, as PEM.
        key: its key, as PEM.
        client_ca: their authorities, as PEM.
        client_certs: those of clients that are their own authority, as PEM. With either file,
            clients may show a certificate.

    Raises:
        SettingsError: a file cannot be read, is not what it should be, or they do not go together.
    """
    for setting, file in (("WATCHWORD_TLS_CERT", certificate), ("WATCHWORD_TLS_KEY", key)):
        try:
            if file.is_fifo():  # opening it waits for a writer, and requests wait as well
                raise SettingsError([f"{setting}: {file} cannot be read: is a pipe"])
            file.read_bytes()
        except OSError as error:
            raise SettingsError([f"{setting}: {file} cannot be read: {_cause(error)}"]) from None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certificate, key, password=_refuse_encrypted)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            line = f"WATCHWORD_TLS_KEY: {key} is not the key of the certificate in {certificate}"
        else:
            line = (
                f"WATCHWORD_TLS_CERT, WATCHWORD_TLS_KEY: {certificate} and {key} must be a"
                f" certificate and its key, both as PEM ({error.reason or error.strerror})"
            )
        raise SettingsError([line]) from None
    except _KeyIsEncrypted:
        line = f"WATCHWORD_TLS_KEY: {key} is encrypted; decrypt it, and let only this user read it"
        raise SettingsError([line]) from None
    except OSError as error:  # replaced since it was read; OpenSSL does not say which of the two
        both = f"WATCHWORD_TLS_CERT, WATCHWORD_TLS_KEY: {certificate} and {key}"
        raise SettingsError([f"{both} cannot be read: {_cause(error)}"]) from None
    trusted = [] if client_ca is None else load_authorities(client_ca)
    if client_certs is not None:
        trusted += load_certificates("WATCHWORD_TLS_CLIENT_CERTS", client_certs)
    if trusted:
        _ask_clients(context, trusted)
    return context


def _ask_clients(context: ssl.SSLContext, trusted: Sequence[x509.Certificate]) -> None:
    """Have clients asked for a certificate, which ends the handshake if it is not to be trusted.

    What is trusted here may begin a request, and no more: the issuer verifies it again.
    """
    context.load_verify_locations(
        cadata=b"".join(each.public_bytes(Encoding.DER) for each in trusted)
    )
    context.verify_mode = ssl.CERT_OPTIONAL
    # Each certificate in the file is trusted, not only those of the highest authorities.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    # A ticket does not hold what is between the certificate and its authority.
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0


class _KeyIsEncrypted(Exception):
    pass


def _refuse_encrypted() -> NoReturn:
    """Answer OpenSSL's question for a passphrase, which would else be asked on the terminal."""
    raise _KeyIsEncrypted


def _cause(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()


class Certificate:
    """The certificate that is served.

    Args:
        file: the certificate and those between it and the authority, as PEM.
        key_file: its key, as PEM.
        events: where new certificates are reported.
        client_ca: the authorities of clients' certificates, if there are any.
        client_certs: certificates of clients that are their own authority, if there are any.

    Attributes:
        context: with which connections that begin now are secured.

    Raises:
        SettingsError: see `load_context`.
    """

    def __init__(
        self,
        file: Path,
        key_file: Path,
        events: EventSink,
        client_ca: Path | None = None,
        client_certs: Path | None = None,
    ) -> None:
        self._files = (file, key_file, client_ca, client_certs)
        self._events = events
        self._watched = WatchedFiles(*filter(None, self._files))
        self.context = load_context(*self._files)

    @classmethod
    def of(cls, settings: Settings, events: EventSink) -> "Certificate | None":
        """Load the one that the settings name, if they name one.

        Raises:
            SettingsError: see `load_context`.
        """
        if settings.tls_cert is None or settings.tls_key is None:
            return None
        trusted = settings.client_ca_file, settings.tls_client_certs
        return cls(settings.tls_cert, settings.tls_key, events, *trusted)

    def look(self) -> None:
        """Load the files again, once they have changed and stayed the same between two looks.

        A pair that cannot be loaded, such as one that is half written, is reported, and the one
        before stays in use.
        """
        if not self._watched.have_changed():
            return
        try:
            self.context = load_context(*self._files)
        except SettingsError as error:
            self._events("certificate.reload_failed", reason=str(error))
        else:
            self._events("certificate.reloaded")


class Handshake(asyncio.Protocol):
    """A new connection until it is secured.

    Args:
        make_http: makes what reads the connection then, as uvicorn does.
        certificate: that is served.
        connections: all those of the worker.
        uvicorn: what uvicorn gives to its protocols.
    """

    phase = Phase.HANDSHAKE

    def __init__(
        self,
        make_http: Callable[..., asyncio.Protocol],
        *,
        certificate: Certificate,
        connections: Connections,
        **uvicorn: Any,  # noqa: ANN401
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.since = self.deadline = 0.0
        self._make_http = make_http
        self._certificate = certificate
        self._connections = connections
        self._uvicorn = uvicorn
        self._begun = uvicorn["server_state"].connections  # those that end when the server stops
        self._early = b""
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, if there is room, and begin."""
        self._transport = transport
        admission = self._connections.admit(self)
        if admission is Admission.NOTHING:
            self.abort()
            return
        limits = self._connections.limits
        seconds = limits.seconds[self.phase]
        if admission is Admission.PROBES:
            seconds = min(seconds, limits.probe_seconds)
        self.since = self.loop.time()
        self.deadline = self.since + seconds
        self._connections.track(self)
        self._begun.add(self)
        tls = self.loop.start_tls(
            self._transport,
            self,
            self._certificate.context,
            server_side=True,
            ssl_shutdown_timeout=_FAREWELL_SECONDS,
        )
        # No task: it would begin when uvloop may have given this protocol what is for TLS.
        tls.send(None).add_done_callback(lambda _: self._finish(tls))

    def _finish(self, tls: Coroutine[Any, Any, Any]) -> None:
        """Have the connection read as HTTP, if the handshake succeeded."""
        secured = None
        try:
            tls.send(None)
        except StopIteration as end:
            secured = end.value
        except ssl.SSLCertVerificationError:
            self._connections.count_refusal("bad_client_cert")
        except ssl.SSLError:
            self._connections.count_refusal("handshake_failed")
        except OSError:
            pass  # the peer has gone
        self._leave()
        # There is no transport if this side ended the handshake.
        if secured is None or secured.is_closing():
            return
        http = self._make_http(**self._uvicorn)
        secured.set_protocol(http)
        http.connection_made(secured)
        if self._early:
            http.data_received(self._early)

    def data_received(self, data: bytes) -> None:
        """Keep what came with the end of the handshake."""
        self._early += data

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._leave()

    def expire(self, now: float) -> None:
        """End a handshake that took too long."""
        self._connections.count_refusal("handshake_timeout")
        self.abort()

    def abort(self) -> None:
        """End the connection at once."""
        self._transport.abort()

    shutdown = abort  # called by uvicorn when the server stops

    def _leave(self) -> None:
        self._connections.leave(self)
        self._begun.discard(self)
