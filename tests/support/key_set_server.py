"""An issuer's metadata, key set and status lists on a real socket; misbehaves in every way."""

import asyncio
import gzip
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256

from tests.support.provider import free_port

JSON = b"Content-Type: application/json\r\n"
LIST = b"Content-Type: application/statuslist+jwt\r\n"
MANY = 10_000_000


BAD_ANSWERS = {
    "redirects": (302, b"Location: /evil\r\n", b""),
    "404": (404, b"Cache-Control: public, max-age=86400\r\n" + JSON, b'{"keys":[]}'),
    "500": (500, JSON, b'{"keys":[]}'),
    "html": (200, b"Content-Type: text/html\r\n", b"<html></html>"),
    "html as json": (200, JSON, b"<html></html>"),
    "empty set": (200, JSON, b'{"keys":[]}'),
    "10 MB": (200, JSON, b'{"keys":[]}' + b" " * MANY),
    "gzip bomb": (
        200,
        JSON + b"Content-Encoding: gzip\r\n",
        gzip.compress(b'{"keys":[]}' + b" " * MANY),
    ),
}
"""Status, header lines and body by the mode of a server."""


class KeySetServer:
    """Serves one key set, and the lists of `lists`; the modes say how, from the next request on."""

    def __init__(self, body: bytes, *, revalidate: int | None = None) -> None:
        """Prepare; `revalidate` is the interval that the metadata states."""
        self.body = body
        self.revalidate = revalidate
        self.mode = self.list_mode = "good"
        self.lists: dict[str, bytes] = {}
        self.cache_control = "public, max-age=300"
        self.requests: Counter[str] = Counter()
        self.statuses: Counter[int] = Counter()
        self.sent = 0
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.issuer = self.url
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def stop(self) -> None:
        """Refuse connections from now on."""
        if self._server is not None:
            self._server.close()
            for task in self._tasks:
                task.cancel()
            await self._server.wait_closed()
            if self._tasks:
                await asyncio.wait(self._tasks)
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            path = head.split(" ")[1]
            self.requests[path] += 1
            if path == "/.well-known/oauth-authorization-server":
                await self._send(writer, 200, JSON, self._metadata())
            elif path == "/jwks":
                await self._answer(head.lower(), writer, self.mode, self.body, JSON)
            elif path in self.lists:
                await self._answer(head.lower(), writer, self.list_mode, self.lists[path], LIST)
            else:
                await self._send(writer, 200, JSON, b'{"keys":[]}')
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()

    def _metadata(self) -> bytes:
        document: dict[str, object] = {"issuer": self.issuer, "jwks_uri": self.issuer + "/jwks"}
        if self.revalidate is not None:
            document["jwks_revalidation_seconds"] = self.revalidate
        return json.dumps(document).encode()

    async def _answer(
        self, head: str, writer: asyncio.StreamWriter, mode: str, content: bytes, kind: bytes
    ) -> None:
        if mode in BAD_ANSWERS:
            status, headers, body = BAD_ANSWERS[mode]
            await self._send(writer, status, headers.replace(JSON, kind), body)
            return
        match mode:
            case "good":
                etag = '"' + sha256(content).hexdigest()[:16] + '"'
                headers = f"Cache-Control: {self.cache_control}\r\nETag: {etag}\r\n".encode() + kind
                if etag in head:
                    await self._send(writer, 304, headers, None)
                else:
                    await self._send(writer, 200, headers, content)
            case "hangs":
                await asyncio.sleep(60)
            case "drips":
                writer.write(b"HTTP/1.1 200 OK\r\n" + kind + b"Content-Length: 60000\r\n\r\n")
                for _ in range(600):
                    writer.write(b" ")
                    await writer.drain()
                    await asyncio.sleep(0.1)
            case "is cut off":
                length = b"Content-Length: 60000\r\n\r\n"
                writer.write(b"HTTP/1.1 200 OK\r\n" + kind + length + content)
            case "closes":
                pass
            case other:
                raise AssertionError(other)

    async def _send(
        self, writer: asyncio.StreamWriter, status: int, headers: bytes, body: bytes | None
    ) -> None:
        self.statuses[status] += 1
        length = b"" if body is None else b"Content-Length: %d\r\n" % len(body)
        writer.write(
            b"HTTP/1.1 %d X\r\nConnection: close\r\n" % status + headers + length + b"\r\n"
        )
        for start in range(0, len(body or b""), 65_536):
            writer.write((body or b"")[start : start + 65_536])
            await writer.drain()
            self.sent += 65_536


@asynccontextmanager
async def key_set_server(
    body: bytes, *, revalidate: int | None = None
) -> AsyncIterator[KeySetServer]:
    """Run a server for a test."""
    server = KeySetServer(body, revalidate=revalidate)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
