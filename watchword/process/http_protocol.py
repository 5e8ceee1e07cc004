"""HTTP/1.1 over uvicorn's httptools protocol, with bounds on what a peer can make a worker hold.

What it adds to uvicorn's:

- Input reaches the parser in pieces that end where a head may end, so that at most one request
  waits while another is answered; the rest stays unread, in the end in the peer's own buffers.
- A head, its fields, its target and the trailers are bounded while they arrive.
- No trailer field becomes a header field (RFC 9110 section 6.5.1).
- An offer to upgrade is ignored (RFC 9110 section 7.8) and the body is read.
- Every phase of a connection has a deadline; see `watchword.process.connections`.
- Head and body of an answer leave in one write, which is one system call and one packet.
- Behind a trusted proxy the client in the ASGI scope is the one that the proxy names.
- The certificate of a client is in the TLS extension of the ASGI scope, where certificates count.
"""

import asyncio
import re
from http import HTTPStatus
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from keys.client_cert import Chain, write_tls_extension
from watchword.process import refusals
from watchword.process.addresses import Networks, find_client, is_within, plain_peer
from watchword.process.client_certificates import shown_in_handshake, told_by_proxy
from watchword.process.connections import Admission, Connections, Phase
from watchword.process.refusals import Refusal, Refused, write_refusal
from watchword.process.transport import HeldFlow, JoiningTransport

PROBE_PATHS = (b"/healthz", b"/readyz")

_HEAD_END = b"\r\n\r\n"
_PIECE_BYTES = 16_384
# RFC 9110 section 7.2: uri-host [ ":" port ], as RFC 3986 section 3.2.2 writes them.
_HOST = re.compile(
    rb"(?:\[[0-9A-Fa-f:.]+\]|(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*)(?::[0-9]*)?"
)
_VERSIONS = ("1.1", "1.0")
_ABSOLUTE_FORM = re.compile(rb"https?://([^/?#@]+)([^?#]*)(\?[^#]*)?", re.IGNORECASE)
_TIMEOUTS = {
    Phase.FIRST_BYTE: refusals.NO_REQUEST,
    Phase.HEAD: refusals.HEAD_TIMEOUT,
    Phase.BODY: refusals.BODY_TIMEOUT,
}


