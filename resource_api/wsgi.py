"""WSGI middleware that lets only requests with a valid access token through (RFC 6750, PEP 3333).

For Flask, Django and any other WSGI application. Denied by default: what is open is listed.
"""

import traceback
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from types import TracebackType
from typing import Final, TypeVar, Unpack
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from resource_api.access_token import AccessToken
from resource_api.errors import ResourceError
from resource_api.guarded_request import CURRENT, REQUEST_KEY, GuardedRequest, is_refusal
from resource_api.open_routes import OpenRoutes, encode_path
from resource_api.possession import Presented
from resource_api.protection import Answer, ProtectionSettings, given_or_made
from resource_api.sync import SyncProtection

ENVIRON_KEY: Final = "resource_api.access_token"
"""Where an application finds the `AccessToken` of a request in the WSGI environ."""

T = TypeVar("T")
_ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None] | None


class BearerWsgiMiddleware:
    """Let requests through that carry a valid access token, and those to open routes."""

    def __init__(
        self,
        app: WSGIApplication,
        *,
        protection: SyncProtection | None = None,
        open_routes: Iterable[tuple[str, str]] = (),
        readiness_path: str | None = None,
        **settings: Unpack[ProtectionSettings],
    ) -> None:
        """Protect an application; no thread is started and nothing is fetched yet.

        Args:
            app: what to protect.
            protection: whose tokens are accepted, and for which API.
            open_routes: (method, path) pairs that need no token, `GET` includes `HEAD`; the path as
                the application sees it, `/static/*` for all below `/static/`.
            readiness_path: of a probe without a token: 200 while each issuer's keys are there.
            settings: the keywords of `Protection`, instead of a protection: `issuer` and `resource`
                at least.

        Raises:
            ValueError: settings that cannot be or contradict each other.
            TypeError: a protection and settings for another, or neither.
        """
        self.app = app
        self.protection = given_or_made(protection, SyncProtection, settings)
        self._readiness_path = readiness_path
        self._metadata_path = self.protection.protection.metadata_path
        self._open = OpenRoutes(
            open_routes, document=self._metadata_path, readiness_path=readiness_path
        )

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        path = self._match(environ)
        if path is not None:
            return self._serve_open(path, environ, start_response)
        try:
            # Only the start of a request is checked: a response may stream on beyond `exp`.
            sent = environ.get("HTTP_AUTHORIZATION")
            token = self.protection.verify(sent, presented_by(environ), _proofs_of(environ))
        except ResourceError as error:
            return self.refuse(error, environ, start_response)
        environ[ENVIRON_KEY] = token
        environ[REQUEST_KEY] = request = WsgiRequest(self, token, environ, start_response)
        return request.run(self.app)

    def _match(self, environ: WSGIEnvironment) -> str | None:
        """Give the path of an open route, or None."""
        try:
            path = _decode(environ.get("PATH_INFO", ""))
        except UnicodeError:
            return None
        # PATH_INFO is what the application routes by, below SCRIPT_NAME already.
        return self._open.match({"method": environ["REQUEST_METHOD"], "path": path})

    def _serve_open(
        self, path: str, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        if path == self._metadata_path:
            answer = self.protection.protection.metadata_answer()
            return _send_answer(answer, environ, start_response)
        if path == self._readiness_path:
            try:
                answer = self.protection.readiness()
            except ResourceError as error:
                return self.refuse(error, environ, start_response)
            return _send_answer(answer, environ, start_response)
        if REQUEST_KEY in environ:  # let through by another middleware in front of this one
            return self.app(environ, start_response)
        return WsgiRequest(self, None, environ, start_response).run(self.app)

    def refuse(
        self, error: ResourceError, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        """Answer a request with a refusal and report it."""
        self.report(error, environ)
        root_path = _decode(environ.get("SCRIPT_NAME", ""), errors="replace")
        token = environ.get(ENVIRON_KEY)
        answer = self.protection.protection.refusal(error, token, root_path=root_path)
        return _send_answer(answer, environ, start_response)

    def report(self, error: ResourceError, environ: WSGIEnvironment) -> None:
        """Report a refusal."""
        self.protection.protection.report(error, environ.get(ENVIRON_KEY))


class WsgiRequest(GuardedRequest):
    """A request and the answer to it, until a guard refuses it; an iterator of the body.

    The head is held back until the first byte of the body, as PEP 3333 has servers do: a refusal
    may come as late as that. Each step of the application runs with this as the current request.
    """

    __slots__ = ("_body", "_chunks", "_environ", "_head", "_middleware", "_start", "_write")

    def __init__(
        self,
        middleware: BearerWsgiMiddleware,
        token: AccessToken | None,
        environ: WSGIEnvironment,
        start_response: StartResponse,
    ) -> None:
        super().__init__(token)
        self._middleware = middleware
        self._environ = environ
        self._start = start_response
        self._head: tuple[str, list[tuple[str, str]]] | None = None
        self._write: Callable[[bytes], object] | None = None
        self._body: Iterable[bytes] = ()
        self._chunks: Iterator[bytes] = iter(())

    def run(self, app: WSGIApplication) -> Iterable[bytes]:
        """Call the application, and give what the server is to send."""
        try:
            self._body = self._inside(lambda: app(self._environ, self._note_head))
            if self.refusal is None and self._head is not None and self._is_plain():
                self._end()
                self._send_head()
                return self._body
            self._chunks = self._inside(lambda: iter(self._body))
        except Exception as error:
            self._settle_for(error)
        return self

    def __iter__(self) -> Iterator[bytes]:
        """Give what the server is to send."""
        return self

    def __next__(self) -> bytes:
        """Give the next part of the answer.

        Raises:
            ResourceError: the request was refused after its answer began, which is to be cut off.
        """
        if self.over:
            raise StopIteration
        chunk: bytes | None = b""
        while chunk == b"" and self.refusal is None:
            try:
                chunk = self._inside(lambda: next(self._chunks, None))
            except Exception as error:
                self._settle_for(error)
        if self.refusal is not None:
            return self._send_refusal(self.refusal)
        self._send_head()
        if chunk is None:
            self.over = True
            raise StopIteration
        return chunk

    def close(self) -> None:
        """Let the application clean up; what it does then has no rights."""
        self._end()
        close = getattr(self._body, "close", None)
        if close is not None:
            close()

    def _end(self) -> None:
        self.over = True
        # Request and environ hold each other: the garbage collector would have to end them.
        self._environ.pop(REQUEST_KEY, None)

    def _inside(self, step: Callable[[], T]) -> T:
        """Run a step of the application with this as the current request."""
        before = CURRENT.get()
        CURRENT.set(self)
        try:
            return step()
        finally:
            CURRENT.set(before)

    def _is_plain(self) -> bool:
        """Tell a body that runs no code of the application, which servers send in better ways."""
        wrapper = self._environ.get("wsgi.file_wrapper")
        is_file = isinstance(wrapper, type) and isinstance(self._body, wrapper)
        return is_file or isinstance(self._body, list | tuple)

    def _note_head(
        self, status: str, headers: list[tuple[str, str]], exc_info: _ExcInfo = None, /
    ) -> Callable[[bytes], object]:
        """Take the head of an answer; the `start_response` of the application."""
        if self._write is not None:
            return self._start(status, headers, exc_info)  # which raises, as PEP 3333 says
        if self._head is not None and exc_info is None:
            raise AssertionError("start_response was called twice, without exc_info")
        self._head = status, headers
        return self._write_now

    def _write_now(self, data: bytes) -> None:
        """Send a part of the body before the others, unless the request was refused."""
        if self.refusal is None:
            self._send_head()(data)

    def _send_head(self) -> Callable[[bytes], object]:
        if self._write is None:
            if self._head is None:
                raise RuntimeError("the application gave a body and did not call start_response")
            self._write = self._start(*self._head)
        return self._write

    def _settle_for(self, error: Exception) -> None:
        """Let the refusal answer for what the application raised, if there is one."""
        if self.refusal is None:
            raise error
        if not is_refusal(error):
            traceback.print_exception(error, file=self._environ["wsgi.errors"])

    def _send_refusal(self, refusal: ResourceError) -> bytes:
        self.over = True
        if self._write is None:
            return b"".join(self._middleware.refuse(refusal, self._environ, self._start))
        self._middleware.report(refusal, self._environ)
        raise refusal


def presented_by(environ: WSGIEnvironment) -> Presented:
    """Give what a WSGI environ tells of a request and its sender, besides header fields.

    PEP 3333 has the path decoded, so it is encoded as clients do. `SSL_CLIENT_CERT` is the variable
    of Apache's mod_ssl, and not the one of a header field, which would begin with `HTTP_`.
    """
    path = _decode(environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", ""), errors="replace")
    return Presented(
        method=environ["REQUEST_METHOD"],
        path=encode_path(path).decode(),
        peer=environ.get("REMOTE_ADDR"),
        certificate=environ.get("SSL_CLIENT_CERT") or None,
    )


def _proofs_of(environ: WSGIEnvironment) -> list[tuple[bytes, bytes]]:
    """Give the header fields that prove possession; servers join repeated ones by a comma."""
    return [
        (name, environ[key].encode("latin-1", "replace"))
        for name, key in ((b"dpop", "HTTP_DPOP"), (b"client-cert", "HTTP_CLIENT_CERT"))
        if key in environ
    ]


def _decode(text: str, errors: str = "strict") -> str:
    """Read what PEP 3333 gives as one character for each byte."""
    return text.encode("latin-1").decode("utf-8", errors)


def _send_answer(
    answer: Answer, environ: WSGIEnvironment, start_response: StartResponse
) -> list[bytes]:
    status, headers, body = answer
    lines = [(name.decode(), value.decode()) for name, value in headers]
    start_response(f"{status} {HTTPStatus(status).phrase}", lines)
    return [b"" if environ["REQUEST_METHOD"] == "HEAD" else body]