class BoundedProtocol(HttpToolsProtocol):
    """One connection.

    Args:
        connections: all those of the worker.
        proxies: the trusted ones, which say where a request came from.
        client_certificates: whether those of clients count.
        uvicorn: what uvicorn gives to its protocols.
    """

    def __init__(
        self,
        *,
        connections: Connections,
        proxies: Networks,
        client_certificates: bool = False,
        **uvicorn: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(**uvicorn)
        self._connections = connections
        self._proxies = proxies
        self._client_certificates = client_certificates
        self._chain: Chain = ()
        self.phase = Phase.FIRST_BYTE
        self.since = self.deadline = 0.0
        self._probes_only = False
        self._rest = b""  # received, and parsed up to `_at`
        self._at = 0
        self._barren = 0  # bytes parsed since a head began, or since the last data of a body
        self._begun = False  # a head is incomplete
        self._in_body = False
        self._upgrade_offered = False
        self._deaf = False  # nothing more is read as a request

    # The transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, if there is room."""
        super().connection_made(JoiningTransport(transport, self.loop))  # type: ignore[arg-type]
        self.flow = self._flow = HeldFlow(self.transport)
        if self.client is not None:
            self.client = plain_peer(self.client)
            if self._proxies and not is_within(self.client, self._proxies):
                self._proxies = ()
        if self._client_certificates and not self._proxies:
            self._chain = shown_in_handshake(transport)
        admission = self._connections.admit(self)
        if admission is Admission.NOTHING:
            self.abort()
            return
        self._probes_only = admission is Admission.PROBES
        self._enter(Phase.FIRST_BYTE)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._connections.leave(self)
        self._deaf, self._rest = True, b""
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what may be parsed now."""
        if not self._deaf:
            self._rest = self._rest[self._at :] + data if self._rest else data
            self._at = 0
            self._parse_rest()

    def pause_writing(self) -> None:
        """Wait for a peer that reads slowly, for a while."""
        super().pause_writing()
        self._settle()

    def resume_writing(self) -> None:
        """Go on: the peer has read enough."""
        super().resume_writing()
        self._settle()

    def shutdown(self) -> None:
        """Close now, or after the answer that is being made."""
        super().shutdown()
        self._settle()

    # Parsing

    def _parse_rest(self) -> None:
        rest = self._rest
        while self._at < len(rest) and not self._deaf and not self._is_busy():
            end = rest.find(_HEAD_END, self._at, self._at + _PIECE_BYTES) + len(_HEAD_END)
            if end < len(_HEAD_END):
                end = self._at + _PIECE_BYTES
            self._at += self._parse(rest[self._at : end])
        if self._at >= len(rest) or self._deaf:
            self._rest, self._at = b"", 0
        self._flow.hold(bool(self._rest))
        self._settle()

    def _is_busy(self) -> bool:
        """Tell whether a whole request is being answered, or another one waits already."""
        return bool(self.pipeline) or (self._is_answering() and not self._in_body)

    def _is_answering(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete

    def _parse(self, piece: bytes) -> int:
        """Parse one piece; returns how many of its bytes were used."""
        self._barren += len(piece)
        if self._barren > refusals.HEAD_BYTES:
            self._refuse(refusals.HEAD_TOO_LARGE)
            return len(piece)
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade as offer:
            return self._ignore_upgrade(int(offer.args[0]))
        except httptools.HttpParserError as error:
            cause = error.__context__
            self._refuse(cause.refusal if isinstance(cause, Refused) else refusals.MALFORMED)
        return len(piece)

    def _ignore_upgrade(self, head_end: int) -> int:
        """Parse the head again without the offer, since the parser stops at the first one."""
        version = self.parser.get_http_version().encode()
        lines = [b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, version)]
        lines += [b"%s: %s" % field for field in self.headers if field[0] != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
        self._upgrade_offered = False
        self._barren = 0
        self._parse(b"\r\n".join(lines) + _HEAD_END)
        return head_end

    # What the parser calls

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._begun = True

    def on_url(self, url: bytes) -> None:
        """Take a part of the request target."""
        super().on_url(url)
        if len(self.url) > refusals.TARGET_BYTES:
            raise Refused(refusals.TARGET_TOO_LONG)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header field; drop a trailer field, which must not count as one."""
        if self._in_body:
            return
        if len(self.headers) >= refusals.HEAD_FIELDS:
            raise Refused(refusals.TOO_MANY_FIELDS)
        # What uvicorn does, without the call.
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Have the application answer, if it may."""
        self._begun = False
        # RFC 9110 section 15.6.6. The parser takes requests of 0.9 and 2.0 for those of 1.0.
        if self.parser.get_http_version() not in _VERSIONS:
            raise Refused(refusals.BAD_VERSION)
        if self.parser.should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                raise Refused(refusals.NO_TUNNEL)
            self._upgrade_offered = True
            return
        self._check_host()
        if self._proxies and self.client is not None:
            client, scheme = find_client(self.client, self.headers, self._proxies)
            self.scope |= {"client": client, "scheme": scheme or self.scope["scheme"]}
            if self._client_certificates:
                self._chain = told_by_proxy(self.headers)
        if self._chain:
            self.scope["extensions"] = {"tls": write_tls_extension(self._chain)}
        if self._probes_only and self.url.partition(b"?")[0] not in PROBE_PATHS:
            raise Refused(refusals.FULL)
        super().on_headers_complete()
        if self._probes_only:
            self.cycle.keep_alive = False
        self._in_body = True
        self._barren = 0

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._barren = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End the request."""
        if not self._upgrade_offered:
            super().on_message_complete()
            self._in_body = False
            self._barren = 0

    def _check_host(self) -> None:
        """Refuse a bad Host field, and take the host of a target in absolute form instead.

        RFC 9112 sections 3.2 and 3.2.2.
        """
        hosts = [value for name, value in self.headers if name == b"host"]
        if len(hosts) != 1:
            if hosts or self.parser.get_http_version() != "1.0":
                raise Refused(refusals.BAD_HOST)
        elif not _HOST.fullmatch(hosts[0]):
            raise Refused(refusals.BAD_HOST)
        if self.url[:1] == b"/" or self.url == b"*":
            return
        absolute = _ABSOLUTE_FORM.fullmatch(self.url)
        if absolute is None:
            raise Refused(refusals.MALFORMED)
        host, path, query = absolute.groups(b"")
        if not _HOST.fullmatch(host):
            raise Refused(refusals.BAD_HOST)
        self.url = (path or b"/") + query
        # The list is the one in the ASGI scope.
        self.headers[:] = [field for field in self.headers if field[0] != b"host"]
        self.headers.append((b"host", host))

    # Answers and deadlines

    def on_response_complete(self) -> None:
        """Begin the next request, or wait for it."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            self._settle()
            return
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)
        else:
            self.flow.resume_reading()
        if self._rest:
            self._parse_rest()
        else:
            self._settle()

    def expire(self, now: float) -> None:
        """End a phase that took too long."""
        if self.phase is Phase.BODY and self.flow.read_paused:
            # The application is late, not the peer.
            self.deadline = now + self._connections.limits.seconds[Phase.BODY]
        elif self.phase in _TIMEOUTS:
            self._refuse(_TIMEOUTS[self.phase])
        elif self.phase is Phase.IDLE:
            self.transport.close()
            self._settle()
        else:
            if self.phase is Phase.WRITE:
                self._connections.count_refusal("slow_reader")
            self.abort()

    def abort(self) -> None:
        """End the connection at once."""
        self._deaf = True
        self.transport.abort()

    def _refuse(self, refusal: Refusal) -> None:
        """Refuse the request that is being read, and end the connection."""
        self._deaf = True
        self._connections.count_refusal(refusal.reason)
        if self._is_answering() and not self._in_body:
            self.cycle.keep_alive = False  # an earlier request: its answer is the last one
            return
        if self._in_body:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            if self.cycle.response_started:
                self.transport.close()
                return
        self.transport.write(write_refusal(refusal, self.server_state.default_headers))
        if refusal.status is HTTPStatus.REQUEST_TIMEOUT or not self.transport.can_write_eof():
            self.transport.close()
            self._enter(Phase.CLOSING)
        else:
            # Closing with input unread would reset the connection and could destroy the answer.
            self._flow.hold(False)
            self.flow.resume_reading()
            self.transport.write_eof()
            self._enter(Phase.LINGER)

    def _settle(self) -> None:
        """Come into the phase that follows from what has been received and sent."""
        if self.transport.is_closing():
            self._enter(Phase.CLOSING)
        elif self.phase is Phase.LINGER:
            return
        elif self.flow.write_paused:
            self._enter(Phase.WRITE)
        elif self._in_body and not self.pipeline:
            self._enter(Phase.BODY)
        elif self._is_answering():
            self._enter(Phase.ANSWER)
        elif self._begun:
            self._enter(Phase.HEAD)
        elif self.phase is not Phase.FIRST_BYTE:
            self._enter(Phase.IDLE)

    def _enter(self, phase: Phase) -> None:
        if phase is self.phase and self.deadline:
            return
        limits = self._connections.limits
        seconds = limits.seconds[phase]
        if self._probes_only and phase in (Phase.FIRST_BYTE, Phase.HEAD):
            seconds = min(seconds, limits.probe_seconds)
        self.phase = phase
        self.since = self.loop.time()
        self.deadline = self.since + seconds
        self._connections.track(self)
